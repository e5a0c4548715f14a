"""Callers who go on ordering: each order is put again, with its key, until it is accepted, as an application does."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

ORDER = {
    "type": "fault-repair",
    "account": "3210000000003",
    "contact_name": "张伟",
    "contact_phone": "13800000001",
    "address": "人民路1号",
    "content": "家里没电了",
}


def post(url: str, key: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Order once; status and answer, or 0 when nobody answers."""
    request = urllib.request.Request(  # noqa: S310 - the trial's own address
        f"{url}/v1/work-order", json.dumps(ORDER).encode(), {**headers, "Idempotency-Key": key}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, {}
    except (OSError, ValueError):
        return 0, {}


def final(url: str, request_id: str, headers: dict[str, str], end: float) -> str:
    """How a request ended; what it is at the end of the time if it did not."""
    status = "unknown to the front"
    while time.monotonic() < end:
        request = urllib.request.Request(f"{url}/v1/requests/{request_id}", headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                status = json.loads(answer.read())["status"]
        except (OSError, ValueError):
            pass
        if status in ("succeeded", "refused", "failed", "expired"):
            break
        time.sleep(0.1)
    return status


def main() -> int:
    """Order until SIGTERM, on `--callers` threads; then say how each accepted order ended, in a line of JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--headers", type=Path, required=True, help="a file with a header a line")
    parser.add_argument("--callers", type=int, default=1)
    given = parser.parse_args()
    headers = dict(line.split(": ", 1) for line in given.headers.read_text().splitlines()) | {
        "Content-Type": "application/json", "Prefer": "respond-async"
    }  # fmt: skip
    over = threading.Event()
    given_up = math.inf
    accepted: list[str] = []
    refusals: dict[int, int] = {}

    def order() -> None:
        while not over.is_set():
            key = str(uuid.uuid4())
            while given_up > time.monotonic():  # an order that was begun is brought to its end
                status, answer = post(given.url, key, headers)
                if status in (200, 202):
                    accepted.append(answer["request_id"])
                    break
                refusals[status] = refusals.get(status, 0) + 1
                time.sleep(0.1)
            time.sleep(0.1)

    signal.signal(signal.SIGTERM, lambda *_: over.set())
    threads = [threading.Thread(target=order) for _ in range(given.callers)]
    for thread in threads:
        thread.start()
    over.wait()
    given_up = time.monotonic() + 30
    for thread in threads:
        thread.join()
    end = time.monotonic() + 30
    print(json.dumps({"ended": {one: final(given.url, one, headers, end) for one in accepted}, "refusals": refusals}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""More load than the marketing system can handle: what is answered in time, what is refused, and how quickly.

The capacity is known: each call takes `LATENCY_S` and the bridge makes `SLOTS` at a time. Callers wait `DEADLINE_S`.
"""

import asyncio
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.tools.benchmark.arrivals import Answer, offer
from scripts.tools.testbed.layout import Ports
from scripts.tools.testbed.testbed import Testbed

Row = dict[str, Any]

LATENCY_S = 0.1
SLOTS = 20
DEADLINE_S = 2.0
CAPACITY = SLOTS / LATENCY_S
LOADS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
SETTINGS: dict[str, dict[str, Any]] = {
    "dmz_front": {"log.level": "warning"},
    "intranet_bridge": {"log.level": "warning", "queries.slots": SLOTS},
}
BODY = {"account": "3210000000002"}


def slowed(testbed: Testbed) -> None:
    """Make every call of the query take `LATENCY_S`."""
    plan = json.dumps({"latency_ms": LATENCY_S * 1000, "paths": ["/api/arrears"]}).encode()
    request = urllib.request.Request(f"{testbed.marketing_url}/faults", plan, method="PUT")  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=5):  # noqa: S310
        pass


def measured(testbed: Testbed, load: float, seconds: float, capacity: float = CAPACITY) -> list[Answer]:
    """Offer `load` times the capacity (queries a second) for so long."""
    url = f"{testbed.front_url}/v1/arrears-query"
    answers = asyncio.run(offer(url, testbed.app_key, BODY, rate=load * capacity, seconds=seconds, wait_s=DEADLINE_S))
    time.sleep(1.0)
    return answers


def good(answers: Sequence[Answer]) -> list[float]:
    """The response times of the successes within the deadline."""
    return sorted(answer.seconds for answer in answers if answer.status == 200 and answer.seconds <= DEADLINE_S)


def row(testbed: Testbed, load: float, answers: Sequence[Answer], seconds: float) -> Row:
    """One line of the curve."""
    times = good(answers)
    refused = sorted(answer.seconds for answer in answers if answer.code == "overloaded")
    others = Counter(answer.code or "late" for answer in answers) - Counter(overloaded=len(refused), late=len(times))
    return {
        "load": f"{load:g}x",
        "offered/s": len(answers) / seconds,
        "goodput/s": len(times) / seconds,
        "503 overloaded/s": len(refused) / seconds,
        "other/s": " ".join(f"{code} {count / seconds:.1f}" for code, count in sorted(others.items())) or "-",
        "p50 ms": at(times, 0.5) * 1000,
        "p99 ms": at(times, 0.99) * 1000,
        "refused p99 ms": at(refused, 0.99) * 1000,
        "front MB": memory(testbed.pids["front"]),
        "bridge MB": memory(testbed.pids["bridge"]),
    }


def run(folder: Path, seconds: float) -> list[Row]:
    """The curve from a quarter of the capacity to four times it."""
    testbed = Testbed(folder, Ports(), settings=SETTINGS, customers=200)
    try:
        testbed.set_up()
        testbed.start()
        slowed(testbed)
        measured(testbed, 0.5, 2)  # connections are made, and the bridge learns what a call takes
        return [row(testbed, load, measured(testbed, load, seconds), seconds) for load in LOADS]
    finally:
        testbed.stop()


def at(times: Sequence[float], share: float) -> float:
    """The quantile of sorted times; 0 when there are none."""
    return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


def memory(pid: int) -> float:
    """Resident memory of a process, MB (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

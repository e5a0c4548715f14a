"""The cost of sealing and opening: CPU microseconds per message of 300 bytes, median and range of several rounds.

Run it alone: `python scripts/tools/benchmark/envelope.py`, or through `scripts/bench`.
"""

import base64
import datetime
import secrets
import statistics
import time
from collections.abc import Callable

from protocol.envelope import Kind, Opener, Sealer
from protocol.keyring import Algorithm, Keyring, KeyState, PrivateFile, TrustedFile, TrustedKey, new_key, public_of
from protocol.messages import Attributes, Role, uuid7

ROUNDS = 7


def run() -> list[dict[str, object]]:
    """One row per operation: name, and median, least and greatest of ROUNDS rounds in CPU microseconds."""
    front, bridge = _keyrings()
    now = time.time_ns() // 1_000_000
    attributes = Attributes(
        id=uuid7(now, secrets.token_bytes(10)),
        source="front-1/wechat",
        type="bill-query",
        time=now,
        subject="mA1x9Zk3Qe7Yt2Lw5Vb8Ng",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        deadline=now + 5_000,
        reply_to="/queue/bridge.reply.query.front-1",
    )
    payload = secrets.token_bytes(300)
    sealer, opener = Sealer(front, Role.BRIDGE), Opener(bridge)
    envelope = sealer.seal(Kind.REQUEST, attributes, payload, now_ms=now)

    def both() -> None:
        opener.open(sealer.seal(Kind.REQUEST, attributes, payload, now_ms=now), now_ms=now)

    measures: dict[str, tuple[Callable[[], object], int]] = {
        "seal": (lambda: sealer.seal(Kind.REQUEST, attributes, payload, now_ms=now), 20_000),
        "open": (lambda: opener.open(envelope, now_ms=now), 20_000),
        "seal and open": (both, 20_000),
        "first seal (new data key)": (
            lambda: Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, attributes, payload, now_ms=now),
            500,
        ),
        "first open (uncached)": (lambda: Opener(bridge).open(envelope, now_ms=now), 500),
    }
    return [{"part": "envelope", "measure": name, **_timed(call, times)} for name, (call, times) in measures.items()]


def _timed(call: Callable[[], object], times: int) -> dict[str, float]:
    rounds = []
    for _ in range(ROUNDS):
        begun = time.thread_time_ns()
        for _ in range(times):
            call()
        rounds.append((time.thread_time_ns() - begun) / times / 1_000)
    return {
        "median_us": round(statistics.median(rounds), 2),
        "least_us": round(min(rounds), 2),
        "greatest_us": round(max(rounds), 2),
    }


def _keyrings() -> tuple[Keyring, Keyring]:
    now = datetime.datetime.now(datetime.UTC)
    owns = [
        PrivateFile(
            role=role,
            secret=base64.urlsafe_b64encode(secrets.token_bytes(32)) if role is Role.FRONT else None,
            keys=tuple(new_key(one, KeyState.ACTIVE, now, secrets.token_bytes(32)) for one in Algorithm),
        )
        for role in (Role.FRONT, Role.BRIDGE)
    ]
    trusted = TrustedFile(
        keys=tuple(
            TrustedKey(
                **key.model_dump(exclude={"private"}),
                role=own.role,
                public=base64.urlsafe_b64encode(public_of(key.algorithm, key.private)),
            )
            for own in owns
            for key in own.keys
        )
    )
    front, bridge = (Keyring.parse(own.model_dump_json().encode(), trusted.model_dump_json().encode()) for own in owns)
    return front, bridge


if __name__ == "__main__":
    for row in run():
        print("{measure:<28} {median_us:>8} µs   ({least_us} to {greatest_us})".format(**row))

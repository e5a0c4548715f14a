"""Authentic envelopes of a front or a bridge that has been taken over: it has the keys, and keeps no rule of ours."""

import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from protocol import envelope
from protocol.envelope import Kind, Sealer
from protocol.frames import pack
from protocol.keyring import Keyring
from protocol.messages import Attributes, Role, uuid7
from protocol.operations import CATALOGUE
from protocol.runtime.keyfiles import load_keyring

NAMES = ("id", "source", "type", "time", "subject", "traceparent", "deadline", "reply_to", "after")


def hostile(ring: Keyring, body: bytes = b"{}", *, now: int | None = None, **said: Any) -> bytes:
    """A sealed message with whatever is `said` as its attributes; the others are as they should be. Dated `now`."""
    now = time.time_ns() // 1_000_000 if now is None else now
    request = ring.role is Role.FRONT
    values: dict[str, Any] = {
        "id": uuid7(now, os.urandom(10)),
        "source": "front-1/wechat" if request else "bridge-1",
        "type": "work-order",
        "time": now,
        "subject": "",
        "traceparent": "",
        "deadline": 0,
        "reply_to": "/queue/bridge.reply.command.front-1" if request else "",
        "after": "",
    } | said
    data = "\n".join(str(values[name]) for name in NAMES).encode("utf-8", "surrogatepass")
    honest = Attributes(values["id"], "", "work-order", now, version=2)
    with patch.object(envelope, "encoded", lambda *_: data[:0xFFFF]):
        kind = said.get("kind", Kind.REQUEST if request else Kind.REPLY)
        return Sealer(ring, Role.BRIDGE if request else Role.FRONT).seal(kind, honest, body, now_ms=now)


_TEXT = st.one_of(
    st.text(max_size=200),
    st.integers(0, 400).map(lambda length: "x" * length),
    st.sampled_from(["", "\x00", "a\nb", "\ud800", "工单", " ", "'; --", "/queue/bridge.reply.command.a,/queue/x"]),
)
_TIME = st.one_of(
    st.integers(-(10**30), 10**30),
    st.sampled_from([0, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**15 - 1, 10**15, 10**25]),
    st.sampled_from(["", "x", "1e3", "1_000", "１２", " 1", "nan", "9" * 5_000]),
)

SAID = st.fixed_dictionaries(
    {},
    optional={
        "id": _TEXT,
        "source": _TEXT,
        "type": st.one_of(_TEXT, st.sampled_from(sorted(CATALOGUE))),
        "time": _TIME,
        "subject": _TEXT,
        "traceparent": _TEXT,
        "deadline": _TIME,
        "reply_to": _TEXT,
        "after": _TEXT,
    },
)
"""Attributes as an enemy may write them."""


def main() -> None:
    """`python -m tests.unit.hostile KEYS COUNT [NAME=VALUE ...]`: as many frames of one, in hex, a line each."""
    folder, count, *changes = sys.argv[1:]
    ring = load_keyring(Path(folder) / "front.keyring", Path(folder) / "trusted.json")
    said: dict[str, Any] = dict(change.split("=", 1) for change in changes)
    for _ in range(int(count)):
        print(pack([hostile(ring, **said)]).hex())


if __name__ == "__main__":
    main()

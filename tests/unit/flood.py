"""Many requests of a front that has been taken over, and keeps every rule but that nobody asked it for them."""

import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from protocol.envelope import Kind, Sealer
from protocol.frames import pack
from protocol.messages import Attributes, Role, uuid7
from protocol.operations import CATALOGUE
from protocol.runtime.keyfiles import load_keyring

FRAME = 50
PATIENCE_MS = 120_000


def requests(sealer: Sealer, what: str, count: int, source: str) -> Iterator[bytes]:
    """Sealed: `accounts`, each a query about another customer; `orders`, each a work order."""
    front = source.partition("/")[0]
    orders = what == "orders"
    name, lane = ("work-order", "command") if orders else ("arrears-query", "query")
    for number in range(count):
        now = time.time_ns() // 1_000_000
        body = {**CATALOGUE[name].example, "account": f"{9_000_000_000_000 + number}"}
        attributes = Attributes(
            uuid7(now, os.urandom(10)), source, name, now, deadline=0 if orders else now + PATIENCE_MS,
            reply_to=f"/queue/bridge.reply.{lane}.{front}",
        )  # fmt: skip
        payload = CATALOGUE[name].requests.dump_json(CATALOGUE[name].requests.validate_python(body))
        yield sealer.seal(Kind.REQUEST, attributes, payload, now_ms=now)


def main() -> None:
    """`python -m tests.unit.flood KEYRING accounts|orders COUNT SOURCE`: frames in hex, a line each."""
    keyring, what, count, source = sys.argv[1:]
    ring = load_keyring(Path(keyring), Path(keyring).with_name("trusted.json"))
    sealed = requests(Sealer(ring, Role.BRIDGE), what, int(count), source)
    while several := list(islice(sealed, FRAME)):
        print(pack(several).hex())


if __name__ == "__main__":
    main()

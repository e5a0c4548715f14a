"""Commands that may be ones done before: a front whose ledger was put back as an older copy has forgotten their keys.

A caller that repeats an Idempotency-Key of the gap is accepted there once more, under a new request id, and by ids
alone it would be done once more. The front says on each frame of commands what its ledger has forgotten; a command
that asks for just what one of the gap asked for, of the same application, is then held for an operator, who sees both
ids. What a command asks for is known again by a keyed hash of its operation and body, kept in its row (`likeness`).

The key is derived from the bridge's sealing key, so that a row tells nobody who has not the keyring what was asked.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from intranet_bridge.inbox.rows import Failed, Received
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.messages import Role, fitted
from protocol.runtime.history import Gap, id_time
from protocol.runtime.logs import logger

log = logger(__name__)

CODE = "possible-repetition"
_MOST_GAPS = 8
_LENGTH = 16

Read = Callable[[Gap], Awaitable[Sequence[tuple[str, str, bytes]]]]
"""Id, source and likeness of the commands of a gap."""


class Likeness:
    """Hashes what commands ask for."""

    def __init__(self, keyring: Keyring) -> None:
        self.use(keyring)

    def use(self, keyring: Keyring) -> None:
        """Hash with the keys of this ring from now on."""
        active = keyring.receivers[Role.BRIDGE, ""][0] if (Role.BRIDGE, "") in keyring.receivers else b""
        keys = sorted(keyring.openers.items(), key=lambda one: one[0] != active)
        self._keys = [hmac.digest(key.private_bytes_raw(), b"dmz-bridge likeness 1", "sha256") for _, key in keys]

    def of(self, operation: str, meaning: bytes) -> tuple[bytes, ...]:
        """By the active key first, then by those it was before."""
        text = operation.encode() + b"\n" + meaning
        return tuple(hmac.digest(key, text, "sha256")[:_LENGTH] for key in self._keys)


class Repetitions:
    """What the fronts' ledgers have forgotten, as far as this inbox knows it."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._forgotten: dict[Gap, dict[tuple[str, bytes], str]] = {}
        self.held = 0

    async def look(self, gap: Gap) -> None:
        """Know what the inbox has of a gap. Raises what the database raises."""
        if gap in self._forgotten:
            return
        found: dict[tuple[str, bytes], str] = {}
        for id, source, likeness in await self._read(gap):
            found[_application(source), likeness] = id
        self._forgotten[gap] = found
        while len(self._forgotten) > _MOST_GAPS:
            del self._forgotten[next(iter(self._forgotten))]
        log.warning(
            "ledger-put-back", since=gap.since, until=gap.until, commands=len(found),
            meaning="a front's ledger forgot these; what asks for the same is held for a decision",
        )  # fmt: skip

    def judged(self, row: Received, gap: Gap, sealed: Callable[[Received, str, str], bytes]) -> Received:
        """The row, held if it may repeat a command of the gap; `sealed` makes the reply that says so."""
        forgotten = self._forgotten[gap]
        made = id_time(row.id)
        if row.failed is not None or not row.likenesses:
            return row
        application = _application(row.source)
        if made is None or made <= gap.until:  # of the gap itself, or before: its own id tells whether it was done
            if made is not None and gap.holds(made):
                forgotten.setdefault((application, row.likenesses[0]), row.id)
            return row
        before = next((id for one in row.likenesses if (id := forgotten.get((application, one)))), None)
        if before is None or before == row.id or row.state is not State.RECEIVED:
            return row
        note = fitted(f"may be a repetition of {before}: its front's ledger was put back and has forgotten that", 400)
        self.held += 1
        log.error("command-held", request_id=row.id, operation=row.operation, code=CODE, reason=note)
        return replace(row, failed=Failed(CODE, note, sealed(row, CODE, note), State.HELD))


def gap_of(headers: Mapping[str, str], name: str) -> Gap | None:
    """From a front's header; None without one, or with one no front wrote."""
    since, dash, until = headers.get(name, "").partition("-")
    if not dash or not all(one.isascii() and one.isdigit() and len(one) < 16 for one in (since, until)):
        return None
    return Gap(int(since), int(until))


def _application(source: str) -> str:
    """Of `front-1/wechat`: fronts of one database know the same keys."""
    return source.partition("/")[2]

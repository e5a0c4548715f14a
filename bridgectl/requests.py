"""Held commands as an operator sees and decides them: rows of the bridge's inbox, and what becomes of one.

Deciding is one transaction, which changes a row only while it is held. A final state goes in with its sealed reply,
and the bridge's next sweep sends that; `received` goes in with `decided_at`, and the sweep has it called again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, LargeBinary, MetaData, column, select, table

from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import BridgeError, EnvelopeError
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.messages import LOWEST_VERSION, Attributes, Reply, Role
from protocol.operations import CATALOGUE
from protocol.runtime.decisions import decisions_table

LONGEST_NOTE = 400
LONGEST_RESULT = 192 * 1024
"""Bytes; as the bridge's own replies."""

DECISIONS = decisions_table(MetaData())
SHOWN = (
    "id", "operation", "source", "state", "code", "note", "attempts", "crashes", "owner", "received_at", "calling_at",
    "updated_at", "deadline",
)  # fmt: skip
"""Columns of the inbox that name no customer."""
INBOX = table(
    "inbox", *(column(name) for name in SHOWN), column("envelope", LargeBinary), column("reply", LargeBinary),
    column("reply_to"), column("replied_at"), column("decided_at"),
)  # fmt: skip


class Choice(StrEnum):
    """What an operator may decide of a held command."""

    APPLIED = "applied"
    NOT_APPLIED = "not-applied"
    CALL_AGAIN = "call-again"


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice, by whom, and why."""

    choice: Choice
    by: str
    note: str
    result: bytes = field(default=b"", repr=False)
    """Applied: the answer's JSON, for the caller; empty if it is not known."""


NOT_APPLIED = "an operator found that the marketing system did not apply it"


def listed(connection: Connection, states: Sequence[State], limit: int) -> list[dict[str, Any]]:
    """Commands in these states, oldest first."""
    columns = [INBOX.c[name] for name in SHOWN]
    statement = select(*columns).where(INBOX.c.state.in_(states)).order_by(INBOX.c.received_at, INBOX.c.id).limit(limit)
    return [dict(row) for row in connection.execute(statement).mappings()]


def found(connection: Connection, id: str) -> dict[str, Any]:
    """One command, with its sealed request and reply and what was decided of it. Raises BridgeError."""
    columns = [*(INBOX.c[name] for name in SHOWN), INBOX.c.envelope, INBOX.c.reply, INBOX.c.replied_at]
    row = connection.execute(select(*columns).where(INBOX.c.id == id)).mappings().first()
    if row is None:
        raise BridgeError(f"the inbox has no request {id!r}; `bridgectl requests list --state all` lists what it has")
    of = select(DECISIONS).where(DECISIONS.c.request == id).order_by(DECISIONS.c.decided_at)
    return {**row, "decisions": [dict(one) for one in connection.execute(of).mappings()]}


def checked_result(operation: str, text: bytes) -> bytes:
    """A result as the bridge would have sent it. Raises BridgeError naming what does not fit, never its values."""
    entry = CATALOGUE.get(operation)
    if entry is None:
        raise BridgeError(f"this program's catalogue has no operation {operation}: decide without --result")
    try:
        result = bytes(entry.responses.dump_json(entry.responses.validate_json(text)))
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in one['loc']) or 'the whole'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]
        ]
        raise BridgeError(f"--result does not fit the answer of {operation}: {'; '.join(problems)}") from None
    if len(result) > LONGEST_RESULT:
        raise BridgeError(f"--result is longer than a message may be ({LONGEST_RESULT} bytes)")
    return result


def resolve(connection: Connection, keyring: Keyring | None, id: str, decision: Decision, now_ms: int) -> None:
    """Decide a held command. `keyring`: the bridge's, which seals the reply; none is needed to call again.

    Raises BridgeError, and changes nothing, if there is no such command, it is not held, or the result does not fit.
    """
    row = found(connection, id)
    changes: dict[str, Any] = {
        "updated_at": now_ms,
        "note": f"{decision.choice} by {decision.by}: {decision.note}"[:400],
    }
    if decision.choice is Choice.CALL_AGAIN:
        changes |= {"state": State.RECEIVED, "decided_at": now_ms}
    else:
        assert keyring is not None
        changes |= _final(row, keyring, decision, now_ms)
    statement = INBOX.update().where(INBOX.c.id == id, INBOX.c.state == State.HELD).values(changes)
    if connection.execute(statement).rowcount != 1:
        raise BridgeError(f"request {id} is {row['state']}, not held: there is nothing to decide")
    line = {"request": id, "decided_at": now_ms, "choice": decision.choice, "decided_by": decision.by}
    connection.execute(DECISIONS.insert().values(**line, note=decision.note[:LONGEST_NOTE]))


def _final(row: dict[str, Any], keyring: Keyring, decision: Decision, now_ms: int) -> dict[str, Any]:
    if decision.choice is Choice.APPLIED:
        state, code, detail = State.SUCCEEDED, "", ""
    else:
        state, code, detail = State.FAILED, "not-applied", NOT_APPLIED
    result = checked_result(row["operation"], decision.result) if decision.result else b""
    # The request is not opened for it: the bridge may have died of that. Every front reads the lowest version.
    attributes = Attributes(row["id"], row["owner"], row["operation"], now_ms, version=LOWEST_VERSION)
    payload = Reply(attributes, state, code, detail, result).payload()
    sealed = Sealer(keyring, to=Role.FRONT).seal(Kind.REPLY, attributes, payload, now_ms=now_ms)
    return {"state": state, "code": code, "reply": sealed, "replied_at": None, "decided_at": None}


def opened(keyring: Keyring, envelope: bytes) -> str:
    """A request's body, which is a customer's. Raises BridgeError."""
    if not envelope:
        raise BridgeError("the request is not kept: it was final, and its front knows, or it did not fit its schema")
    try:
        return Opener(keyring).authentic(envelope).payload.decode(errors="replace")
    except EnvelopeError as error:
        raise BridgeError(f"the request cannot be opened: {error.reason}") from None

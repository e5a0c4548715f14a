"""Decisions of operators at a front, on their way to the bridge: each a sealed envelope on the commands' lane. Pure.

An envelope of kind request and type `decision`; its id is the decision's own, so that it is carried out once however
often it arrives. It goes only to bridges whose presence says that they take decisions. ::

    JSON of a Decision LF the command's sealed request, as it was first sent (empty unless it is to be taken again)

The bridge answers with a reply of the same type and id: `succeeded` when it is carried out, `refused` when it is not
and nothing was changed, with the reason as detail. The result says how the command stands then::

    {"state": "failed"}
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from protocol.administration import LONGEST_NOTE, LONGEST_RESULT, Choice, RequestId
from protocol.errors import BridgeError, Malformed
from protocol.lifecycle import State
from protocol.messages import MAX_TIME_MS
from protocol.operations import CATALOGUE

TYPE = "decision"
"""The `type` attribute; no operation of the catalogue is called so."""


class _Model(BaseModel):
    # Unknown fields are ignored on purpose: a newer front may say more than an older bridge knows.
    model_config = ConfigDict(frozen=True, extra="ignore")


class LedgerEntry(_Model):
    """What the ledger knows of the command, for a bridge that never had it."""

    operation: Annotated[str, StringConstraints(max_length=64)]
    source: Annotated[str, StringConstraints(max_length=160)]
    subject: Annotated[str, StringConstraints(max_length=64)] = ""
    reply_to: Annotated[str, StringConstraints(max_length=160)]
    accepted_at: Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
    expires_at: Annotated[int, Field(ge=0, le=MAX_TIME_MS)] = 0


class Decision(_Model):
    """What an operator at a front decided of a command."""

    request: RequestId
    choice: Choice
    by: Annotated[str, StringConstraints(min_length=1, max_length=160)]
    note: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NOTE)]
    at: Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
    result: Annotated[str, StringConstraints(max_length=LONGEST_RESULT)] = Field(default="", repr=False)
    """Applied: the answer's JSON."""
    force: bool = False
    """Not applied: also where nobody can tell any more whether a bridge had it."""
    command: LedgerEntry

    def payload(self, envelope: bytes = b"") -> bytes:
        """The bytes that are sealed."""
        return self.model_dump_json().encode() + b"\n" + envelope

    @classmethod
    def from_payload(cls, payload: bytes) -> tuple["Decision", bytes]:
        """Read what `payload` wrote. Raises Malformed."""
        said, _, envelope = payload.partition(b"\n")
        try:
            return cls.model_validate_json(said), envelope
        except ValidationError as error:
            raise Malformed("not a decision") from error


class Standing(_Model):
    """How the command stands after a decision; empty: the bridge has it not."""

    state: State | None = None

    @classmethod
    def from_result(cls, result: bytes) -> "Standing":
        """Read a reply's result. Raises Malformed."""
        try:
            return cls.model_validate_json(result or b"{}")
        except ValidationError as error:
            raise Malformed("not the answer to a decision") from error


def checked_result(operation: str, text: str) -> bytes:
    """A result as the bridge would have sent it. Raises BridgeError naming what does not fit, never its values."""
    entry = CATALOGUE.get(operation)
    if entry is None:
        raise BridgeError(f"this program's catalogue has no operation {operation}: decide without a result")
    try:
        result = bytes(entry.responses.dump_json(entry.responses.validate_json(text)))
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in one['loc']) or 'the whole'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]
        ]
        raise BridgeError(f"result: does not fit the answer of {operation}: {'; '.join(problems)}") from None
    if len(result) > LONGEST_RESULT:
        raise BridgeError(f"result: is longer than a message may be ({LONGEST_RESULT} bytes)")
    return result

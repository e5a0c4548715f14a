"""Notices outward: what the utility tells a customer's application unasked. Pure.

A notice is about one account, and goes to each application that has subscribed to its kind for that account. It travels
from the bridge as a sealed envelope of kind reply and type `notice`, whose id is the notice's own for ever; the front
that has written it down says so in a request of type `notice-receipt` on the commands' lane::

    bridge ─ reply.command.<front>: notice ─► front ─ commits ─ command.<region>: notice-receipt ─► bridge

Until then the bridge sends it again. The notices of one account to one application are a *stream*: they are numbered
without a gap, and the next one leaves the bridge when the front has the one before, so a ledger has them in order.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from protocol.errors import BridgeError, Malformed
from protocol.messages import ID, MAX_TIME_MS
from protocol.operations.fields import Model, Timestamp
from protocol.operations.notice_kinds import BODIES, EXAMPLES, SUMMARIES, NoticeKind

__all__ = ["BODIES", "EXAMPLES", "SUMMARIES", "Dispatch", "Notice", "NoticeKind", "Receipt"]

TYPE = "notice"
"""The `type` attribute of a notice; no operation of the catalogue is called so."""
RECEIPT = "notice-receipt"
"""That of the front's word that it has notices on its disk."""
MOST_RECEIPTS = 256
"""Ids in one receipt."""
PUSH_ID = r"^[\x21-\x7e]{1,128}$"


class Notice(Model):
    """What is published: of a kind, about an account, at an instant of the marketing system's."""

    kind: Annotated[NoticeKind, Field(strict=False)]
    at: Timestamp
    """When it happened."""
    data: Annotated[Model, Field(repr=False)]
    """Of the kind's schema."""

    @classmethod
    def of(cls, kind: str, at: str, data: Any) -> "Notice":
        """From JSON values. Raises BridgeError naming the field, never its value."""
        try:
            named = NoticeKind(kind)
        except ValueError:
            raise BridgeError(f"kind: there are {', '.join(NoticeKind)}") from None
        body = _checked(TypeAdapter(BODIES[named]), data, "data")
        at = _checked(TypeAdapter(Timestamp), at, "at")
        return cls.model_construct(kind=named, at=at, data=body)

    @property
    def account(self) -> str:
        """Whose it is."""
        return str(self.data.account)  # type: ignore[attr-defined]


def _checked(schema: TypeAdapter[Any], value: Any, place: str) -> Any:
    try:
        return schema.validate_python(value, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join([place, *(str(part) for part in first["loc"])])
        raise BridgeError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


class _Said(BaseModel):
    # Unknown fields are ignored on purpose: a newer side may say more than an older one knows.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Dispatch(_Said):
    """A notice on its way to one application: what the sealed payload says."""

    application: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
    stream: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{22}$")]
    """Pseudonym of the account: the same for all of its notices, and tells nothing of it."""
    sequence: Annotated[int, Field(ge=1, le=MAX_TIME_MS)]
    """Of the stream and the application: grows by one."""
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
    at: Annotated[str, StringConstraints(max_length=40)]
    data: dict[str, Any] = Field(repr=False)

    def payload(self) -> bytes:
        """The bytes that are sealed, as the result of a reply."""
        return self.model_dump_json().encode()

    @classmethod
    def from_payload(cls, payload: bytes) -> "Dispatch":
        """Read what `payload` wrote. Raises Malformed."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise Malformed("not a notice") from error

    def document(self, id: str) -> dict[str, Any]:
        """What the application gets: by a callback, or when it asks."""
        return {"id": id, "type": self.kind, "timestamp": self.at, "sequence": self.sequence, "data": self.data}


class Receipt(_Said):
    """That a front has these notices on its disk."""

    recorded: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=f"^{ID.pattern}$")], ...], Field(max_length=MOST_RECEIPTS)
    ]

    def payload(self) -> bytes:
        """The bytes that are sealed."""
        return self.model_dump_json().encode()

    @classmethod
    def from_payload(cls, payload: bytes) -> "Receipt":
        """Read what `payload` wrote. Raises Malformed."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise Malformed("not a receipt of notices") from error

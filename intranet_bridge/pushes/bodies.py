"""What a push says: strict schemas, as those of the operations. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from protocol.notices import PUSH_ID
from protocol.operations.fields import AccountNumber, Model, Timestamp
from protocol.operations.notice_kinds import (
    ApplicationNode,
    ArrearsReminder,
    BillIssued,
    Number,
    PaymentReceived,
    ShortText,
    WorkOrderClosed,
)


class PushKind(StrEnum):
    """What has happened."""

    ARCHIVE_CHANGED = "archive-changed"
    BILL_ISSUED = "bill-issued"
    ARREARS_DUE = "arrears-due"
    PROJECT_NODE_REACHED = "project-node-reached"
    WORK_ORDER_CLOSED = "work-order-closed"
    OUTAGE_PLANNED = "outage-planned"
    PAYMENT_BOOKED = "payment-booked"


class ArchiveChanged(Model):
    """The customer's archive has changed: whatever is kept of the account is old. No notice."""

    account: AccountNumber


class OutagePlanned(Model):
    """Supply to these accounts will be interrupted, or that is called off. More accounts: more pushes."""

    accounts: Annotated[tuple[AccountNumber, ...], Field(min_length=1, max_length=1_000)]
    outage: Number
    begins: Timestamp
    ends: Timestamp | None = None
    reason: ShortText | None = None
    cancelled: bool = False


BODIES: dict[PushKind, type[Model]] = {
    PushKind.ARCHIVE_CHANGED: ArchiveChanged,
    PushKind.BILL_ISSUED: BillIssued,
    PushKind.ARREARS_DUE: ArrearsReminder,
    PushKind.PROJECT_NODE_REACHED: ApplicationNode,
    PushKind.WORK_ORDER_CLOSED: WorkOrderClosed,
    PushKind.OUTAGE_PLANNED: OutagePlanned,
    PushKind.PAYMENT_BOOKED: PaymentReceived,
}
"""The schema of each kind's `data`."""
_SCHEMAS: dict[PushKind, TypeAdapter[Any]] = {kind: TypeAdapter(body) for kind, body in BODIES.items()}


class Push(Model):
    """One push."""

    id: Annotated[str, StringConstraints(pattern=PUSH_ID)]
    """The marketing system's own, for ever the same: 1 to 128 visible ASCII characters."""
    kind: PushKind
    at: Timestamp
    """When it happened."""
    data: Annotated[Model, Field(repr=False)]
    """Of the kind's schema."""

    def content(self) -> str:
        """What it says, in one way of writing: what is left out and what is its default are the same."""
        data = self.data.model_dump_json(exclude_defaults=True)
        return f"{self.kind}\n{self.at}\n{data}"


class _Outside(Model):
    id: Annotated[str, StringConstraints(pattern=PUSH_ID)]
    kind: str
    at: Timestamp
    data: dict[str, Any]


_OUTSIDE = TypeAdapter(_Outside)


class Unfit(Exception):
    """A value that is no push: which field, and why; never what stands in it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field, self.why = field, why


def push_of(value: Any) -> Push:
    """From JSON values. Raises Unfit."""
    if not isinstance(value, Mapping):
        raise Unfit("", "a push is an object with id, kind, at and data")
    outside: _Outside = _checked(_OUTSIDE, value, ())
    try:
        kind = PushKind(outside.kind)
    except ValueError:
        raise Unfit("kind", f"there are {', '.join(PushKind)}") from None
    return Push(id=outside.id, kind=kind, at=outside.at, data=_checked(_SCHEMAS[kind], outside.data, ("data",)))


def _checked(schema: TypeAdapter[Any], value: Any, place: tuple[str, ...]) -> Any:
    try:
        return schema.validate_json(to_json(value))  # as JSON: its lists are the schemas' tuples
    except (PydanticSerializationError, UnicodeEncodeError):
        raise Unfit(".".join(place), "holds what JSON cannot say") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join([*place, *(str(part)[:64] for part in first["loc"])])  # a part may be a stranger's own word
        raise Unfit(where, first["msg"].removeprefix("Value error, ")) from None

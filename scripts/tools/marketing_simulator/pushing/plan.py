"""The plan: what is pushed, where to, how fast, and how badly the sender behaves. One at a time; it survives a kill."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

LARGEST_BATCH = 1_000


class Kind(StrEnum):
    """What has happened."""

    ARCHIVE_CHANGED = "archive-changed"
    BILL_ISSUED = "bill-issued"
    ARREARS_DUE = "arrears-due"
    PROJECT_NODE_REACHED = "project-node-reached"
    WORK_ORDER_CLOSED = "work-order-closed"
    OUTAGE_PLANNED = "outage-planned"
    PAYMENT_BOOKED = "payment-booked"


class PushPlanError(ValueError):
    """An invalid plan; `field` names what is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


_Account = Annotated[str, StringConstraints(pattern=r"^[0-9]{13}$")]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class PushPlan(BaseModel):
    """The defaults make none by themselves; those that are asked for one by one are sent all the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]{1,500}$")]
    """Of the endpoint, with its path."""
    token_file: str = ""
    """The token is read there before each request; empty: none is shown."""
    rate: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] = 0
    """Pushes made a second. What is not answered waits, and more are made meanwhile: bills do not wait for a bridge."""
    count: Annotated[int, Field(ge=0)] | None = None
    """Pushes made in all; None: until there is another plan."""
    accounts: tuple[_Account, ...] = ()
    """About these; none: every customer."""
    kinds: Annotated[tuple[Annotated[Kind, Field(strict=False)], ...], Field(min_length=1)] = tuple(Kind)
    batch: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] = 50
    """Pushes in one request, at most."""
    again: _Share = 0
    """This share of those that are answered is said once more, later."""
    twice: _Share = 0
    """This share of the requests is sent twice at once."""

    @classmethod
    def parse(cls, text: bytes | str) -> "PushPlan":
        """From JSON. Raises PushPlanError."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "(body)"
            raise PushPlanError(field, first["msg"]) from None

    def token(self) -> str:
        """What is shown to the bridge. Raises OSError."""
        return Path(self.token_file).read_text().strip() if self.token_file else ""

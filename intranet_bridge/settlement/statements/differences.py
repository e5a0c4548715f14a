"""What matching finds: an item for each payment or refund, with its class and what follows."""

from datetime import date
from enum import StrEnum

from intranet_bridge.settlement.statements.profiles import Kind
from protocol.values import immutable


class Class(StrEnum):
    """What a difference is."""

    MATCHED = "matched"
    PLATFORM_ONLY = "platform-only"
    REFUND_NOT_REVERSED = "refund-not-reversed"
    CHARGED_AND_REFUNDED = "charged-and-refunded"
    PARTIAL_REFUND = "partial-refund"
    REFUND_PENDING = "refund-pending"
    REFUND_UNMATCHED = "refund-unmatched"
    POOLED = "pooled"
    MARKETING_ONLY = "marketing-only"
    AMOUNT_DIFFERS = "amount-differs"
    ACCOUNT_DIFFERS = "account-differs"
    PENALTY_DIFFERS = "penalty-differs"
    PAID_TWICE = "paid-twice"
    FEE_DIFFERS = "fee-differs"
    LINES_INCOMPLETE = "lines-incomplete"


class Action(StrEnum):
    """What follows."""

    NONE = "none"
    WRITE_OFF = "write-off"
    REVERSE = "reverse"
    REVERSE_PART = "reverse-part"
    REDRIVE = "redrive"
    PROVE = "prove"
    """Its order takes it as a proof: of a second payment, or of another amount."""
    WAIT = "wait"
    HOLD = "hold"


ACTING = frozenset({Action.WRITE_OFF, Action.REVERSE, Action.REVERSE_PART, Action.REDRIVE, Action.PROVE})


@immutable
class Item:
    """What one payment, or one refund of it, comes to."""

    what: Class
    action: Action
    channel: str
    transaction: str
    order: str
    kind: Kind
    refunds: tuple[str, ...] = ()
    """Their numbers; of a payment none."""
    whole: bool = True
    """All of the payment: the action's key then says `all`, in however many parts it was refunded."""
    lines: tuple[int, ...] = ()
    """Of the order; none means the payment as a whole."""
    amount: int = 0
    """What the action moves."""
    field: str = ""
    """Which value differs; both are below."""
    platform: int | str | None = None
    books: int | str | None = None
    paid_at: date | None = None
    """The platform's time: it fixes the penalty."""
    booked_on: date | None = None
    why: str = ""
    merchant: str = ""
    """Whose it is, where another one of the channel has a payment of the same number."""

    @property
    def key(self) -> str:
        """The action's, for ever: whoever acts again finds it was done."""
        refund = "" if self.kind is Kind.PAY else "all" if self.whole else "+".join(self.refunds)
        whose = f"{self.merchant}:" if self.merchant else ""
        return f"recon:{self.channel}:{whose}{self.transaction}:{self.kind}:{refund}"

    @property
    def shown(self) -> str:
        """For people."""
        name = self.order or self.transaction
        if self.kind is Kind.PAY:
            return f"{name}/pay"
        return f"{name}/{self.kind}/{self.refunds[0] if len(self.refunds) == 1 else 'all'}"

"""What follows from a push: notices for who subscribed, and answers that are kept and now old. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from intranet_bridge.pushes.bodies import OutagePlanned, Push, PushKind
from protocol.notices import Notice
from protocol.operations.notice_kinds import ApplicationNode, NoticeKind, OutageNotice, WorkOrderClosed

_MONEY = frozenset(
    {
        "bill-query", "bill-query.v2", "bill-detail", "arrears-query", "balance-query", "payment-records",
        "invoice-query", "realtime-charge-query", "usage-query", "points-balance",
    }
)  # fmt: skip
_OUTAGES = frozenset({"outage-notices"})

OLD: dict[PushKind, frozenset[str] | None] = {
    PushKind.ARCHIVE_CHANGED: None,
    PushKind.BILL_ISSUED: _MONEY,
    PushKind.ARREARS_DUE: _MONEY,
    PushKind.PROJECT_NODE_REACHED: frozenset({"application-progress", "work-order-list", "work-order-progress"}),
    PushKind.WORK_ORDER_CLOSED: frozenset({"work-order-list", "work-order-progress"}),
    PushKind.OUTAGE_PLANNED: _OUTAGES,
    PushKind.PAYMENT_BOOKED: _MONEY,
}
"""The operations whose answers about the account are old; None: all."""
_NOTICES: dict[PushKind, NoticeKind] = {
    PushKind.BILL_ISSUED: NoticeKind.BILL_ISSUED,
    PushKind.ARREARS_DUE: NoticeKind.ARREARS_REMINDER,
    PushKind.PROJECT_NODE_REACHED: NoticeKind.APPLICATION_NODE,
    PushKind.WORK_ORDER_CLOSED: NoticeKind.WORK_ORDER_CLOSED,
    PushKind.PAYMENT_BOOKED: NoticeKind.PAYMENT_RECEIVED,
}


class Hot(Protocol):
    """What keeps answers (hot_data)."""

    def invalidate(self, account: str, operations: Collection[str] | None = None, by: str = "push") -> object:
        """Forget answers about an account."""

    def clear(self, operations: Collection[str] | None = None, by: str = "push") -> object:
        """Forget answers, whomever they are about."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Of one push."""

    notices: tuple[Notice, ...] = ()
    about: tuple[str, ...] = ()
    """Answers about these are old: an account, and the work order or application of a query that names no account."""
    operations: frozenset[str] | None = None
    """Which of them; None: all."""
    everybody: bool = False
    """Answers of these operations are old whomever they are about: they are asked by area too."""

    @property
    def changes(self) -> list[tuple[str | None, Collection[str] | None, float]]:
        """The same for other bridges (hot_data/changes.py)."""
        if self.everybody:
            return [(None, self.operations, 0.0)]
        return [(one, self.operations, 0.0) for one in self.about]

    def invalidate(self, hot: Hot) -> None:
        """Have what is old forgotten. It does no harm twice."""
        if self.everybody:
            hot.clear(self.operations, by="push")
            return
        for one in self.about:
            hot.invalidate(one, self.operations, by="push")


def effects(push: Push) -> Effects:
    """What follows from it."""
    old, data = OLD[push.kind], push.data
    if isinstance(data, OutagePlanned):
        accounts = tuple(dict.fromkeys(data.accounts))
        notices = tuple(
            Notice(
                kind=NoticeKind.OUTAGE_NOTICE, at=push.at,
                data=OutageNotice(
                    account=account, outage=data.outage, planned=True, begins=data.begins, ends=data.ends,
                    reason=data.reason, cancelled=data.cancelled,
                ),
            )
            for account in accounts
        )  # fmt: skip
        return Effects(notices, accounts, old, everybody=True)
    account: str = data.account  # type: ignore[attr-defined]
    kind = _NOTICES.get(push.kind)
    other = [data.work_order] if isinstance(data, WorkOrderClosed) else []
    other += [data.application] if isinstance(data, ApplicationNode) else []
    return Effects(() if kind is None else (Notice(kind=kind, at=push.at, data=data),), (account, *other), old)

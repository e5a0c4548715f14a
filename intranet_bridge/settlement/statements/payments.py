"""The transactions of a case, each with the refunds of it: what is decided on is the net."""

from collections.abc import Sequence
from datetime import date

from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.sides import Seen, WriteOff
from protocol.values import immutable


@immutable
class Refund:
    number: str
    kind: Kind
    gross: int
    status: Status
    day: date


@immutable
class Payment:
    """One transaction, netted."""

    channel: str
    transaction: str
    pay: Seen | None
    twice: Seen | None
    """The same transaction with another amount, from another statement."""
    proven: tuple[Refund, ...]
    pending: tuple[Refund, ...]

    @property
    def refunded(self) -> int:
        return sum(refund.gross for refund in self.proven)

    @property
    def net(self) -> int:
        return (self.pay.gross if self.pay else 0) - self.refunded


def netted(rows: Sequence[Seen]) -> list[Payment]:
    """The transactions of a case, the earliest first."""
    by_transaction: dict[tuple[str, str], list[Seen]] = {}
    for row in rows:
        if row.kind in (Kind.PAY, Kind.REFUND, Kind.REVOKE):
            by_transaction.setdefault((row.channel, row.transaction), []).append(row)
    payments = []
    for (channel, transaction), group in by_transaction.items():
        pays = [row for row in group if row.kind is Kind.PAY]
        refunds: dict[tuple[Kind, str], Refund] = {}
        for row in group:
            if row.kind is Kind.PAY or row.status is Status.FAILED:
                continue
            known = refunds.get((row.kind, row.refund))
            if known is None or (known.status is Status.PENDING and row.status is Status.PROVEN):
                refunds[row.kind, row.refund] = Refund(row.refund, row.kind, row.gross, row.status, row.day)
        other = next((pay for pay in pays[1:] if pay.gross != pays[0].gross), None)
        payments.append(
            Payment(
                channel, transaction, pays[0] if pays else None, other,
                tuple(refund for refund in refunds.values() if refund.status is Status.PROVEN),
                tuple(refund for refund in refunds.values() if refund.status is Status.PENDING),
            )
        )  # fmt: skip
    return sorted(payments, key=lambda one: (one.pay is None, _moment(one.pay.at) if one.pay else ""))


def _moment(at: date) -> str:
    return at.isoformat()


def written_for(
    payments: Sequence[Payment], write_offs: Sequence[WriteOff]
) -> tuple[dict[tuple[str, str], list[WriteOff]], list[WriteOff]]:
    """Which payment each write-off is of: its transaction says it, and where it has none it is of the first that is
    charged. With them those of payments that no statement has.
    """
    written: dict[tuple[str, str], list[WriteOff]] = {(one.channel, one.transaction): [] for one in payments}
    first = next((one for one in payments if one.net > 0), payments[0])
    others = []
    for ours in write_offs:
        if not ours.transaction:
            written[first.channel, first.transaction].append(ours)
        elif (ours.channel, ours.transaction) in written:
            written[ours.channel, ours.transaction].append(ours)
        else:
            others.append(ours)
    return written, others

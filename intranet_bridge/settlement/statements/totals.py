"""What the rows of a file sum to, beside the totals that the file says."""

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.lines import Table
from intranet_bridge.settlement.statements.plans import Plan
from intranet_bridge.settlement.statements.profiles import Kind
from intranet_bridge.settlement.statements.rows import Row
from intranet_bridge.settlement.statements.values import COUNT, Values
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from protocol.money import text as yuan


class Totals:
    """Sums the rows of one pass. Amounts in fen; `fee` and the profile's own sums in thousandths of it."""

    def __init__(self, table: Table, values: Values) -> None:
        self._table, self._values = table, values
        self.rows = self.payments = self.paid = self.refunds = self.refunded = self.fee = self.settled = 0
        self._counts: dict[Kind, int] = {}
        self._sums: dict[int, int] = {}

    @property
    def stated(self) -> bool:
        """Whether the file says any."""
        return any(total.value in self._table.values for total in self._table.profile.totals)

    def add(self, plan: Plan, row: Row, fields: list[str], times: int = 1) -> None:
        """Counts a row, or takes off one that was counted (-1)."""
        self.rows += times
        if plan.kind in (Kind.REFUND, Kind.REVOKE):
            self.refunds += times
            self.refunded += times * row.gross
        elif plan.kind is Kind.PAY:
            self.payments += times
            self.paid += times * row.gross
        self.fee += times * row.fee
        self.settled += times * row.settled
        self._counts[plan.kind] = self._counts.get(plan.kind, 0) + times
        for at, column, place in plan.sums:
            amount = self._values.thousandths(row.line, column, fields[place])
            self._sums[at] = self._sums.get(at, 0) + times * amount

    def unlike(self) -> list[Finding]:
        """Totals that are not what the rows sum to."""
        return self._unlike(self._table.values)

    def refusal(self, findings: list[Finding]) -> StatementRefused:
        """Of a file with totals that are unlike: a head whose count and amount fit only when swapped is told so."""
        values, at = self._table.values, self._table.at
        if {"count", "amount"} <= values.keys():
            count, amount = values["count"], values["amount"]
            if not self._unlike(values | {"count": amount, "amount": count}):
                said, right = f"{amount}, {count}", f"{count}, {amount}"
                what = Finding("count and amount are swapped", at["count"], "", said, right)
                return StatementRefused(Code.HEADER_ORDER, what)
        return StatementRefused(Code.TOTALS_MISMATCH, *findings)

    def _unlike(self, values: dict[str, str]) -> list[Finding]:
        profile, findings = self._table.profile, []
        for at, total in enumerate(profile.totals):
            if total.value not in values:
                continue  # of another layout
            text, number = values[total.value], self._table.at[total.value]
            if total.count:
                right = sum(self._counts.get(kind, 0) for kind in total.of)
                if not COUNT.fullmatch(text) or int(text) != right:
                    findings.append(Finding("count of rows", number, total.value, text, str(right)))
                continue
            right = self._sums.get(at, 0)
            said: int | None
            try:
                said = money.fee(text, thousands=profile.thousands)
            except money.AmountRefused:
                said = None
            if said != right:
                findings.append(Finding("sum of rows", number, total.value, text, _written(right)))
        return findings


def _written(thousandths: int) -> str:
    """An amount as a statement writes it: two decimals, or the five it has."""
    if thousandths % 1000 == 0:
        return yuan(thousandths // 1000)
    sign = "-" if thousandths < 0 else ""
    whole, rest = divmod(abs(thousandths), 100_000)
    return f"{sign}{whole}.{rest:05d}"

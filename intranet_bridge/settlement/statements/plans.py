"""What the fields of a row mean: its kind, and the numbers, amounts and times that matching and clearing know it by."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from intranet_bridge.settlement.statements.lines import Table
from intranet_bridge.settlement.statements.profiles import Kind, Profile, Roles, Status
from intranet_bridge.settlement.statements.rows import Row
from intranet_bridge.settlement.statements.values import Values
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused

_MOST_TEXT = 64
"""Characters of a number or an account: none is longer."""

_Further = tuple[Status, str, str, tuple[tuple[str, str], ...], int | None, str]


class Plan:
    """Where a kind of row keeps what, as indices."""

    def __init__(self, profile: Profile, place: dict[str, int], kind: Kind, roles: Roles) -> None:
        def index(name: str) -> int | None:
            return place.get(name)

        self.kind, self.roles = kind, roles
        self.transaction, self.order, self.refund = index(roles.transaction), index(roles.order), index(roles.refund)
        self.gross, self.at = place[roles.gross], place[roles.at]
        self.settled, self.fee, self.penalty = index(roles.settled), index(roles.fee), index(roles.penalty)
        self.merchant, self.currency = index(profile.merchant_column), index(profile.currency_column)
        self.income = kind in (Kind.PAY, Kind.INCOME)
        self.further = any(
            (roles.account, roles.month, roles.platform_refund, roles.penalty, roles.status, roles.bills)
        )
        self._key = [place[name] for name in profile.key if name in place]
        self.sums = [
            (at, total.sum, place[total.sum]) for at, total in enumerate(profile.totals)
            if total.sum and total.sum in place and kind in total.of
        ]  # fmt: skip
        """Which of the profile's totals it adds to, and from where."""

    def key(self, row: Row, fields: list[str]) -> tuple[str, ...]:
        """What tells a row from another."""
        if not self.roles.transaction:
            return tuple(field.strip(" \t") for field in fields)
        key = (row.kind, row.transaction, row.refund)
        return key + tuple(fields[place].strip(" \t") for place in self._key) if self._key else key


class Rows:
    """The rows of one pass."""

    def __init__(self, table: Table) -> None:
        self._table, self._profile, self._expected = table, table.profile, table.expected
        self._plans: dict[Kind, Plan] = {}
        self.values = Values(table.profile, table.expected)

    def __iter__(self) -> Iterator[tuple[Plan, Row, list[str]]]:
        """Every row, with its plan and its fields as they stand."""
        plans, kind_of = self._plans, self._kind_of()
        for number, fields in self._table.cells():
            kind = kind_of(number, fields)
            plan = plans.get(kind)
            if plan is None:
                plan = plans[kind] = self._plan(number, kind)
            yield plan, self._row(plan, number, fields), fields

    def _kind_of(self) -> Callable[[int, list[str]], Kind]:
        """What says of a row's fields which kind it is. The columns are known only once rows come."""
        kinds = self._profile.kinds
        if kinds.only is not None:
            only = kinds.only
            return lambda number, fields: only
        if kinds.column:
            column, values = kinds.column, kinds.values

            def by_value(number: int, fields: list[str]) -> Kind:
                value = fields[self._table.place[column]].strip(" \t")
                kind = values.get(value)
                if kind is None:
                    raise StatementRefused(Code.LAYOUT, Finding("a value nobody knows", number, column, found=value))
                return kind

            return by_value

        def by_amount(number: int, fields: list[str]) -> Kind:
            filled = []
            for name, kind in kinds.filled.items():
                text = fields[self._table.place[name]]
                if text.strip(" \t") and self.values.thousandths(number, name, text):
                    filled.append(kind)
            if len(filled) != 1:
                what = Finding("one of these has the amount", number, "/".join(kinds.filled), "1", str(len(filled)))
                raise StatementRefused(Code.BAD_VALUE, what)
            return filled[0]

        return by_amount

    def _plan(self, number: int, kind: Kind) -> Plan:
        roles = self._table.layout.rows.get(kind)
        if roles is None:
            what = Finding(f"a row of kind {kind}, which the layout {self._table.layout.name} has not", number)
            raise StatementRefused(Code.LAYOUT, what)
        return Plan(self._profile, self._table.place, kind, roles)

    def _row(self, plan: Plan, number: int, fields: list[str]) -> Row:
        profile, roles = self._profile, plan.roles
        transaction = fields[plan.transaction].strip(" \t") if plan.transaction is not None else ""
        order = fields[plan.order].strip(" \t") if plan.order is not None else ""
        refund = fields[plan.refund].strip(" \t") if plan.refund is not None else ""
        for needed, value in ((roles.transaction, transaction), (roles.refund, refund)):
            if needed and (not value or value == "0"):
                raise StatementRefused(Code.BAD_VALUE, Finding("is empty", number, needed))
        if len(transaction) > _MOST_TEXT or len(order) > _MOST_TEXT or len(refund) > _MOST_TEXT:
            raise StatementRefused(Code.BAD_VALUE, Finding("a number longer than any", number))
        gross = self.values.fen(number, roles.gross, fields[plan.gross])
        if roles.negative:
            gross = -gross
        if gross < 0:
            what = Finding("an amount with the wrong sign", number, roles.gross, found=fields[plan.gross].strip())
            raise StatementRefused(Code.BAD_VALUE, what)
        settled = gross
        if plan.settled is not None:
            settled = abs(self.values.fen(number, roles.settled, fields[plan.settled]))
        fee = self.values.thousandths(number, roles.fee, fields[plan.fee]) if plan.fee is not None else 0
        at = self.values.time(number, roles.at, fields[plan.at].strip(" \t"))
        if profile.rows_on_the_day and (at.date() if isinstance(at, datetime) else at) != self._expected.day:
            what = Finding("a row of another day", number, roles.at, str(self._expected.day), at.isoformat())
            raise StatementRefused(Code.WRONG_DAY, what)
        merchant = ""
        if plan.merchant is not None:
            merchant = fields[plan.merchant].strip(" \t")
            self._table.merchant(number, profile.merchant_column, merchant)
        if plan.currency is not None and (currency := fields[plan.currency].strip(" \t")) != profile.currency:
            what = Finding("another currency", number, profile.currency_column, profile.currency, currency)
            raise StatementRefused(Code.WRONG_CURRENCY, what)
        settled = settled if plan.income else -settled
        fee = -fee if profile.fee_negative else fee
        if not plan.further:
            return Row(number, plan.kind, transaction, order, refund, gross, settled, fee, at, merchant=merchant)
        further = self._further(plan, number, fields)
        return Row(number, plan.kind, transaction, order, refund, gross, settled, fee, at, *further, merchant)

    def _further(self, plan: Plan, number: int, fields: list[str]) -> _Further:
        """What few profiles have: status, account, month, bills, penalty, the platform's number of a refund."""
        roles = plan.roles

        def cell(name: str) -> str:
            return fields[self._table.place[name]].strip(" \t") if name else ""

        if roles.account and not cell(roles.account):
            raise StatementRefused(Code.BAD_VALUE, Finding("is empty", number, roles.account))
        for name, most in ((roles.account, _MOST_TEXT), (roles.platform_refund, _MOST_TEXT), (roles.month, 6)):
            if len(cell(name)) > most:
                raise StatementRefused(Code.BAD_VALUE, Finding("longer than any", number, name))
        penalty = None
        if plan.penalty is not None:
            penalty = self.values.fen(number, roles.penalty, fields[plan.penalty]) if cell(roles.penalty) else 0
        status: Status | None = Status.PROVEN
        if roles.status:
            value = cell(roles.status)
            status = self._profile.statuses.get(value)
            if status is None:
                what = Finding("a value nobody knows", number, roles.status, found=value)
                raise StatementRefused(Code.LAYOUT, what)
        assert status is not None
        bills = self._bills(number, roles.bills, cell(roles.bills), fields) if roles.bills else ()
        return status, cell(roles.account), cell(roles.month), bills, penalty, cell(roles.platform_refund)

    def _bills(self, number: int, column: str, cell: str, fields: list[str]) -> tuple[tuple[str, str], ...]:
        profile = self._profile
        found = []
        for part in cell.split("#"):
            if not part:
                continue
            match = re.fullmatch(profile.bills, part)
            if match is None:
                raise StatementRefused(Code.BAD_VALUE, Finding("no bill", number, column))
            found.append((match["bill"], match["month"]))
        if profile.bills_count:
            text = fields[self._table.place[profile.bills_count]].strip(" \t")
            said = self.values.count(number, profile.bills_count, text)
            if said != len(found):
                what = Finding("not as many bills as it says", number, column, str(said), str(len(found)))
                raise StatementRefused(Code.BAD_VALUE, what)
        return tuple(found)

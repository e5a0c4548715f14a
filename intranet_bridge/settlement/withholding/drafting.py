"""Lines come into the next batch: asked for by a command, made of a bill that was issued, or of one that was refused.

Once a request, once an issued bill, once a refusal; and an account's month is in flight once, whoever asks for it and
under whatever number. A bill that is issued again takes the place of the one before, until its batch is sealed; after
that it waits for what becomes of that one.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, exists, select

from intranet_bridge.at_rest import AtRest
from intranet_bridge.commands.internal import InternalCommands
from intranet_bridge.marketing import MarketingRequest, NotApplied, Refused
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.withholding import holds, records
from intranet_bridge.settlement.withholding.asking import Asking, NotNow
from intranet_bridge.settlement.withholding.life import LineState, next_day, retry_day
from intranet_bridge.settlement.withholding.records import Arrangement, Full, InFlight, NewLine
from intranet_bridge.settlement.withholding.rows import BATCHES, ISSUED, LINES, RETRIES
from protocol.operations import withholding as catalogue
from protocol.operations.notice_kinds import BillIssued
from protocol.operations.payment import BILL_NOT_OPEN, NO_SUCH_AGREEMENT
from protocol.operations.settlement import OpenBill, WithholdingAgreement
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_statements import in_commit_order, insert_new
from protocol.times import CHINA
from protocol.values import immutable

log = logger(__name__)

AT_ONCE = 500
"""Issued bills, or retries, that a turn looks at."""
_DAYS_AHEAD = 40
"""Batches that may be full one after the other."""


@immutable
class Made:
    """A line, as it was put into its batch."""

    id: str
    batch: str
    day: date


class Drafting:
    """What puts lines into batches."""

    def __init__(
        self, arrangements: Mapping[str, Arrangement], *, store: Store, at_rest: AtRest, asking: Asking,
        commands: Callable[[], InternalCommands], clock: Clock,
    ) -> None:  # fmt: skip
        self._arrangements, self._store, self._at_rest = arrangements, store, at_rest
        self._asking, self._commands, self._clock = asking, commands, clock

    # --- commands -------------------------------------------------------------------------------------------

    async def charge(self, asked: MarketingRequest) -> BaseModel | Refused | NotApplied:
        """`withholding-charge`. What it does not say and the marketing system does not say now is waited for."""
        body: catalogue.WithholdingCharge = asked.body
        if not self._arrangements:
            return Refused(catalogue.NOT_OFFERED.code)
        made = await self._store.read(partial(records.of_request, request=asked.request_id))
        if made is not None:
            return await self._answer(made.id)
        agreement, bill, silent = await self._known(body)
        if isinstance(agreement, Refused):
            return agreement
        if isinstance(bill, Refused):
            return bill
        found = self._for(body.account, agreement.bank if agreement else None, body.arrangement)
        if found is None and silent and body.arrangement is None:
            return NotApplied(f"the bank cannot be asked for now: {silent}", reached=True)
        if found is None:
            return Refused(catalogue.NO_ARRANGEMENT.code)
        pay_account = agreement.bank_account if agreement else body.bank_account
        number = bill.bill if bill else body.bill
        amount = bill.amount if bill else body.amount
        for name, value in (("bank_account", pay_account), ("bill", number), ("amount", amount)):
            if value is None and silent:
                return NotApplied(f"{name} is not given, and cannot be asked for now: {silent}", reached=True)
            if value is None:
                return Refused("invalid-field", f"{name}: must be given, as it cannot be asked for")
        assert pay_account is not None
        assert number is not None
        assert amount is not None
        penalty = bill.penalty if bill else body.penalty
        if amount + penalty == 0:
            return Refused("invalid-field", "amount: nothing to charge")
        line = NewLine(
            body.account, body.agreement, pay_account, number, body.month, amount, penalty, body.quantity or "",
            asked.request_id, asked.application or "bridge",
        )  # fmt: skip
        try:
            return await self._answer((await self.put(found, line)).id)
        except InFlight:
            again = partial(self._issued_again, arrangement=found, new=line)
            made = await self._store.write(again) if bill is not None else None
            self._commands().begin()
            return Refused(catalogue.BILL_IN_BATCH.code) if made is None else await self._answer(made.id)

    async def cancel(self, asked: MarketingRequest) -> BaseModel | Refused:
        """`withholding-charge-cancel`: no bank is asked, or not again. Once taken back, it is answered so again."""
        body: catalogue.WithholdingChargeCancellation = asked.body
        if not self._arrangements:
            return Refused(catalogue.NOT_OFFERED.code)

        def cancel(connection: Connection) -> BaseModel | Refused:
            found = records.line_of(connection, body.line)
            if found is None or found.account != body.account or found.det_id != found.id:
                return Refused(catalogue.NO_SUCH_LINE.code)
            line = records.latest(connection, found)
            if not self._taken_back(connection, line):
                return Refused(catalogue.LINE_SEALED.code)
            return catalogue.WithholdingChargeCancelled(account=body.account, line=body.line, batch=line.batch)

        answer = await self._store.write(cancel)
        self._commands().begin()
        return answer

    def _taken_back(self, connection: Connection, line: Any) -> bool:
        """No bank is asked for a line's bill from now on, unless somebody asks for it anew. False: one is, or was."""
        now = self._clock()
        if line.state in (LineState.DROPPED, LineState.REFUSED):
            records.no_more(connection, line.id, now)
            later = records.latest(connection, line)  # made by another bridge just now
            return later.id == line.id or self._taken_back(connection, later)
        if line.state == LineState.WAITING and records.leave(connection, line, LineState.WITHDRAWN, now):
            if (arrangement := self._arrangements.get(records.batch_of(connection, line.batch).name)) is not None:
                holds.end(connection, self._commands(), arrangement, line, now)
            return True
        return bool(line.state == LineState.WITHDRAWN)

    async def _known(
        self, body: catalogue.WithholdingCharge
    ) -> tuple[WithholdingAgreement | Refused | None, OpenBill | Refused | None, str]:
        """What the marketing system says of it now; None where it does not: it is asked again before the batch is
        sealed. And why it does not, where it could another time.
        """
        agreement: WithholdingAgreement | Refused | None = None
        bill: OpenBill | Refused | None = None
        try:
            if (agreements := await self._asking.agreements([body.account])) is not None:
                mine = [one for one in agreements.get(body.account, ()) if one.agreement == body.agreement]
                agreement = mine[0] if mine else Refused(NO_SUCH_AGREEMENT.code)
            if (bills := await self._asking.bills([body.account], self._today().isoformat())) is not None:
                bill = bills.get((body.account, body.month)) or Refused(BILL_NOT_OPEN.code)
                if isinstance(bill, OpenBill) and body.bill not in (None, bill.bill):
                    bill = Refused(BILL_NOT_OPEN.code)
        except NotNow as error:
            log.info("withholding-not-checked", reason=str(error))
            return agreement, bill, str(error)
        return agreement, bill, ""

    async def _answer(self, id: str) -> catalogue.WithholdingLine:
        def read(connection: Connection) -> Any:
            joined = select(LINES, BATCHES.c.day).join(BATCHES, BATCHES.c.id == LINES.c.batch)
            return connection.execute(joined.where(LINES.c.id == id)).one()

        line = await self._store.read(read)
        return catalogue.WithholdingLine(
            account=line.account, line=line.id, batch=line.batch, day=line.day.isoformat(), bill=line.bill,
            month=line.month, amount=line.amount, penalty=line.penalty,
        )  # fmt: skip

    # --- a line ---------------------------------------------------------------------------------------------

    async def put(self, arrangement: Arrangement, line: NewLine, day: date | None = None) -> Made:
        """Put a line into the batch of a day, by default the next one; if that is full, into a later one. Raises
        InFlight, StoreKeyClosed.
        """
        return await self._store.write(lambda connection: self.put_in(connection, arrangement, line, day))

    def put_in(self, connection: Connection, arrangement: Arrangement, line: NewLine, day: date | None = None) -> Made:
        """The same within a transaction; for a command that has made its line already, that one. Raises InFlight: then
        nothing of the transaction may stay.
        """
        section, now = arrangement.section, self._clock()
        # of two bridges that charge a month's bill under two numbers, the second sees the first's line
        in_commit_order(connection, f"withholding {section.company} {line.account} {line.month}")
        made = records.of_request(connection, line.request)
        if made is not None:  # by a commit that was done and seemed to fail
            return Made(made.id, made.batch, records.batch_of(connection, made.batch).day)
        if records.in_flight(connection, section.company, line.account, line.month) is not None:
            raise InFlight(f"{line.bill}: its bill is being charged already")
        wanted = day or next_day(section.days, arrangement.seal_at, self._now())
        for _ in range(_DAYS_AHEAD):
            try:
                records.room(connection, arrangement, wanted, now)
            except Full:
                later = datetime.combine(wanted, arrangement.seal_at, CHINA)
                wanted = next_day(section.days, arrangement.seal_at, max(later, self._now()))
                continue
            id = records.number(connection, section.line_prefix, wanted)
            records.add(
                connection, arrangement, wanted, line, self._at_rest.seal(line.pay_account.encode(), id), id, now
            )
            return Made(id, arrangement.batch(wanted), wanted)
        raise Full("every batch of the next time is full")

    def _for(self, account: str, bank: str | None, name: str | None, automatic: bool = False) -> Arrangement | None:
        """The arrangement that charges an account by an agreement with a bank, if it is one and only one."""
        wanted = self._arrangements.values() if name is None else filter(None, [self._arrangements.get(name)])
        fits = [
            one for one in wanted
            if (not one.section.accounts or re.fullmatch(one.section.accounts, account))
            and (bank is None or not one.section.agreements or bank in one.section.agreements)
            and (one.section.automatic or not automatic)
        ]  # fmt: skip
        return fits[0] if len(fits) == 1 else None

    # --- automatic payment ----------------------------------------------------------------------------------

    def issued(self, connection: Connection, bill: BillIssued) -> bool:
        """A bill was issued: within the transaction that takes the push. Once a bill. Whether anything is to be done
        about it.
        """
        if not any(one.section.automatic for one in self._arrangements.values()) or bill.amount_fen <= 0:
            return False
        now = self._clock()
        values = {
            "account": bill.account, "month": bill.month, "bill": bill.bill or "", "amount": bill.amount_fen,
            "state": "waiting", "code": "", "line": "", "issued_at": now, "updated_at": now,
        }  # fmt: skip
        if insert_new(connection, ISSUED, [values]):
            return True
        if bill.bill:
            return False
        # without its number it may be another than the one of which no line was made
        of = (
            ISSUED.c.account == bill.account,
            ISSUED.c.month == bill.month,
            ISSUED.c.bill == "",
            ISSUED.c.state == "none",
        )
        return bool(connection.execute(ISSUED.update().where(*of).values(values)).rowcount)

    async def make_of_issued(self) -> int:
        """Bills that were issued become lines, if their accounts have an agreement; returns how many were looked at.

        Raises what the store raises.
        """
        before = exists().where(LINES.c.id == ISSUED.c.line, LINES.c.ended_at.is_(None))
        waiting = select(ISSUED).where(ISSUED.c.state == "waiting", ~before).order_by(ISSUED.c.issued_at).limit(AT_ONCE)
        rows = await self._store.read(lambda connection: connection.execute(waiting).all())
        accounts = {row.account for row in rows}
        if not accounts:
            return 0
        try:
            agreements = await self._asking.agreements(accounts)
            bills = await self._asking.bills(accounts, self._today().isoformat())
        except NotNow:
            return 0
        if agreements is None:
            log.warning("withholding-automatic-not-bound", waiting=len(rows))
            return 0
        for row in rows:
            line, code = self._of_issued(row, agreements.get(row.account, ()), bills)
            known = bills is not None
            await self._store.write(partial(self._issued_done, row=row, line=line, code=code, known=known))
        self._commands().begin()
        return len(rows)

    def _of_issued(
        self, row: Any, agreements: Collection[WithholdingAgreement],
        bills: Mapping[tuple[str, str], OpenBill] | None,
    ) -> tuple[tuple[Arrangement, NewLine] | None, str]:  # fmt: skip
        """The line of an issued bill, or why there is none."""
        if not agreements:
            return None, "no-agreement"
        bill = bills.get((row.account, row.month)) if bills is not None else None
        if bills is not None and bill is None:
            return None, BILL_NOT_OPEN.code
        number = bill.bill if bill else row.bill
        if not number:
            return None, "no-bill-number"
        for one in agreements:
            found = self._for(row.account, one.bank, None, automatic=True)
            if found is not None:
                amount, penalty = (bill.amount, bill.penalty) if bill else (row.amount, 0)
                line = NewLine(
                    row.account, one.agreement, one.bank_account, number, row.month, amount, penalty, source="issued"
                )
                return (found, line), ""
        return None, catalogue.NO_ARRANGEMENT.code

    def _issued_done(
        self, connection: Connection, row: Any, line: tuple[Arrangement, NewLine] | None, code: str, known: bool
    ) -> None:
        """`known`: the marketing system has said which bill is open."""
        now, bill = self._clock(), line[1].bill if line else row.bill
        of_month = ISSUED.c.account == row.account, ISSUED.c.month == row.month
        mine = *of_month, ISSUED.c.bill == row.bill, ISSUED.c.state == "waiting"
        other = select(ISSUED.c.state).where(*of_month, ISSUED.c.bill == bill)
        if bill != row.bill and connection.execute(other).first():
            line, bill, code = None, row.bill, BILL_NOT_OPEN.code  # the open one has a row of its own
        changes = {"state": "none", "bill": bill, "code": code, "line": "", "updated_at": now}
        if not connection.execute(ISSUED.update().where(*mine).values(changes)).rowcount or line is None:
            return
        arrangement, new = line
        before = records.in_flight(connection, arrangement.section.company, new.account, new.month)
        if before is None and row.line and not known and _written_off(connection, row.line):
            changes = {"code": BILL_NOT_OPEN.code}  # a bank has charged the month, and nobody says that more is open
        elif before is None:
            changes = {"state": "line", "line": self.put_in(connection, arrangement, new).id}
        elif before.bill == new.bill:
            changes = {"code": catalogue.BILL_IN_BATCH.code}
        elif (made := self._in_place(connection, arrangement, new, before)) is not None:
            changes = {"state": "line", "line": made.id}
        else:
            asked = before.state != LineState.WAITING
            changes = {"state": "waiting", "line": before.id if asked else ""}
        connection.execute(ISSUED.update().where(*of_month, ISSUED.c.bill == bill).values(changes))

    def _issued_again(self, connection: Connection, arrangement: Arrangement, new: NewLine) -> Made | None:
        """Put the line of a month's bill that is the open one in the place of what waits for the month."""
        old = records.in_flight(connection, arrangement.section.company, new.account, new.month)
        return self._in_place(connection, arrangement, new, old) if old is not None and old.bill != new.bill else None

    def _in_place(self, connection: Connection, arrangement: Arrangement, new: NewLine, old: Any) -> Made | None:
        """Put the line of a bill that was issued again in the place of that of the bill before. None: a bank is asked
        for that, or the marketing system for a hold on it just now.
        """
        now, batch = self._clock(), records.batch_of(connection, old.batch)
        if old.state != LineState.WAITING or old.hold == "asked":
            return None
        if not records.leave(connection, old, LineState.DROPPED, now, BILL_NOT_OPEN.code):
            return None
        same = batch.name == arrangement.name
        made = self.put_in(connection, arrangement, new, batch.day if same else None)
        if made.batch == old.batch and records.hold(connection, old.id, {"held"}, "", now):
            records.hold(connection, made.id, {""}, "held", now)  # a hold is of a batch and a month
        elif (other := self._arrangements.get(batch.name)) is not None:
            holds.end(connection, self._commands(), other, old, now)
        records.replaced(connection, old.id, made.id, made.day, now)  # who takes the one back means this one
        return made

    # --- retries --------------------------------------------------------------------------------------------

    async def retry(self) -> int:
        """Bills that a bank has refused, and those that an order had and let go unpaid, are asked for again under
        another number when their day has come. Returns how many were looked at.
        """
        today = self._today()
        due = select(RETRIES).where(RETRIES.c.state == "waiting", RETRIES.c.due <= today)
        due = due.order_by(RETRIES.c.due, RETRIES.c.line).limit(AT_ONCE)
        rows: Sequence[Any] = await self._store.read(lambda connection: connection.execute(due).all())
        for row in rows:
            await self._store.write(partial(self._again, row=row))
        return len(rows)

    def _again(self, connection: Connection, row: Any) -> None:
        now, old = self._clock(), records.line_of(connection, row.line)
        mine = RETRIES.c.line == row.line, RETRIES.c.state == "waiting"
        batch = records.batch_of(connection, old.batch)
        arrangement = self._arrangements.get(batch.name)
        if arrangement is None:
            return  # it is configured no more: it waits until it is again, or a person has it
        gone = RETRIES.update().where(*mine).values(state="made", updated_at=now)
        if not connection.execute(gone).rowcount:
            return
        section, dropped = arrangement.section, old.state == LineState.DROPPED
        using, paid = records.in_order(connection, old) if dropped else (False, False)
        if using:
            later = {"state": "waiting", "due": self._today() + timedelta(1)}
            connection.execute(RETRIES.update().where(mine[0]).values(later))
            return
        flying = records.in_flight(connection, section.company, old.account, old.month) is not None
        if paid or flying or records.issued_after(connection, old):
            connection.execute(RETRIES.update().where(mine[0]).values(state="overtaken"))
            return
        line = NewLine(
            old.account, old.agreement, self._at_rest.unseal(old.pay_account, old.id).decode(), old.bill, old.month,
            old.amount, old.penalty, old.quantity, "", "retry", old.tries + (not dropped),
            None if dropped and not old.tries else old.first_day,
        )  # fmt: skip
        # no bank has seen what was dropped: it goes with the next batch of the bank's own days
        day = None if dropped else retry_day(row.due, arrangement.seal_at, self._now())
        made = self.put_in(connection, arrangement, line, day)
        connection.execute(RETRIES.update().where(mine[0]).values(next=made.id))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock() / 1000, UTC)

    def _today(self) -> date:

        return day_of(self._clock())


def _written_off(connection: Connection, line: str) -> bool:
    return bool(records.line_of(connection, line).state == LineState.WRITTEN_OFF)

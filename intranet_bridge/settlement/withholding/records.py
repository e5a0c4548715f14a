"""Batches and lines on record. All of it is work within a transaction of the store, which the caller gives."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import date, time
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, select, text

from intranet_bridge.settlement.payments.rows import BILLS
from intranet_bridge.settlement.payments.rows import LINES as PAID_LINES
from intranet_bridge.settlement.withholding.files import MOST_LINES
from intranet_bridge.settlement.withholding.life import (
    ENDED,
    BatchState,
    LineState,
    batches_before,
    before,
)
from intranet_bridge.settlement.withholding.rows import BATCHES, IN_FLIGHT, ISSUED, LINES, NUMBERS, RETRIES
from intranet_bridge.settlement_sections.withholding import WithholdingSection
from protocol.errors import BridgeError
from protocol.operations.orders import LineState as PaidLine
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

B, L, P, PL = BATCHES.c, LINES.c, BILLS.c, PAID_LINES.c
_OF_BILL = (P.company == L.company) & (P.account == L.account) & (P.bill == L.month)
_WRITTEN_OFF = (PL.order_no == P.order_no) & (PL.line == P.line) & (PL.state == PaidLine.WRITTEN_OFF)
_TEXT = 300
OPEN = sorted(set(LineState) - ENDED)
ASKED_AGAIN = "asked-again"
"""The code of a line that was released, and charged all the same when its bill had been asked for under another number:
the other one has the bill.
"""


@immutable
class Arrangement:
    """One `[settlement.withholding.NAME]`."""

    name: str
    section: WithholdingSection
    region: str = ""
    """Of the bridge that has the company's marketing system; empty: this one."""

    @property
    def seal_at(self) -> time:
        """When a batch is sealed, in China."""
        return time.fromisoformat(self.section.seal_at)

    def batch(self, day: date) -> str:
        """The id of the batch of a day."""
        return f"{self.section.org}-{self.section.unit}-{day:%Y%m%d}"


@immutable
class NewLine:
    """A bill that is to be charged."""

    account: str
    agreement: str
    pay_account: str = field(repr=False)
    bill: str
    month: str
    amount: int
    penalty: int = 0
    quantity: str = ""
    request: str = ""
    """Of the command that asked for it; empty: none did."""
    source: str = ""
    """Who asked for it."""
    tries: int = 0
    first_day: date | None = None
    """The day of the batch that it was asked for in first; None: of this one."""


class InFlight(BridgeError):
    """The bill is in a batch already."""


class Full(BridgeError):
    """The batch takes no line any more: it is sealed, or has as many as there may be."""


def named(connection: Connection, arrangement: Arrangement) -> int:
    """Batches of an arrangement's org and unit have its name, though they were begun under another; how many had."""
    other = B.org == arrangement.section.org, B.unit == arrangement.section.unit, B.name != arrangement.name
    return connection.execute(BATCHES.update().where(*other).values(name=arrangement.name)).rowcount


def batch_of(connection: Connection, id: str, *, lock: bool = False) -> Any:
    """A batch's row, or None."""
    wanted = select(BATCHES).where(B.id == id)
    return connection.execute(wanted.with_for_update() if lock else wanted).first()


def line_of(connection: Connection, id: str, *, lock: bool = False) -> Any:
    """A line's row, or None."""
    wanted = select(LINES).where(L.id == id)
    return connection.execute(wanted.with_for_update() if lock else wanted).first()


def of_request(connection: Connection, request: str) -> Any:
    """The line that a command has made, or None."""
    return connection.execute(select(LINES).where(L.request == request)).first() if request else None


def in_flight(connection: Connection, company: str, account: str, month: str) -> Any:
    """The line in which an account's month is being charged, or None. Whatever the number of its bill: a write-off
    names the month, so that of two charges for it the second could not be written off.
    """
    of = L.company == company, L.account == account, L.month == month
    # its condition in the index's own words: SQLite uses the index for no other
    return connection.execute(select(LINES).where(*of, text(IN_FLIGHT))).first()


def being_paid(connection: Connection, batch: str) -> list[Any]:
    """The lines of a batch whose bills are in a payment order that is being paid. No order takes a bill from now on
    until the transaction ends: on PostgreSQL by a lock, so little may follow; SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE payment_bills IN SHARE MODE")
    wanted = select(LINES).join(BILLS, _OF_BILL).where(P.in_use.is_(True), L.batch == batch, text("ended_at IS NULL"))
    return list(connection.execute(wanted.order_by(L.id)).all())


def paid_since(connection: Connection, batch: str) -> list[Any]:
    """The lines of a batch whose bills an order of ours has written off since its company was asked for them, or that
    nobody can be asked for: the money is there, and a bank would take it once more.
    """
    paid = exists().where(_OF_BILL, _WRITTEN_OFF, PL.ended_at > L.checked_at)
    wanted = select(LINES).where(L.batch == batch, L.ended_at.is_(None), paid).order_by(L.id)
    return list(connection.execute(wanted).all())


def in_order(connection: Connection, line: Any) -> tuple[bool, bool]:
    """Whether an order is paying a line's bill, and whether one has written it off since the line was made."""
    of_bill = (P.company == line.company) & (P.account == line.account) & (P.bill == line.month)
    using = select(exists().where(of_bill, P.in_use.is_(True)))
    paid = select(exists().where(of_bill, _WRITTEN_OFF, PL.ended_at > line.created_at))
    return bool(connection.execute(using).scalar()), bool(connection.execute(paid).scalar())


def issued_after(connection: Connection, line: Any) -> bool:
    """Whether the bill of a line's month was issued again, and is charged under its new number since then."""
    of = ISSUED.c.account == line.account, ISSUED.c.month == line.month, ISSUED.c.bill != line.bill
    wanted = select(exists().where(*of, ISSUED.c.state == "line", ISSUED.c.issued_at > line.created_at))
    return bool(connection.execute(wanted).scalar())


def again(connection: Connection, line: str, due: date, now: int) -> None:
    """A line's bill is asked for once more, under another number, from that day on."""
    values = {"line": line, "due": due, "state": "waiting", "next": "", "updated_at": now}
    insert_new(connection, RETRIES, [values])


def replaced(connection: Connection, line: str, by: str, day: date, now: int) -> None:
    """A line's bill was issued again, and another line has its place."""
    values = {"line": line, "due": day, "state": "made", "next": by, "updated_at": now}
    insert_new(connection, RETRIES, [values])


def latest(connection: Connection, line: Any) -> Any:
    """The line under which a line's bill was asked for last: its own, or that of its last retry, or of the bill that
    was issued in its place.
    """
    after = select(RETRIES.c.next).where(RETRIES.c.line == bindparam("line"), RETRIES.c.next != "")
    while next_ := connection.execute(after, {"line": line.id}).scalar():
        line = line_of(connection, next_)
    return line


def no_more(connection: Connection, line: str, now: int) -> None:
    """A line's bill is not asked for once more, if it was to be."""
    mine = RETRIES.update().where(RETRIES.c.line == line, RETRIES.c.state == "waiting")
    connection.execute(mine.values(state="withdrawn", updated_at=now))


def add(
    connection: Connection, arrangement: Arrangement, day: date, line: NewLine, sealed: bytes, id: str, now: int
) -> None:
    """Put a line into the batch of a day, making that if there is none. Raises Full, InFlight: then nothing of the
    transaction may stay. `sealed`: the bank account.
    """
    section = arrangement.section
    values: dict[str, Any] = {
        "id": id, "det_id": id, "batch": arrangement.batch(day), "state": LineState.WAITING,
        "company": section.company, "account": line.account, "agreement": line.agreement, "pay_account": sealed,
        "quantity": line.quantity, "bill": line.bill, "month": line.month, "amount": line.amount,
        "penalty": line.penalty, "request": line.request, "source": line.source, "tries": line.tries,
        "first_day": line.first_day or day, "checked_at": 0, "hold": "", "code": "", "reason": "", "debited": 0,
        "bank_number": "", "payment": "", "said": "[]", "created_at": now, "updated_at": now,
    }  # fmt: skip
    if not insert_new(connection, LINES, [values]):
        raise InFlight(f"{line.bill}: its bill is being charged already")


def room(connection: Connection, arrangement: Arrangement, day: date, now: int) -> None:
    """One line more in the batch of a day. Raises Full."""
    id = arrangement.batch(day)
    begin(connection, arrangement, day, now)
    more = BATCHES.update().where(B.id == id, B.state == BatchState.DRAFTED, B.count < MOST_LINES)
    if not connection.execute(more.values(count=B.count + 1, version=B.version + 1, updated_at=now)).rowcount:
        raise Full(f"{id} takes no line any more")


def begin(connection: Connection, arrangement: Arrangement, day: date, now: int) -> None:
    """The batch of a day, made without lines if there is none."""
    section, id = arrangement.section, arrangement.batch(day)
    values = {
        "id": id, "name": arrangement.name, "org": section.org, "unit": section.unit, "day": day,
        "bank": section.bank, "in_transit": section.in_transit, "state": BatchState.DRAFTED, "version": 0,
        "findings": "[]", "file_name": "", "sha256": "", "size": 0, "count": 0, "total": 0, "file": "",
        "created_at": now, "sealed_at": 0, "sent_at": 0, "answered_at": 0, "closed_at": 0, "updated_at": now,
    }  # fmt: skip
    insert_new(connection, BATCHES, [values])


def number(connection: Connection, prefix: str, day: date) -> str:
    """The next `detId` of a day."""
    insert_new(connection, NUMBERS, [{"day": day, "last": 0}])
    given = NUMBERS.update().where(NUMBERS.c.day == day).values(last=NUMBERS.c.last + 1).returning(NUMBERS.c.last)
    return f"{prefix}{day:%Y%m%d}{connection.execute(given).scalar_one():06}"


def leave(connection: Connection, line: Any, state: LineState, now: int, code: str = "") -> bool:
    """Take a waiting line out of its drafted batch. False: it is none any more, or the batch is sealed, or it is
    another by now.
    """
    if not touched(connection, line.batch, now, fewer=1):
        return False
    if move(connection, line.id, state, now, of=line.batch, code=code):
        return True
    touched(connection, line.batch, now, fewer=-1)
    return False


def touched(connection: Connection, batch: str, now: int, fewer: int = 0) -> bool:
    """What is read of a drafted batch before this is not what it is now. False: it is not drafted any more."""
    drafted = BATCHES.update().where(B.id == batch, B.state == BatchState.DRAFTED)
    values = {"version": B.version + 1, "count": B.count - fewer, "updated_at": now}
    return bool(connection.execute(drafted.values(values)).rowcount)


def move(connection: Connection, id: str, state: LineState, now: int, of: str = "", **values: Any) -> bool:
    """A line's next state. False: it cannot come to it from where it is, or is not of this batch."""
    if state in ENDED:
        values["ended_at"] = now
    moved = LINES.update().where(L.id == id, L.state.in_(before(state)))
    if of:
        moved = moved.where(L.batch == of)
    return bool(connection.execute(moved.values(state=state, updated_at=now, **values)).rowcount)


def move_batch(connection: Connection, id: str, state: BatchState, now: int, **values: Any) -> bool:
    """A batch's next state. False: it cannot come to it from where it is."""
    moved = BATCHES.update().where(B.id == id, B.state.in_(batches_before(state)))
    return bool(connection.execute(moved.values(state=state, updated_at=now, **values)).rowcount)


def hold(connection: Connection, id: str, came_from: Collection[str], to: str, now: int) -> bool:
    """What is known of the hold on a line's bill. False: it was not so."""
    held = LINES.update().where(L.id == id, L.hold.in_(sorted(came_from))).values(hold=to, updated_at=now)
    return bool(connection.execute(held).rowcount)


def states(connection: Connection, batch: str) -> Mapping[str, tuple[int, int, int]]:
    """By state: lines, what they come to, what was charged of them."""
    counted = select(
        L.state, func.count(), func.coalesce(func.sum(L.amount + L.penalty), 0), func.coalesce(func.sum(L.debited), 0)
    ).where(L.batch == batch)
    return {row[0]: (row[1], int(row[2]), int(row[3])) for row in connection.execute(counted.group_by(L.state))}


def batches_in(connection: Connection, wanted: Collection[str], names: Collection[str]) -> Sequence[Any]:
    """Batches in some states, the oldest first."""
    found = select(BATCHES).where(B.state.in_(sorted(wanted)), B.name.in_(sorted(names))).order_by(B.day, B.id)
    return connection.execute(found).all()


def shortened(text: str) -> str:
    """A bank's words, as many as are kept."""
    return text[:_TEXT]

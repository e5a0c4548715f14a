"""The record of statements: files that came, and their rows, in the bridge's database.

A file's rows are written as it is read, a few hundred at a time, and count only once its state says so: one small
transaction accepts it. Whoever is killed in between leaves rows that count for nothing, and the same file taken again
begins anew. A file that is refused leaves its verdict and no rows.
"""

import asyncio
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from sys import intern
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Select, or_, select
from sqlalchemy import Row as Selected

from intranet_bridge.settlement.rows import FILES, LINES
from intranet_bridge.settlement.statements.life import (
    Difference,
    Event,
    FileState,
    after,
    difference,
    event_of,
    seen_before,
)  # fmt: skip
from intranet_bridge.settlement.statements.matching import Accepted, Seen, WriteOff
from intranet_bridge.settlement.statements.names import said
from intranet_bridge.settlement.statements.opening import Source
from intranet_bridge.settlement.statements.profiles import Kind, Profile, Status
from intranet_bridge.settlement.statements.reading import read
from intranet_bridge.settlement.statements.rows import Expected, Row, Summary
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from protocol.errors import BridgeError
from protocol.messages import uuid7
from protocol.runtime.clock import Clock
from protocol.runtime.store import BATCH, Store
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

_F, _L = FILES.c, LINES.c
COUNTING = (FileState.ACCEPTED, FileState.MATCHED, FileState.CLOSED)
"""States in which a file's rows do."""
_BACK = (Kind.REFUND, Kind.REVOKE)
_AT_ONCE = 500
"""Rows written together, and read together."""


class Expecting(Protocol):
    """A kind of statement (sources.py)."""

    @property
    def name(self) -> str:
        """In `files.profiles`."""

    def lacking(self, files: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """What of a day's is not there. `files`: name and merchant of each that is."""


class NoSuchFile(BridgeError):
    """There is no file of that id."""


class DayUnknown(BridgeError):
    """The file's name does not say its day, and nobody else did."""


@immutable
class Taken:
    """What became of a file."""

    id: str
    name: str
    state: FileState
    code: Code | None = None
    findings: tuple[Finding, ...] = ()
    summary: Summary | None = None


class Statements:
    """Takes files, and keeps them."""

    def __init__(self, store: Store, profiles: Mapping[str, Profile], clock: Clock) -> None:
        self._store, self._profiles, self._clock = store, profiles, clock

    async def take(
        self, name: str, profile_name: str, source: Source, sha256: str, expected: Expected | None = None
    ) -> Taken:
        """Read a file that is here whole, and accept it, refuse it, or keep it for an operator (`conflicting-resend`).

        `expected`: what is known of it; without, its name says its day. Raises StatementRefused for a name that is not
        of this profile, DayUnknown.
        """
        profile = self._profiles[profile_name]
        named = said(name, profile)
        known = expected or (Expected(named.day) if named.day else None)
        if known is None:
            raise DayUnknown(f"{profile_name}: the name of the file does not say its day")
        if named.day and named.day != known.day:
            what = Finding("its name says another day", expected=str(known.day), found=str(named.day))
            raise StatementRefused(Code.WRONG_DAY, what)
        begun = await self._begin(named.name, profile, known, named.merchant, sha256)
        if begun.state is FileState.DUPLICATE:
            return begun
        try:
            summary = await self._read(begun.id, source, profile, known)
        except StatementRefused as refused:
            await self.forget_lines(begun.id)
            verdict, state = refused, after(FileState.RECEIVED, event_of(refused))
            await self._store.write(lambda connection: self._verdict(connection, begun.id, state, verdict))
            return Taken(begun.id, named.name, state, verdict.code, verdict.findings)
        await self._drop(begun.id, summary.dropped)
        state = await self._store.write(lambda connection: self._accept(connection, begun, sha256, summary))
        code = Code.CONFLICTING_RESEND if state is FileState.CONFLICTING else None
        return Taken(begun.id, named.name, state, code, summary.warnings, summary)

    def replace(self, connection: Connection, file: str, who: str) -> None:
        """An operator takes a file in place of the accepted one of its name. Raises NoSuchFile, NotInThisState: it does
        not wait for that, or the earlier one's day is closed.
        """
        row = self._row(connection, file, lock=True)
        state = after(FileState(row.state), Event.REPLACE)
        mine = select(FILES).where(_F.name == row.name, _F.state.in_(COUNTING)).with_for_update()
        for earlier in connection.execute(mine).all():
            self._set(connection, earlier.id, after(FileState(earlier.state), Event.SUPERSEDED), who)
        self._set(connection, file, state, who)

    def refuse(self, connection: Connection, file: str, who: str) -> None:
        """An operator does not take a file that waits; the earlier one stays. Its lines can be forgotten then. Raises
        NoSuchFile, NotInThisState.
        """
        row = self._row(connection, file, lock=True)
        self._set(connection, file, after(FileState(row.state), Event.REFUSED), who)

    async def differing(self, file: str) -> Difference:
        """The rows in which a file that waits differs from the accepted one of its name. Raises NoSuchFile."""

        def look(connection: Connection) -> Difference:
            row = self._row(connection, file)
            earlier = connection.execute(select(_F.id).where(_F.name == row.name, _F.state.in_(COUNTING))).scalars()
            before = (line for one in earlier.all() for line in _lines(connection, one))
            return difference(before, _lines(connection, file))

        return await self._store.scan(look)

    async def rows_of(self, file: str) -> list[Row]:
        """A file's rows, if it counts; else none."""

        def look(connection: Connection) -> list[Row]:
            counts = FileState(self._row(connection, file).state) in COUNTING
            return list(_lines(connection, file)) if counts else []

        return await self._store.scan(look)

    async def matched(self, file: str) -> None:
        """The file has been compared. Raises NoSuchFile, NotInThisState."""

        def done(connection: Connection) -> None:
            row = self._row(connection, file, lock=True)
            self._set(connection, file, after(FileState(row.state), Event.MATCH), row.who)

        await self._store.write(done)

    async def to_match(
        self, file: str, write_offs: Sequence[WriteOff], orders: Iterable[str] = (), transactions: Iterable[str] = ()
    ) -> list[Seen]:
        """`rows_to_match`, read from the database. Raises NoSuchFile."""

        def look(connection: Connection) -> list[Seen]:
            self._row(connection, file)
            return rows_to_match(connection, file, write_offs, orders, transactions)

        return await self._store.scan(look)

    async def accepted(self) -> Accepted:
        """Days of which statements count, by channel."""

        def look(connection: Connection) -> Accepted:
            days: dict[str, list[date]] = {}
            asked = select(_F.channel, _F.day).where(_F.state.in_(COUNTING)).distinct().order_by(_F.channel, _F.day)
            for channel, day in connection.execute(asked):
                days.setdefault(channel, []).append(day)
            return Accepted(days)

        return await self._store.read(look)

    # Within

    async def _begin(self, name: str, profile: Profile, known: Expected, merchant: str, sha256: str) -> Taken:
        new = uuid7(self._clock(), os.urandom(10))

        def begin(connection: Connection) -> Taken:
            now = self._clock()
            done = connection.execute(select(_F.state, _F.code).where(_F.id == new)).first()
            if done is not None:  # by a commit that was done and seemed to fail
                return Taken(new, name, FileState(done.state), Code(done.code) if done.code else None)
            mine = select(FILES).where(_F.name == name).order_by(_F.received_at).with_for_update()
            rows = connection.execute(mine).all()
            digests = [row.sha256 for row in rows if FileState(row.state) in COUNTING]
            again = seen_before(sha256, digests) is Code.DUPLICATE
            state = FileState.DUPLICATE if again else FileState.RECEIVED
            # One that was being read when the bridge was killed, or that was not whole, is the same file still.
            left = (FileState.RECEIVED, FileState.INCOMPLETE)
            for row in rows:
                # So is one that was refused, not by a person, and is judged by something else now.
                judged = FileState(row.state) is FileState.REFUSED and row.sha256 == sha256 and not row.who
                if not again and (judged or FileState(row.state) in left):
                    values = {
                        "state": state, "sha256": sha256, "code": "", "findings": "[]", "profile": profile.name,
                        "channel": profile.channel, "day": known.day, "merchant": merchant, "updated_at": now,
                    }  # fmt: skip
                    connection.execute(FILES.update().where(_F.id == row.id).values(values))
                    return Taken(row.id, name, state)
            connection.execute(
                FILES.insert().values(
                    id=new, name=name, profile=profile.name, channel=profile.channel, day=known.day, merchant=merchant,
                    sha256=sha256, state=state, code=Code.DUPLICATE if again else "", findings="[]", rows=0, paid=0,
                    refunded=0, settled=0, fee=0, who="", received_at=now, updated_at=now,
                )
            )  # fmt: skip
            return Taken(new, name, state, Code.DUPLICATE if again else None)

        taken = await self._store.write(begin)
        if taken.state is FileState.RECEIVED:
            await self.forget_lines(taken.id)
        return taken

    async def _read(self, file: str, source: Source, profile: Profile, known: Expected) -> Summary:
        """Read it beside the loop; rows are written as they come, and reading waits for that."""
        loop = asyncio.get_running_loop()
        waiting: list[dict[str, Any]] = []

        def write(connection: Connection) -> int:
            return len(insert_new(connection, LINES, waiting))  # those of a commit that seemed to fail are there

        def flush() -> None:
            if waiting:
                asyncio.run_coroutine_threadsafe(self._store.write(write), loop).result()
                waiting.clear()

        def sink(row: Row) -> None:
            waiting.append(_written(file, row))
            if len(waiting) >= _AT_ONCE:
                flush()

        def whole() -> Summary:
            summary = read(source, profile, known, sink)
            flush()
            return summary

        return await asyncio.to_thread(whole)

    def _accept(self, connection: Connection, begun: Taken, sha256: str, summary: Summary) -> FileState:
        mine = select(FILES).where(_F.name == begun.name, _F.state.in_(COUNTING)).with_for_update()
        digests = [row.sha256 for row in connection.execute(mine).all() if row.id != begun.id]
        other = seen_before(sha256, digests) is not None
        state = after(after(FileState.RECEIVED, Event.READ), Event.OTHER_BYTES if other else Event.ACCEPT)
        values = {
            "state": state, "code": Code.CONFLICTING_RESEND if other else "", "rows": summary.rows,
            "paid": summary.paid, "refunded": summary.refunded, "settled": summary.settled, "fee": summary.fee,
            "findings": _told(summary.warnings), "updated_at": self._clock(),
        }  # fmt: skip
        if summary.merchant:
            values["merchant"] = summary.merchant
        connection.execute(FILES.update().where(_F.id == begun.id).values(values))
        return state

    def _verdict(self, connection: Connection, file: str, state: FileState, refused: StatementRefused) -> None:
        values = {
            "state": state,
            "code": refused.code,
            "findings": _told(refused.findings),
            "updated_at": self._clock(),
        }
        connection.execute(FILES.update().where(_F.id == file).values(values))

    def _set(self, connection: Connection, file: str, state: FileState, who: str) -> None:
        values = {"state": state, "who": who, "updated_at": self._clock()}
        connection.execute(FILES.update().where(_F.id == file).values(values))

    @staticmethod
    def _row(connection: Connection, file: str, lock: bool = False) -> "Selected[Any]":
        asked = select(FILES).where(_F.id == file)
        row = connection.execute(asked.with_for_update() if lock else asked).first()
        if row is None:
            raise NoSuchFile(f"there is no file {file}")
        return row

    async def _drop(self, file: str, lines: Sequence[int]) -> None:
        for at in range(0, len(lines), BATCH):
            some = lines[at : at + BATCH]
            await self._store.execute(LINES.delete().where(_L.file == file, _L.line.in_(some)), {})

    async def forget_lines(self, file: str) -> None:
        """A few hundred at a time: a million would hold the database."""

        def page(connection: Connection) -> Sequence[int]:
            return connection.execute(select(_L.line).where(_L.file == file).limit(_AT_ONCE)).scalars().all()

        def forget(connection: Connection, lines: Sequence[int]) -> Sequence[int]:
            connection.execute(LINES.delete().where(_L.file == file, _L.line.in_(lines)))
            return [1] * len(lines)

        await self._store.in_batches(page, forget)


def rows_to_match(
    connection: Connection,
    file: str,
    write_offs: Sequence[WriteOff],
    orders: Iterable[str] = (),
    transactions: Iterable[str] = (),
) -> list[Seen]:
    """All rows that count, of every payment that the file has a row of, that `write_offs` name, or that waits by its
    order or its transaction: what is matched is a payment's net, whichever statements and channels its rows came by.
    """
    mine = select(_L.transaction_no).where(_L.file == file, _L.transaction_no != "")
    numbers = select(_L.order_no).where(_L.file == file, _L.order_no != "")
    found = [
        _seen(row)
        for row in connection.execute(
            _counting().where(or_(_L.file == file, _L.transaction_no.in_(mine), _L.order_no.in_(numbers)))
        ).yield_per(_AT_ONCE)
    ]
    known = {row.order for row in found}
    known.update(row.transaction for row in found)
    known.add("")
    further: dict[tuple[str, int], Seen] = {}  # none of them is among the first: those are of names that are known
    for column, names in (
        (_L.order_no, chain(orders, (ours.order for ours in write_offs))),
        (_L.transaction_no, chain(transactions, (ours.transaction for ours in write_offs))),
    ):
        for some in _some(sorted({name for name in names if name not in known})):
            for row in connection.execute(_counting().where(column.in_(some))):
                further[row.file, row.line] = _seen(row)
    # A refund without an order number belongs to the payment of its transaction, and the other way round.
    for some in _some(sorted({row.transaction for row in further.values()} - known)):
        for row in connection.execute(_counting().where(_L.transaction_no.in_(some))):
            further[row.file, row.line] = _seen(row)
    found += further.values()
    return found


def earlier_transactions(connection: Connection, file: str, since: date, refunds: Iterable[str]) -> dict[str, set[str]]:
    """Payments, by channel, of which the file has a row, or that have `refunds`, and which were paid before that day or
    are in no statement that counts: the list of write-offs since then says nothing of them.
    """
    mine = select(_L.transaction_no).where(_L.file == file, _L.kind.in_(_BACK), _L.transaction_no != "")
    numbers = select(_L.order_no).where(_L.file == file, _L.order_no != "")
    channel = connection.execute(select(_F.channel).where(_F.id == file)).scalar_one()
    wanted = {(channel, one) for one in (*connection.execute(mine).scalars(), *refunds)}
    names = {one for _, one in wanted}
    for some in _some(sorted(names)):
        asked = select(_F.channel, _L.transaction_no).join(FILES, _F.id == _L.file)
        recent = asked.where(_F.state.in_(COUNTING), _F.day >= since, _L.kind == Kind.PAY, _L.transaction_no.in_(some))
        wanted.difference_update((row.channel, row.transaction_no) for row in connection.execute(recent))
    before = (
        select(_F.channel, _L.transaction_no)
        .join(FILES, _F.id == _L.file)
        .where(_F.state.in_(COUNTING), _F.day < since, _L.kind == Kind.PAY, _L.order_no.in_(numbers))
    )
    wanted.update((row.channel, row.transaction_no) for row in connection.execute(before))
    found: dict[str, set[str]] = {}
    for name, transaction in wanted:
        if transaction:
            found.setdefault(name, set()).add(transaction)
    return found


def related_names(connection: Connection, file: str) -> set[str]:
    """The transactions and orders of a file."""
    found: set[str] = set()
    for row in connection.execute(select(_L.transaction_no, _L.order_no).where(_L.file == file)).yield_per(_AT_ONCE):
        found.update(row)
    found.discard("")
    return found


def counting_days(connection: Connection, sources: Mapping[str, Sequence[Expecting]]) -> Accepted:
    """Days of which every kind of statement of a channel is accepted, of every branch; where one had nothing, as an
    operator said, the others. `sources`: by channel, the kinds it has now.
    """
    there: dict[tuple[str, date], dict[str, list[tuple[str, str]]]] = {}
    counted: set[tuple[str, date]] = set()
    asked = select(_F.channel, _F.day, _F.profile, _F.name, _F.merchant, _F.state)
    for channel, day, profile, name, merchant, state in connection.execute(
        asked.where(_F.state.in_((*COUNTING, FileState.EMPTY_CONFIRMED)))
    ):
        there.setdefault((channel, day), {}).setdefault(profile, []).append((name, merchant))
        if FileState(state) in COUNTING:
            counted.add((channel, day))
    days: dict[str, list[date]] = {}
    for channel, day in sorted(counted):
        found = there[channel, day]
        if not any(source.lacking(found.get(source.name, ())) for source in sources.get(channel, ())):
            days.setdefault(channel, []).append(day)
    return Accepted(days)


def counts(connection: Connection, file: str) -> bool:
    """Whether a file's rows count."""
    state = connection.execute(select(_F.state).where(_F.id == file)).scalar()
    return state is not None and FileState(state) in COUNTING


def mark_matched(connection: Connection, file: str, now: int) -> bool:
    """The file has been compared. False: it does not count any more."""
    row = connection.execute(select(_F.state).where(_F.id == file).with_for_update()).first()
    if row is None or FileState(row.state) not in COUNTING:
        return False
    if FileState(row.state) is FileState.ACCEPTED:
        state = after(FileState.ACCEPTED, Event.MATCH)
        connection.execute(FILES.update().where(_F.id == file).values(state=state, updated_at=now))
    return True


def _told(findings: Sequence[Finding]) -> str:
    fields = [
        {"what": one.what, "line": one.line, "column": one.column, "expected": one.expected, "found": one.found}
        for one in findings
    ]
    return json.dumps(fields, ensure_ascii=False)


def _written(file: str, row: Row) -> dict[str, Any]:
    return {
        "file": file, "line": row.line, "kind": row.kind, "transaction_no": row.transaction, "order_no": row.order,
        "refund_no": row.refund, "platform_refund_no": row.platform_refund, "gross": row.gross,
        "settled": row.settled, "fee": row.fee, "at": row.at.isoformat(), "status": row.status,
        "account": row.account, "month": row.month, "bills": json.dumps(row.bills) if row.bills else "",
        "penalty": row.penalty, "merchant": row.merchant,
    }  # fmt: skip


def _lines(connection: Connection, file: str) -> Iterator[Row]:
    """A file's rows, page by page."""
    last = 0
    while True:
        asked = select(LINES).where(_L.file == file, _L.line > last).order_by(_L.line).limit(_AT_ONCE)
        page = connection.execute(asked).all()
        for row in page:
            yield Row(
                row.line, Kind(row.kind), row.transaction_no, row.order_no, row.refund_no, row.gross, row.settled,
                row.fee, _at(row.at), Status(row.status), row.account, row.month,
                tuple((bill, month) for bill, month in json.loads(row.bills or "[]")), row.penalty,
                row.platform_refund_no, row.merchant,
            )  # fmt: skip
        if len(page) < _AT_ONCE:
            return
        last = page[-1].line


def _counting() -> Select[Any]:
    """Rows of files that count, with what the file says of them."""
    columns = (
        _L.file, _L.line, _F.channel, _F.day, _L.kind, _L.transaction_no, _L.order_no, _L.refund_no, _L.gross, _L.at,
        _L.status, _L.account, _L.penalty, _L.merchant, _F.merchant.label("of_file"),
    )  # fmt: skip
    return select(*columns).join(FILES, _F.id == _L.file).where(_F.state.in_(COUNTING))


_KINDS, _STATUSES = {str(one): one for one in Kind}, {str(one): one for one in Status}


def _seen(row: "Selected[Any]") -> Seen:
    _, _, channel, day, kind, transaction, order, refund, gross, at, status, account, penalty, merchant, of_file = cast(
        "tuple[Any, ...]", row
    )
    return Seen(
        intern(channel), day, _KINDS[kind], transaction, order, refund, gross, _at(at), _STATUSES[status], account,
        penalty, intern(merchant or of_file),
    )  # fmt: skip


def _some(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE))


def _at(text: str) -> date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)

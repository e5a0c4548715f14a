"""What is kept of arrivals, runs and items. Everything here is work within a transaction of the store, so that what
belongs together is written together; two bridges share it, each taking only what it has claimed.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, or_, select

from intranet_bridge.settlement import file_cursors
from intranet_bridge.settlement.rows import FILES
from intranet_bridge.settlement.statements.comparing import Found
from intranet_bridge.settlement.statements.items import TRANSITIONS, ItemState
from intranet_bridge.settlement.statements.life import Event, FileState, after
from intranet_bridge.settlement.statements.matching import ACTING, Action, Class, Item
from intranet_bridge.settlement.statements.names import bare
from intranet_bridge.settlement.statements.records import COUNTING, mark_matched
from intranet_bridge.settlement.statements.run_rows import ARRIVALS, ITEMS, RUNS, SOURCES
from intranet_bridge.settlement.statements.verdicts import Code
from intranet_bridge.settlement.statements.worker import Totals
from protocol.errors import BridgeError
from protocol.messages import uuid7
from protocol.runtime.store_statements import insert_new

_F, _A, _R, _I = FILES.c, ARRIVALS.c, RUNS.c, ITEMS.c
_AGES = {Class.MARKETING_ONLY: Class.POOLED}
"""What waits is the same item when it has waited long enough."""
_WAITING = (Action.WAIT.value,)


class RunState(StrEnum):
    """Where a run is."""

    WAITING = "waiting"
    """To be done, or done again: `code` says what was incomplete."""
    MATCHING = "matching"
    NEEDS_APPROVAL = "needs-approval"
    """It would do more than is done without a person."""
    ACTING = "acting"
    """Commands are being given for its items."""
    DONE = "done"
    """All of them are given; each item goes on by itself."""
    SUPERSEDED = "superseded"
    """Its file counts no more, or it was run again."""


WORKED_ON = (RunState.WAITING, RunState.MATCHING, RunState.ACTING)


class NotRun(BridgeError):
    """What was asked for does not go with the state the run is in."""


def new_id(now: int) -> str:
    """Of a run or an item."""
    return uuid7(now, os.urandom(10))


# Arrivals


READER = "statements"
"""Of the cursors of files."""
_STANDS = {"", Code.DUPLICATE, Code.CONFLICTING_RESEND}
"""Codes of files that had their effect, or that a person decides of."""


def note(connection: Connection, profile: str, arrivals: Sequence[Mapping[str, Any]], to: tuple[int, str]) -> int:
    """Write down files of a profile that are to be read, and go on from there; returns how many are new."""
    new = len(insert_new(connection, ARRIVALS, arrivals))
    file_cursors.advance(connection, READER, profile, to)
    return new


def judge_by(connection: Connection, profile: str, judged_by: str) -> int:
    """Files of a profile are judged by this from now on. Where it was something else, those that had no effect are to
    be read again, but for what came again since and was accepted; returns how many.
    """
    if not file_cursors.judge_by(connection, READER, profile, judged_by):
        return 0
    ended = select(ARRIVALS).where(_A.source == profile, _A.state.in_(("taken", "failed")), _A.code.not_in(_STANDS))
    rows = connection.execute(ended.with_for_update()).all()
    names = {row.file: bare(row.name) for row in rows}
    accepted = select(_F.name).where(_F.name.in_(sorted(set(names.values()))), _F.state.in_(COUNTING))
    came = set(connection.execute(accepted).scalars())
    again = [id for id, name in names.items() if name not in came]
    values = {"state": "waiting", "code": "", "attempts": 0, "due_at": 0, "claimed_by": ""}
    connection.execute(ARRIVALS.update().where(_A.file.in_(again)).values(values))
    return len(again)


def claim_arrival(connection: Connection, who: str, now: int, until: int) -> Row[Any] | None:
    """The next file to be read, which is this bridge's until then."""
    asked = select(ARRIVALS).where(_A.state == "waiting", _A.due_at <= now).order_by(_A.received_at, _A.file).limit(1)
    row = connection.execute(asked.with_for_update(skip_locked=True)).first()
    if row is not None:
        connection.execute(ARRIVALS.update().where(_A.file == row.file).values(claimed_by=who, due_at=until))
    return row


def arrival_ended(connection: Connection, file: str, state: str, code: str) -> None:
    """It was read, or cannot be."""
    connection.execute(ARRIVALS.update().where(_A.file == file).values(state=state, code=code, claimed_by=""))


def arrival_later(connection: Connection, file: str, code: str, due_at: int) -> None:
    """Try it again then."""
    values = {"code": code, "due_at": due_at, "claimed_by": "", "attempts": _A.attempts + 1}
    connection.execute(ARRIVALS.update().where(_A.file == file).values(values))


def forget_arrivals(connection: Connection, before: int) -> int:
    """Forget files that were read, or could not be, before then. What was read of them stays."""
    over = and_(_A.state.in_(("taken", "failed")), _A.received_at < before)
    return connection.execute(ARRIVALS.delete().where(over)).rowcount


def expect(connection: Connection, names: Iterable[str], today: date) -> dict[str, date]:
    """Since when statements of each kind are expected; a new kind from today's statement on."""
    insert_new(connection, SOURCES, [{"name": name, "since": today} for name in sorted(names)])
    return expected(connection)


def expected(connection: Connection) -> dict[str, date]:
    """Since when statements of each kind are expected."""
    return {row.name: row.since for row in connection.execute(select(SOURCES))}


# Runs


def make_runs(connection: Connection, sources: Collection[str], now: int) -> int:
    """A run for each accepted file that has none."""
    none = ~exists().where(_R.file == _F.id)
    asked = select(FILES).where(_F.state == FileState.ACCEPTED, _F.profile.in_(sources), none).order_by(_F.id)
    rows = [_run(row.id, row, "", now) for row in connection.execute(asked)]
    return len(insert_new(connection, RUNS, rows)) if rows else 0


def run_again(connection: Connection, file: str, who: str, now: int) -> str:
    """A further run of a file. Raises NotRun for one that does not count, or is being compared."""
    row = connection.execute(select(FILES).where(_F.id == file).with_for_update()).first()
    if row is None or FileState(row.state) not in (FileState.ACCEPTED, FileState.MATCHED):
        raise NotRun("only a file that is accepted, and whose day is not closed, is compared again")
    runs = connection.execute(select(RUNS).where(_R.file == file).with_for_update()).all()
    if any(one.state in (RunState.MATCHING, RunState.ACTING, RunState.WAITING) for one in runs):
        raise NotRun("a run of it is not at its end")
    old = [one.id for one in runs if one.state == RunState.NEEDS_APPROVAL]
    connection.execute(RUNS.update().where(_R.id.in_(old)).values(state=RunState.SUPERSEDED, updated_at=now))
    id = new_id(now)
    connection.execute(RUNS.insert().values(_run(id, row, who, now)))
    return id


def _run(id: str, file: Any, who: str, now: int) -> dict[str, Any]:
    return {
        "id": id, "file": file.id, "source": file.profile, "channel": file.channel, "day": file.day,
        "state": RunState.WAITING, "code": "", "detail": "", "rows": file.rows, "write_offs": 0, "counts": "{}",
        "actions": 0, "amount": 0, "who": who, "attempts": 0, "due_at": now, "claimed_by": "", "created_at": now,
        "updated_at": now,
    }  # fmt: skip


def close_files(connection: Connection, through: date, now: int, most: int = 100) -> int:
    """Close files of days up to `through` of which nothing is left to be done: all that their runs found is at its end.
    Returns how many.
    """
    of_file = exists().where(_R.file == _F.id)
    unfinished = of_file.where(_R.state.not_in((RunState.DONE, RunState.SUPERSEDED)))
    left = exists().where(_R.file == _F.id, _I.run == _R.id, _I.state.not_in((ItemState.DONE, ItemState.RESOLVED)))
    asked = (
        select(_F.id)
        .where(_F.state == FileState.MATCHED, _F.day <= through, of_file, ~unfinished, ~left)
        .order_by(_F.day, _F.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(asked).scalars().all()
    state = after(FileState.MATCHED, Event.CLOSE)
    connection.execute(FILES.update().where(_F.id.in_(found)).values(state=state, updated_at=now))
    return len(found)


def claim_run(connection: Connection, who: str, now: int, until: int) -> Row[Any] | None:
    """The next run to be worked on, the oldest day first. Of one channel one is worked on at a time: they share what
    waits.
    """
    asked = select(RUNS).where(_R.state.in_(WORKED_ON)).order_by(_R.day, _R.created_at, _R.id).with_for_update()
    runs = connection.execute(asked).all()
    busy = {run.channel for run in runs if run.claimed_by and run.due_at > now}
    for run in runs:
        if run.due_at <= now and run.channel not in busy:
            state = RunState.ACTING if run.state == RunState.ACTING else RunState.MATCHING
            values = {"state": state, "claimed_by": who, "due_at": until, "updated_at": now}
            connection.execute(RUNS.update().where(_R.id == run.id).values(values))
            return connection.execute(select(RUNS).where(_R.id == run.id)).one()
    return None


def renew(connection: Connection, who: str, id: str, until: int, now: int) -> None:
    """What this bridge works on, a run or a file, stays its own for a while longer. What it has claimed and does not
    work on does not: work on it broke off, or the claim was committed and seemed to fail.
    """
    for table, key in ((RUNS, _R.id), (ARRIVALS, _A.file)):
        mine = and_(key == id, table.c.claimed_by == who, table.c.due_at > now)
        connection.execute(table.update().where(mine).values(due_at=until))


def run_later(connection: Connection, run: str, who: str, code: str, detail: str, due_at: int, now: int) -> None:
    """Do it again then: something was incomplete."""
    values = {
        "state": RunState.WAITING, "code": code, "detail": detail, "claimed_by": "", "due_at": due_at,
        "updated_at": now, "attempts": _R.attempts + 1,
    }  # fmt: skip
    connection.execute(RUNS.update().where(_R.id == run, _R.claimed_by == who).values(values))


def release(connection: Connection, who: str, now: int) -> None:
    """At the end of a program: another may take it over at once."""
    for table in (RUNS, ARRIVALS):
        connection.execute(table.update().where(table.c.claimed_by == who).values(claimed_by="", due_at=now))


def matched(
    connection: Connection, run: Row[Any], who: str, totals: Totals, approve: bool, why: str, now: int
) -> RunState:
    """All its items are written: what waited and is no more is done, the file is compared, and it may act, unless a
    person is to approve. SUPERSEDED: the file counts no more, or another bridge has the run.
    """
    mine = connection.execute(select(RUNS).where(_R.id == run.id).with_for_update()).one()
    if mine.state != RunState.MATCHING or mine.claimed_by != who:
        return RunState.SUPERSEDED
    counts = mark_matched(connection, run.file, now)
    state = RunState.SUPERSEDED if not counts else RunState.NEEDS_APPROVAL if approve else RunState.ACTING
    values = {
        "state": state, "code": "", "detail": why, "counts": json.dumps(totals.counts),
        "write_offs": totals.write_offs, "actions": totals.actions, "amount": totals.amount, "claimed_by": "",
        "due_at": now, "updated_at": now,
    }  # fmt: skip
    connection.execute(RUNS.update().where(_R.id == run.id).values(values))
    if counts:
        gone = and_(_I.state == ItemState.OPEN, _I.run != run.id)
        waited = and_(_I.channel == run.channel, _I.action.in_(_WAITING))
        earlier = select(_R.id).where(_R.file == run.file, _R.id != run.id)
        _over(connection, and_(gone, or_(waited, _I.run.in_(earlier))), now)
    return state


def _over(connection: Connection, which: Any, now: int) -> None:
    """What waited agrees by now."""
    assert ItemState.DONE in TRANSITIONS[ItemState.OPEN]
    connection.execute(ITEMS.update().where(which).values(state=ItemState.DONE, code="agrees", updated_at=now))


# Items


def identity(item: Item) -> str:
    """Of the same difference, whichever run finds it."""
    said = [
        _AGES.get(item.what, item.what), item.channel, item.transaction, "" if item.transaction else item.order,
        item.kind, sorted(item.refunds), item.lines, *([item.merchant] if item.merchant else []),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def write_items(connection: Connection, run: Row[Any], found: Sequence[Found], now: int) -> None:
    """Write what a run found. An item that acts, or is at its end, stays as it is."""
    by_identity = {identity(one.item): one for one in found}
    names = sorted(by_identity)
    rows = [_row(run, name, by_identity[name], now) for name in names]
    new = insert_new(connection, ITEMS, rows)
    known = connection.execute(select(ITEMS).where(_I.identity.in_(names)).with_for_update()).all()
    for row in known:
        if row.id in new or row.state != ItemState.OPEN or _of_another(connection, row, run):
            continue
        values = _row(run, row.identity, by_identity[row.identity], now)
        for kept in ("id", "identity", "first_run", "created_at"):
            del values[kept]
        following = ItemState(values["state"])
        if following is not ItemState.OPEN:
            moved(ItemState.OPEN, following)
        connection.execute(ITEMS.update().where(_I.id == row.id).values(values))


def _of_another(connection: Connection, item: Row[Any], run: Row[Any]) -> bool:
    """Whether it waits for the approval of another file's run."""
    if item.run == run.id or item.action not in {action.value for action in ACTING}:
        return False
    other = connection.execute(select(_R.file, _R.state).where(_R.id == item.run)).first()
    return other is not None and other.file != run.file and other.state == RunState.NEEDS_APPROVAL


def moved(before: ItemState, following: ItemState) -> ItemState:
    """`following`, if an item may become that."""
    if following not in TRANSITIONS[before]:
        raise ValueError(f"an item that is {before} does not become {following}")
    return following


def _row(run: Row[Any], name: str, found: Found, now: int) -> dict[str, Any]:
    item = found.item
    state = {Action.HOLD: ItemState.HELD, Action.NONE: ItemState.DONE}.get(item.action, ItemState.OPEN)
    return {
        "id": new_id(now), "identity": name, "run": run.id, "first_run": run.id, "source": run.source,
        "channel": item.channel, "day": found.day, "class": item.what, "action": item.action, "state": state,
        "kind": item.kind, "transaction_no": item.transaction, "order_no": item.order,
        "refunds": json.dumps(item.refunds), "whole": item.whole, "lines": json.dumps(item.lines),
        "amount": item.amount, "field": item.field, "platform": json.dumps(item.platform),
        "books": json.dumps(item.books), "paid_at": found.at.isoformat() if found.at else "",
        "steps": json.dumps([(step.line, step.account, step.amount) for step in found.steps]), "why": item.why,
        "merchant": item.merchant,
        "code": "", "created_at": now, "updated_at": now,
    }  # fmt: skip


def waiting(connection: Connection, channel: str) -> Sequence[Row[Any]]:
    """Items of a channel that wait for a later statement."""
    asked = select(ITEMS).where(_I.state == ItemState.OPEN, _I.channel == channel, _I.action.in_(_WAITING))
    return connection.execute(asked).all()


def asked_since(connection: Connection, run: Row[Any], pool: Iterable[date], most: int) -> date:
    """From which day on the write-offs are asked for: the day before the statement's, or earlier, where days were left
    out since the last one that was compared, or payments wait.
    """
    asked = select(func.max(_F.day)).where(
        _F.channel == run.channel, _F.day < run.day, _F.state.in_((FileState.MATCHED, FileState.CLOSED))
    )
    last: date | None = connection.execute(asked).scalar()
    day: date = run.day
    first = min([day - timedelta(1), *([last + timedelta(1)] if last is not None else []), *pool])
    return max(first, day - timedelta(most))

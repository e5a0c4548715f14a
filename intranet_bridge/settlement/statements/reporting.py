"""What of statements somebody has to look at, counted for `bridgectl status`."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, func, select

from intranet_bridge.settlement.statements.desk import StatementBooks, StatementFile
from intranet_bridge.settlement.statements.items import ItemState
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.run_records import RunState
from intranet_bridge.settlement.statements.run_rows import ACTIONS, ARRIVALS, ITEMS
from protocol.reports.settlement import StatementsReport
from protocol.runtime.store import Store

_MOST = 20


async def reported(books: StatementBooks, store: Store, since: int) -> StatementsReport:
    """As it is now. `since`: files that could not be read at all are told of if they came after that, epoch ms."""
    absent, waiting = await books.absent(), await books.waiting_files()
    runs = await books.runs(states=(RunState.WAITING, RunState.NEEDS_APPROVAL))
    held, fen, held_since, refused, unread = await store.scan(partial(_counted, since))
    late = [one for one in absent if one.state is FileState.LATE]
    missing = [one for one in absent if one.state is FileState.MISSING]
    conflicting = [one for one in waiting if one.state is FileState.CONFLICTING]
    without = [one for one in waiting if one.state is not FileState.CONFLICTING]
    incomplete = [one for one in runs if one.state is RunState.WAITING and one.code]
    approvals = [one for one in runs if one.state is RunState.NEEDS_APPROVAL]
    return StatementsReport(
        late=_days(late), late_since=min((one.due_at for one in late), default=0), missing=_days(missing),
        missing_since=min((one.due_at for one in missing), default=0),
        refused=tuple([f"{one.name}: {one.code}" for one in without] + [f"{name}: {code}" for name, code, _ in unread]),
        refused_since=min([one.received_at for one in without] + [at for _, _, at in unread], default=0),
        conflicting=tuple(one.id for one in conflicting),
        conflicting_since=min((one.received_at for one in conflicting), default=0),
        incomplete=tuple(one.code for one in incomplete),
        incomplete_since=min((one.created_at for one in incomplete), default=0),
        approvals=tuple(one.id for one in approvals),
        approvals_since=min((one.updated_at for one in approvals), default=0),
        approvals_fen=sum(one.amount for one in approvals), held=held, held_since=held_since, held_fen=fen,
        not_done=refused,
    )  # fmt: skip


def _days(files: Sequence[StatementFile]) -> tuple[str, ...]:
    return tuple(f"{one.source} {one.day}" for one in files[:_MOST])


def _counted(since: int, connection: Connection) -> tuple[int, int, int, int, list[tuple[str, str, int]]]:
    held = ITEMS.c.state == ItemState.HELD
    one = connection.execute(
        select(func.count(), func.sum(ITEMS.c.amount), func.min(ITEMS.c.updated_at)).where(held)
    ).one()
    mine = select(ITEMS.c.id).where(held)
    asked = select(func.count(func.distinct(ACTIONS.c.item))).where(
        ACTIONS.c.state == "refused", ACTIONS.c.item.in_(mine)
    )
    refused = connection.execute(asked).scalar_one()
    a = ARRIVALS.c
    failed = select(a.name, a.code, a.received_at).where(a.state == "failed", a.received_at >= since)
    last = connection.execute(failed.order_by(a.received_at.desc()).limit(_MOST)).all()
    unread = [(row.name, row.code, row.received_at) for row in last]
    return one[0], int(one[1] or 0), one[2] or 0, refused, unread

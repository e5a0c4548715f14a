"""Holds of the marketing system on bills that a bank is to charge: nobody else can pay them meanwhile."""

from typing import Any

from sqlalchemy import Connection

from intranet_bridge.commands.internal import InternalCommand, InternalCommands
from intranet_bridge.settlement.withholding import records
from intranet_bridge.settlement.withholding.asking import CONSUMER, FREEZE, RELEASE
from intranet_bridge.settlement.withholding.records import Arrangement
from protocol.operations.settlement import BillFreeze, BillHold

HELD = frozenset({"asked", "held"})
"""What a line's `hold` is while the marketing system has its bill frozen, or may have."""


def freeze(arrangement: Arrangement, line: Any) -> InternalCommand:
    """That a line's bill is to be held."""
    body = BillFreeze(account=line.account, months=(line.month,), batch=line.batch, channel=arrangement.section.channel)
    return InternalCommand(f"{line.id}-F", FREEZE, body, CONSUMER, arrangement.region)


def release(arrangement: Arrangement, line: Any) -> InternalCommand:
    """That the hold on a line's bill is to end."""
    body = BillHold(account=line.account, months=(line.month,), batch=line.batch)
    return InternalCommand(f"{line.id}-R", RELEASE, body, CONSUMER, arrangement.region)


def end(connection: Connection, commands: InternalCommands, arrangement: Arrangement, line: Any, now: int) -> None:
    """Have the hold on a line's bill ended, if there is one: within the transaction that lets the bill go."""
    if records.hold(connection, line.id, HELD, "releasing", now):
        commands.record(connection, [release(arrangement, line)])

"""What became of the commands that withholding gave: write-offs, holds, and their ends.

All within the transaction that marks the outcomes as taken; a second time they change nothing more.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from intranet_bridge.commands.internal import InternalOutcome
from intranet_bridge.settlement import ledger
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.events import NotBooked, Payment, posting
from intranet_bridge.settlement.withholding import records
from intranet_bridge.settlement.withholding.asking import FREEZE, RELEASE, WRITE_OFF
from intranet_bridge.settlement.withholding.life import LineState
from intranet_bridge.settlement.withholding.records import Arrangement
from intranet_bridge.settlement.withholding.rows import LINES
from protocol.lifecycle import FINAL, State
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger

log = logger(__name__)

NOT_RELEASED = "not-released"
"""The code of a line on whose bill the marketing system did not end its hold."""

NOT_BOOKED = "not-booked"
"""The code of a line that is written off, and whose journal could not be written."""


class Outcomes:
    """Their consumer."""

    def __init__(self, arrangements: Mapping[str, Arrangement], clock: Clock) -> None:
        self._arrangements, self._clock = arrangements, clock

    def take(self, connection: Connection, outcomes: Sequence[InternalOutcome]) -> None:
        """Take some. One that is held says nothing yet: the operator of the inbox has it."""
        takes = {WRITE_OFF: self._written_off, FREEZE: self._frozen, RELEASE: self._released}
        for outcome in outcomes:
            if outcome.state in FINAL:
                takes[outcome.operation](connection, outcome)

    def _written_off(self, connection: Connection, outcome: InternalOutcome) -> None:
        now, id = self._clock(), outcome.id
        if outcome.state is not State.SUCCEEDED:
            code = (outcome.code or outcome.state.value)[:40]
            if records.move(connection, id, LineState.NOT_WRITTEN_OFF, now, code=code):
                log.error("withholding-not-written-off", line=id, code=code)
            return
        payment = str(json.loads(outcome.result or b"{}").get("payment", ""))[:40]
        if not records.move(connection, id, LineState.WRITTEN_OFF, now, payment=payment, code=""):
            return
        line = records.line_of(connection, id)
        self._book(connection, line, now)

    def _book(self, connection: Connection, line: Any, now: int) -> None:
        batch = records.batch_of(connection, line.batch)
        arrangement = self._arrangements.get(batch.name)
        channel = arrangement.section.channel if arrangement else "withholding"
        event = Payment(channel, line.id, line.company, line.debited)
        try:
            ledger.book(connection, posting(event, ledger.open_day(connection, line.paid_on)), now)
        except NotBooked as error:  # booked otherwise: the money is written off all the same, and a person looks
            log.error("withholding-not-booked", line=line.id, reason=str(error))
            connection.execute(LINES.update().where(LINES.c.id == line.id).values(code=NOT_BOOKED))

    def _frozen(self, connection: Connection, outcome: InternalOutcome) -> None:
        now, id = self._clock(), outcome.id.removesuffix("-F")
        if outcome.state is State.SUCCEEDED:
            records.hold(connection, id, {"asked"}, "held", now)
            return
        if not records.hold(connection, id, {"asked"}, "refused", now):
            return
        line, code = records.line_of(connection, id), (outcome.code or outcome.state.value)[:40]
        if not records.leave(connection, line, LineState.DROPPED, now, code):
            return
        if outcome.state is not State.REFUSED:  # that says nothing against the bill: the next batch has it
            records.again(connection, id, day_of(now) + timedelta(1), now)
        log.warning("withholding-not-frozen", line=id, code=code)

    def _released(self, connection: Connection, outcome: InternalOutcome) -> None:
        now, id = self._clock(), outcome.id.removesuffix("-R")
        if outcome.state is State.SUCCEEDED:
            records.hold(connection, id, {"releasing"}, "released", now)
        elif records.hold(connection, id, {"releasing"}, NOT_RELEASED, now):
            connection.execute(LINES.update().where(LINES.c.id == id).values(code=NOT_RELEASED))
            log.error("withholding-not-released", line=id, code=outcome.code)

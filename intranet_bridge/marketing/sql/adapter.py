"""SQL: one operation bound, by configuration, to statements on an intermediate database.

::

    query    body ─► parameters ─► statements, in one read-only transaction ─► rows ─► judgement
    command  body ─► parameters ─► insert ─► commit ─► poll … until done ─► rows ─► judgement

The request's id is a unique key of the table that `insert` writes to: a duplicate key says that it was handed over
before, so the command goes on with polling, and nothing is ever handed over twice.

=====================================  ====================================================================
no connection, log-in turned away      NotApplied, not reached
time over before the first statement   NotApplied, not reached
insert: its values do not fit          Rejected
insert: no such table, no privilege    NotApplied, not reached: the configuration is wrong, not the request
insert: another error of the server    NotApplied, reached: its transaction is rolled back
insert or commit: connection lost,     Unknown
time over
committed, not done in time            Unknown
a query's error                        Unknown
rows that cannot be read               Unknown, by the answer's fault
=====================================  ====================================================================
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from intranet_bridge.marketing import (
    Fault,
    Finding,
    MarketingRequest,
    NotApplied,
    Outcome,
    Rejected,
    Unknown,
    always,
)
from intranet_bridge.marketing.expressions.mapping import MappingError, compiled, condition, truth
from intranet_bridge.marketing.judgement import InquiryJudgement, Judgement
from intranet_bridge.marketing.kind import Observer
from intranet_bridge.marketing.sql.binding import SqlBinding, SqlSystem
from intranet_bridge.marketing.sql.database import Attempt, Database, Lost, NotSent
from intranet_bridge.marketing.sql.dialects import Said
from intranet_bridge.marketing.sql.insert import Insert
from intranet_bridge.marketing.sql.reading import Reading, saved_answer
from intranet_bridge.marketing.sql.values import UnreadableRows
from protocol.operations.operation import Operation

Parameters = dict[str, Any]
FIRST_POLL_S = 0.02
"""The first pause between polls; each is twice the one before, up to the binding's `poll_s`."""

LAST_POLL_S = 0.1
"""What the last poll is left of the time."""


class SqlAdapter:
    """One operation."""

    def __init__(
        self,
        operation: Operation,
        binding: SqlBinding,
        system: SqlSystem,
        database: Database,
        observer: Observer | None = None,
    ) -> None:
        """`observer` listens to a trial."""
        self._told: dict[str, Any] | None = None
        tables, trace = binding.values, observer.step if observer else None
        self._operation, self._database, self._observer = operation, database, observer
        self.timeout_s = binding.timeout_s or system.timeout_s
        self.settle_s = self.timeout_s if binding.settle_s is None else binding.settle_s
        database.bound(self.timeout_s)
        self._parameters = compiled(binding.parameters, tables)
        self._judgement = Judgement(operation, binding, trace)
        self._query = self._insert = self._inquiry = None
        reads = partial(
            Reading, row_limit=system.row_limit, json_columns={name.lower() for name in binding.json_columns}
        )
        if binding.insert is None:
            self._query = reads(binding.reading)
            return
        assert binding.poll is not None, "checked by the settings"
        assert binding.done is not None, "checked by the settings"
        self._insert = Insert(binding.insert, database)
        self._poll, self._poll_s = reads({"rows": binding.poll}), binding.poll_s
        self._done = condition(binding.done, tables)
        inquire = binding.inquire
        if inquire is None:
            return
        self._inquiry = reads(inquire.reading) if inquire.reading else self._poll
        self._inquiry_judgement = InquiryJudgement(
            self._judgement,
            inquire.found or binding.done,
            inquire.not_found,
            inquire.response,
            tables,
            trace,
            whole=inquire.response is None,
        )

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Do it. See the table above."""
        try:
            parameters = self._values(asked)
        except MappingError as error:
            return Rejected(f"request not mapped: {error}", asked=False)
        if self._insert is not None:
            return await self._hand_over(asked, self._insert, parameters, timeout_s)
        assert self._query is not None, "it has one of them"
        return await self._ask(asked, self._query, parameters, timeout_s)

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        """What became of this request id."""
        if self._inquiry is None:
            return Unknown("no inquiry is configured")
        try:
            parameters = self._values(asked)
            self._tell(self._inquiry.lines, parameters)
            answer = await self._read(self._inquiry, parameters, timeout_s)
        except (MappingError, UnreadableRows) as error:
            return Unknown(f"inquiry: {error}", fault=Fault.ANSWER)
        except NotSent as error:
            return Unknown(f"inquiry: {error}")
        except Lost as lost:
            return Unknown(f"inquiry: {lost.reason}", timed_out=lost.timed_out)
        except SQLAlchemyError as error:
            return Unknown(f"inquiry: {self._database.failure(error)}")
        return self._inquiry_judgement.finding(asked, answer)

    # --- queries ------------------------------------------------------------------------------------------

    async def _ask(self, asked: MarketingRequest, query: Reading, parameters: Parameters, timeout_s: float) -> Outcome:
        self._tell(query.lines, parameters)
        try:
            answer = await self._read(query, parameters, timeout_s, asked.may_send)
        except NotSent as error:
            return NotApplied(str(error), reached=False, denied=error.denied)
        except Lost as lost:
            return Unknown(lost.reason, timed_out=lost.timed_out)
        except UnreadableRows as error:
            return Unknown(str(error), fault=Fault.ANSWER)
        except DBAPIError as error:
            said = self._database.dialect.said(error)
            fault = Fault.ANSWER if said is Said.UNFIT else Fault.INTERFACE
            return Unknown(self._database.failure(error), timed_out=said is Said.TIMEOUT, fault=fault)
        except SQLAlchemyError as error:
            return Unknown(self._database.failure(error))
        return self._judgement.outcome(asked, answer)

    async def _read(
        self,
        reading: Reading,
        parameters: Parameters,
        timeout_s: float,
        may_send: Callable[[], bool] = always,
    ) -> dict[str, Any]:
        """The answer. Raises NotSent, Lost, UnreadableRows, SQLAlchemyError."""
        observer = self._observer
        if observer is not None and observer.saved is not None:
            answer = saved_answer(observer.saved)
        else:
            dialect = self._database.dialect

            def job(connection: Connection, attempt: Attempt) -> dict[str, Any]:
                attempt.hand_over()
                dialect.begin_reading(connection, snapshot=reading.several)
                answer = reading.rows(connection, parameters)
                connection.commit()
                return answer

            answer = await self._database.perform(job, timeout_s, may_send, repeatable=True)
        if observer is not None and answer != self._told:
            self._told = answer  # polling gives the same again and again
            observer.answer([observer.mask.json(answer)])
        return answer

    # --- commands -----------------------------------------------------------------------------------------

    async def _hand_over(
        self, asked: MarketingRequest, insert: Insert, parameters: Parameters, timeout_s: float
    ) -> Outcome:
        self._tell([*insert.lines, *self._poll.lines], parameters)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        if self._observer is None or self._observer.saved is None:
            try:
                came_to = await self._database.perform(
                    lambda connection, attempt: insert.done(connection, attempt, parameters),
                    timeout_s,
                    asked.may_send,
                )
            except NotSent as error:
                return NotApplied(str(error), reached=False, denied=error.denied)
            except Lost as lost:
                return Unknown(lost.reason, timed_out=lost.timed_out)
            except SQLAlchemyError as error:
                return Unknown(self._database.failure(error))
            if came_to is not None:
                return came_to
        return await self._polled(asked, parameters, deadline)

    async def _polled(self, asked: MarketingRequest, parameters: Parameters, deadline: float) -> Outcome:
        """What becomes of a request that was handed over. A poll that fails is repeated while there is time."""
        loop = asyncio.get_running_loop()
        pause_s, failed = min(FIRST_POLL_S, self._poll_s), ""
        while True:
            try:
                answer = await self._read(self._poll, parameters, max(0.0, deadline - loop.time()))
                if truth(self._done(answer)):
                    self._step("done", True)
                    return self._judgement.outcome(asked, answer)
                failed = "" if any(answer.values()) else "the poll finds no row"
            except (UnreadableRows, MappingError) as error:
                return Unknown(f"poll: {error}", fault=Fault.ANSWER)
            except NotSent as error:
                failed = f"poll: {error}"
            except Lost as lost:
                failed = "" if lost.timed_out else f"poll: {lost.reason}"
            except SQLAlchemyError as error:
                failed = f"poll: {self._database.failure(error)}"
            left_s = deadline - loop.time()
            if left_s <= LAST_POLL_S or (self._observer is not None and self._observer.saved is not None):
                self._step("done", False)
                return Unknown(f"handed over, not done in time{'; ' if failed else ''}{failed}", timed_out=True)
            await asyncio.sleep(min(pause_s, left_s - LAST_POLL_S))
            pause_s = min(2 * pause_s, self._poll_s)

    # --- both ---------------------------------------------------------------------------------------------

    def _values(self, asked: MarketingRequest) -> Parameters:
        """The parameters. Raises MappingError."""
        fields: dict[str, Any] = self._operation.requests.dump_python(asked.body, mode="json")
        fields["request_id"] = asked.request_id
        given = self._parameters(fields)
        if type(given) is not dict:
            raise MappingError("parameters gave no object")
        for name, value in given.items():
            if isinstance(value, dict | list):
                raise MappingError(f"the parameter {name}: {'a list' if isinstance(value, list) else 'an object'}")
            if isinstance(value, str) and "\0" in value:
                raise MappingError(f"the parameter {name} holds what no database takes")
        return given

    def _tell(self, statements: list[str], parameters: Parameters) -> None:
        """Tell the observer what is about to be executed. Raises TrialEnds."""
        if self._observer is not None:
            mask = self._observer.mask
            self._observer.request([*map(mask.clean, statements), f"parameters: {mask.json(parameters)}"])

    def _step(self, name: str, gave: object) -> None:
        if self._observer is not None:
            self._observer.step(name, gave)

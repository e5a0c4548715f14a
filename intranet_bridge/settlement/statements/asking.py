"""What the marketing system wrote off, asked page by page; a list that is not whole is no list."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any, Protocol

from intranet_bridge.marketing import Answered, MarketingRequest, Refused
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.settlement.statements.matching import WriteOff
from protocol.errors import BridgeError
from protocol.messages import uuid7
from protocol.operations import CATALOGUE
from protocol.operations.payment import NO_SUCH_PAYMENT, PaymentQuery, PaymentState, PaymentStatus
from protocol.operations.settlement import MOST_DAYS, WriteoffList, WriteoffListQuery, WriteoffRow
from protocol.runtime.clock import Clock

LIST, STATE = "writeoff-list", "payment-state"
PAGE = 500
_AT_ONCE = 4
_PATIENCE_S = 10.0
"""For a place among the interface's calls."""


class Incomplete(BridgeError):
    """What the books say cannot be had whole now; `code` says which part."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class WriteOffs(Protocol):
    """The marketing system's side of a comparison."""

    def between(self, channel: str, first: date, last: date) -> AsyncIterator[list[WriteOff]]:
        """All that was booked or reversed of a channel on some days. Raises Incomplete."""

    async def of(
        self, channel: str, transactions: Collection[str], lines: Mapping[str, Collection[int]]
    ) -> list[WriteOff]:
        """Single payments, whenever they were booked; of those that have lines each of these. Raises Incomplete."""

    async def count(self, channel: str, day: date) -> int:
        """How many were booked or reversed on a day. Raises Incomplete."""


class MarketingWriteOffs:
    """By the operations `writeoff-list` and `payment-state`."""

    def __init__(self, calls: Callable[[], MarketingCalls], allowed: Callable[[], bool], clock: Clock) -> None:
        self._calls, self._allowed, self._clock = calls, allowed, clock

    async def between(self, channel: str, first: date, last: date) -> AsyncIterator[list[WriteOff]]:
        """See WriteOffs."""
        if (last - first).days >= MOST_DAYS:
            raise Incomplete("too-many-days", f"{LIST} is asked for {MOST_DAYS} days at most")
        count = total = seen = summed = 0
        page = 0
        while True:
            page += 1
            answer = await self._page(channel, first, last, page)
            if page == 1:
                count, total = answer.count, answer.total
            elif (count, total) != (answer.count, answer.total):
                raise Incomplete("list-changed", f"{LIST}: its count or total changed between two pages")
            seen += len(answer.rows)
            summed += sum(row.amount for row in answer.rows)
            if answer.rows:
                yield [_written(channel, row) for row in answer.rows]
            if seen >= count or not answer.rows:
                break
        if seen != count or summed != total:
            raise Incomplete("list-incomplete", f"{LIST}: {seen} rows of {count}, {summed} fen of {total}")

    async def of(
        self, channel: str, transactions: Collection[str], lines: Mapping[str, Collection[int]]
    ) -> list[WriteOff]:
        """See WriteOffs."""
        gate, found = asyncio.Semaphore(_AT_ONCE), []

        async def one(transaction: str, line: int | None) -> None:
            async with gate:
                state = await self._state(channel, transaction, line)
            if state is not None:
                found.append(state)

        try:
            async with asyncio.TaskGroup() as group:
                for transaction in sorted(transactions):
                    for line in sorted(lines.get(transaction, ())) or (None,):
                        group.create_task(one(transaction, line))
        except* Incomplete as several:
            raise several.exceptions[0] from None
        return found

    async def count(self, channel: str, day: date) -> int:
        """See WriteOffs."""
        return (await self._page(channel, day, day, 1, 1)).count

    async def _page(self, channel: str, first: date, last: date, page: int, size: int = PAGE) -> WriteoffList:
        asked = WriteoffListQuery(
            first_day=first.isoformat(), last_day=last.isoformat(), channel=channel, page=page, page_size=size
        )
        answer = await self._call(LIST, asked)
        if not isinstance(answer, WriteoffList):
            raise Incomplete("list-refused", f"{LIST}: refused")
        if (answer.channel, answer.page, answer.first_day, answer.last_day) != (
            channel, page, asked.first_day, asked.last_day
        ):  # fmt: skip
            raise Incomplete("list-other", f"{LIST}: the answer is to another question")
        return answer

    async def _state(self, channel: str, transaction: str, line: int | None) -> WriteOff | None:
        answer = await self._call(STATE, PaymentQuery(channel=channel, transaction=transaction, line=line))
        if isinstance(answer, Refused):
            if answer.code == NO_SUCH_PAYMENT.code:
                return None
            raise Incomplete("state-refused", f"{STATE}: refused ({answer.code})")
        assert isinstance(answer, PaymentState)
        back = answer.amount if answer.state is PaymentStatus.REVERSED else 0
        return WriteOff(
            "", transaction, channel, answer.amount, datetime.fromisoformat(answer.paid_at), back, answer.line,
            answer.account,
        )  # fmt: skip

    async def _call(self, operation: str, body: Any) -> Any:
        """The answer as the catalogue's model, or Refused. Raises Incomplete."""
        calls = self._calls()
        if operation not in calls.operations:
            raise Incomplete("not-bound", f"{operation} is bound to nothing")
        async with _Place(calls, operation):
            id = uuid7(self._clock(), os.urandom(10))
            outcome = await calls.call(operation, MarketingRequest(id, body, may_send=self._allowed))
        if isinstance(outcome, Refused):
            return outcome
        if not isinstance(outcome, Answered):
            raise Incomplete("no-answer", f"{operation}: no answer that can be used")
        return CATALOGUE[operation].response.model_validate_json(outcome.result)


class _Place:
    """A call's place at its interface, waited for a while."""

    def __init__(self, calls: MarketingCalls, operation: str) -> None:
        self._calls, self._operation = calls, operation

    async def __aenter__(self) -> None:
        for _ in range(int(_PATIENCE_S / 0.2)):
            if self._calls.admit(self._operation):
                return
            await asyncio.sleep(0.2)
        raise Incomplete("no-answer", f"{self._operation}: its interface is not called now")

    async def __aexit__(self, *_: object) -> None:
        self._calls.release(self._operation)


def _written(channel: str, row: WriteoffRow) -> WriteOff:
    return WriteOff(
        "", row.transaction, channel, row.amount, datetime.fromisoformat(row.paid_at), row.reversed, row.line,
        row.account, row.penalty, row.merchant or "",
    )  # fmt: skip

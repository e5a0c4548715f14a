"""The loop behind payment orders: what is due is begun, outcomes are taken. Each transaction locks its order, so two
bridges of one database never work on one at once.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.at_rest import StoreKeyClosed
from intranet_bridge.commands.internal import InternalOutcome
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.payments import acting, proofs
from intranet_bridge.settlement.payments.acting import CONSUMER, Acting
from intranet_bridge.settlement.payments.bills import ELSEWHERE, Bills, Owed
from intranet_bridge.settlement.payments.channels import Offer
from intranet_bridge.settlement.payments.orders import Line, Order, OrderRefused, bills_judged
from intranet_bridge.settlement.payments.records import BILLS_TO_SEE, Stored, due, load
from intranet_bridge.settlement.ports import Ports
from protocol.errors import Fenced
from protocol.operations.refusals import ACCOUNT_CLOSED, NO_SUCH_ACCOUNT
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.store_health import said

log = logger(__name__)

CLOSED = frozenset({NO_SUCH_ACCOUNT.code, ACCOUNT_CLOSED.code})
"""A company's no to an account as such."""
_LOOK_S = 1.0
_MOST_DUE = 100
_STATEMENTS_S = 60.0


class Looking:
    """Looks after all orders."""

    def __init__(self, offer: Callable[[], Offer | None], ports: Ports, bills: Bills) -> None:
        self._offer, self._ports, self._bills = offer, ports, bills
        self._work, self._moved = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = ""
        self._statements_at = 0.0

    @property
    def begun(self) -> bool:
        """Whether commands have a consumer."""
        return self._task is not None

    @property
    def moved(self) -> asyncio.Event:
        """Set when some order has moved; another one stands for the next time."""
        return self._moved

    def begin(self) -> None:
        """Go on with what was begun, and take outcomes. Again: nothing."""
        if self._task is not None:
            return
        self._ports.commands().consume(CONSUMER, self.take, self.taken)
        self._task = asyncio.create_task(self._look_for_ever(), name="payment orders")

    async def close(self) -> None:
        """Stop; a transaction that is under way comes to its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=5.0)

    def hurry(self) -> None:
        """Something is due."""
        self._work.set()

    async def _look_for_ever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._work.wait()
            except TimeoutError:
                pass
            self._work.clear()
            try:
                await self.look()
                if time.monotonic() >= self._statements_at:
                    self._statements_at = time.monotonic() + _STATEMENTS_S
                    await self.statements()
                self._failing = ""
            except Exception as error:
                reason = f"{type(error).__name__}: {said(error)}"
                if reason != self._failing:
                    trace = None if isinstance(error, SQLAlchemyError | Fenced | StoreKeyClosed) else error
                    log.error("payment-orders-not-looked-at", reason=reason, exc_info=trace)
                self._failing = reason

    async def look(self) -> int:
        """Do what is due, of all orders. Returns of how many."""
        if not self._ports.allowed():
            return 0
        found = await self._ports.store.read(lambda connection: due(connection, self._ports.clock(), _MOST_DUE))
        failed: Exception | None = None
        for number, late in found:
            try:
                if late == BILLS_TO_SEE:
                    await self._see_bills(number)
                await self._advance(number)
            except (SQLAlchemyError, Fenced, StoreKeyClosed):
                raise
            except Exception as error:  # a defect met by one order keeps no other waiting
                log.error("payment-order-not-advanced", order=number, exc_info=error)
                failed = error
        if found:
            self._moved.set()
            self._moved = asyncio.Event()
            self._ports.commands().begin()
        if len(found) == _MOST_DUE and failed is None:
            self._work.set()
        return len(found)

    async def statements(self) -> int:
        """Take what accepted statements prove of refunds. Returns how many."""
        if not self._ports.allowed():
            return 0

        def work(connection: Connection) -> int:
            now = self._ports.clock()
            proven = acting.take_statements(connection, now, self.acting)
            proofs.counted(connection, now)
            return proven

        return await self._ports.store.write(work)

    async def _advance(self, number: str) -> None:
        def work(connection: Connection) -> None:
            stored = load(connection, number, self._ports.clock())
            if stored is not None:
                self.acting(stored).advance()

        await self._ports.store.write(work)
        reach(Point.BRIDGE_ORDER_COMMITTED, number)

    async def _see_bills(self, number: str) -> None:
        """Ask whether the bills of a payment that came too late are open, as of the day it was paid."""
        offer = self._offer()
        now = self._ports.clock()
        stored = await self._ports.store.snapshot(lambda connection: load(connection, number, now, lock=False))
        if offer is None or stored is None or stored.late != BILLS_TO_SEE:
            return
        owed = await self.owed(offer, stored.order.lines, paid_at=stored.paid_at)
        unsure = {code for code in owed.missing.values() if code not in (ELSEWHERE, *CLOSED)}
        are_open = not owed.missing or set(owed.missing.values()) == {ELSEWHERE}
        if are_open:
            try:
                bills_judged(stored.order, owed.bills, unseen=unseen(offer, stored.order))
            except OrderRefused:
                are_open = False

        def work(connection: Connection) -> None:
            now = self._ports.clock()
            at = load(connection, number, now)
            if at is None:
                return
            if unsure:
                at.put(due_at=now + acting.RETRY_MS)
            else:
                self.acting(at).bills_seen(are_open=are_open)

        await self._ports.store.write(work)

    def acting(self, stored: Stored) -> Acting:
        offer = self._offer()
        credit: Collection[str] = offer.section.credit if offer else ()
        companies = offer.companies if offer else {}
        return Acting(
            stored, self._ports.commands().record, credit,
            lambda company: companies[company].region if company in companies else "",
        )  # fmt: skip

    def take(self, connection: Connection, outcomes: Sequence[InternalOutcome]) -> None:
        """Of commands of these orders (internal.py, Consumer)."""
        acting.take(connection, outcomes, self._ports.clock(), self.acting)

    def taken(self) -> None:
        """They are committed: who waits for an order reads it now, and the loop looks what is due."""
        self._moved.set()
        self._moved = asyncio.Event()
        self._work.set()

    async def owed(self, offer: Offer, lines: Sequence[Line], paid_at: int | None = None) -> Owed:
        """What the accounts of these lines owe, as of the day of `paid_at` or today."""
        accounts = [(line.company, line.account) for line in lines if line.bills]
        today = day_of(self._ports.clock())
        as_of = day_of(paid_at) if paid_at is not None and day_of(paid_at) != today else None
        return await self._bills.owed(accounts, offer.companies, as_of)


def unseen(offer: Offer, order: Order) -> frozenset[int]:
    """Lines of companies that another bridge has: their write-off says."""
    return frozenset(line.number for line in order.lines if offer.companies[line.company].region)

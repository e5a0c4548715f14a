"""The pages of money, put together: those of the parts that this bridge has."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from intranet_bridge.desk.money.clearing import Clearing
from intranet_bridge.desk.money.common import Waiting
from intranet_bridge.desk.money.files import Files
from intranet_bridge.desk.money.items import Items
from intranet_bridge.desk.money.ledger import Ledger
from intranet_bridge.desk.money.orders import Orders
from intranet_bridge.desk.money.runs import Runs
from intranet_bridge.desk.money.today import Today
from intranet_bridge.desk.money.withholding import WithholdingPages
from intranet_bridge.settlement.clearing.desk import ClearingDesk
from intranet_bridge.settlement.clearing.service import Clearing as ClearingPart
from intranet_bridge.settlement.payments.desk import OrdersDesk
from intranet_bridge.settlement.payments.service import Payments
from intranet_bridge.settlement.service import Settlement
from intranet_bridge.settlement.statements.desk import StatementBooks
from intranet_bridge.settlement.statements.service import StatementsPart
from intranet_bridge.settlement.withholding.desk import WithholdingDesk
from intranet_bridge.settlement.withholding.service import Withholding
from protocol.desk.pages import Page
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store
from protocol.values import immutable


class Room(Protocol):
    """Pages of one kind."""

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""

    async def waiting(self) -> list[Waiting]:
        """What needs somebody."""


@immutable
class Desks:
    """What the parts of the settlement offer to people; None: this bridge has no such part."""

    statements: StatementBooks | None = None
    orders: OrdersDesk | None = None
    withholding: WithholdingDesk | None = None
    clearing: ClearingDesk | None = None
    companies: Callable[[], Iterable[str]] = tuple
    """Those that are configured."""


def desks_of(settlement: Settlement, companies: Callable[[], Iterable[str]]) -> Desks:
    """What the parts of a bridge's settlement offer."""
    statements = settlement.part(StatementsPart)
    payments = settlement.part(Payments)
    withholding = settlement.part(Withholding)
    return Desks(
        statements.books if statements is not None else None,
        payments.desk if payments is not None and payments.offered else None,
        withholding.desk if withholding is not None and withholding.desk.names else None,
        settlement.part(ClearingPart), companies,
    )  # fmt: skip


def pages(desks: Desks, *, store: Store, clock: Clock, act: Act) -> Sequence[Page]:
    """Those there are, by role, in the order of the menu."""
    rooms: list[Room] = []
    files = None
    if desks.statements is not None:
        files = Files(store, desks.statements)
        rooms += [files, Runs(desks.statements), Items(desks.statements, act)]
    orders = Orders(desks.orders) if desks.orders is not None else None
    if orders is not None:
        rooms.append(orders)
    if desks.withholding is not None:
        rooms.append(WithholdingPages(desks.withholding, store, clock, act))
    if desks.clearing is not None:
        others = orders.by_day if orders is not None else None
        rooms.append(Clearing(desks.clearing, desks.companies, clock, act, others))
    ledger = Ledger(store, clock, act)
    rooms.append(ledger)
    today = Today(files, ledger, [room.waiting for room in rooms], clock)
    return (*today.pages(), *(page for room in rooms for page in room.pages()))

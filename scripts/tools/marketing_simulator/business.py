"""All the business there is: every family's interfaces over one database, whatever faces they are called through."""

import sqlite3
from datetime import date

from scripts.tools.marketing_simulator import database
from scripts.tools.marketing_simulator.applications import Applications
from scripts.tools.marketing_simulator.balances import Balances
from scripts.tools.marketing_simulator.bindings import Bindings
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.effects import EffectWriter
from scripts.tools.marketing_simulator.holds import Holds
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.invoices import Invoices
from scripts.tools.marketing_simulator.meters import Meters
from scripts.tools.marketing_simulator.payments import Payments
from scripts.tools.marketing_simulator.points import Points
from scripts.tools.marketing_simulator.promotions import Promotions
from scripts.tools.marketing_simulator.public import Public
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.theft import TheftReports
from scripts.tools.marketing_simulator.usage import Usage
from scripts.tools.marketing_simulator.withholding import Withholding
from scripts.tools.marketing_simulator.work_order_service import WorkOrderService
from scripts.tools.marketing_simulator.work_orders import WorkOrders
from scripts.tools.marketing_simulator.writeoffs import Writeoffs


def offered(
    reading: sqlite3.Connection, effects: EffectWriter, clock: Clock, *, node_seconds: float, idempotent: bool
) -> list[Interface]:
    """The interfaces. `reading` only reads; what writes goes through `effects`."""
    queries = Queries(reading, clock)
    origin = database.origin(reading)
    since = date.fromisoformat(origin["day"]).replace(day=1)
    balances = Balances(reading, queries, clock)
    families = (
        queries,
        WorkOrders(reading, effects, queries, clock, node_seconds=node_seconds, idempotent=idempotent),
        WorkOrderService(reading, effects, queries, clock, node_seconds=node_seconds),
        balances,
        Usage(reading, queries, balances, clock, seed=int(origin["seed"]), since=since),
        Meters(reading, effects, queries, clock),
        Payments(reading, effects, queries),
        Withholding(reading, effects, queries, clock),
        Points(reading, effects, queries),
        Applications(reading, effects, queries, clock, node_seconds=node_seconds),
        TheftReports(reading, effects, clock, node_seconds=node_seconds),
        Public(reading, queries, clock),
        Invoices(reading, effects, queries, clock, node_seconds=node_seconds),
        Bindings(reading, effects, clock),
        Writeoffs(reading),
        Holds(reading, effects, queries, clock),
        Promotions(effects, clock),
    )
    return [one for family in families for one in family.interfaces()]

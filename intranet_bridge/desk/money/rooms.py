"""The pages of money, put together."""

from intranet_bridge.desk.money.files import Files
from intranet_bridge.desk.money.ledger import Ledger
from intranet_bridge.desk.money.today import Today
from intranet_bridge.settlement.statements.records import Statements
from protocol.desk.pages import Page
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store


def pages(store: Store, clock: Clock, act: Act) -> tuple[Page, ...]:
    """Those there are, by role, in the order of the menu."""
    files = Files(store, Statements(store, {}, clock), act)
    ledger = Ledger(store, clock, act)
    rooms = (files, ledger)
    today = Today(files, ledger, [room.waiting for room in rooms], clock)
    return tuple(page for room in (today, *rooms) for page in room.pages())

"""The desk, put together: its pages, who may log in, and where it listens."""

import time

from intranet_bridge.content.service import Content
from intranet_bridge.desk.money.common import TOOLS
from intranet_bridge.desk.money.rooms import desks_of, pages
from intranet_bridge.desk.server import listener
from intranet_bridge.desk.texts import TEMPLATES, Texts
from intranet_bridge.desk.words import WORDS
from intranet_bridge.desk_section import DeskSection
from intranet_bridge.listening import Listener
from intranet_bridge.settlement.service import Settlement
from protocol.desk.login import LogIn
from protocol.desk.pages import Desk, Furniture
from protocol.desk.sessions import Sessions
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store


def assembled(
    section: DeskSection,
    *,
    settlement: Settlement,
    content: Content,
    store: Store,
    clock: Clock,
    act: Act,
) -> Listener:
    """Opens nothing. Raises ConfigurationError for files that cannot be used."""
    desks = desks_of(settlement, lambda: settlement.section.companies)
    every = (*pages(desks, store=store, clock=clock, act=act), *Texts(content).pages())
    desk = Desk(
        section, Furniture("Desk of the bridge", every, TEMPLATES, WORDS, TOOLS),
        sessions=Sessions(section, time.monotonic), log_in=LogIn(store, clock), act=act,
    )  # fmt: skip
    return listener(section, desk)

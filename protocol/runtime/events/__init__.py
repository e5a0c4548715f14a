"""Every event that the daemons log: its level, what it means, and its fields. Nothing else is logged.

An event's name is the `event` of a line. A request is named by `request_id`; no field holds anything of a customer.
Each subject has its table. docs/reference/events.md lists them all (`python -m scripts.tools.reference`); a test holds
them and the code together.
"""

from protocol.runtime.events.administration import ADMINISTRATION
from protocol.runtime.events.admission import ADMISSION
from protocol.runtime.events.configuration import CONFIGURATION
from protocol.runtime.events.event import Table
from protocol.runtime.events.files import FILES
from protocol.runtime.events.link import LINK
from protocol.runtime.events.marketing import MARKETING
from protocol.runtime.events.notices import NOTICES
from protocol.runtime.events.own import OWN
from protocol.runtime.events.process import PROCESS
from protocol.runtime.events.requests import REQUESTS
from protocol.runtime.events.settlement import SETTLEMENT
from protocol.runtime.events.store import STORE

TABLES: tuple[Table, ...] = (
    PROCESS,
    CONFIGURATION,
    STORE,
    LINK,
    ADMISSION,
    REQUESTS,
    MARKETING,
    FILES,
    NOTICES,
    OWN,
    SETTLEMENT,
    ADMINISTRATION,
)
EVENTS: Table = {name: event for table in TABLES for name, event in table.items()}
"""All of them, by their names."""

"""The bridge's connections to the broker."""

from intranet_bridge.settings import BridgeSettings
from protocol.link.port import Link
from protocol.runtime.links import receiving_link, stomp_link

LINKS = ("queries", "commands", "attachments", "query-replies", "command-replies", "control")
"""One connection each, so that a blocked producer stops nothing else. `control`: presence and dead letters."""
FILE_LINKS = ("files", "outward-files")
"""Where files are turned on: a broker whose configuration does not know their queues is not asked for them."""
SUBMISSION_LINK = "submissions"
"""The same where something is sent to other regions' bridges."""
RECEIVING = {"queries", "commands", "attachments", "files"}
"""These listen at every broker of the list, the others send to the first that answers."""


def links_of(settings: BridgeSettings) -> dict[str, Link]:
    """Those that the configuration asks for, by name; connects none."""
    names = (
        *LINKS,
        *(FILE_LINKS if settings.files.enabled else ()),
        *([SUBMISSION_LINK] if settings.settlement.front else ()),
    )
    return {
        name: (receiving_link if name in RECEIVING else stomp_link)(settings.link, f"{settings.name}-{name}")
        for name in names
    }

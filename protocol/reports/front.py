"""What dmz-front says."""

from typing import Literal

from protocol.maintenance import Pause
from protocol.reports.admission import AdmissionStoreReport, DeniedReport
from protocol.reports.calls import OperationReport
from protocol.reports.daemon import Report
from protocol.reports.part import Part


class AttachedReport(Part):
    """A bridge, by its last word to the front."""

    name: str
    heard: int
    """When, by the front's clock."""
    said: int = 0
    """When, by its own."""
    software: str = ""
    operations: dict[str, str]
    """Operation → `up` or `paused`."""
    inbox: str = ""
    maintenance: tuple[Pause, ...] = ()
    """What it has paused, by its own clock."""


class UnroutedReport(Part):
    """A region that a front is asked to route to, and that its configuration does not name."""

    region: str
    count: int
    """Of what was asked since the start. It is kept by who asks, and comes again."""
    since: int
    last: int
    """Epoch ms, as `since`."""


class FrontReport(Report):
    """Of dmz-front."""

    role: Literal["front"] = "front"
    readiness: dict[str, str]
    """As `/readyz` says it: each `ok`, or what is wrong."""
    bridges: tuple[AttachedReport, ...]
    lost_bridges: tuple[AttachedReport, ...] = ()
    """Heard of since the start, silent now, and not by their own word that they leave."""
    leaving_bridges: tuple[AttachedReport, ...] = ()
    """Those whose last word was that they leave."""
    conflict: tuple[tuple[str, str], ...] = ()
    """Inbox and bridge of each, when they keep different ones."""
    bound: str = ""
    """The inbox that commands of the region are for."""
    unserved: tuple[str, ...] = ()
    """Operations of the catalogue that no attached bridge serves."""
    denied: tuple[DeniedReport, ...] = ()
    """The latest requests turned away by 401 and 403."""
    operations: tuple[OperationReport, ...] = ()
    """Those that were called; empty too of an older daemon."""
    admission_store: AdmissionStoreReport | None = None
    """None: it counts by itself."""
    paused_addresses: int = 0
    """Client addresses that are left alone now."""
    unrouted: tuple[UnroutedReport, ...] = ()

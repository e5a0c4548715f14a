"""What both daemons say: connections, database, files, what is in hand."""

from protocol.maintenance import Pause
from protocol.reports.files import FilesReport
from protocol.reports.part import Part


class LinkReport(Part):
    """One connection to the broker."""

    name: str
    connected: bool
    since: int
    """When it came up or went down; 0: not yet up since the start."""
    connections: int
    """Made since the start."""
    server: str = ""
    """What the broker calls itself."""
    trouble: str = ""
    """Why it is not connected."""


class StoreReport(Part):
    """The database."""

    place: str
    """The file, or the URL without a password."""
    ill: str = ""
    """What is wrong: `full`, `locked`, `damaged`, `unreachable`, `failing`; empty: nothing, or an older daemon."""
    trouble: str = ""
    """Why a write that was tried just now did not come to an end; empty: it did."""
    write_ms: float = 0.0
    """How long that write took."""
    free_bytes: int | None = None
    total_bytes: int | None = None
    """Of the disk that an SQLite file is on."""


class BackupReport(Part):
    """The copies that a daemon makes of its database by itself."""

    folder: str = ""
    """Empty: it makes none."""
    every_hours: float = 0.0
    last: int = 0
    """When the latest that is there was made; 0: there is none."""
    trouble: str = ""
    """Why the latest try failed."""


class FileReport(Part):
    """A certificate the daemon uses."""

    path: str
    use: str
    """What it is for: ``broker``, ``http``, ``system marketing``."""
    not_after: int | None = None
    trouble: str = ""
    """Why it cannot be read."""
    objection: str = ""
    """Why the broker will not take it, its end apart: it is of another role, or of another authority."""


class ChangedFileReport(Part):
    """A file that the daemon goes by, which has changed since it was read."""

    path: str
    since: int
    """When it was changed, or put there; 0: it is gone."""


class CommandsReport(Part):
    """Commands in a ledger or an inbox."""

    by_state: dict[str, int]
    oldest_unfinished: int = 0
    """When the oldest without an outcome was recorded; 0: there is none."""


class NoticesReport(Part):
    """Notices on their way outward."""

    waiting: int = 0
    """Bridge: no front has confirmed them. Front: their application has not got them yet."""
    oldest: int = 0
    """When the oldest of them was published, or recorded; 0: there is none."""
    dead: int = 0
    """Front: given up, until somebody has them delivered again."""


class DrainReport(Part):
    """A daemon that takes nothing new, by an administrator's word."""

    since: int
    by: str
    running: dict[str, int]
    """What is still in hand."""

    @property
    def safe(self) -> bool:
        """Whether it may be stopped without a caller noticing."""
        return not any(self.running.values())


class Report(Part):
    """What both daemons say."""

    name: str
    region: str
    software: str
    pid: int
    started: int
    now: int
    links: tuple[LinkReport, ...]
    store: StoreReport
    commands: CommandsReport
    certificates: tuple[FileReport, ...] = ()
    maintenance: tuple[Pause, ...] = ()
    """What is paused here."""
    next_window: Pause | None = None
    """The next pause that is scheduled."""
    backup: BackupReport = BackupReport()
    forgotten: tuple[int, int] = (0, 0)
    """Its database was put back as an older copy: from when to when it has forgotten, while that may come up."""
    drain: DrainReport | None = None
    changed_files: tuple[ChangedFileReport, ...] = ()
    """Of its configuration, keys, certificates and bindings: those that were not read since they changed."""
    waiting_settings: tuple[str, ...] = ()
    """Settings that it has read at a reload and takes up at its next start."""
    notices: NoticesReport = NoticesReport()
    files: FilesReport = FilesReport()

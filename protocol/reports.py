"""What a daemon says of itself to an administrator on its own host, over its control socket (runtime/control.py).

Names, counts, times and reasons: nothing of a customer. Times are epoch milliseconds by the daemon's clock. A report of
a newer daemon may say more than an older `bridgectl` reads.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from protocol.maintenance import Pause


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LinkReport(_Part):
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


class StoreReport(_Part):
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


class BackupReport(_Part):
    """The copies that a daemon makes of its database by itself."""

    folder: str = ""
    """Empty: it makes none."""
    every_hours: float = 0.0
    last: int = 0
    """When the latest that is there was made; 0: there is none."""
    trouble: str = ""
    """Why the latest try failed."""


class FileReport(_Part):
    """A certificate the daemon uses."""

    path: str
    use: str
    """What it is for: ``broker``, ``http``, ``system marketing``."""
    not_after: int | None = None
    trouble: str = ""
    """Why it cannot be read."""
    objection: str = ""
    """Why the broker will not take it, its end apart: it is of another role, or of another authority."""


class ChangedFileReport(_Part):
    """A file that the daemon goes by, which has changed since it was read."""

    path: str
    since: int
    """When it was changed, or put there; 0: it is gone."""


class LatelyReport(_Part):
    """One operation in the last minutes."""

    seconds: float
    """So long ago they began."""
    count: int
    failures: int
    latency: tuple[int, ...] = ()
    """As in `OperationReport`."""


class InterfaceReport(_Part):
    """One operation's interface at the marketing system, as the bridge finds it."""

    operation: str
    system: str
    circuit: Literal["closed", "half-open", "open"]
    failing_since: int = 0
    """Since when no call succeeded; 0: the last one did, or there was none."""
    reason: str = ""
    """Of the last failure. Never a word of an answer's content."""
    calls: int = 0
    failures: int = 0
    """Since the start."""
    last_success: int = 0
    failed: int = 0
    """When the last failure was, since then."""
    fault: str = ""
    """Of the last failure: `interface` (no usable connection, time or status), `answer` (came, cannot be read),
    `mismatch` (about something else)."""
    opened: int = 0
    """Since when the circuit is not closed; 0: it is."""
    next_probe: int = 0
    """When the next call is let through to see whether it is well again; 0: at once, or the circuit is closed."""
    timeout_ms: int = 0
    """So long a call may take; 0: it does not say."""
    at_once: int = 0
    """How many calls there may be at once; 0: no limit but the workers."""
    in_use: int = 0
    """How many there are."""
    waiting: int = 0
    """How many requests wait for one of them to end."""
    latency: tuple[int, ...] = ()
    """How many calls took how long, as in `OperationReport`; empty too of an older daemon."""
    lately: LatelyReport | None = None
    """None: an older daemon."""


class DiagnosisReport(_Part):
    """What the bridge found when it tried a system in doubt by itself, with a query of the catalogue's example."""

    system: str
    operation: str
    at: int
    took_ms: int
    limit_ms: int
    """So long a call may take."""
    patience_ms: int
    """So long it was waited for."""
    outcome: str
    """As `bridgectl probe` says it."""
    reason: str = ""
    """Why there was no usable answer."""

    @property
    def well(self) -> bool:
        """It was answered as it should be, and in time."""
        return self.outcome in ("answered", "refused") and self.took_ms <= self.limit_ms


class CeilingReport(_Part):
    """A ceiling of the bridge that a front met lately."""

    front: str
    """As the bridge's configuration names it, or, if it does not, as it calls itself; `*`: all together."""
    application: str = ""
    """Empty: all of the front's together."""
    ceiling: str
    """`front`, `application`: nobody knows it; `operation`: it may not ask for it; `rate`, `accounts`: too much."""
    limit: float = 0.0
    """Requests a second, or different accounts an hour; 0: there is no number."""
    operation: str = ""
    """The latest one asked for that may not be."""
    count: int
    """Requests refused, or made to wait, since then."""
    since: int
    last: int


class CommandsReport(_Part):
    """Commands in a ledger or an inbox."""

    by_state: dict[str, int]
    oldest_unfinished: int = 0
    """When the oldest without an outcome was recorded; 0: there is none."""


class NoticesReport(_Part):
    """Notices on their way outward."""

    waiting: int = 0
    """Bridge: no front has confirmed them. Front: their application has not got them yet."""
    oldest: int = 0
    """When the oldest of them was published, or recorded; 0: there is none."""
    dead: int = 0
    """Front: given up, until somebody has them delivered again."""


class PushTableReport(_Part):
    """A table of the marketing system's, from which pushes are read."""

    name: str
    read: int = 0
    """When it was last read without an error; 0: not since the start."""
    lag_s: float = 0
    """How old the last row is that was read, while there are more; 0: it was read to its end."""
    error: str = ""
    """Why the last reading failed."""
    failing_since: int = 0
    """Since when every reading fails; 0: the last did not."""


class PushesReport(_Part):
    """What the marketing system says unasked, since the start."""

    listens: bool = False
    last: int = 0
    """When the last took effect; 0: none."""
    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    lately: int = 0
    """Accepted in the last minute."""
    tables: tuple[PushTableReport, ...] = ()


class FileReportRow(_Part):
    """A file across the boundary. Its name is a platform's or ours, and tells nothing of a customer."""

    id: str
    direction: str
    """Seen from the bridge: `in` or `out`."""
    front: str
    """Whose relay has to do with it."""
    peer: str
    """The source it is from, or the target it is for."""
    name: str
    profile: str
    bytes: int
    sha256: str
    chunks: int
    have: int
    """Chunks that are at who receives it, as far as is known here."""
    state: str
    code: str = ""
    """Why it was refused."""
    attempt: int = 0
    arrivals: int = 0
    """How often it was begun."""
    created: int
    updated: int
    decided: int = 0


class LateFileReport(_Part):
    """A kind of file that should have come today."""

    profile: str
    due: int


class PlaceReport(_Part):
    """Where a relay looks for files, or lays them down."""

    name: str
    use: Literal["source", "target"]
    at: str
    """The server, or `drop`."""
    state: Literal["ok", "not-tried", "unreachable", "host-key-changed", "failing"]
    since: int = 0
    """Since when it is so; 0: since the start."""
    trouble: str = ""
    looked: int = 0
    """When it was last looked at without an error; 0: not since the start."""
    waiting: int = 0
    """Files there that are not complete, or that nobody knows what they are."""


class FilesReport(_Part):
    """Files across the boundary."""

    enabled: bool = False
    refused_count: int = 0
    """In the last week."""
    refused: tuple[FileReportRow, ...] = ()
    """The latest of them."""
    waiting: int = 0
    """To be handed over, or to be archived."""
    oldest: int = 0
    """When the oldest of them was recorded; 0: there is none."""
    late: tuple[LateFileReport, ...] = ()
    """Bridge: what is due and has not come."""
    places: tuple[PlaceReport, ...] = ()
    """Front: its sources and targets."""


class AttachedReport(_Part):
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


class DrainReport(_Part):
    """A daemon that takes nothing new, by an administrator's word."""

    since: int
    by: str
    running: dict[str, int]
    """What is still in hand."""

    @property
    def safe(self) -> bool:
        """Whether it may be stopped without a caller noticing."""
        return not any(self.running.values())


class DeniedReport(_Part):
    """Requests of one kind that were turned away."""

    code: str
    application: str
    """Whose key it is, or says it is: a revoked key's too."""
    key: str
    """The first 8 hexadecimal digits of the key's SHA-256."""
    operation: str
    count: int
    last: int
    active: bool = False
    """The application has another key, which is valid."""


class OperationReport(_Part):
    """What callers of one operation got since the front's start."""

    operation: str
    answers: int
    failures: int
    """Of them, those with a status of 500 or more."""
    turned_away: int = 0
    """Of them, those with a status of 400 to 499."""
    latency: tuple[int, ...] = ()
    """How many answers took how long: below 0.1 ms, and each further number below twice the time of the one before;
    the last without a bound."""
    lately: LatelyReport | None = None
    """None: an older daemon."""


class Report(_Part):
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


class AdmissionStoreReport(_Part):
    """Where a front counts limits together with others."""

    place: str
    trouble: str = ""
    """Why it cannot be reached; empty: it is."""
    since: int = 0
    """When that changed last."""


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


class PrequeryWindowReport(_Part):
    """What was asked ahead in one window."""

    since: int
    until: int
    """When it ended, or is to end."""
    asked: int = 0
    kept: int = 0
    """Of them, answered."""
    refused: int = 0
    failed: int = 0
    rested_s: float = 0
    """So long nothing was asked because an interface did not do well."""
    rounds: int = 0
    """So often every account had its turn. 0 after its end: there was not time enough."""
    reason: str = ""
    """Why it rested last."""


class PrequeryReport(_Part):
    """What a bridge asks before anybody does."""

    active: int = 0
    """Accounts that asked for something lately."""
    bridges: int = 1
    """So many share the rate."""
    spared: int = 0
    """Answers asked ahead that somebody was given since the start."""
    now: PrequeryWindowReport | None = None
    """The window that it is in."""
    last: PrequeryWindowReport | None = None
    """The latest that has ended."""
    following: int = 0
    """When the next one begins; 0: none is set."""
    rests: str = ""
    """Why it asks nothing now, though in a window."""


class ImportReport(_Part):
    """Data that is fetched by the clock, and answered from."""

    name: str
    mode: Literal["full", "incremental"] = "full"
    answers: tuple[str, ...] = ()
    """The operations that are answered from it."""
    rows: int = 0
    """That are answered from."""
    as_of: int = 0
    """When the run began that brought it up to date; 0: none has."""
    fresh: bool = False
    """Whether it is new enough to be answered from."""
    running: bool = False
    """A run is unfinished."""
    read: int = 0
    """Rows that it has read."""
    began: int = 0
    moved: int = 0
    """When it began, and wrote last."""
    runner: str = ""
    """The bridge that wrote last."""
    quiet: bool = False
    """The marketing system's quiet hours: nothing is read."""
    error: str = ""
    """Why the last reading of this bridge failed."""
    following: int = 0
    """When the next run is due; 0: at once."""


class ClearingReport(_Part):
    """What of clearing somebody has to look at."""

    late: tuple[str, ...] = ()
    """Channel, day and statements of days that should be cleared by now."""
    differing: tuple[str, ...] = ()
    """Sheets of which less, or more, arrived than was paid out."""
    carried: tuple[str, ...] = ()
    """Sheets with a negative net that no later one has set off yet."""
    waiting: int = 0
    """Rows of statements that no sheet has yet."""
    calendar_ends: str = ""
    """The last day of the bank calendar, where it ends within the next 30 days, or has ended."""


class PaymentOrdersReport(_Part):
    """Payment orders that somebody has to look at."""

    enabled: bool = False
    held: tuple[str, ...] = ()
    """Orders that wait for a person; at most 20 are named."""
    unproven: tuple[str, ...] = ()
    """Refunds that three statements of their channel do not prove; at most 20 are named."""
    unproven_fen: int = 0


class WithholdingBatchReport(_Part):
    """A batch of withholding that somebody has to look at."""

    id: str
    day: str
    state: str
    findings: str = ""
    """JSON: line, column and what is wrong there; without anything of a customer."""


class WithholdingReport(_Part):
    """Withholding."""

    enabled: bool = False
    stuck: tuple[WithholdingBatchReport, ...] = ()
    """Cannot be sealed: a value would break the file."""
    overdue: tuple[WithholdingBatchReport, ...] = ()
    """The bank has not answered."""
    refused: tuple[str, ...] = ()
    """Answers of the last week without effect: name and code."""
    held: int = 0
    """Lines whose money is in doubt."""
    held_fen: int = 0
    """What was charged of them."""
    unanswered: int = 0
    not_booked: int = 0
    """Written off, and their journal could not be written."""
    not_released: int = 0
    """The marketing system did not end its hold on the bill."""


class StatementsReport(_Part):
    """Statements that somebody has to look at. Times are epoch ms; money is fen."""

    late: tuple[str, ...] = ()
    """Kind and day of those that are late."""
    late_since: int = 0
    """When the first of them was due."""
    missing: tuple[str, ...] = ()
    missing_since: int = 0
    refused: tuple[str, ...] = ()
    """Name and code of those that have no effect, of the last two weeks."""
    refused_since: int = 0
    conflicting: tuple[str, ...] = ()
    """Ids of those that came again with other content."""
    conflicting_since: int = 0
    incomplete: tuple[str, ...] = ()
    """Code of each run that could not be done."""
    incomplete_since: int = 0
    approvals: tuple[str, ...] = ()
    """Ids of runs that wait for approval."""
    approvals_since: int = 0
    approvals_fen: int = 0
    held: int = 0
    held_since: int = 0
    held_fen: int = 0
    not_done: int = 0
    """Of those held: what was to be written off or reversed, and was refused."""


class OwnCommandsReport(_Part):
    """Commands that the bridge gave itself and that do not go on. Times are epoch ms, 0: none."""

    not_taken: int = 0
    """Outcomes that could not be taken by what gave the command."""
    not_taken_since: int = 0
    elsewhere: int = 0
    """Those whose outcome another region's bridge has not told."""
    elsewhere_since: int = 0


class BridgeReport(Report):
    """Of intranet-bridge."""

    role: Literal["bridge"] = "bridge"
    inbox: str
    interfaces: tuple[InterfaceReport, ...]
    diagnoses: tuple[DiagnosisReport, ...] = ()
    """The latest of each system that was in doubt since the start."""
    conflict: bool = False
    """Fronts hear of bridges with different inboxes, or of a copy of one."""
    meant: str = ""
    """Then: the inbox they mean; empty: there are copies of it, or it is an older daemon."""
    unbound: tuple[str, ...] = ()
    """Operations of the catalogue that are bound nowhere here."""
    ceilings: tuple[CeilingReport, ...] = ()
    """Those that were met in the last quarter of an hour."""
    pushes: PushesReport = PushesReport()
    prequery: PrequeryReport | None = None
    """None: nothing is asked ahead."""
    imports: tuple[ImportReport, ...] = ()
    clearing: ClearingReport | None = None
    """None: nothing is cleared here."""
    withholding: WithholdingReport = WithholdingReport()
    statements: StatementsReport = StatementsReport()
    orders: PaymentOrdersReport = PaymentOrdersReport()
    own: OwnCommandsReport = OwnCommandsReport()


AnyReport = Annotated[FrontReport | BridgeReport, Field(discriminator="role")]


class HotOperationReport(_Part):
    """The kept answers of one operation, and its queries since the start by how they were answered."""

    operation: str
    lifetime_s: float
    kept: int
    bytes: int
    hit: int = 0
    joined: int = 0
    """Waited for the answer to an identical query."""
    miss: int = 0
    stale: int = 0
    bypassed: int = 0
    """The caller wanted no kept answer."""

    @property
    def spared(self) -> float:
        """The share of queries that cost no call."""
        asked = self.hit + self.joined + self.miss + self.stale + self.bypassed
        return (self.hit + self.joined) / asked if asked else 0.0


class HotReport(_Part):
    """The kept answers of a bridge."""

    operations: tuple[HotOperationReport, ...] = ()
    kept: int = 0
    bytes: int = 0
    limit: int = 0
    """Bytes."""
    evicted: int = 0
    """For want of room."""
    invalidated: dict[str, int] = {}
    """By what: command, operator, push, reload."""
    prequery: PrequeryReport | None = None

"""Who was turned away: every 401 and 403 in the log and in a metric, and neither grows with who sends them.

The first of a kind in a minute is a line of its own; what repeats it is counted and said when the minute is over.
Lines of callers without a valid key have a bound of their own, so that they hide nobody else's.
"""

import asyncio
import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass

from protocol.reports.admission import DeniedReport
from protocol.runtime.applications import key_hash
from protocol.runtime.clock import Clock, wall_clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)

WINDOW_S = 60.0
DISTINCT = 100
"""Lines a window for one application, and for all callers without a valid key together."""
UNKNOWN = "unknown"

_KEY = re.compile(rb"dmz_(?:sandbox_)?([a-z0-9-]{1,64})_[A-Za-z0-9_-]{43}")
"""What `bridgectl apps add` makes."""
_SIGNER = re.compile(rb'keyid="([a-z0-9-]{1,64})_([0-9a-f]{16})"')
"""What `bridgectl apps signature add` makes."""
_OF_NOBODY = frozenset({"unauthenticated", "signature-invalid"})
"""Anybody can have these said of any application."""


@dataclass(frozen=True, slots=True)
class Denial:
    """One kind of refusal."""

    code: str
    """Of its problem."""
    application: str
    """Whose key it is; without a valid key, whose it says it is (a revoked one's, or anybody's)."""
    key: str
    """The first 8 hexadecimal digits of the key's SHA-256, of what has the form of a key or of a signing key's id."""
    operation: str
    address: str


def denial(code: str, fields: Mapping[bytes, bytes], operation: str, address: str) -> Denial:
    """What is known of who was refused. Of what has not the form of a key nothing is kept: it may be a password."""
    key = fields.get(b"authorization", b"").partition(b" ")[2].strip()
    found = _KEY.fullmatch(key)
    name, digest = (found[1].decode(), key_hash(key).hex()[:8]) if found else ("", "")
    if not key and (signed := _SIGNER.search(fields.get(b"signature-input", b""))):
        name, digest = signed[1].decode(), signed[2].decode()[:8]
    return Denial(code, name, digest, operation, address[:64])


class Denials:
    """Counts and logs them."""

    def __init__(self, clock: Clock = wall_clock) -> None:
        self._clock = clock
        self._latest: OrderedDict[tuple[str, str, str, str], tuple[int, int]] = OrderedDict()
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """By application, operation and code. An application that is not registered is `unknown`."""
        self._repeats: dict[Denial, int] = {}
        self._lines: Counter[str] = Counter()
        self._others = 0
        self._timer: asyncio.TimerHandle | None = None

    def note(self, denial: Denial, *, registered: bool) -> None:
        """Count one, and say so if it is the first of its kind. `registered`: its application is a known one."""
        self.counts[denial.application if registered else UNKNOWN, denial.operation, denial.code] += 1
        self._remember((denial.code, denial.application, denial.key, denial.operation))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self.flush)
        if denial in self._repeats:
            self._repeats[denial] += 1
            return
        bound = "" if denial.code in _OF_NOBODY else denial.application
        if self._lines[bound] >= DISTINCT:
            self._others += 1
            return
        self._lines[bound] += 1
        self._repeats[denial] = 0
        log.warning("denied", **asdict(denial))

    def flush(self) -> None:
        """Say what was only counted, and begin anew."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for denial, count in self._repeats.items():
            if count:
                log.warning("denied-again", count=count, **asdict(denial))
        if self._others:
            log.warning("denied-others", count=self._others, next="dmz_front_denied_total counts them by operation")
        self._repeats, self._others = {}, 0
        self._lines.clear()

    def _remember(self, kind: tuple[str, str, str, str]) -> None:
        count, _ = self._latest.pop(kind, (0, 0))
        self._latest[kind] = count + 1, self._clock()
        if len(self._latest) > DISTINCT:
            self._latest.popitem(last=False)

    def forget(self, application: str) -> None:
        """It was given a key: what was denied before says nothing of what it does from now on."""
        for kind in [kind for kind in self._latest if kind[1] == application]:
            del self._latest[kind]

    def reports(self, active: Collection[str] = ()) -> tuple[DeniedReport, ...]:
        """The latest kinds, the last one first. `active`: the applications that have a valid key."""
        return tuple(
            DeniedReport(
                code=code,
                application=application,
                key=key,
                operation=operation,
                count=count,
                last=last,
                active=application in active,
            )
            for (code, application, key, operation), (count, last) in reversed(self._latest.items())
        )

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (application, operation, code), count in list(self.counts.items()):
            labels = {"application": application, "operation": operation, "code": code}
            yield "dmz_front_denied_total", "Requests answered 401 or 403", labels, count

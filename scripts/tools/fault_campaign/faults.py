"""Every kind of fault, its targets and its duration. Pure data.

The bounds keep to what is guaranteed (protocol/README.md#delivery): the marketing system never works on a call longer
than `settle_s` (5 s as shipped) after its connection is gone, so it is never slowed, stopped or held up for longer.
"""

import random
from dataclasses import dataclass
from itertools import chain

PARTS = ("front", "bridge", "broker", "marketing")
LINKS = ("callers-front", "front-broker", "bridge-broker", "bridge-marketing", "marketing-pushes", "front-callbacks")
"""Each goes through a proxy of the campaign."""
SETTLE_S = 5.0
"""`settle_s` of the shipped binding of work-order."""

DISK, CLOCK = "a small disk of its own", "a clock of its own"
"""Requirements of a kind of fault that not every machine meets."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    targets: tuple[str, ...]
    shortest_s: float
    longest_s: float
    meaning: str
    needs: str = ""
    longest_at: tuple[tuple[str, float], ...] = ()
    """A lower limit for some targets: (target, seconds)."""

    def limit_s(self, target: str) -> float:
        """The longest it lasts on this target."""
        return dict(self.longest_at).get(target, self.longest_s)


_HELD_UP = (("bridge-marketing", SETTLE_S - 1),)
_STOPPED = (("marketing", SETTLE_S - 1),)
_PAIRS = ("front+bridge", "front+broker", "bridge+broker", "bridge+marketing", "front+marketing", "broker+marketing")

KINDS = (
    Kind("kill", PARTS, 0.2, 5, "kill -9, and after a while start again"),
    Kind("kill-two", _PAIRS, 0.2, 5, "kill -9 of two parts at once, and start both again"),
    Kind("restart", PARTS, 0.2, 3, "SIGTERM (a drain), and start again"),
    Kind("second-inbox", ("bridge",), 2, 12,
         "another bridge with an inbox of its own, beside the bridge and then, that killed, instead of it"),
    Kind("stop", PARTS, 2, 22, "SIGSTOP, and SIGCONT after a time that may pass the heart-beats' grace (15 s)",
         longest_at=_STOPPED),
    Kind("swallow", LINKS, 2, 20, "data of both directions disappear without a reset; then the connections are cut"),
    Kind("swallow-up", LINKS, 2, 12, "what clients send disappears, what servers send arrives; then cut"),
    Kind("swallow-down", LINKS, 2, 12,
         "what servers send disappears (replies, receipts), what clients send arrives; then cut"),
    Kind("hold", LINKS, 2, 14, "nothing gets through, and all of it later: a reply past its deadline",
         longest_at=_HELD_UP),
    Kind("delay", LINKS, 3, 12, "every piece of data comes later by 50 to 1500 ms"),
    Kind("half-close", LINKS, 1, 6, "FIN in one direction, the other stays open; then the connections are cut"),
    Kind("reset", LINKS, 1, 6, "connections are reset again and again, in the middle of a frame"),
    Kind("refuse", LINKS, 1, 12, "connections are cut and new ones reset at once"),
    Kind("fails", ("marketing",), 2, 10, "the marketing system answers a share of its calls HTTP 500, nothing applied"),
    Kind("hangs", ("marketing",), 2, 10, "it takes calls and never answers, nothing applied"),
    Kind("hangs-after", ("marketing",), 1, 5, "it applies calls and never answers"),
    Kind("dies-after", ("marketing",), 0.5, 5, "it dies right after applying a call, unanswered; then starts again"),
    Kind("slow", ("marketing",), 3, 12, "it answers late, by up to 4 s"),
    Kind("dies-at", ("front", "bridge"), 0.2, 3,
         "it dies at a named point in the life of a push, a notice or a payment order; then starts again"),
    Kind("turns-away", ("receiver",), 2, 12,
         "the application that is called back takes nothing: HTTP 500, cut, or no answer"),
    Kind("disk-full", ("front", "bridge"), 2, 10, "no space is left for the database", DISK),
    Kind("lock", ("front", "bridge"), 2, 14, "another process holds the SQLite write lock (busy_timeout is 10 s)"),
    Kind("clock", ("front", "bridge"), 2, 12,
         "the clock jumps by ±30 s, ±150 s or (if there is time to wait for it) ±10 min, and back", CLOCK),
)  # fmt: skip

NOTICE_POINTS = {
    "bridge": (
        "bridge.pushes-committed", "bridge.notice-uncommitted", "bridge.notice-confirmed",
        "bridge.confirmation-uncommitted", "bridge.confirmation-committed",
    ),
    "front": (
        "front.notice-uncommitted", "front.notice-committed", "front.callback-answered", "front.delivered-uncommitted",
        "front.delivered-committed",
    ),
}  # fmt: skip
"""Where a daemon dies (protocol/runtime/crash_points.py)."""
REFUND_POINT = "bridge.refund-uncommitted"
"""Of those it is the one that only what is given back comes to."""
ORDER_POINTS = (
    "bridge.proof-uncommitted", "bridge.proof-committed", "bridge.order-uncommitted", "bridge.order-committed",
    "bridge.local-recorded", "bridge.taken-uncommitted", "bridge.taken-committed", REFUND_POINT,
)  # fmt: skip
"""With money: in the life of a payment order. The bridge dies at each of them once after the load, too."""
STATEMENT_POINTS = (
    "bridge.statement-read", "bridge.statement-items-committed", "bridge.statement-matched-uncommitted",
    "bridge.statement-acting-uncommitted", "bridge.statement-acting-committed", "bridge.statement-order-uncommitted",
    "bridge.clearing-uncommitted",
)  # fmt: skip
"""Likewise while it works on the statements, in this order."""
WITHHOLDING_POINTS = (
    ("bridge.desk-committed", "bridge.answer-judged"),
    ("bridge.batch-sealed-uncommitted", "bridge.answer-judged"),
    ("bridge.batch-sealed-committed", "bridge.answer-uncommitted"),
    ("bridge.batch-submitted", "bridge.answer-committed"),
)  # fmt: skip
"""Likewise while a batch is sealed and sent, and while its answer takes effect: a pair for each of some batches."""
SHEET_POINTS = ("bridge.sheet-uncommitted", "bridge.sheet-committed")
"""Likewise while a person signs clearing sheets, pays them out and sees them arrive."""
AFTER_LOAD = (*ORDER_POINTS, *STATEMENT_POINTS, *chain.from_iterable(WITHHOLDING_POINTS), *SHEET_POINTS)
"""All at which the bridge dies after the load, with money."""
BY_NAME = {kind.name: kind for kind in KINDS}


def deaths(seed: int, count: int | None) -> frozenset[str]:
    """At which of those it dies: so many by chance, by default all."""
    every = sorted(set(AFTER_LOAD))
    chosen = random.Random(f"{seed} deaths").sample(every, min(count, len(every))) if count is not None else every  # noqa: S311
    return frozenset(chosen)


def table() -> str:
    """Every kind with its targets, for `--list-faults`."""
    lines = []
    for kind in KINDS:
        lines.append(f"{kind.name:<13} {', '.join(kind.targets)}")
        lines.append(f"{'':<13}   {kind.shortest_s:g} to {kind.longest_s:g} s: {kind.meaning}")
    return "\n".join(lines)

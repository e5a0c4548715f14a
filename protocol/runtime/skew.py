"""How far other hosts' clocks are from ours, learnt from the times they write on what they send.

What is dated T by their clock and read at N by ours says T − N = (how far theirs is ahead) − (how long it travelled).
The way takes some time and never less than none, so the largest T − N of a while is nearest the truth, and not beyond
it: a positive one is certain, a negative one may also be a slow way.
"""

from dataclasses import dataclass

from protocol.runtime.logs import logger

log = logger(__name__)

WARN_S = 5.0
"""Queries have deadlines of a few seconds: a clock so far ahead lets them expire on arrival."""
_BUCKET_MS = 10_000
_WARN_EVERY_MS = 60_000
_PEERS = 256
"""Names come from authentic messages alone; the bound is against a front that changes its name all the time."""


@dataclass(slots=True)
class _Peer:
    began: int
    best: int
    before: int | None
    warned_at: int
    warned_s: float


class Skews:
    """The estimate for each peer, over the last 10 to 20 seconds in which it was heard."""

    def __init__(self) -> None:
        self._peers: dict[str, _Peer] = {}

    def heard(self, peer: str, said_ms: int, now_ms: int) -> None:
        """A message that `peer` dated `said_ms` was read now. Beyond WARN_S logs a warning, once a minute."""
        ahead = said_ms - now_ms
        known = self._peers.get(peer)
        if known is not None and 0 <= now_ms - known.began < _BUCKET_MS:
            if ahead > known.best:
                known.best = ahead
            return
        if known is None or not 0 <= now_ms - known.began < 3 * _BUCKET_MS:  # new, long silent, or our clock was set
            if known is None and len(self._peers) >= _PEERS:
                del self._peers[next(iter(self._peers))]
            self._peers[peer] = _Peer(now_ms, ahead, None, *_warned(known, now_ms))
            return
        seconds = max(known.best, known.before if known.before is not None else known.best) / 1000
        again = not 0 <= now_ms - known.warned_at < _WARN_EVERY_MS or abs(seconds - known.warned_s) > WARN_S
        if abs(seconds) > WARN_S and again:
            known.warned_at, known.warned_s = now_ms, seconds
            log.warning("clock-skew", peer=peer, ahead_s=round(seconds, 1), do="set both hosts' clocks by NTP")
        known.began, known.before, known.best = now_ms, known.best, ahead

    def seconds(self, now_ms: int) -> dict[str, float]:
        """Peer → seconds its clock is ahead of ours (negative: behind), of those heard in the last 30 seconds."""
        return {
            peer: max(known.best, known.best if known.before is None else known.before) / 1000
            for peer, known in list(self._peers.items())
            if 0 <= now_ms - known.began < 3 * _BUCKET_MS
        }


def _warned(known: _Peer | None, now_ms: int) -> tuple[int, float]:
    return (now_ms - _WARN_EVERY_MS, 0.0) if known is None else (known.warned_at, known.warned_s)

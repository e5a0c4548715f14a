"""What several fronts count together, in a Redis or Valkey of their own (`[admission.store]`).

A request is judged by what is in this front's memory, with a store as without: none waits for it, and none fails with
it. A few times a second what was used here goes to the store, and what all fronts have used comes back. So together
they let through what a rate says, and at most what comes between two exchanges more. (`limits` and its like ask the
store at each request. That would make each of them wait, and a store that stands still would hold up all.)

==================  =======================================================================================
rates               of applications, of their operations, of addresses: when the allowance is whole again
                    (`rates.RateLimit`), under pseudonyms
pauses              of addresses: until when, and which were lifted
nonces              of signatures: one that was used at another front is refused
==================  =======================================================================================

The store's own clock counts. Daily quotas are shared by the ledger (quotas.py).
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dmz_front.admission.addresses import Addresses
from dmz_front.settings import AdmissionStoreSection
from protocol.errors import ConfigurationError, in_one_line
from protocol.link.tls import outward_context
from protocol.rates import RateLimit
from protocol.reports.admission import AdmissionStoreReport
from protocol.runtime.clock import Clock
from protocol.runtime.keyfiles import read_private
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logger(__name__)

MOST = 5_000
"""Rates of one exchange, the most used first."""
WATCHED_S = 60.0
"""A rate that was not used for so long is not asked for any more."""
PAUSES = 10_000
_CHUNK = 500
_PREFIX = "dmz-bridge:"

_RATES = """
local now = redis.call('TIME')
local at = tonumber(now[1]) + tonumber(now[2]) / 1000000
local found = {}
for i, key in ipairs(KEYS) do
    local due = math.max(tonumber(redis.call('GET', key) or '0'), at) + tonumber(ARGV[i])
    if due > at then
        redis.call('SET', key, string.format('%.6f', due), 'PX', math.ceil((due - at) * 1000))
    end
    found[i] = string.format('%.6f', due - at)
end
return found
"""
"""Seconds used of each allowance → seconds until it is whole."""

_ADDRESSES = """
local now = redis.call('TIME')
local at = tonumber(now[1]) + tonumber(now[2]) / 1000000
local most, pauses = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, 1 + 2 * pauses, 2 do
    redis.call('ZADD', KEYS[1], 'GT', string.format('%.3f', at + tonumber(ARGV[i + 1])), ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
end
for i = 3 + 2 * pauses, #ARGV do
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('ZADD', KEYS[2], string.format('%.3f', at), ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', at)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', at - 60)
local found = {}
for which = 1, 2 do
    local pairs = redis.call('ZRANGE', KEYS[which], 0, most - 1, 'WITHSCORES')
    for i = 2, #pairs, 2 do
        pairs[i] = string.format('%.3f', tonumber(pairs[i]) - at)
    end
    found[which] = pairs
end
return found
"""
"""New pauses and lifted ones → all pauses and their seconds left, and all lifted lately and when (negative)."""


def client(section: AdmissionStoreSection) -> "Redis":
    """Connects when it is first used. Raises ConfigurationError."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        said = "admission.store needs a client of Redis: pip install 'dmz-bridge[redis]'"
        raise ConfigurationError(said) from None
    parts = urlsplit(section.url)
    password = None
    if section.password_file is not None:
        password = read_private(section.password_file).decode(errors="replace").strip()
    options: dict[str, Any] = {}
    if parts.scheme == "rediss":
        outward_context(section.ca, section.certificate, section.key)  # what is wrong with them is said now
        options = {
            "ssl": True,
            "ssl_ca_certs": section.ca and str(section.ca),
            "ssl_certfile": section.certificate and str(section.certificate),
            "ssl_keyfile": section.key and str(section.key),
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        }
    return Redis(
        host=parts.hostname or "localhost",
        port=parts.port or 6379,
        db=int(parts.path.strip("/") or 0),
        username=section.user or None,
        password=password,
        socket_timeout=section.timeout_s,
        socket_connect_timeout=section.timeout_s,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


class Shared:
    """Exchanges what one front counts with the others."""

    def __init__(
        self,
        section: AdmissionStoreSection,
        rates: RateLimit,
        addresses: Addresses,
        pseudonym: Callable[[str], str],
        clock: Clock,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._section, self._rates, self._addresses, self._pseudonym = section, rates, addresses, pseudonym
        self._clock, self._now = clock, now
        self._redis = client(section)
        self._watched: dict[str, float] = {}
        """Rates that were used here lately, and when."""
        rates.used = {}
        addresses.share()
        self.trouble, self.since = "not yet reached", clock()
        self.exchanges = self.failures = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the store need not be there."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Exchange nothing more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    async def _run(self) -> None:
        while True:
            await self.try_exchange()
            await asyncio.sleep(self._section.every_s)

    async def try_exchange(self) -> bool:
        """One exchange; whether it was done. What was used meanwhile of a store that is away is not made up for."""
        try:
            async with asyncio.timeout(4 * self._section.timeout_s):
                await self._exchange()
        except Exception as error:  # whatever a store can do wrong: this front goes on by itself
            self._failed(error)
            return False
        self.exchanges += 1
        if self.trouble:
            self.trouble, self.since = "", self._clock()
            log.info("admission-store-reached", store=self._section.url)
        return True

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        before, self.trouble = self.trouble, in_one_line(error) or type(error).__name__
        if not before or self.failures == 1:
            self.since = self._clock()
            log.warning(
                "admission-store-lost", store=self._section.url, trouble=self.trouble,
                next="rates and pauses are counted by each front for itself",
            )  # fmt: skip

    async def _exchange(self) -> None:
        used, self._rates.used = self._rates.used or {}, {}
        now = self._now()
        self._watched.update(dict.fromkeys(used, now))
        self._watched = {key: at for key, at in self._watched.items() if now - at < WATCHED_S}
        chosen = sorted(self._watched, key=lambda key: -used.get(key, 0.0))[:MOST]
        for start in range(0, len(chosen), _CHUNK):
            keys = chosen[start : start + _CHUNK]
            names = [f"{_PREFIX}rate:{self._pseudonym(key)}" for key in keys]
            found = await self._eval(_RATES, names, [f"{used.get(key, 0.0):.6f}" for key in keys])
            since = self._rates.used  # what was used while the answer was on its way is not in it
            for key, left in zip(keys, found, strict=True):
                self._rates.learn(key, self._now() + float(left) + since.get(key, 0.0))
        pauses, lifted = self._addresses.to_tell()
        new = [word for address, left_s in pauses for word in (address, f"{left_s:.3f}")]
        said = [str(PAUSES), str(len(pauses)), *new, *lifted]
        all_pauses, all_lifted = await self._eval(_ADDRESSES, [f"{_PREFIX}paused", f"{_PREFIX}lifted"], said)
        self._addresses.learn(_pairs(all_pauses), _pairs(all_lifted))

    async def _eval(self, script: str, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        return await self._redis.eval(script, len(keys), *keys, *arguments)

    async def first(self, key: bytes, keep_s: float) -> bool:
        """Whether no other front has seen this nonce; of a store that is away: as far as this front knows."""
        if self.trouble:
            return True
        try:
            name = f"{_PREFIX}nonce:{key.hex()}"
            return bool(await self._redis.set(name, b"1", nx=True, px=int(keep_s * 1000)))
        except Exception as error:  # as in `try_exchange`
            self._failed(error)
            return True

    def report(self) -> AdmissionStoreReport:
        """For an administrator."""
        return AdmissionStoreReport(place=self._section.url, trouble=self.trouble, since=self.since)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "dmz_front_admission_store_up", "1: limits are counted with the other fronts", {}, float(not self.trouble)
        text = "Exchanges of what was counted with the other fronts"
        yield "dmz_front_admission_exchanges_total", text, {"outcome": "done"}, self.exchanges
        yield "dmz_front_admission_exchanges_total", text, {"outcome": "failed"}, self.failures


def _pairs(flat: Sequence[bytes]) -> Mapping[str, float]:
    return {flat[at].decode(): float(flat[at + 1]) for at in range(0, len(flat), 2)}

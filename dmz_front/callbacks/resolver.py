"""How the name of a callback's address is resolved: by whom it connects, and judged right there (addresses.py)."""

from collections.abc import Sequence
from socket import AddressFamily
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from dmz_front.callbacks.addresses import Network, Refused, refusal


class GuardedResolver(AbstractResolver):
    """Resolves names for one callback, and leaves out what it may not connect to."""

    def __init__(self, allowed: Sequence[Network], resolver: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._resolver = resolver or ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = AddressFamily.AF_INET) -> list[ResolveResult]:
        """The addresses that may be connected to. Raises Refused if there is none."""
        found = await self._resolver.resolve(host, port, family)
        refusals = [refusal(one["host"], self._allowed) for one in found]
        good = [one for one, why in zip(found, refusals, strict=True) if why is None]
        if found and not good:
            raise Refused(next(why for why in refusals if why))
        return good

    async def close(self) -> None:
        """Let go of what the resolver holds."""
        await self._resolver.close()

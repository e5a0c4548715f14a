"""A connection of bridgectl's own to the broker, for as long as one command needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridgectl.language import tr
from protocol.errors import BridgeError
from protocol.link.port import Link
from protocol.runtime.links import stomp_link
from protocol.runtime.settings import LinkSection


class NoBroker(BridgeError):
    """No broker of the list could be connected to in time; the text says which, why, and what to do."""

    def __init__(self, section: LinkSection, why: str) -> None:
        self.why = why
        super().__init__(
            tr(
                "no broker answers at {brokers}: {why}; bridgectl status says what is wrong and what mends it",
                brokers=", ".join(section.brokers),
                why=why,
            )
        )


@asynccontextmanager
async def connected(section: LinkSection, client_name: str, patience_s: float) -> AsyncIterator[Link]:
    """A link that is up. Raises NoBroker when none is within `patience_s`, ConfigurationError for a file of TLS."""
    link = stomp_link(section, client_name)
    await link.start()
    try:
        try:
            async with asyncio.timeout(patience_s):
                await link.ready()
        except TimeoutError:
            raise NoBroker(
                section, link.trouble or tr("no answer within {timeout_s:g} s", timeout_s=patience_s)
            ) from None
        yield link
    finally:
        await link.close()

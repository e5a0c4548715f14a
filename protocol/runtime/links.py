"""From a `[link]` table to a link."""

from protocol.link.session import StompLink
from protocol.link.settings import LinkSettings
from protocol.link.tls import client_context
from protocol.runtime.settings import LinkSection


def stomp_link(section: LinkSection, client_name: str) -> StompLink:
    """A link as configured, not started. Raises ConfigurationError naming the file that cannot be used."""
    return StompLink(
        LinkSettings(
            brokers=section.addresses(),
            ssl=client_context(section.ca, section.certificate, section.key),
            client_name=client_name,
            heartbeat_ms=(section.heartbeat_ms, section.heartbeat_ms),
            connect_timeout=section.connect_timeout_s,
            receipt_timeout=section.receipt_timeout_s,
            backoff_max=section.reconnect_max_s,
        )
    )

"""From a `[link]` table to a link."""

from dataclasses import replace

from protocol.link.every import EveryBroker
from protocol.link.session import StompLink
from protocol.link.settings import LinkSettings
from protocol.link.tls import client_context
from protocol.runtime.settings import LinkSection


def stomp_link(section: LinkSection, client_name: str) -> StompLink:
    """A link to the first broker that answers, not started: for who sends.

    Raises ConfigurationError naming the file that cannot be used.
    """
    return StompLink(_settings(section, client_name))


def receiving_link(section: LinkSection, client_name: str) -> StompLink | EveryBroker:
    """A link to every broker of the list, not started: for who receives (see `every.py`).

    Raises ConfigurationError naming the file that cannot be used.
    """
    settings = _settings(section, client_name)
    if len(settings.brokers) == 1:
        return StompLink(settings)
    return EveryBroker(
        [
            StompLink(replace(settings, brokers=(broker,), client_name=f"{client_name}@{broker[0]}:{broker[1]}"))
            for broker in settings.brokers
        ]
    )


def _settings(section: LinkSection, client_name: str) -> LinkSettings:
    return LinkSettings(
        brokers=section.addresses(),
        ssl=client_context(section.ca, section.certificate, section.key),
        client_name=client_name,
        heartbeat_ms=(section.heartbeat_ms, section.heartbeat_ms),
        connect_timeout=section.connect_timeout_s,
        receipt_timeout=section.receipt_timeout_s,
        backoff_max=section.reconnect_max_s,
    )

"""From a `[link]` table to a link, and how the links of a daemon stand."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from protocol.link.every import EveryBroker
from protocol.link.port import Link
from protocol.link.session import StompLink
from protocol.link.settings import LinkSettings
from protocol.link.tls import client_context
from protocol.reports import LinkReport
from protocol.runtime.clock import Clock
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


class LinkStates:
    """Since when each link is as it is."""

    def __init__(self, links: Mapping[str, Link], clock: Clock) -> None:
        self._links, self._clock = links, clock
        self._since: dict[str, int] = {}
        for name, link in links.items():
            link.watch(partial(self._changed, name))

    def _changed(self, name: str, connected: bool) -> None:
        self._since[name] = self._clock()

    def reports(self) -> tuple[LinkReport, ...]:
        """Each link, by its name."""
        return tuple(
            LinkReport(
                name=name,
                connected=link.connected,
                since=self._since[name] if link.epoch else 0,
                connections=link.epoch,
                server=link.server,
                trouble=link.trouble,
            )
            for name, link in self._links.items()
        )

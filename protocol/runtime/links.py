"""From a `[link]` table to a link, and how the links of a daemon stand."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import structlog
from cryptography import x509

from protocol.errors import ConfigurationError, LinkError
from protocol.files import read_bytes
from protocol.link.every import EveryBroker
from protocol.link.port import Link
from protocol.link.session import StompLink, tried
from protocol.link.settings import LinkSettings
from protocol.link.tls import client_context, explain
from protocol.reports.daemon import LinkReport
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


RENEWABLE = ("ca", "certificate", "key", "heartbeat_ms", "receipt_timeout_s", "connect_timeout_s", "reconnect_max_s")
"""What of a `[link]` table links can take up while they are connected; of `brokers`, another order."""


def order_of_brokers(old: LinkSection, new: LinkSection) -> tuple[tuple[str, str], ...]:
    """`link.brokers`, if links can go by the new list: who sends goes over to its first, who receives listens at all of
    them anyway.
    """
    return (("link", "brokers"),) if sorted(old.brokers) == sorted(new.brokers) else ()


async def judged(subject: str | None, new: LinkSection) -> list[str]:
    """Whether links can go on by another `[link]` table: it is tried at every broker. `subject`: of the certificate
    they use (`certificate_subject`).

    Returns what to know besides. Raises ConfigurationError for files that cannot be used, or that a broker does not
    take: then nothing has changed.
    """
    settings = _settings(new, "trial")
    theirs = certificate_subject(new)
    if subject is not None and theirs != subject:
        # who has another name has other rights, and queues of its own
        raise ConfigurationError(
            f"is of {theirs}, and this daemon's is of {subject}: another name needs a restart",
            file=str(new.certificate),
        )
    try:
        away = await tried(settings)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error} (ca {new.ca.name}, certificate {new.certificate.name})", file=str(new.certificate)
        ) from None
    return [f"{broker} cannot be reached ({reason}), so they were not tried there" for broker, reason in away.items()]


async def renew(links: Mapping[str, Link], section: LinkSection) -> list[str]:
    """Have every link go on by this table, one after the other: the new connection first, then the old one is let go.

    Returns what is wrong with those that could not: they keep the connection they have, and make the next by the table.
    """
    wrong = []
    for name, link in links.items():
        if isinstance(link, StompLink | EveryBroker):
            settings = _settings(section, _name_of(link))
            try:
                await link.renew(settings)
            except (OSError, LinkError) as error:
                reason = explain(error)
                structlog.get_logger("protocol.link").warning("link-not-renewed", name=name, reason=reason)
                wrong.append(f"link {name} keeps its old connection: {reason}; reload again")
    return wrong


def _name_of(link: StompLink | EveryBroker) -> str:
    return link.settings.client_name if isinstance(link, StompLink) else ""


def certificate_subject(section: LinkSection) -> str | None:
    """Whose certificate it is; None if that cannot be told."""
    try:
        return x509.load_pem_x509_certificate(read_bytes(section.certificate)).subject.rfc4514_string()
    except (ValueError, ConfigurationError):
        return None


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

"""`[callbacks.NAME]`: where an application is called, and what it bears."""

import re
from ipaddress import ip_network
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from dmz_front.callbacks.addresses import Network, literal, refusal
from protocol.runtime.settings import FilePath, Misplaced, Name, Section


def _network(value: str) -> str:
    return str(ip_network(value))


def _url(value: str) -> str:
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is not one") from None
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("a callback goes to an https:// address")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("the address has neither user nor password nor fragment")
    if port == 0 or not re.fullmatch(r"[\x21-\x7e]{1,2000}", value):
        raise ValueError("the address is not a URL")
    return value


class CallbackSection(Section):
    """One address of an application."""

    application: Name
    """Whose it is: it alone gets notices there, and may name it for outcomes."""
    url: Annotated[str, AfterValidator(_url)]
    """`https://...`, of the public internet or of `networks`."""
    secrets: Annotated[tuple[FilePath, ...], Field(min_length=1, max_length=3)]
    """Files of a secret each (`whsec_...`). Every callback is signed with all: two while they are changed."""
    notices: bool = True
    """Whether the application's notices go here; false: only outcomes for which it is named."""
    rate: Annotated[float, Field(gt=0, le=10_000)] = 50
    """Callbacks a second, at most."""
    outstanding: Annotated[int, Field(ge=1, le=256)] = 8
    """Callbacks that wait for an answer at once."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10
    """For an answer."""
    ca: FilePath | None = None
    """Authorities of the receiver's certificate. Default: the system's."""
    networks: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    """Networks that are not of the public internet and may be called all the same."""

    @property
    def allowed(self) -> tuple[Network, ...]:
        """`networks`, as such."""
        return tuple(ip_network(one) for one in self.networks)

    @model_validator(mode="after")
    def _may_be_called(self) -> Self:
        host = urlsplit(self.url).hostname or ""
        why = refusal(host, self.allowed) if literal(host) else None
        if why:
            raise Misplaced(why, ("url",))
        return self


class NoticesSection(Section):
    """How notices are kept and delivered."""

    retention_days: Annotated[float, Field(ge=1, le=365)] = 7
    """So long an application may ask for a notice. Not longer than the front's retired sealing keys are kept."""
    give_up_hours: Annotated[float, Field(gt=0, le=168)] = 72
    """A callback that was not accepted for so long is dead: `bridgectl notices list`."""
    retry_min_s: Annotated[float, Field(gt=0, le=3_600)] = 5
    retry_max_s: Annotated[float, Field(gt=0, le=86_400)] = 3_600
    """Waits between the attempts of one callback double from the one to the other, with jitter."""

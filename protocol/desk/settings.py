"""What an operator may set of any desk."""

from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from protocol.runtime.settings import Misplaced, Section


def network(value: str) -> str:
    """A network in its canonical form. Raises ValueError."""
    return str(ip_network(value))


class DeskSection(Section):
    """Who may use the pages for staff, and for how long."""

    enabled: bool = False
    """Whether there are such pages."""
    networks: tuple[Annotated[str, AfterValidator(network)], ...] = ("127.0.0.0/8", "::1/128")
    """Who is answered at all, by address; behind a gateway `http.trusted_proxies` says whose word counts for that."""
    idle_minutes: Annotated[float, Field(gt=0, le=1440)] = 15
    """A session ends when nothing was asked in it for so long."""
    longest_hours: Annotated[float, Field(gt=0, le=168)] = 8
    """A session ends after so long, whatever is done in it."""
    one_session: bool = True
    """A log-in ends the member's other sessions."""

    @model_validator(mode="after")
    def _for_somebody(self) -> Self:
        if self.enabled and not self.networks:
            raise Misplaced("nobody is answered: name the networks that are", ("networks",))
        return self

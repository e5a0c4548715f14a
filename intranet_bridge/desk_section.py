"""What an operator may set of the bridge's desk (desk/). Beside it, for the settings read it."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from protocol.desk.settings import DeskSection as AnyDeskSection
from protocol.desk.settings import network
from protocol.networks import is_every, is_loopback
from protocol.runtime.settings import FilePath, Host, Misplaced, Port, all_or_none


class DeskSection(AnyDeskSection):
    """Pages for staff under `/desk/`, on a listener of their own (docs/how-to/content.md)."""

    networks: tuple[Annotated[str, AfterValidator(network)], ...] = ("127.0.0.0/8", "::1/128")
    """Who is answered at all, by address."""
    host: Host = "127.0.0.1"
    """Beyond loopback with a certificate alone."""
    port: Port = 8444
    """where it listens"""
    certificate: FilePath | None = None
    """shown to browsers, PEM"""
    key: FilePath | None = None
    """the certificate's private key, PEM, unencrypted"""
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    """At once."""

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        all_or_none(self, "certificate", "key")
        if self.host != "localhost" and not is_loopback(self.host):
            if is_every(self.host):
                raise Misplaced("name one address of the intranet, not every interface of this host", ("host",))
            if self.certificate is None:
                raise Misplaced("beyond loopback pages are served by https: set certificate and key", ("host",))
        return self

"""The kind `http`: JSON, forms and XML over HTTP/1.1."""

from collections.abc import Iterator

from intranet_bridge.marketing.http import check
from intranet_bridge.marketing.http.access import access_of, session_of, signer_of
from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.endpoint import client_of, secret_of
from intranet_bridge.marketing.http.trial import ObservedSystem
from intranet_bridge.marketing.kind import AdapterKind, Complaint, Observer, System
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample


class OpenHttpSystem:
    """One back end that speaks HTTP, with its connections."""

    def __init__(self, name: str, system: HttpSystem) -> None:
        """Raises ConfigurationError for TLS and secret files that cannot be used."""
        check.login(system)
        self._name, self._system = name, system
        self._client, secret, signer = client_of(system, HttpClient), secret_of(system), signer_of(system)
        self._session = session_of(name, system, self._client, secret=secret, signer=signer)
        session = self._session.session if self._session else None
        self._access = access_of(system, secret=secret, session=session, signer=signer)

    def adapter(self, operation: Operation, binding: HttpBinding) -> HttpAdapter:
        """The adapter of one operation."""
        check.session(binding, self._system)
        return HttpAdapter(operation, binding, self._system, self._client, self._access)

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        await self._client.close()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        labels = {"system": self._name}
        text = "Open connections to the marketing system"
        yield "intranet_bridge_marketing_connections", text, labels, self._client.open
        text = "Connections made to the marketing system"
        yield "intranet_bridge_marketing_connections_made_total", text, labels, self._client.made
        if self._session is not None:
            text = "Log-ins to the marketing system"
            yield "intranet_bridge_marketing_logins_total", text, labels, self._session.session.logins
            text = "Log-ins that gave no token"
            yield "intranet_bridge_marketing_logins_failed_total", text, labels, self._session.session.failures


class HttpKind:
    """See `AdapterKind`."""

    system = HttpSystem
    binding = HttpBinding

    def complaints(self, operation: Operation, binding: HttpBinding) -> Iterator[Complaint]:
        """All that is wrong with a binding, as far as a start can know."""
        return check.complaints(operation, binding)

    def open(self, name: str, system: HttpSystem, observer: Observer | None = None) -> System:
        """A back end. Raises ConfigurationError for TLS and secret files that cannot be used."""
        return OpenHttpSystem(name, system) if observer is None else ObservedSystem(name, system, observer)


KIND: AdapterKind = HttpKind()

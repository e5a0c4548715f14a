"""The kind `http`: JSON and forms over HTTP/1.1."""

from collections.abc import Iterator

from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.check import complaints
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.endpoint import client_of, secret_of
from intranet_bridge.marketing.http.trial import ObservedSystem
from intranet_bridge.marketing.kind import AdapterKind, Complaint, Observer, System
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample


class OpenHttpSystem:
    """One back end that speaks HTTP, with its connections."""

    def __init__(self, name: str, system: HttpSystem) -> None:
        """Raises ConfigurationError for TLS and token files that cannot be used."""
        self._name, self._system = name, system
        self._client, self._secret = client_of(system, HttpClient), secret_of(system)

    def adapter(self, operation: Operation, binding: HttpBinding) -> HttpAdapter:
        """The adapter of one operation."""
        return HttpAdapter(operation, binding, self._system, self._client, self._secret)

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        labels = {"system": self._name}
        yield "bridge_marketing_connections", "Open", labels, self._client.open
        yield "bridge_marketing_connections_made_total", "Made", labels, self._client.made


class HttpKind:
    """See `AdapterKind`."""

    system = HttpSystem
    binding = HttpBinding

    def complaints(self, operation: Operation, binding: HttpBinding) -> Iterator[Complaint]:
        """All that is wrong with a binding, as far as a start can know."""
        return complaints(operation, binding)

    def open(self, name: str, system: HttpSystem, observer: Observer | None = None) -> System:
        """A back end. Raises ConfigurationError for TLS and token files that cannot be used."""
        return OpenHttpSystem(name, system) if observer is None else ObservedSystem(system, observer)


KIND: AdapterKind = HttpKind()

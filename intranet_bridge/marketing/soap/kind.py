"""The kind `soap`: see the package. What needs zeep is imported when a system is opened."""

from collections.abc import Iterator

from intranet_bridge.marketing.kind import AdapterKind, Complaint, Observer, System
from intranet_bridge.marketing.soap.binding import SoapBinding, SoapSystem
from intranet_bridge.marketing.soap.check import complaints
from protocol.errors import ConfigurationError
from protocol.operations.operation import Operation


class SoapKind:
    """See `AdapterKind`."""

    system = SoapSystem
    binding = SoapBinding

    def complaints(self, operation: Operation, binding: SoapBinding) -> Iterator[Complaint]:
        """All that is wrong with a binding, as far as a start can know without the WSDL."""
        return complaints(operation, binding)

    def open(self, name: str, system: SoapSystem, observer: Observer | None = None) -> System:
        """A back end: its WSDL is read, fetched if that is asked for. Raises ConfigurationError."""
        try:
            from intranet_bridge.marketing.soap.system import OpenSoapSystem
            from intranet_bridge.marketing.soap.trial import ObservedSystem
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("zeep", "lxml"):
                raise
            message = f"the adapter soap of [{name}] needs zeep, which is not installed: pip install 'dmz-bridge[soap]'"
            raise ConfigurationError(message) from None
        return OpenSoapSystem(name, system) if observer is None else ObservedSystem(name, system, observer)


KIND: AdapterKind = SoapKind()

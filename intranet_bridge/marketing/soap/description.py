"""A WSDL, read by zeep from files of ours: which port is called, and what its operations send and answer.

Nothing is fetched here. A document that another imports by URL is looked for beside the WSDL, by the last part of its
URL (``http://host/types.xsd`` → ``types.xsd``, ``http://host/service?xsd=1`` → ``service_xsd_1``). The schema of SOAP
1.1's encoding is ours (encoding.py).
"""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from zeep.settings import Settings
from zeep.wsdl import Document
from zeep.wsdl.bindings import Soap12Binding
from zeep.wsdl.bindings.soap import SoapBinding as ZeepBinding
from zeep.wsdl.messages import RpcMessage
from zeep.xsd import ComplexType, Element
from zeep.xsd.elements import Any as AnyElement

from intranet_bridge.marketing.soap import encoding
from intranet_bridge.marketing.soap.binding import SoapSystem, checked_address
from protocol.errors import ConfigurationError
from protocol.files import read_bytes

DOCUMENT_LIMIT = 8 * 1024 * 1024
"""Bytes of one document."""
_WEB = ("http", "https")

# It logs what it sends and receives, and values that it cannot convert
logging.getLogger("zeep").setLevel(logging.CRITICAL + 1)


class Source(Protocol):
    """Where zeep gets documents from: what zeep calls a transport."""

    def load(self, url: str) -> bytes:
        """A document. Raises ConfigurationError."""


class Documents:
    """Documents as files."""

    def __init__(self, entry: str, wsdl: Path) -> None:
        """`entry`: what the WSDL itself is called."""
        self._entry, self._wsdl = entry, wsdl

    def load(self, url: str) -> bytes:
        """A document. Raises ConfigurationError."""
        if url == encoding.LOCATION:
            return encoding.SCHEMA
        if url == self._entry:
            file = self._wsdl
        elif urlsplit(url).scheme in _WEB:
            file = self._wsdl.with_name(saved_name(url))
            if not file.exists():
                raise ConfigurationError(f"imports {url}: save it as {file}", file=str(self._wsdl))
        else:
            file = Path(url.removeprefix("file://"))
        content = read_bytes(file)
        if len(content) > DOCUMENT_LIMIT:
            raise ConfigurationError(f"is longer than {DOCUMENT_LIMIT} bytes", file=str(file))
        return content


def saved_name(url: str) -> str:
    """What a document of this URL is called as a file."""
    parts = urlsplit(url)
    last = parts.path.rstrip("/").rpartition("/")[2] or "index"
    name = f"{last}?{parts.query}" if parts.query else last
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:200]


def read_wsdl(entry: str, documents: Source, file: Path) -> Document:
    """A WSDL and what it imports. Raises ConfigurationError."""
    settings = Settings(strict=True, forbid_dtd=True, forbid_entities=True, xml_huge_tree=False, force_https=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is incomplete; it matters only if it is used
            return Document(entry, documents, settings=settings)
    except ConfigurationError:
        raise
    except Exception as error:  # zeep's own, lxml's, and whatever a broken document makes it stumble on
        said = " ".join(str(error).split())[:300]
        raise ConfigurationError(
            f"cannot be read as a WSDL: {type(error).__name__}{f': {said}' if said else ''}", file=str(file)
        ) from error


class Description:
    """One port of a WSDL. Raises ConfigurationError for one that is not there."""

    def __init__(self, section: SoapSystem, document: Document) -> None:
        self._file = str(section.wsdl)
        service = self._one("service", section.service, document.services)
        ports = {name: port for name, port in service.ports.items() if isinstance(port.binding, ZeepBinding)}
        port = self._one("port", section.port, ports)
        self._operations: Mapping[str, Any] = port.binding.all()
        self.schema = document.types
        self.soap12 = isinstance(port.binding, Soap12Binding)
        self.address = section.url or self._checked(str(port.binding_options.get("address") or ""))

    def operation(self, name: str) -> Any:
        """zeep's operation. Raises ConfigurationError."""
        found = self._operations.get(name)
        if found is None:
            there = ", ".join(sorted(self._operations)) or "none"
            raise ConfigurationError(f"has no operation {name!r} at this port; there are: {there}", file=self._file)
        if found.input is None:
            raise ConfigurationError(f"the operation {name} has no request message", file=self._file)
        if found.output is None or found.output.body is None:
            raise ConfigurationError(
                f"the operation {name} has no answer: what became of a request is never said", file=self._file
            )
        return found

    def _one(self, what: str, name: str | None, there: Mapping[str, Any]) -> Any:
        names = ", ".join(sorted(there)) or "none"
        if name is not None and name not in there:
            raise ConfigurationError(f"has no {what} {name!r} that speaks SOAP; there are: {names}", file=self._file)
        if name is None and len(there) != 1:
            raise ConfigurationError(f"has several {what}s or none: {names}. Choose by `{what}`", file=self._file)
        return there[name] if name is not None else next(iter(there.values()))

    def _checked(self, address: str) -> str:
        try:
            return checked_address(address)
        except ValueError as error:
            message = f"the port's address {address!r} cannot be used, set `url`: {error}"
            raise ConfigurationError(message, file=self._file) from None


def is_rpc(message: Any) -> bool:
    """Whether a message is of the style rpc."""
    return isinstance(message, RpcMessage)


def fields_of(type: Any) -> dict[str, Any] | None:
    """The fields of a complex type: name → zeep's element; None where it may have any."""
    if not isinstance(type, ComplexType):
        return None
    found: dict[str, Any] = {}
    for name, element in [*type.elements, *type.attributes]:
        if isinstance(element, AnyElement) or name is None or name.startswith(("_value_", "_attr_")):
            return None  # any element or attribute, or a group that repeats
        found[name] = element
    return found


def misnamed(fields: Mapping[str, Any] | None, type: Any, place: str = "") -> Iterator[str]:
    """The fields (name → fields within it, or None where that is not known) that a type does not have."""
    known = fields_of(type)
    if fields is None or known is None:
        return
    for name, within in fields.items():
        where = f"{place}.{name}" if place else name
        element = known.get(name)
        if element is None:
            there = ", ".join(known) or "none"
            yield f"there is no field {where} in the WSDL's message; there are: {there}"
        elif isinstance(element, Element):
            yield from misnamed(within, element.type, where)

"""One back end that a WSDL describes, with its connections."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import jmespath

from intranet_bridge.marketing.check import request_of
from intranet_bridge.marketing.expressions.mapping import Tables
from intranet_bridge.marketing.expressions.shapes import Inference, Shape
from intranet_bridge.marketing.http.binding import HttpSystem
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.endpoint import Client, client_of, secret_of
from intranet_bridge.marketing.http.headers import merged
from intranet_bridge.marketing.judgement import Trace
from intranet_bridge.marketing.passwords import password_in
from intranet_bridge.marketing.soap.adapter import THREADS, AnswerReader, SoapAdapter
from intranet_bridge.marketing.soap.binding import InquireSection, SoapBinding, SoapSystem
from intranet_bridge.marketing.soap.description import Description, misnamed
from intranet_bridge.marketing.soap.envelope import EnvelopeDecoder
from intranet_bridge.marketing.soap.fetch import basic, document_of
from intranet_bridge.marketing.soap.message import Message, Security
from intranet_bridge.marketing.soap.reader import Reader
from protocol.errors import ConfigurationError
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample
from protocol.runtime.toml_lines import Place


class Secrets:
    """The system's secrets, read from their files. Raises ConfigurationError."""

    def __init__(self, section: SoapSystem) -> None:
        self.token = secret_of(_http(section, "http://unused"))
        self.basic = password_in(section.basic.password_file) if section.basic else ""
        self.wsse = password_in(section.username_token.password_file) if section.username_token else ""


class Bound:
    """The WSDL of a system, and what makes adapters of it. Raises ConfigurationError."""

    def __init__(self, name: str, section: SoapSystem, secrets: Secrets) -> None:
        self._section = section
        self._description = Description(section, document_of(name, section, secrets.basic))
        self._reader = Reader(self._description.schema)
        self.address = self._description.address
        self._headers: dict[str, str] = {}
        if section.authentication:
            login = section.authentication
            self._headers[login.header] = login.prefix + secrets.token
        if section.basic:
            self._headers["Authorization"] = basic(section.basic.username, secrets.basic)
        self._security = Security(section.username_token, secrets.wsse) if section.username_token else None

    def client(self, make: type[Client]) -> Client:
        """The client for the endpoint. Raises ConfigurationError for TLS files that cannot be used."""
        return client_of(_http(self._section, self.address), make)

    def adapter(
        self,
        operation: Operation,
        binding: SoapBinding,
        client: HttpClient,
        executor: ThreadPoolExecutor,
        trace: Trace | None = None,
    ) -> SoapAdapter:
        """The adapter of one operation. Raises ConfigurationError for what the WSDL does not have."""
        inquire = binding.inquire
        return SoapAdapter(
            operation,
            binding,
            timeout_s=binding.timeout_s or self._section.timeout_s,
            client=client,
            message=self._message((), operation, binding, binding),
            answers=self._answers(binding.operation, binding),
            inquiry=(
                self._message(("inquire",), operation, binding, inquire),
                self._answers(inquire.operation, binding),
            )
            if inquire
            else None,
            executor=executor,
            trace=trace,
        )

    def _message(
        self, above: Place, operation: Operation, binding: SoapBinding, asking: SoapBinding | InquireSection
    ) -> Message:
        try:
            found = self._description.operation(asking.operation)
        except ConfigurationError as error:  # of the WSDL, by what the binding names
            raise ConfigurationError(str(error), place=(*above, "operation")) from None
        sees = request_of(operation)
        for setting, text, element in (
            ("request", asking.request, found.input.body),
            ("header", asking.header, found.input.header),
        ):
            if text is not None and element is not None:
                for complaint in misnamed(_fields(text, sees, binding.values), element.type):
                    raise ConfigurationError(complaint, place=(*above, setting))
        return Message(
            found,
            address=self.address,
            soap12=self._description.soap12,
            charset=binding.charset,
            request=asking.request,
            header=asking.header,
            headers=merged(self._section.headers, binding.headers, self._headers),
            tables=binding.values,
            security=self._security,
        )

    def _answers(self, name: str, binding: SoapBinding) -> AnswerReader:
        decoder = EnvelopeDecoder(binding.charset, binding.answer_charset, self._section.answer_limit)
        return AnswerReader(self._description.operation(name), self._reader, decoder)


class OpenSoapSystem:
    """See `System`."""

    def __init__(self, name: str, section: SoapSystem) -> None:
        """Raises ConfigurationError for files that cannot be used."""
        self._name = name
        self._bound = Bound(name, section, Secrets(section))
        self._client = self._bound.client(HttpClient)
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=f"soap-{name}")

    def adapter(self, operation: Operation, binding: SoapBinding) -> SoapAdapter:
        """The adapter of one operation. Raises ConfigurationError for what the WSDL does not have."""
        return self._bound.adapter(operation, binding, self._client, self._executor)

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        labels = {"system": self._name}
        text = "Open connections to the marketing system"
        yield "intranet_bridge_marketing_connections", text, labels, self._client.open
        text = "Connections made to the marketing system"
        yield "intranet_bridge_marketing_connections_made_total", text, labels, self._client.made


def _http(section: SoapSystem, address: str) -> HttpSystem:
    """What the HTTP client needs to know."""
    parts = urlsplit(address)
    return HttpSystem(
        url=f"{parts.scheme}://{parts.netloc}",
        timeout_s=section.timeout_s,
        connect_timeout_s=section.connect_timeout_s,
        connections=section.connections,
        idle_s=section.idle_s,
        answer_limit=section.answer_limit,
        authentication=section.authentication,
        tls=section.tls,
    )


def _fields(text: str, sees: Shape, tables: Tables) -> Mapping[str, Any] | None:
    """The fields that an expression gives, and those within them; None where that is not known."""
    return _within(Inference(text, jmespath.compile(text).parsed, sees, tables).gives)


def _within(shape: Shape) -> dict[str, Any] | None:
    if shape.item is not None:
        return _within(shape.item)
    if shape.fields is None:
        return None
    return {name: _within(field) for name, field in shape.fields.items()}

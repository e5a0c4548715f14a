"""A SOAP system that is tried: it tells an observer what it hands over and what comes back, envelopes masked.

A saved answer is served by a listener on the loopback for the length of the trial, so it is read as the system's would
be.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lxml import etree

from intranet_bridge.marketing.http.answer import AnswerError
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.connection import Response
from intranet_bridge.marketing.http.trial import saved_answer, serve_saved
from intranet_bridge.marketing.kind import Observer
from intranet_bridge.marketing.soap.adapter import THREADS, SoapAdapter
from intranet_bridge.marketing.soap.binding import SoapBinding, SoapSystem
from intranet_bridge.marketing.soap.envelope import root_of, text_of_answer
from intranet_bridge.marketing.soap.system import Bound, Secrets
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample

_SECRET = frozenset({"Password", "Nonce", "BinarySecurityToken", "SignatureValue"})


class ObservedSystem:
    """One back end that is tried."""

    def __init__(self, name: str, section: SoapSystem, observer: Observer) -> None:
        """Raises ConfigurationError for files that cannot be used."""
        self._observer, self._limit = observer, section.answer_limit
        secrets = Secrets(section) if observer.sends else Unread()
        for secret in (secrets.token, secrets.basic, secrets.wsse):
            if observer.sends:
                observer.mask.hide(secret)
        if section.authentication:
            observer.mask.hide("", header=section.authentication.header)
        observer.mask.hide("", header="Authorization")
        self._bound = Bound(name, section, secrets)
        self._executor = ThreadPoolExecutor(THREADS)
        # One that is not sent to is never connected to: port 1
        self._client = (
            self._bound.client(_Listening)
            if observer.sends
            else _Listening("127.0.0.1", 1, answer_limit=section.answer_limit)
        )
        self._server: asyncio.Server | None = None

    def adapter(self, operation: Operation, binding: SoapBinding) -> SoapAdapter:
        """The operation's own adapter, listened to."""
        self._client.listen(self._observer, binding)
        return self._bound.adapter(operation, binding, self._client, self._executor, self._observer.step)

    async def start(self) -> None:
        """Serve the saved answer, if one is tried."""
        saved = self._observer.saved
        if saved is None:
            return
        answer = saved_answer(saved)
        self._server = await asyncio.start_server(lambda r, w: serve_saved(answer, r, w), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._client = _Listening("127.0.0.1", port, answer_limit=self._limit)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def samples(self) -> Iterator[Sample]:
        """None: a trial is over at once."""
        yield from ()


class Unread(Secrets):
    """Secrets that need not be read."""

    def __init__(self) -> None:
        self.token = self.basic = self.wsse = "***"  # noqa: S105


class _Listening(HttpClient):
    """The client, telling what it hands over and what comes back."""

    _observer: Observer
    _binding: SoapBinding

    def listen(self, observer: Observer, binding: SoapBinding) -> None:
        self._observer, self._binding = observer, binding

    async def exchange(self, request: bytes, timeout_s: float, **how: Any) -> Response:
        mask = self._observer.mask
        head, _, body = request.partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        self._observer.request([mask.clean(first), *map(mask.header, headers), self._envelope(body)])
        response = await super().exchange(request, timeout_s, **how)
        lines = [f"HTTP {response.status}"]
        if response.content_type:
            lines.append(mask.header(f"Content-Type: {response.content_type.decode('latin-1')}"))
        self._observer.answer([*lines, self._envelope(response.body, response)])
        return response

    def _envelope(self, body: bytes, response: Response | None = None) -> str:
        """An envelope by its structure."""
        mask, binding = self._observer.mask, self._binding
        if not body:
            return "(no body)"
        try:
            of = response or Response(200, body)
            root = root_of(text_of_answer(of, binding.charset, binding.answer_charset))
        except AnswerError as error:
            return f"({len(body)} bytes: {error})" if not mask.show else mask.clean(body.decode("utf-8", "replace"))
        return mask.clean("\n".join(_lines(root, show=mask.show)))


def _lines(element: Any, depth: int = 0, *, show: bool) -> Iterator[str]:
    """An element, values masked; what is masked is no XML any more, on purpose."""
    name = etree.QName(element)
    qualified = f"{element.prefix}:{name.localname}" if element.prefix else name.localname
    inherited = element.getparent().nsmap if element.getparent() is not None else {}
    head = qualified
    for prefix, space in element.nsmap.items():
        if inherited.get(prefix) != space:
            head += f' xmlns{f":{prefix}" if prefix else ""}="{space}"'
    for attribute, value in element.attrib.items():
        head += f' {etree.QName(attribute).localname}="{_masked(value, show=show)}"'
    text, indent = (element.text or "").strip(), "  " * depth
    if name.localname in _SECRET:
        text = "***" if text else ""
    elif text:
        text = _masked(text, show=show)
    if not len(element):
        yield f"{indent}<{head}>{text}</{qualified}>" if text else f"{indent}<{head}/>"
        return
    yield f"{indent}<{head}>{text}"
    for child in element:
        yield from _lines(child, depth + 1, show=show)
    yield f"{indent}</{qualified}>"


def _masked(text: str, *, show: bool) -> str:
    return text if show else f"<text of {len(text)}>"

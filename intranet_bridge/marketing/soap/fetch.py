"""The WSDL asked for at start: all of it or nothing, within a time, and kept as files for when it cannot be had."""

import base64
import ssl
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from zeep.wsdl import Document

from intranet_bridge.marketing.soap import encoding
from intranet_bridge.marketing.soap.binding import FetchSection, SoapSystem
from intranet_bridge.marketing.soap.description import DOCUMENT_LIMIT, Documents, read_wsdl, saved_name
from protocol.errors import ConfigurationError
from protocol.link.tls import explain, outward_context
from protocol.runtime.logs import logger

DOCUMENTS_LIMIT = 256
log = logger(__name__)


def document_of(name: str, section: SoapSystem, password: str) -> Document:
    """The WSDL of a system, fetched if its section says so. Raises ConfigurationError.

    Blocks for at most `fetch.timeout_s`: it is read before anything is served.
    """
    if section.fetch is None:
        return read_wsdl(str(section.wsdl), Documents(str(section.wsdl), section.wsdl), section.wsdl)
    entry = section.fetch.url
    try:
        fetched = Fetched(section, section.fetch, password)
        document = read_wsdl(entry, fetched, section.wsdl)
        fetched.save()
        return document
    except ConfigurationError as error:
        if not section.wsdl.exists():
            raise
        log.warning("wsdl-not-fetched", system=name, reason=str(error), used=str(section.wsdl))
        return read_wsdl(entry, Documents(entry, section.wsdl), section.wsdl)


class Fetched:
    """Documents as they are on the web, each asked for once."""

    def __init__(self, section: SoapSystem, fetch: FetchSection, password: str) -> None:
        self._wsdl, self._url = section.wsdl, fetch.url
        self._end = time.monotonic() + fetch.timeout_s
        self._authorization = ""
        if section.basic:
            self._authorization = basic(section.basic.username, password)
        context: ssl.SSLContext | None = None
        if urlsplit(fetch.url).scheme == "https":
            context = outward_context(section.tls.ca, section.tls.certificate, section.tls.key)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect()
        )
        self._documents: dict[str, bytes] = {}

    def load(self, url: str) -> bytes:
        """A document. Raises ConfigurationError."""
        if url == encoding.LOCATION:
            return encoding.SCHEMA
        if url not in self._documents:
            if urlsplit(url).scheme not in ("http", "https"):
                raise ConfigurationError(f"imports {url}, which is no address on the web", file=self._url)
            if len(self._documents) >= DOCUMENTS_LIMIT:
                raise ConfigurationError(f"imports more than {DOCUMENTS_LIMIT} documents", file=self._url)
            self._documents[url] = self._asked(url)
        return self._documents[url]

    def save(self) -> None:
        """Keep them as files, each whole or as it was. Raises ConfigurationError."""
        names: dict[str, str] = {}
        for url in self._documents:
            name = self._wsdl.name if url == self._url else saved_name(url)
            if names.setdefault(name, url) != url:
                raise ConfigurationError(f"{names[name]} and {url} would both be saved as {name}", file=self._url)
        try:
            self._wsdl.parent.mkdir(parents=True, exist_ok=True)
            for name, url in names.items():
                new = self._wsdl.with_name(f".{name}.new")
                new.write_bytes(self._documents[url])
                new.replace(self._wsdl.with_name(name))
        except OSError as error:
            raise ConfigurationError(f"cannot be saved: {error.strerror}", file=str(self._wsdl)) from error

    def _asked(self, url: str) -> bytes:
        request = urllib.request.Request(url)  # noqa: S310  # http or https
        if self._authorization and _origin(url) == _origin(self._url):
            request.add_header("Authorization", self._authorization)
        parts: list[bytes] = []
        size = 0
        try:
            with self._opener.open(request, timeout=self._left()) as answer:
                while chunk := answer.read1(65536):
                    self._left()
                    parts.append(chunk)
                    size += len(chunk)
                    if size > DOCUMENT_LIMIT:
                        raise ConfigurationError(f"is longer than {DOCUMENT_LIMIT} bytes", file=url)
        except urllib.error.HTTPError as error:
            raise ConfigurationError(f"cannot be fetched: HTTP {error.code}", file=url) from None
        except (OSError, ValueError) as error:  # URLError is an OSError
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            told = explain(reason) if isinstance(reason, BaseException) else str(reason)
            raise ConfigurationError(f"cannot be fetched: {told}", file=url) from None
        return b"".join(parts)

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise ConfigurationError("cannot be fetched: it takes longer than fetch.timeout_s", file=self._url)
        return left


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: a redirect is an answer that is no WSDL."""


def basic(username: str, password: str) -> str:
    """The value of `Authorization` (RFC 7617, UTF-8)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()

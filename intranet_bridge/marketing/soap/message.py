"""Requests of one operation of a WSDL: the typed envelope by zeep, our token in it, and the bytes around it.

Fields go by their names in the WSDL. A null is left out where the element may be (``xsi:nil`` where it must come and
may be nil), and is a MappingError naming the field where it may not. 7.0 is written as an integer.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from lxml import etree
from zeep.exceptions import ValidationError
from zeep.wsse.username import UsernameToken
from zeep.wsse.utils import WSU, get_timestamp

from intranet_bridge.marketing import MarketingRequest
from intranet_bridge.marketing.expressions.mapping import MappingError, Tables, compiled, optional
from intranet_bridge.marketing.http.headers import merged
from intranet_bridge.marketing.soap.binding import UsernameTokenSection


class Security:
    """The UsernameToken in an envelope's header."""

    def __init__(self, section: UsernameTokenSection, password: str) -> None:
        self._section, self._password = section, password

    def apply(self, envelope: Any) -> None:
        """Put it in; a nonce and a time of its own each time."""
        section = self._section
        token = UsernameToken(section.username, self._password, use_digest=section.digest, zulu_timestamp=True)
        if section.valid_s is not None:
            now = datetime.now(UTC)
            until = now + timedelta(seconds=section.valid_s)
            token.timestamp_token = WSU.Timestamp(
                WSU.Created(get_timestamp(now, True)), WSU.Expires(get_timestamp(until, True))
            )
        token.apply(envelope, {})


class Message:
    """Renders requests: everything that is the same for all is made once."""

    def __init__(
        self,
        operation: Any,
        *,
        address: str,
        soap12: bool,
        charset: str,
        request: str,
        header: str | None,
        headers: Mapping[str, str],
        tables: Tables,
        security: Security | None = None,
    ) -> None:
        """`operation`: zeep's."""
        self._input, self._charset, self._security = operation.input, charset, security
        self._fields, self._header = compiled(request, tables), optional(header, tables)
        parts, action = urlsplit(address), operation.soapaction or ""
        fixed = {"Host": parts.netloc, "Accept-Encoding": "identity"}
        if soap12:
            fixed["Accept"] = "application/soap+xml"
            said = f'; action="{action}"' if action else ""
            fixed["Content-Type"] = f"application/soap+xml; charset={charset}{said}"
        else:
            fixed["Accept"] = "text/xml"
            fixed["Content-Type"] = f"text/xml; charset={charset}"
            fixed["SOAPAction"] = f'"{action}"'
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = "".join(f"{name}: {value}\r\n" for name, value in merged(fixed, headers).items())
        self._head = f"POST {target} HTTP/1.1\r\n{lines}X-Request-Id: ".encode()

    def render(self, asked: MarketingRequest, values: dict[str, Any]) -> bytes:
        """The whole request. Raises MappingError."""
        fields = self._object(self._fields(values), "request")
        if self._header is not None:
            fields["_soapheaders"] = self._object(self._header(values), "header")
        envelope = self._envelope(fields)
        if self._security is not None:
            self._security.apply(envelope)
        text = etree.tostring(envelope, encoding="unicode")
        body = f'<?xml version="1.0" encoding="{self._charset}"?>\n{text}'.encode(self._charset, "xmlcharrefreplace")
        # request id and trace have been checked at the intake to hold nothing that could end a header line
        tail = asked.request_id.encode()
        if asked.traceparent:
            tail += b"\r\ntraceparent: " + asked.traceparent.encode()
        return b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (self._head, tail, len(body), body)

    def _object(self, value: Any, setting: str) -> dict[str, Any]:
        if type(value) is not dict:
            raise MappingError(f"{setting} gives no object")
        return {name: _tidy(item) for name, item in value.items()}

    def _envelope(self, fields: dict[str, Any]) -> Any:
        # zeep's words may hold the value; its path does not
        try:
            return self._input.serialize(**fields).content
        except ValidationError as error:
            place = ".".join(str(part) for part in error.path)
            missing = error.message.startswith("Missing element")
            raise MappingError(
                f"{place or 'the message'}: {'no value' if missing else 'does not fit the WSDL'}"
            ) from None
        except (TypeError, ValueError, KeyError, AttributeError, AssertionError) as error:
            raise MappingError(f"the message does not fit the WSDL ({type(error).__name__})") from None


def _tidy(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _tidy(item) for name, item in value.items()}
        case list():
            return [_tidy(item) for item in value]
    return value

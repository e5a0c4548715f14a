"""The face of a system that a WSDL describes (wsdl.py): SOAP 1.1 and 1.2, and a UsernameToken in every message.

`POST /soap/MarketingService`, whichever version; `GET /soap/MarketingService?wsdl`. A refusal or failure is a fault:
with the declared detail `MarketingFault` (`rtnCode`, `rtnMsg`) if the business said no, else of the kinds below. An
answer that does not fit the WSDL is a failure of the simulator.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from aiohttp import web
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from scripts.tools.marketing_simulator.faces.wsdl import FAULT, NAMESPACE, RETURN, SERVICE, operation_name, wsdl
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import SUCCESS, Code, to_json
from scripts.tools.marketing_simulator.server import MarketingInterfaces
from scripts.tools.marketing_simulator.shapes import InterfaceShape, Many, Record, Simple, check, shapes

PATH = f"/soap/{SERVICE}"
USER = "dmz"
FRESH_SECONDS = 300.0
"""How far from now a token may be made, and how long its nonce is remembered."""
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE, WSU = f"{_WSS}wssecurity-secext-1.0.xsd", f"{_WSS}wssecurity-utility-1.0.xsd"
DIGEST = f"{_WSS}username-token-profile-1.0#PasswordDigest"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
TYPES = {SOAP_11: "text/xml; charset=utf-8", SOAP_12: "application/soap+xml; charset=utf-8"}
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SENDER, _RECEIVER = "Sender", "Receiver"
_ELEVEN = {_SENDER: "Client", _RECEIVER: "Server"}


class Fault(Exception):
    """A message that is not processed. `code` is one of SOAP 1.2's own, `subcode` one of WS-Security's."""

    def __init__(self, text: str, code: str = _SENDER, *, subcode: str = "", detail: str = "") -> None:
        super().__init__(text)
        self.text, self.code, self.subcode, self.detail = text, code, subcode, detail

    def body(self, version: str) -> str:
        """The element."""
        text, detail = _escaped(self.text), self.detail
        if version == SOAP_11:
            code = f"wsse:{self.subcode}" if self.subcode else f"soap:{_ELEVEN.get(self.code, self.code)}"
            detail = f"<detail>{detail}</detail>" if detail else ""
            return f"<soap:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring>{detail}</soap:Fault>"
        sub = f"<soap:Subcode><soap:Value>wsse:{self.subcode}</soap:Value></soap:Subcode>" if self.subcode else ""
        reason = f'<soap:Reason><soap:Text xml:lang="zh">{text}</soap:Text></soap:Reason>'
        detail = f"<soap:Detail>{detail}</soap:Detail>" if detail else ""
        return (
            f"<soap:Fault><soap:Code><soap:Value>soap:{self.code}</soap:Value>{sub}</soap:Code>{reason}{detail}"
            "</soap:Fault>"
        )

    def status(self, version: str) -> int:
        """Of HTTP: SOAP 1.1, 6.2; SOAP 1.2 part 2, table 20."""
        return 400 if version == SOAP_12 and self.code == _SENDER else 500


@dataclass(frozen=True, slots=True)
class Call:
    """What a message asks for."""

    security: Element | None
    name: str
    content: Element


class Guard:
    """Lets in who knows the password: as text, or as a digest of it that is fresh and was not there before."""

    def __init__(self, password: str, clock: Callable[[], float] = time.time) -> None:
        self._password, self._clock = password.encode(), clock
        self._nonces: dict[bytes, float] = {}

    def check(self, security: Element | None) -> None:
        """Raise Fault unless the header lets its sender in."""
        if security is None:
            raise Fault("no UsernameToken", subcode="InvalidSecurity")
        expires = security.findtext(f"{{{WSU}}}Timestamp/{{{WSU}}}Expires")
        if expires is not None and self._seconds(expires) < self._clock():
            raise Fault("the message has expired", subcode="MessageExpired")
        token = security.find(f"{{{WSSE}}}UsernameToken")
        password = None if token is None else token.find(f"{{{WSSE}}}Password")
        if token is None or password is None or token.findtext(f"{{{WSSE}}}Username") != USER:
            raise Fault("authentication failed", subcode="FailedAuthentication")
        expected = self._digest(token) if password.get("Type") == DIGEST else self._password
        if not hmac.compare_digest((password.text or "").encode(errors="replace"), expected):
            raise Fault("authentication failed", subcode="FailedAuthentication")

    def _digest(self, token: Element) -> bytes:
        now, created = self._clock(), token.findtext(f"{{{WSU}}}Created") or ""
        try:
            nonce = base64.b64decode(token.findtext(f"{{{WSSE}}}Nonce") or "", validate=True)
        except binascii.Error as error:
            raise Fault("the nonce is not base64", subcode="InvalidSecurity") from error
        self._nonces = {known: until for known, until in self._nonces.items() if until > now}
        if not nonce or abs(now - self._seconds(created)) > FRESH_SECONDS or nonce in self._nonces:
            raise Fault("the token is not fresh", subcode="MessageExpired")
        self._nonces[nonce] = now + 2 * FRESH_SECONDS
        return base64.b64encode(hashlib.sha1(nonce + created.encode() + self._password).digest())  # noqa: S324

    def _seconds(self, moment: str) -> float:
        try:
            read = datetime.fromisoformat(moment.strip())
        except ValueError as error:
            raise Fault("no such time", subcode="InvalidSecurity") from error
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


class SoapFace:
    """One endpoint for every interface."""

    def __init__(self, interfaces: MarketingInterfaces, password: str) -> None:
        self._interfaces, self._guard = interfaces, Guard(password)
        self._offered: dict[str, tuple[Interface, InterfaceShape]] = {}

    def routes(self, offered: Iterable[Interface]) -> Iterator[web.RouteDef]:
        """Its paths."""
        known = shapes()
        self._offered = {operation_name(one.path): (one, known[one.path]) for one in offered}
        yield web.post(PATH, self.call)
        yield web.get(PATH, self.describe)

    async def describe(self, request: web.Request) -> web.Response:
        """The WSDL, with the address by which it was asked for."""
        operations = ((name, shape) for name, (_, shape) in self._offered.items())
        text = wsdl(operations, f"http://{request.host}{PATH}")
        return web.Response(body=text.encode(), headers={"Content-Type": TYPES[SOAP_11]})

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One message."""
        version = SOAP_11
        try:
            root = parsed(await request.read())
            version = SOAP_12 if root.tag == f"{{{SOAP_12}}}Envelope" else SOAP_11
            call = call_of(root)
            self._guard.check(call.security)
            if call.name not in self._offered:
                raise Fault(f"no such operation: {call.name}")
            interface, shape = self._offered[call.name]
            given = fields_of(shape.request, call.content)
        except Fault as fault:
            return _response(fault.body(version), version, fault.status(version))

        async def answered(_request: web.Request) -> bytes | None:
            answer = await self._interfaces.answer(interface, to_json(given).encode())
            if answer is not None:
                check(shape.answer, json.loads(answer)["data"])
            return answer

        def write(body: bytes, _status: int) -> web.Response:
            return told(body, version, call.name, shape.answer)

        return await self._interfaces.told(request, answered, write)


def parsed(body: bytes) -> Element:
    """The root element. Raises Fault."""
    try:
        return fromstring(body, forbid_dtd=True)
    except (ValueError, LookupError, ParseError, DefusedXmlException) as error:
        raise Fault("the message is not XML") from error


def call_of(root: Element) -> Call:
    """What an envelope asks for. Raises Fault."""
    version = next((one for one in (SOAP_11, SOAP_12) if root.tag == f"{{{one}}}Envelope"), None)
    if version is None:
        raise Fault("no envelope that is known here", code="VersionMismatch")
    security = None
    for block in root.findall(f"{{{version}}}Header/*"):
        if block.tag == f"{{{WSSE}}}Security":
            security = block
        elif block.get(f"{{{version}}}mustUnderstand") in ("1", "true"):
            raise Fault(f"not understood: {block.tag}", code="MustUnderstand")
    content = root.find(f"{{{version}}}Body/*")
    if content is None or not content.tag.startswith(f"{{{NAMESPACE}}}"):
        raise Fault("the body asks for nothing that is known here")
    return Call(security, content.tag.rpartition("}")[2], content)


def fields_of(shape: Record, content: Element) -> dict[str, Any]:
    """An element as the fields of the JSON face; numbers stay text. Raises Fault."""
    given: dict[str, Any] = {}
    for child in content:
        field = shape.fields.get(child.tag)
        if field is None or (child.tag in given and not isinstance(field.shape, Many)):
            raise Fault(f"the message does not fit the WSDL: {child.tag}")
        if child.get(NIL) in ("1", "true"):
            continue
        value = child.text or ""
        if isinstance(field.shape, Many):
            given.setdefault(child.tag, []).append(value)
        else:
            given[child.tag] = value
    return given


def told(body: bytes, version: str, name: str, shape: Record) -> web.Response:
    """An answer of the JSON face as a message."""
    answer = json.loads(body)
    code, text = answer["rtnCode"], answer["rtnMsg"]
    if code == SUCCESS:
        content = "".join(_element(RETURN, shape, answer["data"]))
        return _response(f'<m:{name}Response xmlns:m="{NAMESPACE}">{content}</m:{name}Response>', version, 200)
    if code == Code.SYSTEM.code:
        fault = Fault(text, _RECEIVER)
    elif code == Code.MALFORMED.code:
        fault = Fault(text)
    else:
        inner = f"<rtnCode>{code}</rtnCode><rtnMsg>{_escaped(text)}</rtnMsg>"
        detail = f'<m:{FAULT} xmlns:m="{NAMESPACE}">{inner}</m:{FAULT}>'
        fault = Fault(text, _RECEIVER, detail=detail)  # as JAX-WS reports the exceptions of a service
    return _response(fault.body(version), version, fault.status(version))


def _element(name: str, shape: Simple | Record | Many, value: Any) -> Iterator[str]:
    if value is None:
        return
    match shape:
        case Many():
            for item in value:
                yield from _element(name, shape.item, item)
        case Record():
            yield f"<{name}>"
            for member, field in shape.fields.items():  # in the WSDL's order
                yield from _element(member, field.shape, value.get(member))
            yield f"</{name}>"
        case _:
            yield f"<{name}>{_escaped(str(value))}</{name}>"


def _escaped(text: str) -> str:
    return escape(_NO_CHARACTER.sub("?", text), {"\r": "&#13;"})


def _response(inner: str, version: str, status: int) -> web.Response:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<soap:Envelope xmlns:soap="{version}" xmlns:wsse="{WSSE}">'
        f"<soap:Body>{inner}</soap:Body></soap:Envelope>"
    )
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": TYPES[version]})

"""The face of an older system: forms or XML in, XML out, all in GBK, and a session before anything else.

`/api/bill/query` is `/gbk/bill/query.do`; `consNo` is the form field or element `CONS_NO`; a list is an element of
`ROW`s; null is an empty element. `/gbk/login.do` (USER, PASSWORD) opens a session, which ends `session_seconds` after
that; its id stands in the cookie `SESSIONID` or in the field `SESSION_ID`. One that is not open is told by code 9003.
"""

import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from aiohttp import web
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from scripts.tools.marketing_simulator.files import Files
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import Code, Refusal, to_json
from scripts.tools.marketing_simulator.server import MarketingInterfaces, json_response

USER = "dmz"
COOKIE, FIELD = "SESSIONID", "SESSION_ID"
CHARSET = "gb18030"
"""As all that say GBK are read: it has every character. Answers are GBK, with references for what that lacks."""
ROW = "ROW"
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Sessions:
    """Who is logged in."""

    def __init__(self, password: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._password, self._seconds, self._clock = password.encode(), seconds, clock
        self._ends: dict[str, float] = {}
        self.logins = 0
        self.failed = 0

    def open(self, user: str, password: str) -> str:
        """A new session's id. Raises Refusal."""
        if user != USER or not hmac.compare_digest(password.encode(errors="replace"), self._password):
            self.failed += 1
            raise Refusal(Code.TOKEN)
        self.logins += 1
        id = secrets.token_hex(16)
        self._ends[id] = self._clock() + self._seconds
        return id

    def check(self, id: str) -> None:
        """Raise Refusal unless it is open."""
        if self._ends.get(id, 0.0) <= self._clock():
            self._ends.pop(id, None)
            raise Refusal(Code.SESSION)

    def end_all(self) -> None:
        """No session is open any more."""
        self._ends.clear()

    def state(self) -> dict[str, int]:
        """How many log-ins there were, and sessions are open."""
        return {"logins": self.logins, "failed": self.failed, "open": len(self._ends)}


class GbkFace:
    """Routes for every interface, the log-in, and the control of sessions."""

    def __init__(self, interfaces: MarketingInterfaces, files: Files, password: str, session_seconds: float) -> None:
        self._interfaces, self._files, self._seconds = interfaces, files, session_seconds
        self.sessions = Sessions(password, session_seconds)

    def routes(self, offered: Iterable[Interface]) -> Iterator[web.RouteDef]:
        """Their paths."""
        yield web.post("/gbk/login.do", self.log_in)
        yield web.get("/sessions", self.show_sessions)
        yield web.delete("/sessions", self.end_sessions)
        yield web.post(path_of(Files.path), self.upload)
        for interface in offered:
            yield web.post(path_of(interface.path), self._handler(interface))

    async def log_in(self, request: web.Request) -> web.Response:
        """Opens a session."""
        try:
            given = understood(await request.read(), request.content_type)
            id = self.sessions.open(str(given.get("user", "")), str(given.get("password", "")))
        except Refusal as refusal:
            return _response(refusal.body(), 200)
        data = {"sessionId": id, "validSeconds": int(self._seconds)}
        response = _response(to_json({"rtnCode": "0000", "rtnMsg": "成功", "data": data}).encode(), 200)
        response.set_cookie(COOKIE, id, path="/gbk", httponly=True)
        return response

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """`/api/file/upload`, its fields named as this face does."""

        async def answered(request: web.Request) -> bytes | None:
            self.sessions.check(request.cookies.get(COOKIE, ""))
            return await self._interfaces.under_faults(Files.path, lambda: self._files.upload(request, field_name))

        return await self._interfaces.told(request, answered, _response)

    async def show_sessions(self, _request: web.Request) -> web.Response:
        """For tests: how many log-ins there were."""
        return json_response(self.sessions.state())

    async def end_sessions(self, _request: web.Request) -> web.Response:
        """For tests: all sessions expire now."""
        self.sessions.end_all()
        return json_response(self.sessions.state())

    def _handler(self, interface: Interface) -> Callable[[web.Request], Any]:
        async def answered(request: web.Request) -> bytes | None:
            given = understood(await request.read(), request.content_type)
            self.sessions.check(request.cookies.get(COOKIE) or str(given.pop("sessionId", "")))
            return await self._interfaces.answer(interface, to_json(given).encode())

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._interfaces.told(request, answered, _response)

        return handle


def path_of(path: str) -> str:
    """Where this face serves an interface of the JSON face."""
    return f"/gbk/{path.removeprefix('/api/')}.do"


def element_name(name: str) -> str:
    """`consNo` as `CONS_NO`."""
    return re.sub("([A-Z])", r"_\1", name).upper()


def field_name(name: str) -> str:
    """`CONS_NO` as `consNo`."""
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)


def understood(body: bytes, content_type: str) -> dict[str, Any]:
    """A form or a document as the fields of the JSON face. Raises Refusal."""
    try:
        if content_type == "application/x-www-form-urlencoded":
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(body),
                encoding=CHARSET,
                errors="strict",
            )
            return {field_name(name): value for name, value in pairs}
        value = _value(fromstring(body.decode(CHARSET), forbid_dtd=True))
    except (ValueError, ParseError, DefusedXmlException) as error:
        raise Refusal(Code.MALFORMED) from error
    return value if isinstance(value, dict) else {}


def _value(element: Element) -> Any:
    if len(element) and all(child.tag == ROW for child in element):
        return [_value(child) for child in element]
    if len(element):
        return {field_name(child.tag): _value(child) for child in element}
    return element.text or ""


def document(answer: bytes) -> bytes:
    """A JSON answer as this face writes it."""
    text = f'<?xml version="1.0" encoding="GBK"?>\n{_element("RESPONSE", json.loads(answer, parse_float=str))}\n'
    return text.encode("gbk", "xmlcharrefreplace")


def _element(name: str, value: Any) -> str:
    match value:
        case dict():
            inner = "".join(_element(element_name(member), item) for member, item in value.items())
        case list():
            inner = "".join(_element(ROW, item) for item in value)
        case None:
            return f"<{name}/>"
        case bool():
            inner = str(value).lower()
        case _:
            inner = escape(_NO_CHARACTER.sub("?", str(value)))
    return f"<{name}>{inner}</{name}>"


def _response(body: bytes, status: int) -> web.Response:
    return web.Response(body=document(body), status=status, headers={"Content-Type": "text/xml; charset=GBK"})

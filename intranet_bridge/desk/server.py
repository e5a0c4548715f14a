"""The desk's listener, and the bounds of what it takes."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from intranet_bridge.desk_section import DeskSection
from intranet_bridge.listening import Limits, Listener
from protocol.desk.pages import HEADERS, Desk, see
from protocol.link.tls import server_context

HEADER_BYTES = 16 * 1024
MOST_BYTES = 512 * 1024
"""Of a form, whoever sends it."""
_BODY_S = 30.0

Message = MutableMapping[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def application(desk: Desk) -> App:
    """The desk under its path, for bodies of bounded size and time."""

    async def home(request: Request) -> Response:
        return see("/desk/")

    async def no_icon(request: Request) -> Response:  # browsers ask for one unasked
        return Response(status_code=204, headers=HEADERS)

    return bounded(Starlette(routes=[Route("/", home), Route("/favicon.ico", no_icon), Mount("/desk", desk.app)]))


def bounded(app: App, most: int = MOST_BYTES, seconds: float = _BODY_S) -> App:
    """A body says its length, which is not too much, and comes within the time."""

    async def handled(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or not length.isdigit() or len(length) > 12 or int(length) > most:
            refused = PlainTextResponse("Too large, or without its length", 413, HEADERS | {"Connection": "close"})
            await refused(scope, receive, send)
            return
        end = asyncio.get_running_loop().time() + seconds

        async def in_time() -> Message:
            try:
                async with asyncio.timeout_at(end):
                    message: Message = await receive()
                    return message
            except TimeoutError:
                return {"type": "http.disconnect"}

        await app(scope, in_time, send)

    return handled


def listener(section: DeskSection, desk: Desk) -> Listener:
    """Where the desk is. Raises ConfigurationError for files that cannot be used."""
    context = None
    if section.certificate is not None and section.key is not None:
        context = server_context(section.certificate, section.key)
    return Listener(
        application(desk), what="desk", host=section.host, port=section.port, context=context,
        limits=Limits(section.connections, HEADER_BYTES),
    )  # fmt: skip


def check(section: DeskSection) -> None:
    """Read the files. Raises ConfigurationError for one that cannot be used."""
    if section.certificate is not None and section.key is not None:
        server_context(section.certificate, section.key)

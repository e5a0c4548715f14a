"""An answer written whole says what the same answer says through ASGI's `send`."""

import asyncio
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from dmz_front.http.exchange import EXTENSION, Exchange, fields_of, head, write
from dmz_front.problems.details import HttpResponse, Problem

pytestmark = pytest.mark.anyio


class Transport:
    """What was written to it, and whether it was closed."""

    def __init__(self) -> None:
        self.written, self.closed = b"", False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def cycle_of(
    *, method: str = "POST", keep_alive: bool = True
) -> tuple[RequestResponseCycle, Transport, dict[str, Any]]:
    transport, scope = Transport(), {"type": "http", "method": method, "headers": [(b"a", b" b ")]}
    cycle = RequestResponseCycle(
        scope=scope,  # type: ignore[arg-type]
        transport=transport,  # type: ignore[arg-type]
        flow=FlowControl(transport),  # type: ignore[arg-type]
        logger=None,  # type: ignore[arg-type]
        access_logger=None,  # type: ignore[arg-type]
        access_log=False,
        default_headers=[(b"date", b"Sun, 29 Nov 2026 11:00:00 GMT")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    return cycle, transport, scope


ANSWERS = [
    HttpResponse(200, b'{"status":"succeeded"}'),
    HttpResponse(202, b"{}", [(b"location", b"/v1/requests/1"), (b"preference-applied", b"wait=5")]),
    Problem(503, "overloaded", retry_after_s=2, headers=[(b"connection", b"close")]).answer("1"),
    HttpResponse(200, b""),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer.status}, {len(answer.body)} bytes")
@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("keep_alive", [True, False])
async def test_whole_or_through_send_the_bytes_are_the_same(
    answer: HttpResponse, method: str, keep_alive: bool
) -> None:
    notices = [(b"deprecation", b"@1"), (b"link", b'</v1/x>; rel="successor-version"')]
    plain, sent, scope = cycle_of(method=method, keep_alive=keep_alive)
    await write(scope, plain.send, answer, "id", notices)  # type: ignore[arg-type]
    cycle, whole, scope = cycle_of(method=method, keep_alive=keep_alive)
    scope["extensions"] = {EXTENSION: Exchange({}, cycle)}
    await write(scope, cycle.send, answer, "id", notices)  # type: ignore[arg-type]
    assert whole.written == sent.written
    assert whole.closed == sent.closed
    assert cycle.response_complete
    assert cycle.message_event.is_set()
    assert scope["extensions"] == {}


async def test_who_went_away_is_written_nothing() -> None:
    cycle, transport, scope = cycle_of()
    cycle.disconnected = True
    scope["extensions"] = {EXTENSION: Exchange({}, cycle)}
    await write(scope, cycle.send, ANSWERS[0], "id")  # type: ignore[arg-type]
    assert transport.written == b""
    assert not cycle.response_complete


@pytest.mark.parametrize("goes_away", [False, True])
async def test_a_client_that_does_not_read_is_waited_for(goes_away: bool) -> None:
    cycle, transport, scope = cycle_of()
    scope["extensions"] = {EXTENSION: Exchange({}, cycle)}
    cycle.flow.pause_writing()
    writing = asyncio.create_task(write(scope, cycle.send, ANSWERS[0], "id"))  # type: ignore[arg-type]
    for _ in range(3):
        await asyncio.sleep(0)
    assert transport.written == b""
    cycle.disconnected = goes_away
    cycle.flow.resume_writing()
    await writing
    assert transport.written.endswith(ANSWERS[0].body) is not goes_away


async def test_fields_are_parsed_once_where_the_connection_has_parsed_them() -> None:
    cycle, _, scope = cycle_of()
    assert fields_of(scope) == {b"a": b"b"}
    scope["extensions"] = {EXTENSION: Exchange({b"parsed": b"before"}, cycle)}
    assert fields_of(scope) == {b"parsed": b"before"}


@pytest.mark.parametrize("value", [b"one\r\nset-cookie: two", b"one\ntwo", b"one\rtwo"])
async def test_a_value_of_two_lines_is_no_header(value: bytes) -> None:
    with pytest.raises(ValueError, match="one line"):
        head(200, [(b"a", value), (b"b", b"c")])

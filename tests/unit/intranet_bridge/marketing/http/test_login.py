"""Sessions against a real socket: what logs in, where the token goes, what an expired one is taken for."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.marketing import Absent, Answered, MarketingRequest, NotApplied, Refused, Unknown
from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.kind import KIND, OpenHttpSystem
from protocol.errors import ConfigurationError
from protocol.operations import CATALOGUE
from tests.unit.intranet_bridge.marketing.http.test_adapter import Server, close, http

pytestmark = pytest.mark.anyio

ARREARS, ORDER = CATALOGUE["arrears-query"], CATALOGUE["work-order"]
GOOD = {"rtnCode": "0000", "data": {"consNo": "3210000000001", "totAmt": 7, "oweList": []}}
EXPIRED = {"rtnCode": "9001"}
PASSWORD = "pass&word 张"


def token(value: str = "t-1", **more: Any) -> bytes:
    return http({"token": value} | more)


class Bench:
    """A system with a log-in, and an operation of it."""

    def __init__(self, folder: Path, port: int, operation: Any = ARREARS, **changes: Any) -> None:
        (folder / "password").write_text(PASSWORD + "\n")
        binding = changes.pop("binding", {})
        login: dict[str, Any] | None = {
            "path": "/login",
            "request": "{usr: user, pwd: password}",
            "user": "dmz",
            "password_file": str(folder / "password"),
            "token": "token",
            "place": {"header": "X-Session"},
            "expired": "rtnCode == '9001'",
        } | changes.pop("login", {})
        if "oauth" in changes:
            login = None
        section = {"url": f"http://127.0.0.1:{port}", "login": login} | changes
        self.system = OpenHttpSystem("marketing", HttpSystem.model_validate(section))
        values = {
            "path": "/api",
            "request": "{consNo: account}",
            "response": "data.{account: consNo, total: totAmt, unpaid: oweList}",
            "refusal": {"when": "rtnCode != '0000'", "code": "rtnCode"},
        } | binding
        self.adapter: HttpAdapter = self.system.adapter(operation, HttpBinding.model_validate(values))

    async def call(self, operation: Any = ARREARS, timeout_s: float = 5) -> Any:
        example = operation.requests.validate_python(operation.example | {"account": "3210000000001"})
        return await self.adapter.call(MarketingRequest("01a2-req", example), timeout_s)


def lines(request: bytes) -> list[bytes]:
    return request.split(b"\r\n")


async def test_a_call_logs_in_first_and_carries_the_token(tmp_path: Path) -> None:
    async with Server(token("kept-71"), http(GOOD), http(GOOD)) as server:
        bench = Bench(tmp_path, server.port)
        assert isinstance(await bench.call(), Answered)
        assert isinstance(await bench.call(), Answered)
        login, first, second = server.requests
        assert lines(login)[0] == b"POST /login HTTP/1.1"
        assert json.loads(login.partition(b"\r\n\r\n")[2]) == {"usr": "dmz", "pwd": PASSWORD}
        assert b"X-Session" not in login
        assert b"X-Session: kept-71" in lines(first)
        assert b"X-Session: kept-71" in lines(second)
        for secret in ("kept-71", PASSWORD):
            assert secret not in repr(vars(bench.system)) + repr(vars(bench.adapter))
        await bench.system.close()


@pytest.mark.parametrize(
    ("place", "binding", "where"),
    [
        ({"cookie": "SID"}, {}, b"Cookie: SID=t/1"),
        ({"header": "Authorization", "prefix": "Bearer "}, {}, b"Authorization: Bearer t/1"),
        ({"query": "sid"}, {}, b"POST /api?sid=t%2F1 HTTP/1.1"),
        ({"query": "sid"}, {"query": "{a: account}"}, b"POST /api?a=3210000000001&sid=t%2F1 HTTP/1.1"),
        ({}, {"request": "{s: session}"}, b'{"s":"t/1"}'),
        ({}, {"request": "{s: session}", "encoding": "form"}, b"s=t%2F1"),
    ],
)
async def test_where_the_token_goes(tmp_path: Path, place: Any, binding: Any, where: bytes) -> None:
    async with Server(token("t/1"), http(GOOD)) as server:
        bench = Bench(tmp_path, server.port, login={"place": place}, binding=binding)
        assert isinstance(await bench.call(), Answered)
        assert where in lines(server.requests[1])


async def test_a_token_may_be_a_cookie_of_a_redirect(tmp_path: Path) -> None:
    headers = "Set-Cookie: A=1\r\nset-cookie: SID=t-9; Path=/; HttpOnly\r\nLocation: /\r\n"
    async with Server(http(b"", 302, headers), http(GOOD)) as server:
        login = {"token": None, "token_cookie": "SID", "place": {"cookie": "SID"}}
        bench = Bench(tmp_path, server.port, login=login)
        assert isinstance(await bench.call(), Answered)
        assert b"Cookie: SID=t-9" in lines(server.requests[1])


@pytest.mark.parametrize("expired", [http(EXPIRED), http(b"", 401)])
async def test_an_expired_session_is_renewed_and_the_request_repeated_once(tmp_path: Path, expired: bytes) -> None:
    async with Server(token(), expired, token("t-2"), http(GOOD)) as server:
        bench = Bench(tmp_path, server.port)
        assert isinstance(await bench.call(), Answered)
        assert b"X-Session: t-2" in lines(server.requests[3])


async def test_a_command_is_repeated_after_an_expired_session_alone(tmp_path: Path) -> None:
    done = {"rtnCode": "0000", "data": {"no": "W10001", "at": "2026-01-01 10:00:00"}}
    binding = {"response": "data.{work_order: no, accepted_at: at}", "request": "{id: request_id}"}
    async with Server(token(), http(EXPIRED), token("t-2"), http(done), close) as server:
        bench = Bench(tmp_path, server.port, ORDER, binding=binding)
        assert isinstance(await bench.call(ORDER), Answered)
        assert await bench.call(ORDER) == Unknown("connection lost")
        assert len(server.requests) == 5


async def test_a_session_that_is_turned_away_twice_is_no_session(tmp_path: Path) -> None:
    async with Server(token(), http(EXPIRED), token("t-2"), http(EXPIRED)) as server:
        bench = Bench(tmp_path, server.port)
        outcome = await bench.call()
        assert outcome == NotApplied("a fresh session is turned away", reached=False)
        assert outcome.denied


@pytest.mark.parametrize(
    ("answer", "reason", "denied"),
    [
        (http(b"", 401), "log-in: HTTP 401", True),
        (http(b"", 500), "log-in: HTTP 500", False),
        (http({"code": "E12", "msg": PASSWORD}), "log-in: the answer holds no token, code E12", True),
        (http({"code": PASSWORD}), "log-in: the answer holds no token", True),
        (http(b"<html>"), "log-in: the answer is not JSON: it begins with '<' (HTML?)", True),
        (http({"token": "a\r\nX: y"}), "log-in: the answer holds a token that cannot be sent", True),
        (close, "log-in: connection lost", False),
    ],
)
async def test_without_a_log_in_nothing_is_asked(tmp_path: Path, answer: Any, reason: str, denied: bool) -> None:
    async with Server(answer) as server:
        bench = Bench(tmp_path, server.port, login={"code": "code"})
        for _ in range(3):
            outcome = await bench.call()
            assert outcome == NotApplied(reason, reached=False)
            assert outcome.denied is denied
        assert len(server.requests) == 1


async def test_a_log_in_takes_no_longer_than_the_call(tmp_path: Path) -> None:
    async def slow(_server: Any, _request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(token())

    async with Server(slow, http(GOOD)) as server:
        bench = Bench(tmp_path, server.port)
        assert await bench.call(timeout_s=0.05) == NotApplied("the log-in takes too long", reached=False)
        assert isinstance(await bench.call(), Answered)
        assert len(server.requests) == 2


async def test_many_at_once_log_in_once(tmp_path: Path) -> None:
    async def serve(_server: Any, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(token() if b"/login" in request else http(GOOD))

    async with Server(*[serve] * 200) as server:
        bench = Bench(tmp_path, server.port)
        outcomes = await asyncio.gather(*(bench.call() for _ in range(64)))
        assert all(isinstance(outcome, Answered) for outcome in outcomes)
        assert sum(b"/login" in request for request in server.requests) == 1


async def test_an_inquiry_has_the_session_too(tmp_path: Path) -> None:
    binding = {
        "response": "data.{work_order: no, accepted_at: at}",
        "inquire": {"path": "/status", "found": "rtnCode == '0000'", "not_found": "rtnCode == '1010'"},
    }
    async with Server(token(), http(EXPIRED), token("t-2"), http({"rtnCode": "1010"})) as server:
        bench = Bench(tmp_path, server.port, ORDER, binding=binding)
        example = ORDER.requests.validate_python(ORDER.example)
        assert await bench.adapter.inquire(MarketingRequest("01a2-req", example), 5) == Absent()
        assert b"X-Session: t-2" in lines(server.requests[3])


async def test_the_lease_is_asked_for_right_before_the_request_not_before_the_log_in(tmp_path: Path) -> None:
    async with Server(token()) as server:
        bench = Bench(tmp_path, server.port)
        body = ARREARS.requests.validate_python({"account": "3210000000001"})
        asked = MarketingRequest("01a2-req", body, may_send=lambda: False)
        assert await bench.adapter.call(asked, 5) == NotApplied("no longer allowed to send", reached=False)
        assert len(server.requests) == 1


async def test_xml_in_gbk_from_the_log_in_to_the_refusal(tmp_path: Path) -> None:
    def xml(text: str) -> bytes:
        body = f'<?xml version="1.0" encoding="GBK"?>{text}'.encode("gbk")
        return http(body, 200, "Content-Type: text/xml\r\n")

    no = "<R><CODE>1004</CODE><MSG>户号不存在</MSG></R>"
    async with Server(xml("<R><CODE>0</CODE><SID>s1</SID></R>"), xml(no)) as server:
        bench = Bench(
            tmp_path, server.port, encoding="form", answer="xml", charset="gbk",
            login={"token": "SID", "expired": "CODE == '9001'"},
            binding={"response": "@", "encoding": "xml", "root": "REQ",
                     "refusal": {"when": "CODE != '0'", "code": "CODE", "detail": "MSG"}},
        )  # fmt: skip
        assert await bench.call() == Refused("marketing-1004", "户号不存在")
        login, call = server.requests
        assert b"Content-Type: application/x-www-form-urlencoded; charset=gbk" in lines(login)
        assert login.endswith(b"usr=dmz&pwd=pass%26word+%D5%C5")
        assert b"Content-Type: text/xml; charset=gbk" in lines(call)
        assert b"Accept: text/xml, application/xml" in lines(call)
        assert call.endswith(b'<?xml version="1.0" encoding="GBK"?><REQ><consNo>3210000000001</consNo></REQ>')


@pytest.mark.parametrize("way", ["basic", "post"])
async def test_oauth_client_credentials(tmp_path: Path, way: str) -> None:
    (tmp_path / "secret").write_text("s&cret")
    oauth = {
        "client_id": "dmz:1", "client_secret_file": str(tmp_path / "secret"), "scope": "bills orders",
        "client_authentication": way,
    }  # fmt: skip
    granted = http({"access_token": "at-1", "token_type": "Bearer", "expires_in": 3600})
    async with Server(granted) as tokens, Server(http(GOOD), http(b"", 401), http(GOOD)) as server:
        tokens.answers += [http({"access_token": "at-2", "token_type": "bearer"})]
        bench = Bench(tmp_path, server.port, oauth=oauth | {"token_url": f"http://127.0.0.1:{tokens.port}/oauth/token"})
        assert isinstance(await bench.call(), Answered)
        assert isinstance(await bench.call(), Answered)
        head, _, body = tokens.requests[0].decode().partition("\r\n\r\n")
        assert head.startswith("POST /oauth/token HTTP/1.1\r\n")
        basic = base64.b64encode(b"dmz%3A1:s%26cret").decode()
        if way == "basic":
            assert f"Authorization: Basic {basic}" in head
            assert body == "grant_type=client_credentials&scope=bills+orders"
        else:
            assert "Authorization" not in head
            assert body.endswith("&client_id=dmz%3A1&client_secret=s%26cret")
        assert b"Authorization: Bearer at-1" in lines(server.requests[0])
        assert b"Authorization: Bearer at-2" in lines(server.requests[2])
        await bench.system.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http({"error": "invalid_client"}, 401), "log-in: HTTP 401, invalid_client"),
        (http({"error": "<script>"}, 400), "log-in: HTTP 400"),
        (http({"access_token": "x", "token_type": "mac"}), "log-in: the token is of a type that is not known"),
        (http([]), "log-in: the answer holds no token"),
    ],
)
async def test_no_access_token(tmp_path: Path, answer: bytes, reason: str) -> None:
    (tmp_path / "secret").write_text("secret")
    async with Server(answer) as server:
        url = f"http://127.0.0.1:{server.port}"
        oauth = {"token_url": url + "/t", "client_id": "a", "client_secret_file": str(tmp_path / "secret")}
        outcome = await Bench(tmp_path, server.port, oauth=oauth).call()
        assert outcome == NotApplied(reason, reached=False)
        assert outcome.denied


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"login": {"token": None}}, "either token or token_cookie"),
        ({"login": {"token_cookie": "A"}}, "either token or token_cookie"),
        ({"login": {"place": {"header": "A", "query": "b"}}}, "one of header, cookie and query"),
        ({"headers": {"x-session": "1"}}, "login.place.header sets the header x-session already"),
        ({"login": {"token": "to ken"}}, "not a JMESPath expression"),
    ],
)
def test_mistakes_in_the_settings(tmp_path: Path, changes: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Bench(tmp_path, 1, **changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"login": {"request": "{u: usr}"}}, "there is no field usr"),
        ({"login": {"place": {}}}, "the session's token goes nowhere"),
        ({"login": {"password_file": "/nowhere/password"}}, "cannot be read"),
    ],
)
def test_mistakes_found_at_start(tmp_path: Path, changes: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Bench(tmp_path, 1, **changes)


def test_a_session_needs_a_log_in() -> None:
    system = OpenHttpSystem("marketing", HttpSystem.model_validate({"url": "http://h"}))
    binding = HttpBinding.model_validate({"path": "/a", "request": "{s: session}", "response": "@"})
    assert not list(KIND.complaints(ARREARS, binding))[1:]
    with pytest.raises(ConfigurationError, match="`session`, and its system has no login"):
        system.adapter(ARREARS, binding)

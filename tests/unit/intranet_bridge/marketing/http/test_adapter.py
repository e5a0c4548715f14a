"""The HTTP adapter against a real socket: what each answer, and each way of getting none, is taken for."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from intranet_bridge.marketing import Absent, Answered, Fault, MarketingRequest, NotApplied, Refused, Rejected, Unknown
from intranet_bridge.marketing.http.access import access_of
from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.client import HttpClient, NotSent
from intranet_bridge.marketing.http.signature import SignatureSection, Signer
from protocol.operations import CATALOGUE

pytestmark = pytest.mark.anyio

BILL = CATALOGUE["bill-query"]
ORDER = CATALOGUE["work-order"]
ARREARS = CATALOGUE["arrears-query"]
GOOD: dict[str, Any] = {"rtnCode": "0000", "data": {"consNo": "3210000000001", "totAmt": 7, "oweList": []}}
Script = Callable[["Server", bytes, asyncio.StreamWriter], Awaitable[None]]


def http(body: object, status: int = 200, headers: str = "") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{headers}\r\n".encode() + data


class Server:
    """Answers each request with the next of `answers` (bytes), or does what a function of it says."""

    def __init__(self, *answers: bytes | Script) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(self, self.requests[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError, IndexError):
            pass
        finally:
            writer.close()


async def close(_server: Server, _request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang(_server: Server, _request: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def half(_server: Server, _request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(http(GOOD)[:-5])
    await writer.drain()
    writer.transport.abort()


def adapter(
    port: int, operation: Any = ARREARS, secret: str = "s3cret", signer: Any = None, **changes: Any
) -> HttpAdapter:
    values: dict[str, Any] = {
        "path": "/api/arrears",
        "request": "{consNo: account, id: request_id}",
        "response": "data.{account: consNo, total: totAmt, unpaid: oweList}",
        "refusal": {
            "when": "rtnCode != '0000'",
            "code": "rtnCode",
            "detail": "rtnMsg",
            "codes": {"1004": "no-such-account"},
        },
    } | changes
    section = {"url": f"http://127.0.0.1:{port}", "authentication": {"header": "X-Token", "token_file": "unread"}}
    marketing = HttpSystem.model_validate(section)
    client = HttpClient("127.0.0.1", port, connections=2, idle_s=4, answer_limit=4096)
    access = access_of(marketing, secret=secret, signer=signer)
    return HttpAdapter(operation, HttpBinding.model_validate(values), marketing, client, access)


def asked(operation: Any = ARREARS, **body: Any) -> MarketingRequest:
    value = operation.requests.validate_python(body or {"account": "3210000000001"})
    return MarketingRequest("01a2-req", value, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


CODELESS: tuple[Any, ...] = (
    {},
    b"null",
    b"[]",
    {"timestamp": "2025-11-25T08:00:00Z", "status": 404, "error": "Not Found"},
    {"code": "0000", "data": {"account": "3210000000001", "total": 7, "unpaid": []}},
    {"rtnCode": None, "data": {"account": "3210000000001", "total": 7, "unpaid": []}},
    {"rtnCode": ""},
    {"rtnCode": " "},
    {"rtnCode": {"a": 1}},
)
"""Answers of which "not 0000" is true, without a code that says so."""


async def test_a_call_carries_the_mapped_body_the_id_the_trace_and_the_secret() -> None:
    async with Server(http(GOOD)) as server:
        one = adapter(server.port)
        outcome = await one.call(asked(), 5)
        assert outcome == Answered(b'{"account":"3210000000001","as_of":null,"total":7,"unpaid":[]}')
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert json.loads(body) == {"consNo": "3210000000001", "id": "01a2-req"}
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /api/arrears HTTP/1.1"
        for line in (b"X-Request-Id: 01a2-req", b"X-Token: s3cret", f"Host: 127.0.0.1:{server.port}".encode()):
            assert line in lines
        assert any(line.startswith(b"traceparent: 00-0af7") for line in lines)
        assert "s3cret" not in repr(one)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http({"rtnCode": "1004", "rtnMsg": "户号不存在"}), Refused("no-such-account", "户号不存在")),
        (http({"rtnCode": "10 07!"}), Refused("marketing-10-07")),
        (http({"rtnCode": "1004", "rtnMsg": "x"}, 404), Refused("no-such-account", "x")),
        (http({"rtnCode": "0000"}, 404), Rejected("HTTP 404")),
        *((http(body), Unknown("an answer without a refusal code")) for body in CODELESS),
        *((http(body, 404), Rejected("HTTP 404")) for body in CODELESS),
        (
            http({"rtnCode": True}),
            Unknown("answer: rtnCode != ...: a boolean and a text are never equal: see text()"),
        ),
        (http({"rtnCode": True}, 404), Rejected("HTTP 404")),
        (http(b"<html>", 400), Rejected("HTTP 400")),
        (http(b"", 401), NotApplied("HTTP 401", reached=False)),
        (http(b"", 302, "Location: /login\r\n"), NotApplied("HTTP 302", reached=False)),
        (http(b"", 429), NotApplied("HTTP 429", reached=True)),
        (http(GOOD, 500), Unknown("HTTP 500")),
        (http(b"", 504), Unknown("HTTP 504")),
        (http(b"", 408), Unknown("HTTP 408")),
        (http(b"not json"), Unknown("the answer is not JSON: expecting value at line 1, column 1")),
        (
            http({"rtnCode": "0000", "data": {"consNo": 5}}),
            Unknown("answer: the mapping's field account does not fit: Input should be a valid string"),
        ),
        (http({"rtnCode": "0000"}), Unknown("answer: the mapping gave null instead of an object")),
        (
            http(b'{"rtnCode": "0000", "data": NaN}'),
            Unknown("answer: the mapping gave null instead of an object"),
        ),
        (http(b"x" * 5000), Unknown("answer too long")),
        (b"nonsense\r\n\r\n", Unknown("not HTTP: HttpParserInvalidStatusError")),
        (
            http(GOOD, 200, "Content-Encoding: br\r\n"),
            Unknown("the answer has a content coding that was not asked for: 'br'"),
        ),
        (http(GOOD, 401, "Content-Encoding: br\r\n"), NotApplied("HTTP 401", reached=False)),
        (http(b"\x1f\x8bnonsense", 401, "Content-Encoding: gzip\r\n"), NotApplied("HTTP 401", reached=False)),
        (http(b"\x1f\x8bnonsense", 429, "Content-Encoding: gzip\r\n"), NotApplied("HTTP 429", reached=True)),
        (http(b"\x1f\x8bnonsense", 404, "Content-Encoding: gzip\r\n"), Rejected("HTTP 404")),
        (http(b"x" * 5000, 401), NotApplied("HTTP 401", reached=False)),
        (http(b"x" * 5000, 429), NotApplied("HTTP 429", reached=True)),
        (http(b"x" * 5000, 400), Rejected("HTTP 400")),
        (http(b"<html><body>log in"), Unknown("the answer is not JSON: it begins with '<' (HTML?)")),
        (http(b""), Unknown("the answer is empty")),
        (close, Unknown("connection lost")),
        (half, Unknown("connection lost")),
    ],
)
async def test_what_an_answer_is_taken_for(answer: Any, outcome: Any) -> None:
    async with Server(answer) as server:
        found = await adapter(server.port).call(asked(), 5)
        if isinstance(outcome, Unknown) and outcome.reason.startswith("not HTTP"):
            assert isinstance(found, Unknown)
            assert found.reason.startswith("not HTTP")
        else:
            assert found == outcome


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            http(b"", 302, "Location: /error.htm\r\n"),
            Unknown("HTTP 302: sent to another page, which may be after it was done"),
        ),
        (http(b"", 401), NotApplied("HTTP 401", reached=False)),
        (http(b"<html>", 409), Unknown("HTTP 409 without a refusal code: it may be there already")),
        (http({"rtnCode": "0000"}, 409), Unknown("HTTP 409 without a refusal code: it may be there already")),
        (http({"rtnCode": "1004", "rtnMsg": "x"}, 409), Refused("no-such-account", "x")),
        (http(b"<html>", 404), Rejected("HTTP 404")),
        (
            http({"rtnCode": 0, "data": {"reqId": "01a2-req", "woNo": "1", "acceptTime": "now"}}),
            Unknown("answer: rtnCode != ...: a number and a text are never equal: see text()"),
        ),
        (http({"rtnCode": "8000"}), NotApplied("declined for the moment", reached=True)),
        (http({"rtnCode": "8000", "data": {"reqId": "another"}}), Unknown("mismatch at request_id")),
        (http({"rtnCode": "1004", "data": {"reqId": "another"}}), Unknown("mismatch at request_id")),
    ],
)
async def test_what_an_answer_to_a_command_is_taken_for(answer: bytes, outcome: Any) -> None:
    mapping = {"response": "data.{work_order: woNo, accepted_at: acceptTime}", "request_id": "data.reqId"}
    async with Server(answer) as server:
        one = adapter(server.port, ORDER, not_applied="rtnCode == '8000'", **mapping)
        assert await one.call(asked(ORDER, **dict(ORDER.example)), 5) == outcome


async def test_no_answer_in_time_is_unknown_and_the_connection_is_not_used_again() -> None:
    async with Server(http(GOOD), hang, http(GOOD)) as server:
        one = adapter(server.port)
        assert isinstance(await one.call(asked(), 5), Answered)  # what is short below is the wait, not the way there
        assert await one.call(asked(), 0.05) == Unknown("timeout", timed_out=True)
        assert isinstance(await one.call(asked(), 5), Answered)
        assert server.connections == 2


async def test_nobody_listening_is_surely_not_applied() -> None:
    async with Server() as server:
        port = server.port
    outcome = await adapter(port).call(asked(), 5)
    assert isinstance(outcome, NotApplied)
    assert not outcome.reached


async def test_no_free_connection_in_time_is_surely_not_applied() -> None:
    async with Server(hang, hang) as server:
        one = adapter(server.port)
        slow = [asyncio.create_task(one.call(asked(), 600)) for _ in range(2)]
        while len(server.requests) < 2:  # noqa: ASYNC110 - what came to a server
            await asyncio.sleep(0.005)
        assert await one.call(asked(), 0.1) == NotApplied("no free connection", reached=False)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert len(server.requests) == 2


async def test_connections_are_kept_and_shared() -> None:
    async with Server(*[http(GOOD)] * 20) as server:
        one = adapter(server.port)
        outcomes = await asyncio.gather(*(one.call(asked(), 5) for _ in range(20)))
        assert all(isinstance(outcome, Answered) for outcome in outcomes)
        assert server.connections == 2


async def test_a_kept_connection_closed_at_that_moment_is_retried_for_a_query_only() -> None:
    for operation, applied in ((ARREARS, Answered), (ORDER, Unknown)):
        async with Server(http(GOOD), close, http(GOOD)) as server:
            one = adapter(server.port, operation, request="{id: request_id}", response="@ && data", refusal=None)
            body = {} if operation is ARREARS else dict(ORDER.example)
            await one.call(asked(operation, **body), 5)
            if operation is ARREARS:
                one = adapter(server.port)
                server.answers = [http(GOOD), close, http(GOOD)]
                await one.call(asked(), 5)
            outcome = await one.call(asked(operation, **body), 5)
            assert isinstance(outcome, applied)


async def test_a_repeated_query_is_signed_with_a_nonce_of_its_own() -> None:
    signature = {"key_file": "unread", "header": "X-Sign", "nonce_header": "X-Nonce", "string": "{nonce}"}
    signer = Signer(SignatureSection.model_validate(signature), b"key")
    async with Server(http(GOOD), close, http(GOOD)) as server:
        one = adapter(server.port, signer=signer)
        assert [type(await one.call(asked(), 5)) for _ in range(2)] == [Answered] * 2
        nonces = [request.partition(b"X-Nonce: ")[2][:32] for request in server.requests]
        assert len(set(nonces)) == 3


async def test_an_answer_nobody_asked_for_never_answers_the_next_request() -> None:
    other = http(GOOD | {"data": GOOD["data"] | {"totAmt": 999}})
    async with Server(http(GOOD) + other, http(GOOD)) as server:
        one = adapter(server.port)
        for _ in range(2):
            outcome = await one.call(asked(), 5)
            assert isinstance(outcome, Answered | Unknown)
            if isinstance(outcome, Answered):
                assert b'"total":7' in outcome.result
            await asyncio.sleep(0.02)


async def test_chunked_and_until_close() -> None:
    body = json.dumps(GOOD).encode()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    trailers = (
        chunked[:-2] + b"Content-Encoding: br\r\nTransfer-Encoding: gzip\r\nContent-Type: a/b;charset=utf-16\r\n\r\n"
    )

    async def until_close(_server: Server, _request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    for answer in (chunked, trailers, until_close):
        async with Server(answer) as server:
            assert isinstance(await adapter(server.port).call(asked(), 5), Answered)


async def test_expressions_for_failure_and_not_applied() -> None:
    busy = {"not_applied": "rtnCode == '8000'", "failure": "rtnCode == '9999'"}
    async with Server(http({"rtnCode": "8000"}), http({"rtnCode": "9999"})) as server:
        one = adapter(server.port, **busy)
        assert await one.call(asked(), 5) == NotApplied("declined for the moment", reached=True)
        assert await one.call(asked(), 5) == Unknown("failure answer")


def raw(body: bytes, fields: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\nContent-Length: %d\r\n%b\r\n" % (len(body), fields) + body


DONE = '{"rtnCode":"0000","msg":"成功€","data":{"woNo":"WO2026000001","acceptTime":"now"}}'
ODD = {
    "a byte order mark": raw(b"\xef\xbb\xbf" + DONE.encode()),
    "GBK by Content-Type": raw(DONE.encode("gb18030"), b"Content-Type: application/json;charset=GBK\r\n"),
    "the euro of Windows": raw(
        DONE.encode("gb18030").replace(b"\xa2\xe3", b"\x80"), b"Content-Type: a/b;charset=gb2312\r\n"
    ),
    "NUL, tab and newline": raw(DONE.replace("成功", "a\0\t\n").encode()),
    "a character cut in the middle": raw(DONE.encode().replace("功€".encode(), b"\xe5\x8a")),
    "half a surrogate pair": raw(DONE.replace("成功", "\\ud83d").encode()),
    "gzip": raw(gzip.compress(DONE.encode(), mtime=0), b"Content-Encoding: gzip\r\n"),
    "deflate": raw(zlib.compress(DONE.encode()), b"Content-Encoding: deflate\r\n"),
    "raw deflate": raw(zlib.compress(DONE.encode())[2:-4], b"Content-Encoding: deflate\r\n"),
    "the same length twice": raw(DONE.encode(), b"Content-Length: %d\r\n" % len(DONE.encode())),
    "folded": raw(DONE.encode(), b"X-A: b\r\n c\r\n"),
    "line feeds": raw(DONE.encode()).replace(b"\r\n", b"\n"),
    "blanks behind": raw(DONE.encode()) + b"\r\n\r\n",
    "a NUL behind": raw(DONE.encode() + b"\0"),
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer_to_a_command_or_its_inquiry_is_read_all_the_same(name: str) -> None:
    inquire = {
        "path": "/s",
        "request": "{reqId: request_id}",
        "found": "rtnCode == '0000'",
        "not_found": "rtnCode == '1'",
    }
    response = "data.{work_order: woNo, accepted_at: acceptTime}"
    done = Answered(b'{"work_order":"WO2026000001","accepted_at":"now"}')
    async with Server(ODD[name], ODD[name]) as server:
        one = adapter(server.port, ORDER, response=response, inquire=inquire)
        question = asked(ORDER, **dict(ORDER.example))
        assert await one.call(question, 5) == done
        assert await one.inquire(question, 5) == done


async def test_half_a_surrogate_pair_does_not_spoil_the_reply() -> None:
    answer = raw(json.dumps(GOOD | {"data": {"consNo": "3210000000001\ud83d", "totAmt": 7, "oweList": []}}).encode())
    async with Server(answer) as server:
        outcome = await adapter(
            server.port, response="{account: '3210000000001', total: data.totAmt, unpaid: data.oweList}"
        ).call(asked(), 5)
        assert isinstance(outcome, Answered)
    async with Server(raw(b'{"rtnCode":"1004","rtnMsg":"\\ud83d"}')) as server:
        outcome = await adapter(server.port).call(asked(), 5)
        assert outcome == Refused("no-such-account", "\N{REPLACEMENT CHARACTER}")


async def test_a_status_line_stands_when_the_connection_ends_with_it() -> None:
    async def ended(_server: Server, _request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 401 Unauthorized\r\n\r\n")
        await writer.drain()
        writer.close()

    async with Server(ended) as server:
        assert await adapter(server.port).call(asked(), 5) == NotApplied("HTTP 401", reached=False)


async def test_a_request_that_cannot_be_said_is_not_sent_and_names_the_field() -> None:
    for binding, reason in (
        (
            {"encoding": "form", "charset": "gbk", "request": "{content: '😀'}"},
            "content: a character that gbk does not have",
        ),
        ({"encoding": "form", "request": "{consNo: @}"}, "consNo: an object where a text or number is meant"),
        ({"path": "/a/{missing}"}, "the path's {missing}: no value"),
    ):
        async with Server(http(GOOD)) as server:
            outcome = await adapter(server.port, **binding).call(asked(), 5)
            assert outcome == Rejected(f"request not mapped: {reason}")
            assert not server.requests


async def test_get_with_path_and_query_and_form_in_gbk() -> None:
    answer = http(json.dumps(GOOD).encode("gbk"))
    async with Server(answer, answer) as server:
        one = adapter(server.port, method="GET", path="/a/{account}", query="{n: '张', none: missing}", request=None,
                      charset="gbk")  # fmt: skip
        assert isinstance(await one.call(asked(), 5), Answered)
        assert server.requests[0].startswith(b"GET /a/3210000000001?n=%D5%C5 HTTP/1.1\r\n")
        one = adapter(server.port, encoding="form", charset="gbk", request="{n: '张', a: account}")
        assert isinstance(await one.call(asked(), 5), Answered)
        assert server.requests[1].endswith(b"\r\n\r\nn=%D5%C5&a=3210000000001")


async def test_inquiries() -> None:
    inquire = {
        "path": "/api/req/status",
        "request": "{reqId: request_id}",
        "found": "rtnCode == '0000'",
        "not_found": "rtnCode == '1010'",
    }
    done = {"rtnCode": "0000", "data": {"woNo": "WO2026000001", "acceptTime": "now"}}
    answers = [http(done), http({"rtnCode": "1010"}), http({"rtnCode": "9001"}, 401), http(b"", 500), http(b"x")]
    async with Server(*answers, close) as server:
        one = adapter(server.port, ORDER, response="data.{work_order: woNo, accepted_at: acceptTime}", inquire=inquire)
        question = asked(ORDER, **dict(ORDER.example))
        found = await one.inquire(question, 5)
        assert found == Answered(b'{"work_order":"WO2026000001","accepted_at":"now"}')
        assert await one.inquire(question, 5) == Absent()
        for _ in range(4):
            assert isinstance(await one.inquire(question, 5), Unknown)
        assert server.requests[0].startswith(b"POST /api/req/status ")
        assert server.requests[0].endswith(b'{"reqId":"01a2-req"}')


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (http(b"", 500), Fault.INTERFACE),
        (http(GOOD)[:-1], Fault.INTERFACE),
        (http(b" " * 5000), Fault.ANSWER),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Fault.ANSWER),
        (http(b"<html>"), Fault.ANSWER),
        (http({"rtnCode": "0000"}), Fault.ANSWER),
        (http({"rtnCode": "0000", "data": {**GOOD["data"], "totAmt": "7"}}), Fault.ANSWER),
        (http({}), Fault.ANSWER),
        (http({"rtnCode": "0000", "data": {**GOOD["data"], "consNo": "9999999999999"}}), Fault.MISMATCH),
    ],
)
async def test_whose_fault_an_unknown_outcome_is(answer: bytes, fault: Fault) -> None:
    async with Server(answer) as server:
        outcome = await adapter(server.port).call(asked(), 1)
    assert isinstance(outcome, Unknown)
    assert outcome.fault is fault
    assert "999" not in outcome.reason


async def test_an_inquirys_answer_about_another_request_is_not_believed() -> None:
    inquire = {"path": "/s", "found": "rtnCode == '0000'", "not_found": "rtnCode == '1010'"}
    data = {"woNo": "WO2026000001", "acceptTime": "now"}
    answers = [
        (http({"rtnCode": "0000", "data": data | {"reqId": "another"}}), Fault.MISMATCH),
        (http({"rtnCode": "0000", "data": data}), Fault.MISMATCH),
        (http({"rtnCode": "1010", "data": {"reqId": "another"}}), Fault.MISMATCH),
        (http({"rtnCode": "7777"}), Fault.ANSWER),
        (http({"rtnCode": 1010}), Fault.ANSWER),
        (http(b"<html>"), Fault.ANSWER),
        (http(b"<html>", 401), Fault.INTERFACE),
        (http(b"", 302), Fault.INTERFACE),
        (http(b"", 503), Fault.INTERFACE),
    ]
    good = {"rtnCode": "0000", "data": data | {"reqId": "01a2-req"}}
    every = [answer for answer, _ in answers]
    async with Server(*every, http({"rtnCode": "1010"}), http(good), *every[:2], http(good)) as server:
        mapping = {"response": "data.{work_order: woNo, accepted_at: acceptTime}", "request_id": "data.reqId"}
        one = adapter(server.port, ORDER, inquire=inquire, **mapping)
        question = asked(ORDER, **dict(ORDER.example))
        for _, fault in answers:
            finding = await one.inquire(question, 5)
            assert isinstance(finding, Unknown)
            assert finding.fault is fault
        assert await one.inquire(question, 5) == Absent()
        assert isinstance(await one.inquire(question, 5), Answered)
        for _ in range(2):
            outcome = await one.call(question, 5)
            assert isinstance(outcome, Unknown)
            assert outcome.fault is Fault.MISMATCH
        assert isinstance(await one.call(question, 5), Answered)


async def test_a_bridge_whose_lease_ran_out_while_it_waited_for_a_connection_sends_nothing() -> None:
    """Asked at the last moment: after the connection is made, before the first byte."""
    async with Server(http(GOOD)) as server:
        client = HttpClient("127.0.0.1", server.port)
        asked: list[int] = []

        def may_send() -> bool:
            asked.append(server.connections)
            return False

        with pytest.raises(NotSent, match="no longer allowed"):
            await client.exchange(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 5, may_send=may_send)
        assert len(asked) == 1
        assert client.made == 1
        answer = await client.exchange(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 5, may_send=lambda: True)
        assert answer.status == 200
        assert client.made == 1  # the connection is as good as before
        assert len(server.requests) == 1
        await client.close()


async def test_a_code_of_another_field_does_not_make_a_refusal_of_an_error_page() -> None:
    async with Server(http({"status": 404, "error": "Not Found"})) as server:
        refusal = {"when": "rtnCode != '0000'", "code": "rtnCode || status"}
        outcome = await adapter(server.port, refusal=refusal).call(asked(), 5)
    assert outcome == Unknown("an answer without a refusal code")

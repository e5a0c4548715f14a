"""`intranet-bridge try`: the request, the answer, each step and the verdict; values masked, secrets always."""

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge import command_line
from tests.support.shipped import copied

ACCOUNT = "3210000000001"
TOKEN = "s3cret-token"
GOOD = {"rtnCode": "0000", "data": {"consNo": ACCOUNT, "totAmt": 4711, "oweList": []}}


class Marketing:
    """Answers every request with `body`."""

    def __init__(self) -> None:
        self.body = json.dumps(GOOD).encode()
        self.headers: dict[str, str] = {}
        self.status = 200
        self.requests: list[tuple[str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.requests.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(outer.body)))
                self.send_header("X-Echo", self.headers["X-Access-Token"])
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port


@pytest.fixture
def marketing() -> Iterator[Marketing]:
    one = Marketing()
    thread = threading.Thread(target=one.server.serve_forever, args=(0.01,))
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


class Bench:
    """The command on a copy of the shipped configuration."""

    def __init__(self, folder: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self._capsys = copied(folder, ":8090", f":{port}"), capsys
        (folder / "marketing.token").write_text(TOKEN)

    def __call__(self, *arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            command_line.main(["--config", str(self.file), "try", *arguments])
        told = self._capsys.readouterr()
        assert "Traceback" not in told.err
        assert TOKEN not in told.out + told.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out + told.err


@pytest.fixture
def bench(tmp_path: Path, marketing: Marketing, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, marketing.port, capsys)


def test_a_query_is_sent_and_shown_step_by_step_without_a_customers_values(bench: Bench, marketing: Marketing) -> None:
    code, told = bench("arrears-query")
    assert code == 0
    assert marketing.requests == [("/api/arrears/query", b'{"consNo":"%b"}' % ACCOUNT.encode())]
    for line in ("POST /api/arrears/query HTTP/1.1", "X-Access-Token: ***", "HTTP/1.1 200 OK", "refusal.when: false",
                 "schema: it fits", "verdict", "succeeded"):  # fmt: skip
        assert line in told
    assert ACCOUNT not in told
    assert "4711" not in told
    assert '"totAmt": "<integer>"' in told


def test_values_are_shown_when_asked_for_and_the_secret_never(bench: Bench, marketing: Marketing) -> None:
    marketing.body = marketing.body.replace(b"0001", b"0002")
    code, told = bench("arrears-query", "--show", "--body", '{"account": "3210000000002"}')
    assert code == 0
    assert '{"consNo": "3210000000002"}' in told
    assert '"totAmt": 4711' in told
    assert "X-Echo: ***" in told


def test_a_command_is_rendered_and_sent_only_if_really_meant(bench: Bench, marketing: Marketing) -> None:
    code, told = bench("work-order")
    assert (code, marketing.requests) == (0, [])
    assert "not sent" in told
    marketing.body = b'{"rtnCode": "0000", "data": {"woNo": "WO-2026", "acceptTime": "now", "reqId": "r-1"}}'
    code, told = bench("work-order", "--really", "--request-id", "r-1")
    assert code == 0
    assert [path for path, _ in marketing.requests] == ["/api/wo/create"]
    assert json.loads(marketing.requests[0][1])["reqId"] == "r-1"
    assert "applied, finally" in told
    marketing.body = b'{"status": 500}'
    code, told = bench("work-order", "--really")
    assert code == 1
    assert "what became of it is unknown" in told
    assert "asked what became of it" in told


def test_an_inquiry_changes_nothing_and_is_sent(bench: Bench, marketing: Marketing) -> None:
    marketing.body = b'{"rtnCode": "1010"}'
    code, told = bench("work-order", "--inquiry")
    assert code == 0
    assert [path for path, _ in marketing.requests] == ["/api/req/status"]
    assert "inquire.not_found: true" in told
    assert "no such request: the command is called again" in told


ANSWER = json.dumps(GOOD).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANSWER), ANSWER)


@pytest.mark.parametrize(
    "saved",
    [
        ANSWER,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + ANSWER,
        b"HTTP/2 200\r\ncontent-type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    ],
)
def test_a_saved_answer_needs_nobody(bench: Bench, marketing: Marketing, tmp_path: Path, saved: bytes) -> None:
    (tmp_path / "saved").write_bytes(saved)
    (tmp_path / "marketing.token").unlink()
    code, told = bench("arrears-query", "--answer", str(tmp_path / "saved"))
    assert (code, marketing.requests) == (0, [])
    assert "schema: it fits" in told
    assert '"consNo": "<text of 13>"' in told


@pytest.mark.parametrize(
    ("saved", "verdict"),
    [
        (b'{"rtnCode": "1004", "rtnMsg": "no"}', "refused, code no-such-account"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n{}", "failed, code marketing-rejected: HTTP 404"),
        (b"HTTP/1.1 401 No\r\n\r\n", "surely not applied: HTTP 401"),
        (b"HTTP/1.1 503 No\r\n\r\n", "failed, code marketing-failed: HTTP 503"),
        (b'{"rtnCode": "0000", "data": {}}', "the mapping gave null for the required field account"),
        (
            b'{"rtnCode": "0000", "data": {"oweList": [{"amtYm": 7}]}}',
            "at data.oweList[0].amtYm: month() was given a number",
        ),
        (b"<html>log in</html>", "failed, code marketing-failed"),
    ],
)
def test_the_verdict_is_the_workers(bench: Bench, tmp_path: Path, saved: bytes, verdict: str) -> None:
    (tmp_path / "saved").write_bytes(saved)
    _, told = bench("arrears-query", "--answer", str(tmp_path / "saved"))
    assert verdict in told.partition("\nverdict\n")[2]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("no-such",), "no-such is not bound; bound are account-"),
        (("arrears-query", "--body", '{"acount": "31_hidden"}'), "does not fit: account: Field required"),
        (("arrears-query", "--body", '{"account": "31_hidden"}'), "does not fit: account: an account number is"),
        (("arrears-query", "--body", "@missing.json"), "missing.json: cannot be read"),
        (("arrears-query", "--answer", "missing"), "missing: cannot be read"),
        (("arrears-query", "--inquiry"), "[operations.arrears-query.inquire] is not there"),
        (("arrears-query", "--request-id", "a b"), "--request-id"),
    ],
)
def test_what_cannot_be_tried_is_told_in_one_line(bench: Bench, arguments: tuple[str, ...], complaint: str) -> None:
    code, told = bench(*arguments)
    assert code == 2
    assert complaint in told
    assert told.count("\n") == 1
    assert "hidden" not in told


def test_nobody_listening_is_a_verdict_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def free_port() -> int:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        return port

    code, told = Bench(tmp_path, asyncio.run(free_port()), capsys)("arrears-query")
    assert code == 1
    assert "surely not applied" in told


def test_a_body_for_a_terminal_holds_no_control_character_and_is_unpacked() -> None:
    from intranet_bridge.marketing.masking import Mask

    shown = Mask(show=True)
    shown.hide("hush")
    assert "\x1b" not in shown.body(b"\x1b[2J hush")
    assert "hush" not in shown.body(b'{"a": "hush"}')
    assert shown.body(gzip.compress('{"名": "电"}'.encode("gbk"))) == '{"名": "电"}'
    assert shown.json({"appSecret": "x", "list": [{"access_token": 1}]}) == (
        '{"appSecret": "***", "list": [{"access_token": "***"}]}'
    )
    assert Mask(show=False).json({"a": True, "b": None, "c": "", "d": 1.5}) == (
        '{"a": true, "b": null, "c": "", "d": "<decimal>"}'
    )


@pytest.mark.parametrize("begins", ["<!--", "<![CDATA[", "<?x "])
def test_sections_that_never_end_are_looked_through_once(begins: str) -> None:
    """The running bridge masks what a probe was answered."""
    from intranet_bridge.marketing import masking

    found = [one[0] for one in masking._XML.finditer("<a>" + begins * 50)]
    assert found == ["<a>", begins * 50]
    assert "secret" not in masking.Mask(show=False).xml("<a>" + begins + "secret")

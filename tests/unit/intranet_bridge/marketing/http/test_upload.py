"""Files that a command names are handed over before it, each once; whatever happens there, it was not called."""

import json
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest

from intranet_bridge.marketing import Answered, AttachedFile, MarketingRequest, NotApplied, Outcome, Refused, Rejected
from intranet_bridge.marketing.http.access import access_of
from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.check import complaints
from intranet_bridge.marketing.http.client import HttpClient
from protocol.operations import CATALOGUE
from tests.support.files import File, jpeg, pdf, png
from tests.unit.attaching import REPORT
from tests.unit.intranet_bridge.marketing.http.test_adapter import Server, close, hang, http

pytestmark = pytest.mark.anyio
ID = "01a20058-c569-7555-97ad-5f35eb5182d{}"
DONE = {"rtnCode": "0000", "data": {"no": "W1", "at": "2026-07-01"}}
REFUSAL = {"when": "rtnCode != '0000'", "code": "rtnCode", "detail": "rtnMsg", "codes": {"1070": "invalid-attachment"}}


def stored(number: int) -> bytes:
    return http({"rtnCode": "0000", "data": {"fileNo": f"F{number}"}})


UNNAMED = NotApplied("attachment: an answer without a reference", reached=True)


class Attached:
    """Files as the bridge has them."""

    def __init__(self, *files: File) -> None:
        self.contents = files
        self.references: dict[int, str] = {}
        self.read = 0

    def files(self) -> Iterator[AttachedFile]:
        for at, file in enumerate(self.contents):

            async def read(file: File = file) -> bytes:
                self.read += 1
                return file.content

            async def remember(reference: str, at: int = at) -> None:
                self.references[at] = reference

            known = self.references.get(at)
            yield AttachedFile(ID.format(at), file.media_type, len(file.content), file.sha256, known, read, remember)


def adapter(port: int, system: dict[str, Any] | None = None, **changes: Any) -> HttpAdapter:
    section = {
        "path": "/files",
        "request": "{reqId: file.id, type: file.extension, for: request_id}",
        "reference": "data.fileNo",
    } | changes
    values = {
        "path": "/report",
        "request": "{id: request_id, text: content, files: attachments[*].reference}",
        "response": "data.{work_order: no, accepted_at: at}",
        "refusal": REFUSAL,
        "timeout_s": 1,
        "attachments": section,
    }
    marketing = HttpSystem.model_validate({"url": f"http://127.0.0.1:{port}/root"} | (system or {}))
    client = HttpClient("127.0.0.1", port, connections=2, answer_limit=4096)
    return HttpAdapter(REPORT, HttpBinding.model_validate(values), marketing, client, access_of(marketing, secret="s"))


async def call(one: HttpAdapter, attached: Attached, **more: Any) -> Outcome:
    body = REPORT.requests.validate_python({"content": "x"})
    return await one.call(MarketingRequest("01a2-req", body, "", attachments=tuple(attached.files()), **more), 30)


def parts(request: bytes) -> dict[str, tuple[dict[str, Any], Any]]:
    """The parts of a multipart body: name → its parameters and type, its content. By another parser than ours."""
    head, _, body = request.partition(b"\r\n\r\n")
    kind = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type: "))
    message = BytesParser(policy=HTTP).parsebytes(kind + b"\r\n\r\n" + body)
    found: dict[str, tuple[dict[str, Any], Any]] = {}
    for part in message.iter_parts():
        said = {name: value for name, value in part["content-disposition"].params.items() if name != "name"}
        found[part["content-disposition"].params["name"]] = (
            said | {"type": part.get_content_type()},
            part.get_payload(decode=True),
        )
    return found


async def test_each_file_is_handed_over_and_the_command_names_them() -> None:
    attached = Attached(png(300_000), jpeg(), pdf())
    async with Server(stored(1), stored(2), stored(3), http(DONE)) as server:
        assert isinstance(await call(adapter(server.port), attached), Answered)
    assert [request.split(b" HTTP/")[0] for request in server.requests] == [b"POST /root/files"] * 3 + [
        b"POST /root/report"
    ]
    for at, (file, extension) in enumerate(zip(attached.contents, ("png", "jpg", "pdf"), strict=True)):
        found = parts(server.requests[at])
        assert found["reqId"][1].decode() == ID.format(at)
        assert (found["type"][1], found["for"][1]) == (extension.encode(), b"01a2-req")
        said, content = found["file"]
        assert said == {"filename": f"{ID.format(at)}.{extension}", "type": file.media_type}
        # email decodes what binary it finds: compared by the bytes of the request
        assert file.content in server.requests[at]
        assert content
        assert f"X-Request-Id: {ID.format(at)}\r\n".encode() in server.requests[at]
    body = json.loads(server.requests[3].partition(b"\r\n\r\n")[2])
    assert body == {"id": "01a2-req", "text": "x", "files": ["F1", "F2", "F3"]}


async def test_a_file_that_was_handed_over_is_not_again() -> None:
    attached = Attached(png(), pdf())
    async with Server(stored(1), http(b"", 503), stored(2), close, http(DONE)) as server:
        one = adapter(server.port)
        assert await call(one, attached) == NotApplied("attachment: HTTP 503", reached=False)
        assert attached.references == {0: "F1"}
        await call(one, attached)  # the command's own answer is lost
        assert isinstance(await call(one, attached), Answered)
    assert attached.read == 3
    assert [request.split(b" ")[1] for request in server.requests] == [b"/root/files"] * 3 + [b"/root/report"] * 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http(b"", 500), NotApplied("attachment: HTTP 500", reached=False)),
        (http(b"", 401), NotApplied("attachment: HTTP 401", reached=False)),
        (http(b"", 429), NotApplied("attachment: HTTP 429", reached=True)),
        (http({"no": "thing"}, 413), Rejected("attachment: HTTP 413")),
        (http({"rtnCode": "1070", "rtnMsg": "no"}), Refused("invalid-attachment", "no")),
        (http({"rtnCode": "0000", "data": {}}), UNNAMED),
        (
            http({"rtnCode": "0000", "data": {"fileNo": "x" * 201}}),
            UNNAMED,
        ),
        (
            http({"rtnCode": "0000", "data": {"fileNo": True}}),
            UNNAMED,
        ),
        (close, NotApplied("attachment: connection lost", reached=False)),
        (hang, NotApplied("attachment: timeout", reached=False)),
    ],
)
async def test_whatever_happens_to_a_file_the_command_was_not_called(answer: Any, outcome: Outcome) -> None:
    attached = Attached(png())
    async with Server(answer) as server:
        assert await call(adapter(server.port, timeout_s=0.3), attached) == outcome
    assert (len(server.requests), attached.references) == (1, {})


async def test_nothing_is_handed_over_once_the_lease_may_be_over() -> None:
    async with Server() as server:
        outcome = await call(adapter(server.port), Attached(png()), may_send=lambda: False)
    assert outcome == NotApplied("no longer allowed to send", reached=False)
    assert server.requests == []


async def test_the_bytes_alone_with_the_id_in_the_path() -> None:
    attached = Attached(png(5_000))
    async with Server(http({"data": {"fileNo": 77}}), http(DONE)) as server:
        changes: dict[str, Any] = {"encoding": "raw", "path": "/files/{file.id}", "method": "PUT", "request": None}
        one = adapter(server.port, **changes, refusal={"when": "`false`", "code": "x"})
        assert isinstance(await call(one, attached), Answered)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"PUT /root/files/{ID.format(0)} HTTP/1.1".encode())
    assert b"Content-Type: image/png" in head
    assert body == attached.contents[0].content
    assert json.loads(server.requests[1].partition(b"\r\n\r\n")[2])["files"] == ["77"]


async def test_a_file_is_handed_over_with_what_every_request_has() -> None:
    system = {"authentication": {"header": "X-Token", "token_file": "unread"}, "headers": {"X-Channel": "DMZ"}}
    async with Server(stored(1), http(DONE)) as server:
        assert isinstance(await call(adapter(server.port, system), Attached(png())), Answered)
    for line in (b"\r\nX-Token: s\r\n", b"\r\nX-Channel: DMZ\r\n"):
        assert line in server.requests[0]


def said(operation: str, **binding: Any) -> list[tuple[str, str, bool]]:
    values = {"path": "/", "response": "data.{report: no, reported_at: at}"} | binding
    found = complaints(CATALOGUE[operation], HttpBinding.model_validate(values))
    return [(".".join(one.setting), one.message, one.fatal) for one in found]


FILES = {"path": "/f", "reference": "no"}


@pytest.mark.parametrize(
    ("binding", "setting", "message"),
    [
        ({"attachments": FILES, "request": "{a: attachments[*].number}"}, "request", "number"),
        ({"attachments": FILES | {"request": "{a: file.title}"}}, "attachments.request", "title"),
        ({"attachments": FILES | {"path": "/f/{file.title}"}}, "attachments.path", "title"),
        ({"attachments": FILES | {"request": "{a: file.id}", "encoding": "raw"}}, "attachments.request", "raw"),
    ],
)
def test_a_binding_that_can_only_be_a_mistake(binding: dict[str, Any], setting: str, message: str) -> None:
    assert any(where == setting and message in text and fatal for where, text, fatal in said("theft-report", **binding))


def test_where_attachments_belong_and_where_not() -> None:
    assert not said("theft-report", attachments=FILES, request="{a: attachments[*].reference}")
    assert [fatal for _, text, fatal in said("theft-report") if "hands them over" in text] == [False]
    bill = {"path": "/", "response": "@", "attachments": FILES}
    assert [one.fatal for one in complaints(CATALOGUE["arrears-query"], HttpBinding.model_validate(bill))] == [True]

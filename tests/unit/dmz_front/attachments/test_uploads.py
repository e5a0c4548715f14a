"""Uploads over HTTP: a file comes in parts, is judged by its content, lies here sealed, and is used once."""

import json
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from protocol.attachments import CHUNK_BYTES, MIN_CHUNK_BYTES, TYPE, Chunk, Manifest, parsed_id
from protocol.envelope import Opened, Opener
from protocol.keyring import Keyring
from tests.support.files import File, jpeg, pdf, png
from tests.unit.attaching import REPORT
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import DONE, Harness, code_of, problem_of, turns

pytestmark = pytest.mark.anyio
PART = {"content_type": "application/partial-upload"}
HOUR_MS = 3_600_000


@pytest.fixture
async def harness(harness: Harness) -> Harness:
    harness.catalogue["report"] = REPORT
    return harness


async def begin(harness: Harness, file: File, app: str = "wechat", **other: object) -> str:
    answer = await harness.call("POST", "/v1/attachments", file.declared(**other), app=app)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/attachments/{answer.json()['attachment']}"
    return str(answer.json()["attachment"])


async def part(harness: Harness, id: str, offset: int, content: bytes, **more: Any) -> httpx.Response:
    headers = {**PART, "upload_offset": str(offset), **more}
    return await harness.call("PATCH", f"/v1/attachments/{id}", content, **headers)


async def uploaded(harness: Harness, file: File, app: str = "wechat") -> str:
    id = await begin(harness, file, app)
    answer = await part(harness, id, 0, file.content, app=app)
    assert answer.json()["status"] == "complete", answer.text
    return id


async def report(harness: Harness, key: str, files: list[str], **more: Any) -> httpx.Response:
    body = {"content": "x", "files": files, **more}
    return await harness.call("POST", "/v1/report", body, idempotency_key=key, prefer="respond-async")


def stored(harness: Harness) -> dict[str, bytes]:
    with sqlite3.connect(harness.directory / "front.sqlite3") as database:
        return dict(database.execute("SELECT id, envelope FROM attachment_messages ORDER BY attachment, number"))


def opened(envelopes: dict[str, bytes], keyring: Keyring) -> list[Opened]:
    return [Opener(keyring).authentic(envelope) for envelope in envelopes.values()]


def joined(messages: list[Opened]) -> bytes:
    """The file, as the bridge would have it."""
    content = bytearray()
    for message in messages:
        if parsed_id(message.attributes.id)[1]:
            chunk = Chunk.from_payload(message.payload)
            assert chunk.position == len(content)
            content += chunk.data
    return bytes(content)


@pytest.mark.parametrize("file", [jpeg(600_000), png(600_000), pdf(600_000)], ids=["jpeg", "png", "pdf"])
async def test_a_file_in_parts(harness: Harness, bridge_keyring: Keyring, file: File) -> None:
    await harness.start(bridge=False)
    id = await begin(harness, file)
    for at in range(0, len(file.content), 250_000):
        answer = await part(harness, id, at, file.content[at : at + 250_000])
        assert answer.status_code == 200
        assert answer.headers["upload-offset"] == str(min(len(file.content), at + 250_000))
    assert (answer.json()["status"], answer.headers["upload-complete"]) == ("complete", "?1")
    messages = opened(stored(harness), bridge_keyring)
    assert {message.attributes.type for message in messages} == {TYPE}
    assert json.loads(Manifest.from_payload(messages[0].payload).payload()) == file.declared()
    assert joined(messages) == file.content
    head = await harness.call("HEAD", f"/v1/attachments/{id}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["upload-offset"] == head.headers["upload-length"] == str(len(file.content))


async def test_nothing_of_it_lies_in_clear(harness: Harness) -> None:
    await harness.start(bridge=False)
    file = pdf(300_000)
    await uploaded(harness, file)
    for name in harness.directory.glob("front.sqlite3*"):
        data = name.read_bytes()
        assert file.sha256.encode() not in data
        assert bytes.fromhex(file.sha256) not in data
        for at in range(0, len(file.content) - 16, 4096):
            assert file.content[at : at + 16] not in data


async def test_a_part_that_does_not_go_on_is_told_where_to(harness: Harness, bridge_keyring: Keyring) -> None:
    await harness.start(bridge=False)
    file = png(200_000)
    id = await begin(harness, file)
    first = file.content[:100_000]
    assert (await part(harness, id, 0, first)).status_code == 200
    for offset, content in ((0, first), (50_000, first), (150_000, file.content[150_000:])):
        answer = await part(harness, id, offset, content)
        assert code_of(answer) == (409, "upload-offset")
        assert answer.headers["upload-offset"] == "100000"
        assert (answer.json()["expected_offset"], answer.json()["provided_offset"]) == (100_000, offset)
    assert (await part(harness, id, 100_000, file.content[100_000:])).json()["status"] == "complete"
    answer = await part(harness, id, 100_000, file.content[100_000:])
    assert (code_of(answer), answer.headers["upload-complete"]) == ((409, "upload-offset"), "?1")
    assert joined(opened(stored(harness), bridge_keyring)) == file.content


async def test_what_came_of_a_part_that_is_cut_off_is_kept(harness: Harness, bridge_keyring: Keyring) -> None:
    await harness.start(bridge=False)
    file = jpeg(500_000)
    id = await begin(harness, file)
    for begins, sent, kept in ((0, 250_000, 250_000), (250_000, MIN_CHUNK_BYTES - 1, 250_000)):
        await cut_off(harness, id, begins, file.content[begins : begins + sent])
        answer = await harness.call("HEAD", f"/v1/attachments/{id}")
        assert answer.headers["upload-offset"] == str(kept)
    assert (await part(harness, id, 250_000, file.content[250_000:])).json()["status"] == "complete"
    assert joined(opened(stored(harness), bridge_keyring)) == file.content


async def cut_off(harness: Harness, id: str, offset: int, content: bytes) -> None:
    """A part whose sender goes away before its end."""
    headers = [
        (b"authorization", f"Bearer {harness.keys['wechat']}".encode()),
        (b"content-type", b"application/partial-upload"),
        (b"content-length", b"900000"),
        (b"upload-offset", str(offset).encode()),
    ]
    scope = {
        "type": "http", "method": "PATCH", "path": f"/v1/attachments/{id}", "headers": headers, "query_string": b"",
        "client": ("10.0.0.9", 1), "server": ("front", 80), "scheme": "http", "root_path": "", "http_version": "1.1",
    }  # fmt: skip
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": content, "more_body": True}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(_message: Any) -> None: ...

    await harness.front.api(scope, receive, send)


async def test_a_front_that_is_restarted_goes_on_and_leaves_the_judgement_to_the_bridge(harness: Harness) -> None:
    await harness.start()
    file = png(200_000)
    id = await begin(harness, file)
    await part(harness, id, 0, file.content[:100_000])
    await harness.restart()
    answer = await part(harness, id, 100_000, file.content[100_000:])
    assert answer.json()["status"] == "checking"
    assert code_of(await report(harness, "k", [id])) == (422, "attachment-incomplete")


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (File("image/png", b"<html>" + bytes(100)), "attachment-type"),
        (File("image/jpeg", png().content), "attachment-type"),
        (File("image/png", png().content[:-4]), "attachment-damaged"),
    ],
)
async def test_a_file_that_is_none(harness: Harness, file: File, code: str) -> None:
    await harness.start(bridge=False)
    id = await begin(harness, file)
    assert code_of(await part(harness, id, 0, file.content)) == (422, code)
    assert stored(harness) == {}
    told = (await harness.call("GET", f"/v1/attachments/{id}")).json()
    assert (told["status"], told["failure"]["code"]) == ("rejected", code)
    assert code_of(await part(harness, id, 0, file.content)) == (422, code)
    assert code_of(await report(harness, "k", [id])) == (422, code)


async def test_a_file_of_the_wrong_type_is_refused_before_all_of_it_is_there(harness: Harness) -> None:
    await harness.start(bridge=False)
    file = File("image/png", bytes(1_000_000))
    id = await begin(harness, file)
    assert code_of(await part(harness, id, 0, file.content[:MIN_CHUNK_BYTES])) == (422, "attachment-type")


async def test_another_digest(harness: Harness) -> None:
    await harness.start(bridge=False)
    file = png()
    id = await begin(harness, file, sha256="0" * 64)
    assert code_of(await part(harness, id, 0, file.content)) == (422, "attachment-digest")


@pytest.mark.parametrize(
    "wrong",
    [{"length": 0}, {"length": 20 * 1024 * 1024 + 1}, {"sha256": "x"}, {"media_type": "text/html"}, {"name": "a.png"}],
)
async def test_what_cannot_be_begun(harness: Harness, wrong: dict[str, object]) -> None:
    await harness.start(bridge=False)
    answer = await harness.call("POST", "/v1/attachments", png().declared(**wrong))
    assert code_of(answer) == (422, "invalid-request")
    assert problem_of(answer)["errors"][0]["field"] == next(iter(wrong))
    assert code_of(await harness.call("POST", "/v1/attachments", b"{")) == (400, "malformed-json")


async def test_parts_that_cannot_be_taken(harness: Harness) -> None:
    harness.options = {"http": {"part_limit": 65_536}}
    await harness.start(bridge=False)
    file = png(100_000)
    id = await begin(harness, file)
    path = f"/v1/attachments/{id}"
    assert code_of(await part(harness, id, 0, file.content[:65_537])) == (413, "body-too-large")
    assert code_of(await part(harness, id, 0, file.content[: MIN_CHUNK_BYTES - 1])) == (422, "part-too-small")
    assert code_of(await harness.call("PATCH", path, b"x", **PART)) == (400, "malformed-header")
    assert code_of(await part(harness, id, 0, b"x", upload_offset="-1")) == (400, "malformed-header")
    assert code_of(await part(harness, id, 0, b"x", content_type="image/png")) == (415, "unsupported-media-type")
    assert code_of(await part(harness, id, 0, b"x", content_encoding="gzip")) == (415, "unsupported-media-type")
    assert code_of(await harness.call("GET", "/v1/attachments/x")) == (400, "malformed-header")
    assert (await part(harness, id, 0, file.content[:65_536])).status_code == 200
    assert code_of(await part(harness, id, 65_536, file.content[65_536:] + b"x")) == (413, "body-too-large")
    assert (await harness.call("HEAD", path)).headers["upload-offset"] == "65536"


async def test_it_is_only_its_own_applications(harness: Harness) -> None:
    await harness.start()
    await harness.grant("kiosk", "reports")
    await harness.grant("other", "bills")
    file = png()
    id = await begin(harness, file)
    path = f"/v1/attachments/{id}"
    for method in ("GET", "DELETE"):
        assert code_of(await harness.call(method, path, app="kiosk")) == (404, "unknown-attachment")
    assert code_of(await part(harness, id, 0, file.content, app="kiosk")) == (404, "unknown-attachment")
    assert code_of(await harness.call("POST", "/v1/attachments", file.declared(), app="other")) == (
        403,
        "forbidden-scope",
    )
    assert code_of(await harness.call("POST", "/v1/attachments", file.declared(), app=None)) == (401, "unauthenticated")
    theirs = await uploaded(harness, png(), "kiosk")
    answer = await report(harness, "k", [theirs])
    assert code_of(answer) == (422, "no-such-attachment")
    assert problem_of(answer)["errors"][0]["field"] == "files.0"


async def test_it_expires(harness: Harness, clock: Clock) -> None:
    harness.options = {"attachments": {"unfinished_hours": 1, "unused_hours": 2}}
    await harness.start(bridge=False)
    unfinished, whole = await begin(harness, png(100_000)), await uploaded(harness, png(100_000))
    clock.now += HOUR_MS
    assert code_of(await harness.call("GET", f"/v1/attachments/{unfinished}")) == (404, "unknown-attachment")
    assert (await harness.call("GET", f"/v1/attachments/{whole}")).status_code == 200
    await harness.front.housekeeping.forget_attachments()
    assert {parsed_id(id)[0] for id in stored(harness)} == {whole}
    clock.now += HOUR_MS
    assert code_of(await report(harness, "k", [whole])) == (422, "no-such-attachment")
    await harness.front.housekeeping.forget_attachments()
    assert stored(harness) == {}


async def test_so_many_of_one_application_and_no_more(harness: Harness) -> None:
    harness.options = {"attachments": {"count": 2, "total_bytes": 20 * 1024 * 1024}}
    await harness.start(bridge=False)
    first = await begin(harness, png())
    await begin(harness, png())
    answer = await harness.call("POST", "/v1/attachments", png().declared())
    assert code_of(answer) == (429, "too-many-attachments")
    assert (await harness.call("DELETE", f"/v1/attachments/{first}")).status_code == 204
    await begin(harness, png())
    await harness.grant("kiosk", "reports")
    large = png().declared(length=20 * 1024 * 1024)
    assert code_of(await harness.call("POST", "/v1/attachments", large, app="kiosk")) == (503, "attachments-full")


async def test_a_command_takes_what_it_names(harness: Harness) -> None:
    await harness.start()
    harness.bridge.script = lambda _: None
    first, second, third = [await uploaded(harness, png()) for _ in range(3)]
    answer = await report(harness, "one", [first, second], plan=third)
    assert answer.status_code == 202
    told = (await harness.call("GET", f"/v1/attachments/{third}")).json()
    assert told["request_id"] == answer.json()["request_id"]
    again = await report(harness, "one", [first, second], plan=third)
    assert again.status_code in (202, 409)
    refused = await report(harness, "two", [second])
    assert code_of(refused) == (422, "attachment-used")
    assert code_of(await harness.call("DELETE", f"/v1/attachments/{first}")) == (422, "attachment-used")
    fourth = await uploaded(harness, png())
    refused = await report(harness, "two", [fourth, third])
    assert [error["field"] for error in problem_of(refused)["errors"]] == ["files.1"]
    assert (await report(harness, "two", [fourth])).status_code == 202  # nothing was taken by what was refused


async def test_not_more_than_so_many_bytes_together(harness: Harness) -> None:
    await harness.start()
    ids = [await uploaded(harness, png()) for _ in range(2)]

    def grow(connection: Any) -> None:
        connection.exec_driver_sql("UPDATE attachments SET length = 10485761")

    await harness.front.store.write(grow)
    answer = await report(harness, "k", ids)
    assert code_of(answer) == (422, "attachments-too-large")
    assert (await report(harness, "k", ids[:1])).status_code == 202


async def test_it_is_forgotten_when_its_command_is_final(harness: Harness, clock: Clock) -> None:
    await harness.start()
    harness.bridge.script = lambda _: None
    id = await uploaded(harness, png())
    answer = await report(harness, "k", [id])
    clock.now += 80 * HOUR_MS
    await harness.front.housekeeping.forget_attachments()
    assert (await harness.call("GET", f"/v1/attachments/{id}")).status_code == 200
    await turns()
    harness.bridge.reply(next(one for one in harness.bridge.taken if one.attributes.type == "report"), DONE)
    await harness.settle()
    assert (await harness.status(answer.json()["request_id"])).json()["status"] == "succeeded"
    await harness.front.housekeeping.forget_attachments()
    assert stored(harness) == {}
    assert code_of(await harness.call("GET", f"/v1/attachments/{id}")) == (404, "unknown-attachment")


async def test_of_two_parts_at_once_one_is_taken(harness: Harness, bridge_keyring: Keyring) -> None:
    await harness.start(bridge=False)
    file = png(CHUNK_BYTES * 2)
    id = await begin(harness, file)
    known = await harness.front.uploads.find("wechat", id)

    async def content() -> AsyncIterator[bytes]:
        yield file.content[:100_000]

    first = await harness.front.uploads._store(known, bytearray(file.content[:100_000]), 100_000)
    assert first.received == 100_000
    with pytest.raises(Exception, match="upload-offset"):
        await harness.front.uploads._store(known, bytearray(file.content[:100_000]), 100_000)
    assert (await part(harness, id, 100_000, file.content[100_000:])).json()["status"] == "complete"
    assert joined(opened(stored(harness), bridge_keyring)) == file.content


async def test_a_sandbox_key_rehearses_and_nothing_of_it_is_kept(harness: Harness) -> None:
    await harness.start()
    await harness.grant("new", "reports", sandbox=True)
    file = png(100_000)
    id = await begin(harness, file, "new")
    assert (await part(harness, id, 0, file.content[:50_000], app="new")).status_code == 200
    harness.front.uploads._examinations.clear()  # as after a restart
    assert (await part(harness, id, 50_000, file.content[50_000:], app="new")).json()["status"] == "complete"
    wrong = await begin(harness, file, "new", sha256="0" * 64)
    assert code_of(await part(harness, wrong, 0, file.content, app="new")) == (422, "attachment-digest")
    assert stored(harness) == {}


@pytest.mark.parametrize(
    "size", [CHUNK_BYTES, CHUNK_BYTES + 1, CHUNK_BYTES + MIN_CHUNK_BYTES - 1, 5 * CHUNK_BYTES + 100]
)
async def test_a_part_of_any_size_is_taken_whole(harness: Harness, bridge_keyring: Keyring, size: int) -> None:
    await harness.start(bridge=False)
    file = jpeg(size + 100_000)
    id = await begin(harness, file)
    assert (await part(harness, id, 0, file.content[:size])).headers["upload-offset"] == str(size)
    assert (await part(harness, id, size, file.content[size:])).json()["status"] == "complete"
    assert joined(opened(stored(harness), bridge_keyring)) == file.content

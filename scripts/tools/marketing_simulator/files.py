"""Files (附件): handed over before the business that names them; what is kept of each is its type, length and digest.

`/api/file/upload` is multipart/form-data, as many such interfaces are: the fields `reqId` and `fileType`, then `file`.
A `reqId` that comes again with the same content gets the same file number; with another one it is refused.
"""

import hashlib
import sqlite3
from collections.abc import Callable

from aiohttp import BodyPartReader, MultipartReader, web

from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import REQUEST_ID
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

TABLES = """
CREATE TABLE uploaded_file (
    number TEXT PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
);
"""
LARGEST_FILE_BYTES = 20 * 1024 * 1024
BEGINNINGS = {"jpg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}
BY_REQUEST = "SELECT size, sha256 FROM uploaded_file WHERE request_id = ?"
NEXT = "SELECT count(*) + 1 FROM uploaded_file"
INSERT = "INSERT INTO uploaded_file VALUES (?, ?, ?, ?, ?)"
ALL = "SELECT number, request_id, type, size, sha256 FROM uploaded_file ORDER BY number"
KNOWN = "SELECT count(*) FROM uploaded_file WHERE number IN ({})"


class Files:
    """The interface for files; it writes through `effects`."""

    path = "/api/file/upload"

    def __init__(self, connection: sqlite3.Connection, effects: EffectWriter, clock: Clock) -> None:
        self._connection = connection
        self._effects = effects
        self._clock = clock

    async def upload(self, request: web.Request, named: Callable[[str], str] = str) -> Applied:
        """`/api/file/upload`. `named`: what a face's name of a part is here."""
        fields, content = await _parts(request, named)
        request_id, kind = fields.get("reqId", ""), fields.get("fileType", "")
        if not REQUEST_ID.fullmatch(request_id):
            raise Refusal(Code.INVALID_FIELD, "reqId")
        if kind not in BEGINNINGS:
            raise Refusal(Code.INVALID_FIELD, "fileType")
        if not content.startswith(BEGINNINGS[kind]):
            raise Refusal(Code.FILE_CONTENT)
        digest = hashlib.sha256(content).hexdigest()
        known = self._connection.execute(BY_REQUEST, (request_id,)).fetchone()
        if known is not None and known != (len(content), digest):
            raise Refusal(Code.FILE_CONFLICT)

        def perform(connection: sqlite3.Connection) -> str:
            now = self._clock.now()
            (serial,) = connection.execute(NEXT).fetchone()
            number = f"F{now:%Y%m%d}{serial:08d}"
            connection.execute(INSERT, (number, request_id, kind, len(content), digest))
            return success(
                {"reqId": request_id, "fileNo": number, "fileSize": len(content), "upTime": legacy_time(now)}
            )

        return await self._effects.apply(request_id, "file/upload", perform, once=True)


async def _parts(request: web.Request, named: Callable[[str], str]) -> tuple[dict[str, str], bytes]:
    """The fields and the file's content."""
    if not request.content_type.startswith("multipart/"):
        raise Refusal(Code.MALFORMED)
    fields: dict[str, str] = {}
    content: bytes | None = None
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, MultipartReader) or part.name is None:
                raise Refusal(Code.MALFORMED)
            name = named(part.name)
            if name == "file":
                content = await _content(part)
            else:
                fields[name] = (await part.read()).decode()[:64]
    except (ValueError, AssertionError) as error:
        raise Refusal(Code.MALFORMED) from error
    if not content:
        raise Refusal(Code.INVALID_FIELD, "file")
    return fields, content


async def _content(part: BodyPartReader) -> bytes:
    content = bytearray()
    while piece := await part.read_chunk(65_536):
        content += piece
        if len(content) > LARGEST_FILE_BYTES:
            raise Refusal(Code.INVALID_FIELD, "file")
    return bytes(content)


def check_known(connection: sqlite3.Connection, numbers: tuple[str, ...]) -> None:
    """Refuse a business that names a file which was not handed over."""
    if numbers:
        statement = KNOWN.format(",".join("?" * len(numbers)))
        if connection.execute(statement, numbers).fetchone()[0] != len(set(numbers)):
            raise Refusal(Code.NO_SUCH_FILE)


def listed(connection: sqlite3.Connection) -> list[dict[str, object]]:
    """All files, for tests."""
    names = ("number", "request_id", "type", "size", "sha256")
    return [dict(zip(names, row, strict=True)) for row in connection.execute(ALL)]

"""`/v1/attachments`: files are uploaded in parts, before a command names them.

As draft-ietf-httpbis-resumable-upload does it, and tus before it: a part says where it begins (`Upload-Offset`), and
whoever does not know how far the upload is asks (`HEAD`). A part that begins anywhere else is 409 with the right
offset, so that a repeated one changes nothing. Unlike there, an upload begins without content and says what it will be.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from dmz_front.admission import fields
from dmz_front.admission.policy import ALL_SCOPES, check_media_type
from dmz_front.admission.signatures import NONCE, check_digest
from dmz_front.attachments.uploads import Attachment, CutOff, Uploads, document, headers, owner
from dmz_front.problems.details import HttpResponse, Problem, schema_problem
from dmz_front.settings import HttpSection
from protocol.attachments import MAX_BYTES, MIN_CHUNK_BYTES, Manifest
from protocol.operations import Operation
from protocol.runtime.applications import Application

PATH = "/v1/attachments"
ONE = PATH + "/{id}"
PART_TYPES = ("application/partial-upload", "application/offset+octet-stream", "application/octet-stream")
"""The draft's, tus's, and what clients send that know neither."""

Id = Annotated[str, Path(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


def add(
    app: FastAPI,
    *,
    uploads: Uploads,
    catalogue: Mapping[str, Operation],
    admitted: Callable[[Request], Awaitable[Application]],
    answered: Callable[[HttpResponse], Response],
    limits: HttpSection,
) -> None:
    """Add the routes."""
    scopes = {operation.scope for operation in catalogue.values() if operation.attachments} | {ALL_SCOPES}
    tags: list[Any] = ["attachments"]

    async def uploader(request: Request) -> str:
        """By whom what it uploads can be found."""
        application = await admitted(request)
        if not scopes & application.scopes:
            needed = ", ".join(sorted(scopes - {ALL_SCOPES})) or "none"
            raise Problem(403, "forbidden-scope", f"attachments need a scope of a command that takes them: {needed}")
        return owner(application)

    def told(known: Attachment, status: int = 200) -> Response:
        body = json.dumps(document(known), ensure_ascii=False, separators=(",", ":")).encode()
        return answered(HttpResponse(status, body, headers(known)))

    @app.post(PATH, tags=tags, summary="Begin an upload", status_code=201)
    async def begin(request: Request) -> Response:
        whose = await uploader(request)
        check_media_type(fields.parse(request.scope["headers"]))
        try:
            body = b"".join([piece async for piece in _body(request, limits.body_limit)])
            said = Manifest.model_validate_json(body)
        except ValidationError as error:
            raise schema_problem(error) from None
        except CutOff:
            raise ClientDisconnect from None
        known = await uploads.create(whose, said)
        response = told(known, 201)
        response.headers["Location"] = f"{PATH}/{known.id}"
        response.headers["Upload-Limit"] = (
            f"max-size={MAX_BYTES}, min-append-size={MIN_CHUNK_BYTES}, max-append-size={limits.part_limit}"
        )
        return response

    @app.get(ONE, tags=tags, summary="How far an upload is")
    async def progress(id: Id, request: Request) -> Response:
        return told(await uploads.find(await uploader(request), id))

    @app.patch(ONE, tags=tags, summary="Send a part")
    async def append(id: Id, request: Request) -> Response:
        whose = await uploader(request)
        found = fields.parse(request.scope["headers"])
        kind, _ = fields.media_type(found.get(b"content-type", b""))
        if kind.decode("latin-1") not in PART_TYPES:
            raise Problem(415, "unsupported-media-type", f"send `Content-Type: {PART_TYPES[0]}`")
        if set(fields.tokens(found, b"content-encoding")) - {b"identity"}:
            raise Problem(415, "unsupported-media-type", "send the part without Content-Encoding")
        offset = found.get(b"upload-offset", b"")
        if not (offset.isdigit() and len(offset) < 10):
            raise Problem(400, "malformed-header", "Upload-Offset says at which byte of the file the part begins")
        part = _body(request, limits.part_limit)
        try:
            return told(await uploads.append(whose, id, int(offset), part))
        except CutOff:
            raise ClientDisconnect from None

    @app.delete(ONE, tags=tags, summary="Forget an attachment that no command names", status_code=204)
    async def forget(id: Id, request: Request) -> Response:
        await uploads.remove(await uploader(request), id)
        return answered(HttpResponse(204, b""))

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)  # nobody reads it


async def _body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes; a signed one when it is whole and was found to be the one that was signed. Raises Problem
    401, 413 beyond `limit`, CutOff.
    """
    if NONCE in request.scope:
        whole = b"".join([piece async for piece in _pieces(request, limit)])
        check_digest(request.scope, whole)
        yield whole
        return
    async for piece in _pieces(request, limit):
        yield piece


async def _pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            yield piece
    except ClientDisconnect:
        raise CutOff from None


def _too_large(limit: int) -> Problem:
    return Problem(413, "body-too-large", f"at most {limit} bytes", headers=[(b"connection", b"close")])

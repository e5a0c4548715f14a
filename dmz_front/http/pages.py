"""The pages beside the hot path: request status, catalogue, health, and the documentation; and what is said of paths
and methods that are not there.

Nothing is ever built from `Host`, and nothing redirects: a path is right, or its 404 names the nearest one.
"""

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dmz_front.admission import fields
from dmz_front.admission.accounts import AccountForms
from dmz_front.admission.policy import ALL_SCOPES
from dmz_front.attachments.uploads import Uploads
from dmz_front.http import asyncapi, attachments, code_pages, documentation
from dmz_front.http import channels as own_channels
from dmz_front.http import landing as landings
from dmz_front.http import notices as own_notices
from dmz_front.http.channels import Channels
from dmz_front.http.landing import Landing
from dmz_front.notices.reading import Read
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.sandbox.sandbox import MARK
from dmz_front.settings import HttpSection
from protocol.languages import chosen
from protocol.messages import uuid7
from protocol.operations import Operation
from protocol.runtime.applications import Application
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger

log = logger(__name__)

METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST"]
"""What is answered somewhere."""
OPERATION = "operation"
"""The route of `/v1/{operation}`."""
PATHS = ("/healthz", "/readyz", "/v1/operations", "/v1/requests/{id}", attachments.PATH, own_notices.PATH)
"""Known to everybody."""


class Gate(Protocol):
    """Admits a request by its headers (HttpApi.admit_to_page)."""

    async def __call__(self, scope: Any, headers: Mapping[bytes, bytes]) -> Application: ...


def pages(
    *,
    catalogue: Mapping[str, Operation],
    admit: Gate,
    status: Callable[[str, Application], Awaitable[HttpResponse]],
    readiness: Callable[[], Mapping[str, str]],
    accounts: AccountForms,
    uploads: Uploads,
    notices: Read,
    clock: Clock,
    limits: HttpSection,
    version: str,
    landing: Landing | None = None,
    channels: Channels | None = None,
    desk: ASGIApp | None = None,
) -> FastAPI:
    """The application of everything but `POST /v1/{operation}`.

    `readiness()` maps each thing the front needs to `"ok"` or to what is wrong with it.
    """
    about: dict[str, Any] = {
        "redirect_slashes": False,
        "title": "dmz-bridge",
        "version": version,
    }
    app = FastAPI(**about, openapi_url=None)

    app.add_middleware(Methods, routes=app.router.routes)
    docs = limits.docs
    public = [*PATHS, code_pages.PATH, *((*documentation.PATHS, asyncapi.PATH) if docs else ())]

    def answered(answer: HttpResponse, id: str | None = None) -> Response:
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        headers |= {"Request-Id": id or uuid7(clock(), os.urandom(10)), "Cache-Control": "no-store"}
        return Response(answer.body, answer.status, headers, answer.media.decode())

    def problem(problem: Problem) -> Response:
        id = problem.members.pop("request_id", None) or uuid7(clock(), os.urandom(10))
        return answered(problem.answer(id), id)

    async def admitted(request: Request) -> Application:
        return await admit(request.scope, fields.parse(request.scope["headers"]))

    @app.get("/v1/requests/{id}", tags=["requests"], summary="What became of a command")
    async def request_status(id: str, request: Request) -> Response:
        application = await admitted(request)
        return answered(await status(id, application), id)

    @app.get("/v1/operations", tags=["requests"], summary="The operations this key may use")
    async def operations(request: Request) -> Response:
        application = await admitted(request)
        mine = [
            {
                "name": operation.name,
                "kind": operation.kind,
                "summary": operation.summary,
                "path": f"/v1/{operation.name}",
                "scope": operation.scope,
                "deadline_ms": operation.deadline_ms,
            }
            | ({"field_scopes": dict(operation.field_scopes)} if operation.field_scopes else {})
            | _deprecated(operation)
            for operation in catalogue.values()
            if _granted(application, operation)
        ]
        body = json.dumps({"operations": mine}, ensure_ascii=False).encode()
        return answered(HttpResponse(200, body, [MARK] if application.sandbox else []))

    @app.get("/healthz", tags=["health"], summary="Alive")
    async def healthz() -> Response:
        return answered(HttpResponse(200, b'{"status":"ok"}'))

    @app.get("/readyz", tags=["health"], summary="Broker reachable and a bridge present")
    async def readyz() -> Response:
        checks = readiness()
        ready = all(value == "ok" for value in checks.values())
        body = {"status": "ok" if ready else "not-ready", "checks": dict(checks)}
        return answered(HttpResponse(200 if ready else 503, json.dumps(body).encode()))

    own_notices.add(app, read=notices, admitted=admitted, answered=answered)
    attachments.add(app, uploads=uploads, catalogue=catalogue, admitted=admitted, answered=answered, limits=limits)
    if landing is not None:
        landings.add(app, landing)
    if channels is not None:
        own_channels.add(app, channels)
    if desk is not None:
        app.mount("/desk", desk)
    told = code_pages.pages()

    @app.get(code_pages.PATH, include_in_schema=False)
    @app.get(code_pages.PATH + "/{code}", include_in_schema=False)
    async def problem_page(request: Request) -> Response:
        language = chosen(
            request.query_params.get("lang"), request.headers.get("accept-language", "").encode("latin-1")
        )
        page = told.get((request.scope["path"], language))
        if page is None:
            raise Problem(404, "not-found", f"GET {code_pages.PATH} lists the codes")
        return Response(page, headers=code_pages.headers(language), media_type="text/html")

    @app.api_route("/v1/{operation}", methods=["GET", "POST"], include_in_schema=False, name=OPERATION)
    async def no_operation(operation: str, request: Request) -> Response:
        application = await admitted(request)
        methods = allowed(app.router.routes, request.scope)
        if operation in catalogue or request.scope["path"] == attachments.PATH or "POST" not in methods:
            raise Problem(405, "method-not-allowed", headers=[(b"allow", ", ".join(methods).encode())])
        theirs = [f"/v1/{one.name}" for one in catalogue.values() if _granted(application, one)]
        hint = nearest(request.scope["path"], [*PATHS, *theirs])
        raise Problem(404, "unknown-operation", hint or "GET /v1/operations lists what there is")

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem(error)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.scope["path"]
        if error.status_code == 404:
            # whose documentation is off does not tell its operations to those without a key
            operations = [f"/v1/{name}" for name in catalogue] if docs else []
            return problem(Problem(404, "not-found", nearest(path, [*public, *operations])))
        if error.status_code == 405:
            allow = ", ".join(allowed(app.router.routes, request.scope))
            return problem(Problem(405, "method-not-allowed", headers=[(b"allow", allow.encode())]))
        return problem(Problem(error.status_code, "malformed-header"))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, _error: Exception) -> Response:
        return problem(Problem(400, "malformed-header", "the path or query cannot be understood"))

    @app.exception_handler(Exception)
    async def on_error(_request: Request, error: Exception) -> Response:
        log.error("page-failed", error=type(error).__name__)
        return problem(Problem(500, "internal"))

    if docs:
        documentation.document(app, catalogue.values(), accounts)
        asyncapi.add(app, version)
    return app


def _granted(application: Application, operation: Operation) -> bool:
    return operation.scope in application.scopes or ALL_SCOPES in application.scopes


def _deprecated(operation: Operation) -> dict[str, Any]:
    told = operation.deprecated
    if told is None:
        return {}
    sunset = {"sunset": told.sunset.isoformat()} if told.sunset else {}
    return {"deprecated": {"since": told.since.isoformat(), **sunset, "successor": told.successor}}


def nearest(path: str, known: Sequence[str]) -> str:
    """A sentence that names the known path nearest to one that is not; "" if none is near."""
    plain = "/" + "/".join(part for part in path[:100].lower().split("/") if part)
    found = [plain] if plain in known else get_close_matches(plain, known, 1)
    return f"did you mean {found[0]}?" if found else ""


def allowed(routes: Sequence[BaseRoute], scope: Mapping[str, Any]) -> list[str]:
    """The methods of a path, in alphabetical order; none if there is no such path."""
    found = [route for route in routes if route.matches(dict(scope))[0] is not Match.NONE]
    if not found:
        return []
    if getattr(found[0], "name", "") == OPERATION:
        return ["OPTIONS", "POST"]
    path = getattr(found[0], "path", "")
    methods = {"OPTIONS"}
    for route in found:
        if getattr(route, "path", "") == path:  # a path may have a route for each method
            methods |= set(getattr(route, "methods", None) or {"GET"})
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


class Methods:
    """HEAD is what GET is, without the body (RFC 9110 section 9.3.2); OPTIONS says what a path allows (9.3.7), without
    a key: it tells no operation from what is none. `OPTIONS /` is the health check of HAProxy unless told otherwise.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        method = scope.get("method")
        if method == "HEAD":
            await self._app(dict(scope) | {"method": "GET"}, receive, _without_body(send))
            return
        if method == "OPTIONS":
            methods = METHODS if scope["path"] in ("/", "*") else allowed(self._routes, scope)
            if methods:
                await Response(status_code=204, headers={"Allow": ", ".join(methods)})(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head

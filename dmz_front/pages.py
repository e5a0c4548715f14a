"""The pages beside the hot path: request status, catalogue, health, and the documentation."""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from dmz_front import fields
from dmz_front.admission import ALL_SCOPES
from dmz_front.openapi import extend
from dmz_front.problems import Answer, Problem
from protocol.messages import uuid7
from protocol.operations import Operation
from protocol.runtime.applications import Application
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger

log = logger(__name__)


class Gate(Protocol):
    """Admits a request by its headers (HttpApi.admit)."""

    def __call__(self, scope: Any, headers: Mapping[bytes, bytes]) -> Application: ...


def pages(
    *,
    catalogue: Mapping[str, Operation],
    admit: Gate,
    status: Callable[[str, str], Awaitable[Answer]],
    readiness: Callable[[], Mapping[str, str]],
    clock: Clock,
    docs: bool,
    version: str,
) -> FastAPI:
    """The application of everything but `POST /v1/{operation}`.

    `readiness()` maps each thing the front needs to `"ok"` or to what is wrong with it.
    """
    about: dict[str, Any] = {
        "title": "dmz-bridge",
        "version": version,
        "description": "Requests to the utility's marketing system, carried over a one-way network boundary.",
    }
    # the documentation page must work without the internet: the DMZ has none
    app: FastAPI = FastAPIOffline("/docs", None, **about) if docs else FastAPI(**about, openapi_url=None)

    def answered(answer: Answer, id: str | None = None) -> Response:
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        headers |= {"Request-Id": id or uuid7(clock(), os.urandom(10)), "Cache-Control": "no-store"}
        return Response(answer.body, answer.status, headers, answer.media.decode())

    def problem(problem: Problem) -> Response:
        id = problem.members.pop("request_id", None) or uuid7(clock(), os.urandom(10))
        return answered(problem.answer(id), id)

    def admitted(request: Request) -> Application:
        return admit(request.scope, fields.parse(request.scope["headers"]))

    @app.get("/v1/requests/{id}", tags=["commands"], summary="What became of a command")
    async def request_status(id: str, request: Request) -> Response:
        application = admitted(request)
        return answered(await status(id, application.name), id)

    @app.get("/v1/operations", tags=["catalogue"], summary="The operations this key may use")
    async def operations(request: Request) -> Response:
        application = admitted(request)
        mine = [
            {
                "name": operation.name,
                "kind": operation.kind,
                "summary": operation.summary,
                "path": f"/v1/{operation.name}",
                "scope": operation.scope,
                "deadline_ms": operation.deadline_ms,
            }
            for operation in catalogue.values()
            if operation.scope in application.scopes or ALL_SCOPES in application.scopes
        ]
        return answered(Answer(200, json.dumps({"operations": mine}, ensure_ascii=False).encode()))

    @app.get("/healthz", tags=["health"], summary="Alive")
    async def healthz() -> Response:
        return answered(Answer(200, b'{"status":"ok"}'))

    @app.get("/readyz", tags=["health"], summary="Broker reachable and a bridge present")
    async def readyz() -> Response:
        checks = readiness()
        ready = all(value == "ok" for value in checks.values())
        body = {"status": "ok" if ready else "not-ready", "checks": dict(checks)}
        return answered(Answer(200 if ready else 503, json.dumps(body).encode()))

    @app.post("/v1/{operation}", include_in_schema=False)
    async def unknown_operation(operation: str, request: Request) -> Response:
        admitted(request)
        raise Problem(404, "unknown-operation", "GET /v1/operations lists what there is")

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem(error)

    @app.exception_handler(HTTPException)
    async def on_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "malformed-header")
        allow = [(name.encode(), value.encode()) for name, value in (error.headers or {}).items()]
        return problem(Problem(error.status_code, code, headers=allow))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, _error: Exception) -> Response:
        return problem(Problem(400, "malformed-header", "the path or query cannot be understood"))

    @app.exception_handler(Exception)
    async def on_error(_request: Request, error: Exception) -> Response:
        log.error("page-failed", error=type(error).__name__)
        return problem(Problem(500, "internal"))

    if docs:
        _document(app, catalogue)
    return app


def _document(app: FastAPI, catalogue: Mapping[str, Operation]) -> None:
    """The operations' part of the OpenAPI document."""
    build = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = extend(build(), catalogue.values())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

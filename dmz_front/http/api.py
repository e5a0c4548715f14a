"""The HTTP endpoint: an ASGI application.

`POST /v1/{operation}` is the hot path and goes straight from here to queries and commands: read, decide,
await, write. Everything else (status, catalogue, health, documentation) is a FastAPI application (see pages.py)
that this one falls back to. Measured, 32 connections, one core: 32,000 requests/s against 7,500 through a
FastAPI route.
"""

import codecs
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pydantic import ValidationError

from dmz_front.admission.accounts import AccountForms
from dmz_front.admission.addresses import Addresses
from dmz_front.admission.allowances import Allowances
from dmz_front.admission.denials import Denials, denial
from dmz_front.admission.guessing import Guessing
from dmz_front.admission.policy import (
    authenticate,
    authorise,
    authorise_fields,
    check_media_type,
    check_network,
    check_shown,
    idempotency_key,
    no_cache,
    preference,
    trace_parent,
)
from dmz_front.admission.shared import Shared
from dmz_front.admission.signatures import FIELD, NONCE, Signatures, check_digest, used_before
from dmz_front.commands.submission import Commands
from dmz_front.http import deprecation
from dmz_front.http.exchange import CERTIFICATE, App, Receive, Scope, Send, fields_of, write
from dmz_front.problems.details import Headers, HttpResponse, Problem, schema_problem
from dmz_front.queries.hot import HotQueries
from dmz_front.queries.round_trip import Queries
from dmz_front.replies import responses as answers
from dmz_front.sandbox.sandbox import MARK, Sandbox
from dmz_front.settings import FrontSettings
from protocol.messages import GrowingIds
from protocol.operations import Kind, Operation
from protocol.runtime.applications import Active, Application
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Latency, Sample
from protocol.runtime.request_log import RequestLog

log = logger(__name__)

_TURNED_AWAY = frozenset({401, 403, 429})
_ASKING = "dmz_front.application"
"""In a request's scope: whose it is, once that is known."""
_NONE: tuple[None, Headers] = (None, [])


class Disconnected(Exception):
    """The caller went away before its request was whole."""


class Rehearsed(Exception):
    """A sandbox key's request was answered. An exception, so that the way of real requests has no test for it."""

    def __init__(self, id: str, answer: HttpResponse) -> None:
        super().__init__(id)
        self.id, self.answer = id, answer


class HttpApi:
    """`POST /v1/{operation}`, and the way to all the rest."""

    def __init__(
        self,
        *,
        catalogue: Mapping[str, Operation],
        applications: Callable[[], Active],
        queries: Queries,
        commands: Commands,
        sandbox: Sandbox,
        accounts: AccountForms,
        allowances: Allowances,
        settings: FrontSettings,
        clock: Clock,
        pages: App,
        requests: RequestLog,
        counted: Callable[[str, str, int, str, float], None],
    ) -> None:
        self.hot = HotQueries(settings.hot, queries)
        self._operations = {
            f"/v1/{name}": (operation, deprecation.headers(operation)) for name, operation in catalogue.items()
        }
        self._applications = applications
        self._queries = queries
        self._commands = commands
        self._sandbox = sandbox
        self._http, self._limits, self._callbacks = settings.http, settings.limits, settings.callbacks
        self.allowances = allowances
        self.addresses = Addresses(self._limits, allowances)
        self.guessing = Guessing(self._limits.guessing)
        self.signatures = Signatures(settings.signatures, clock)
        self.shared: Shared | None = None
        """What this front counts with others."""
        self._accounts = accounts
        self._clock = clock
        self._pages = pages
        self._requests, self._counted = requests, counted
        self._ids = GrowingIds()  # the order of ids is the order of acceptance, and of sending
        self.draining = False
        self.answered: Counter[tuple[str, int]] = Counter()
        """Answers by operation and status."""
        self.denials = Denials()
        self.latency = {operation: Latency() for operation in catalogue}

    def use(self, settings: FrontSettings) -> None:
        """Go by these settings from now on: limits and pauses. What was counted stays."""
        self._http, self._limits, self._callbacks = settings.http, settings.limits, settings.callbacks
        self.allowances.use(self._limits)
        self.addresses.use(self._limits)
        self.guessing.limits = self._limits.guessing
        self.signatures.limits = settings.signatures
        self.hot.use(settings.hot)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        operation, notices = self._operations.get(scope["path"], _NONE) if scope["type"] == "http" else _NONE
        if operation is None or scope["method"] != "POST":
            await self._pages(scope, receive, send)
            return
        started = time.perf_counter()
        id = self._ids.next(self._clock(), os.urandom(10))
        try:
            id, answer = await self._operate(operation, scope, receive, id)
        except Problem as problem:
            id = problem.members.get("request_id", id)
            answer = problem.answer(id)
        except Disconnected:
            return
        except Rehearsed as rehearsed:  # counted by the sandbox
            await write(scope, send, rehearsed.answer, rehearsed.id, notices)
            return
        except Exception:
            log.exception("request-failed", request_id=id, operation=operation.name)
            answer = Problem(500, "internal").answer(id)
        self.answered[operation.name, answer.status] += 1
        took_s = self.latency[operation.name].since(started)
        self._counted(operation.name, scope.get(_ASKING, ""), answer.status, answer.outcome, took_s)
        self._note(operation, id, answer, started, took_s)
        await write(scope, send, answer, id, notices)

    def _note(self, operation: Operation, id: str, answer: HttpResponse, started: float, took_s: float) -> None:
        """The line of this hop. Who is turned away is in the log once for many (`denied`)."""
        status, outcome = answer.status, answer.outcome
        if status >= 400 and status not in _TURNED_AWAY:
            self._requests.failed("request-answered", id, operation.name, outcome, started, status)
        elif status >= 400 or operation.kind is Kind.QUERY:
            self._requests.sampled("request-answered", id, operation.name, outcome, took_s, status)
        else:
            self._requests.command("request-answered", id, operation.name, outcome, "", started, status)

    async def _operate(self, operation: Operation, scope: Scope, receive: Receive, id: str) -> tuple[str, HttpResponse]:
        headers = fields_of(scope)
        application = self.admit(scope, headers, operation)
        if self.shared is not None and NONCE in scope:
            await self._elsewhere(self.shared, scope, headers, operation)
        left = self._take(application, operation) if application.rate or application.limits is not None else None
        attempt = None
        try:
            check_media_type(headers)
            if self.draining:
                raise Problem(503, "shutting-down", retry_after_s=2, headers=[(b"connection", b"close")])
            key = idempotency_key(headers) if operation.kind is Kind.COMMAND else ""
            callback = self._callback(headers, application.name) if b"callback" in headers else ""
            body = await self._body(headers, receive)
            if NONCE in scope:
                check_digest(scope, body)
            if body.startswith(codecs.BOM_UTF8):
                body = body[3:]  # RFC 8259 section 8.1: may be ignored
            try:
                asked = operation.requests.validate_json(body)
            except ValidationError as error:
                raise schema_problem(error, operation.removed) from None
            if operation.field_scopes:
                authorise_fields(application, operation, asked)
            self._accounts.check(operation, asked)
            account = getattr(asked, "account", None)
            if account and (self._limits.account_rate or application.limits is not None):
                self.allowances.account(application, operation.name, account, self._limits.account_rate)
            trace = trace_parent(headers)
            wish = preference(headers, operation.deadline_ms / 1000, self._limits.max_wait_s)
            if application.sandbox:
                rehearsed = Rehearsed(*self._sandbox.answer(operation, application.name, key, asked, id, wish))
                rehearsed.answer.headers.extend(left or ())
                raise rehearsed
            if operation.kind is Kind.QUERY:
                wait_s = wish.wait_s or operation.deadline_ms / 1000  # a query has no later
                if operation.guessed:
                    attempt = self.guessing.begin(operation, asked, application.name, _address(scope))
                wish_of_cache = no_cache(headers) if b"cache-control" in headers else ""
                if (
                    self.hot.policies and operation.name in self.hot.policies and self.hot.keeps(operation, asked)
                ):  # fmt: skip
                    reply, told = await self.hot.ask(
                        operation, asked, application.name, body, id, trace, wait_s, wish_of_cache
                    )
                    answer = answers.of_reply(id, reply)
                    answer.headers[:] = told
                    if left:
                        answer.headers.extend(left)
                    return id, answer
                reply = await self._queries.ask(operation, application.name, body, id, trace, wait_s, wish_of_cache)
                answer = answers.of_reply(id, reply)
                if attempt is not None:
                    self.guessing.answered(attempt, id, answer)
                if left:
                    answer.headers.extend(left)
                return id, answer
            if wish.example:  # whoever meant a rehearsal must not have a real order (RFC 7240 would have it ignored)
                said = "Prefer: example= is for sandbox keys, and this key is real; the command was not accepted"
                raise Problem(400, "malformed-header", said)
            if operation.guessed:
                attempt = self.guessing.begin(operation, asked, application.name, _address(scope))
            accepted, answer = await self._commands.submit(
                operation, application.name, key, asked, body, id, trace, wish.wait_s, callback
            )
            if attempt is not None:
                if accepted == id:
                    self.guessing.answered(attempt, id, answer)
                else:
                    self.guessing.told_nothing(attempt)
            if wish.applied:
                answer.headers.append((b"preference-applied", wish.applied))
            if left:
                answer.headers.extend(left)
            return accepted, answer
        except Problem as problem:
            if attempt is not None:
                self.guessing.told_nothing(attempt)
            if problem.status in (401, 403):
                self._denied(problem, scope, headers, operation)
            if application.sandbox:
                problem.headers.append(MARK)
            if left and not any(name == b"ratelimit" for name, _ in problem.headers):
                problem.headers.extend(left)
            raise

    async def _elsewhere(
        self, shared: Shared, scope: Scope, headers: Mapping[bytes, bytes], operation: Operation | None = None
    ) -> None:
        """Raises Problem 401 for a signature that was used at another front."""
        if not await shared.first(scope[NONCE], self.signatures.keep_s):
            problem = used_before()
            self._denied(problem, scope, headers, operation)
            raise problem

    def _take(self, application: Application, operation: Operation) -> Headers:
        try:
            return self.allowances.take(application, operation.name)
        except Problem as problem:
            if application.sandbox:
                problem.headers.append(MARK)
            raise

    async def status(self, id: str, application: Application) -> HttpResponse:
        """The status document of a command of this application. Raises Problem 404 or 503."""
        if application.sandbox:
            return self._sandbox.status(id, application.name)
        return await self._commands.status(id, application.name)

    def admit(self, scope: Scope, headers: Mapping[bytes, bytes], operation: Operation | None = None) -> Application:
        """The application that asks, if it may ask now, and for this operation. Raises Problem 401, 403 or 429."""
        address = _address(scope)
        if self._limits.ip_rate:
            self.addresses.check(address, operation.name if operation else "")
        known = self._applications().by_key
        application = None
        try:
            signed = FIELD in headers and b"authorization" not in headers
            if signed:
                application = self.signatures.application(scope, headers, known)
                check_network(application, address)
            else:
                application = authenticate(headers, known, address)
            if application.requires:
                check_shown(application, signed=signed, certificate=scope.get(CERTIFICATE, ""))
            scope[_ASKING] = application.name
            if application.rate:
                name = application.name
                self.allowances.rate("application", name, application.rate, name, operation.name if operation else "")
            if operation is not None:
                authorise(application, operation)
        except Problem as problem:
            if problem.status in (401, 403):
                self._denied(problem, scope, headers, operation)
            if application is not None and application.sandbox:
                problem.headers.append(MARK)
            raise
        return application

    async def admit_to_page(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Application:
        """The application that asks for what is no operation. Raises Problem as `admit`."""
        application = self.admit(scope, headers)
        if self.shared is not None and NONCE in scope:
            await self._elsewhere(self.shared, scope, headers)
        return application

    def _callback(self, headers: Mapping[bytes, bytes], application: str) -> str:
        """The callback that is named for an outcome. Raises Problem 400 for one that is not the application's."""
        name = headers[b"callback"].decode("latin-1")
        section = self._callbacks.get(name)
        if section is None or section.application != application:
            raise Problem(400, "malformed-header", "Callback names a callback that is configured for this application")
        return name

    def _denied(
        self, problem: Problem, scope: Scope, headers: Mapping[bytes, bytes], operation: Operation | None
    ) -> None:
        asked = operation.name if operation else _page(scope["path"])
        denied = denial(problem.code, headers, asked, _address(scope))
        self.denials.note(denied, registered=denied.application in self._applications().names)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        limit = self._http.body_limit
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > limit:
                raise _too_large(limit)
            return body
        parts: list[bytes] = []
        size = 0
        while message["type"] == "http.request":
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise _too_large(limit)
            if not message.get("more_body"):
                return b"".join(parts)
            message = await receive()
        raise Disconnected

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (operation, status), count in list(self.answered.items()):
            labels = {"operation": operation, "status": str(status)}
            yield "dmz_front_responses_total", "HTTP answers", labels, count
        for operation, latency in self.latency.items():
            labels = {"operation": operation}
            yield "dmz_front_request_duration_seconds", "From the head to the answer", labels, latency
        yield from self.denials.samples()
        yield from self.guessing.samples()
        yield from self.signatures.samples()
        yield from self.allowances.samples()
        yield from self.addresses.samples()
        yield from self.hot.samples()


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _page(path: str) -> str:
    """What a path beside the operations is called where names are few."""
    part = path.removeprefix("/v1/").partition("/")[0]
    return part if part in ("operations", "requests") else "other"


def _too_large(limit: int) -> Problem:
    return Problem(413, "body-too-large", f"at most {limit} bytes", headers=[(b"connection", b"close")])

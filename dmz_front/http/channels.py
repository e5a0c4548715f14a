"""`POST /channels/{channel}/notifications`: where a payment channel says that something was paid.

What it sent goes to the bridge as it came, as a command (`payment-confirm`): the bridge alone can tell whether it is
genuine, for the keys are there. The channel hears what it expects, in its own form:

=========================================================  ==========
taken, repeated, surplus: the bridge took it               success
written down here, and not answered in time                success: it is never lost
forged, or not of this channel's form                      failure
not written down: the bridge or the store is not there     failure, so that the channel says it again
=========================================================  ==========

A repetition, every byte the same, finds the command of the first. One that was refused is asked again after a while:
the bridge may have been given the channel's new key meanwhile.

WeChat Pay takes 200 or 204 for success, and 4xx or 5xx with a document for failure; Alipay the text `success`, and
any other as failure. The body is in no log line: it tells who paid what.
"""

import base64
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from math import ceil
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from dmz_front.admission.scans import Scans
from dmz_front.channels_section import ChannelForm, ChannelSection
from dmz_front.commands.submission import Commands
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.settings import LandingSection
from protocol.messages import GrowingIds
from protocol.networks import within
from protocol.operations import CATALOGUE
from protocol.operations.orders import NOTIFICATION_BYTES, Acknowledgement, Header, PaymentConfirm
from protocol.rates import RateLimit
from protocol.runtime.clock import Clock
from protocol.runtime.metrics import Sample
from protocol.runtime.request_log import RequestLog
from protocol.values import immutable

PATH = "/channels/{channel}/notifications"
AGAIN_MS = 10 * 60_000
"""One that was refused is judged anew, at most so often."""
_CONFIRM = CATALOGUE["payment-confirm"]
_JSON, _TEXT = "application/json", "text/plain"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PENALTY_S, _PENALTY_MAX_S = 10.0, 300.0
_BURST_S = 10.0


@immutable
class Form:
    """How a channel notifies."""

    headers: tuple[str, ...]
    """Those that are signed, or signed by; each must be there once."""
    success: Acknowledgement
    media_type: str
    failure: str
    """With `%s`: why, in one word."""


FORMS: Mapping[ChannelForm, Form] = {
    ChannelForm.WECHAT_V3: Form(
        ("Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"),
        Acknowledgement(status=200, media_type=_JSON, body='{"code":"SUCCESS"}'),
        _JSON,
        '{"code":"FAIL","message":"%s"}',
    ),
    ChannelForm.ALIPAY_RSA2: Form((), Acknowledgement(status=200, media_type=_TEXT, body="success"), _TEXT, "failure"),
    ChannelForm.SIMULATED: Form(
        ("Signature",),
        Acknowledgement(status=200, media_type=_JSON, body='{"code":"SUCCESS"}'),
        _JSON,
        '{"code":"FAIL","message":"%s"}',
    ),
}


@immutable
class _Submitted:
    """A command; with neither of the two it is written down, and not known to be done."""

    id: str
    answer: HttpResponse | None = None
    failed: "Failed | None" = None


class Failed(Exception):
    """It was not taken."""

    def __init__(self, status: int, why: str, retry_s: float = 0.0) -> None:
        super().__init__(why)
        self.status, self.why, self.retry_s = status, why, retry_s


class Channels:
    """Takes notifications, and counts them."""

    def __init__(
        self,
        sections: Mapping[str, ChannelSection],
        commands: Commands,
        clock: Clock,
        requests: RequestLog,
        *,
        counted: Callable[[str, str, int, str, float], None],
        draining: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now`: seconds that only grow."""
        self.sections = dict(sections)
        self._commands, self._clock, self._requests = commands, clock, requests
        self._counted, self._draining, self._now = counted, draining, now
        self._ids = GrowingIds()
        self._rates = RateLimit(_BURST_S, capacity=max(1, len(sections)))
        self._scans = {name: _scans(section, now) for name, section in sections.items()}
        self._networks = {
            name: tuple(ip_network(one) for one in section.networks) for name, section in sections.items()
        }
        self.counts: Counter[tuple[str, str]] = Counter()
        """By channel and what became of them."""

    async def take(self, channel: str, request: Request) -> Response:
        """What the channel is to be answered. Raises Problem 404 for one that is not set up here."""
        section = self.sections.get(channel)
        if section is None:
            raise Problem(404, "not-found", "no such channel is set up here")
        started = time.perf_counter()
        form, id = FORMS[section.form], self._ids.next(self._clock(), os.urandom(10))
        try:
            acknowledgement, id, outcome = await self._taken(channel, section, form, request, id)
            answer = _success(acknowledgement)
        except Failed as failed:
            answer, outcome = _failure(form, failed), failed.why
        self.counts[channel, outcome] += 1
        name = section.application
        self._counted(_CONFIRM.name, name, answer.status_code, outcome, time.perf_counter() - started)
        self._requests.command("request-answered", id, _CONFIRM.name, outcome, "", started, answer.status_code)
        answer.headers["Request-Id"] = id
        return answer

    async def _taken(
        self, channel: str, section: ChannelSection, form: Form, request: Request, id: str
    ) -> tuple[Acknowledgement, str, str]:
        """What to answer, the command's id, and what became of it. Raises Failed."""
        self._admit(channel, section, request.client.host if request.client else "")
        headers = _signed_by(form, request)
        body = await _body(request)
        try:
            asked = PaymentConfirm(
                channel=channel,
                headers=tuple(Header(name=name, value=value) for name, value in headers),
                body=base64.b64encode(body).decode(),
            )
        except ValidationError:
            raise Failed(400, "malformed") from None
        sent = _CONFIRM.requests.dump_json(asked)
        key = f"channel-{channel}-{hashlib.sha256(sent).hexdigest()}"
        done = await self._submit(section, key, asked, sent, id)
        if done.failed is not None and done.id != id:
            key = f"{key}-{self._clock() // AGAIN_MS}"
            again = self._ids.next(self._clock(), os.urandom(10))
            done = await self._submit(section, key, asked, sent, again)
        if done.failed is not None:
            raise done.failed
        if done.answer is None:
            return form.success, done.id, "written-down"
        return _acknowledgement(done.answer) or form.success, done.id, "taken"

    def _admit(self, channel: str, section: ChannelSection, address: str) -> None:
        if self._networks[channel] and not within(address, self._networks[channel]):
            raise Failed(403, "network")
        wait_s = self._scans[channel].wait_s(address)
        wait_s = wait_s or self._rates.wait(channel, section.notifications_a_second, self._now())
        if wait_s:
            raise Failed(429, "too-many", wait_s)
        if self._draining():
            raise Failed(503, "shutting-down", 2.0)

    async def _submit(
        self, section: ChannelSection, key: str, asked: PaymentConfirm, sent: bytes, id: str
    ) -> "_Submitted":
        """Raises Failed when it is not written down."""
        try:
            found, answer = await self._commands.submit(
                _CONFIRM, section.application, key, asked, sent, id, "", section.wait_s
            )
        except Problem as problem:
            if problem.code == "idempotency-key-in-flight":  # whoever brought it first waits for it
                return _Submitted(id)
            failed = Failed(problem.status if problem.status >= 500 else 503, "not-taken")
            if ended := problem.members.get("request_id"):  # it is written down, and came to nothing
                return _Submitted(str(ended), failed=failed)
            raise failed from None
        if answer.status == 202:
            return _Submitted(found)
        if answer.outcome.startswith("refused"):
            return _Submitted(found, failed=Failed(400, "refused"))
        return _Submitted(found, answer)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (channel, outcome), count in list(self.counts.items()):
            text = "Notifications of payment channels, by what became of them"
            yield "dmz_front_channel_notifications_total", text, {"channel": channel, "outcome": outcome}, count


def add(app: FastAPI, channels: Channels) -> None:
    """Add the route."""

    @app.post(PATH, tags=["channels"], summary="A payment channel's notification")
    async def notified(channel: str, request: Request) -> Response:
        return await channels.take(channel, request)


def page() -> dict[str, Any]:
    """What the API's pages say of it."""
    return {
        "operationId": "channel-notification",
        "description": "For payment channels, not for applications: this is the address that a channel is given to "
        "notify. It is answered as the channel expects; nobody else's word counts, for the bridge verifies its "
        "signature. There is one for each channel that the front's configuration names.",
        "security": [],
        "parameters": [{"name": "channel", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        "responses": {
            "200": {"description": "Taken: the channel need not say it again"},
            "400": {"description": "Forged, or not of the channel's form"},
            "404": {"description": "No such channel is set up here"},
            "429": {"description": "Too many from one address, or of one channel"},
            "503": {"description": "Not written down: to be said again"},
        },
    }


def _scans(section: ChannelSection, now: Callable[[], float]) -> Scans:
    limits = LandingSection(
        scans_a_minute=min(section.notifications_a_minute, 10_000), penalty_s=_PENALTY_S, penalty_max_s=_PENALTY_MAX_S
    )
    return Scans(limits, now=now)


def _signed_by(form: Form, request: Request) -> Sequence[tuple[str, str]]:
    """The headers that the signature needs. Raises Failed for one that is missing, or there twice, or no text."""
    found = []
    for name in form.headers:
        values = request.headers.getlist(name)
        if len(values) != 1 or not (values[0].isascii() and values[0].isprintable()):
            raise Failed(400, "malformed")
        found.append((name, values[0]))
    return found


async def _body(request: Request) -> bytes:
    """As it came. Raises Failed for one that is too long; how slow it may be is the connection's."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > NOTIFICATION_BYTES:
        raise Failed(413, "too-long")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > NOTIFICATION_BYTES:
                raise Failed(413, "too-long")
    except ClientDisconnect:
        raise Failed(400, "cut-off") from None
    return bytes(body)


def _acknowledgement(answer: HttpResponse) -> Acknowledgement | None:
    """What the bridge would have the channel answered."""
    try:
        return Acknowledgement.model_validate(json.loads(answer.body)["result"]["acknowledgement"])
    except (KeyError, TypeError, ValueError):  # pydantic's error is a ValueError
        return None


def _success(said: Acknowledgement) -> Response:
    return Response(said.body.encode(), said.status, {**_HEADERS, "Content-Type": said.media_type})


def _failure(form: Form, failed: Failed) -> Response:
    headers = {**_HEADERS, "Content-Type": form.media_type}
    if failed.retry_s:
        headers["Retry-After"] = str(ceil(failed.retry_s))
    if failed.status == 413:
        headers["Connection"] = "close"
    body = form.failure % failed.why if "%s" in form.failure else form.failure
    return Response(body.encode(), failed.status, headers)

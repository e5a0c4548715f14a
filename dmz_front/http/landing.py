"""`GET /q/{code}`: what a phone opens that scanned a customer's QR code. Form and rate are looked at here; the bridge
says whether the code is genuine and where it leads (`qr-resolve`).

A forged code, one of an account that has none, a revoked one and what has not even the form get one and the same page.
The path is in no log, no metric and no trace: it has an account number in it.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from html import escape
from math import ceil
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from dmz_front.admission.scans import Scans
from dmz_front.problems.details import Problem
from dmz_front.queries.round_trip import Queries
from protocol.languages import Language, chosen
from protocol.lifecycle import State
from protocol.messages import uuid7
from protocol.operations import CATALOGUE
from protocol.operations.qr import QrResolve
from protocol.runtime.applications import LANDING
from protocol.runtime.clock import Clock
from protocol.runtime.metrics import Sample

PATH = "/q/"
_RESOLVE = CATALOGUE["qr-resolve"]
_OUTCOMES = {302: "succeeded", 404: "refused: no-such-code", 429: "too-many-requests", 503: "no-answer-in-time"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_WORDS = {
    404: (
        ("This code leads nowhere", "It may be too old, or not one of ours. Please ask your company for a new one."),
        ("二维码无效", "它可能已作废，或不是本单位的二维码。请联系供电、供水等营业部门更换。"),
    ),
    429: (
        ("Too many codes were scanned", "Please try again later."),
        ("扫码过于频繁", "请稍后再试。"),
    ),
    503: (
        ("This cannot be opened right now", "Please try again in a few minutes."),
        ("暂时无法打开", "请过几分钟再试。"),
    ),
}


class Landing:
    """The page's decisions, and its counts."""

    def __init__(
        self, queries: Queries, scans: Scans, clock: Clock, counted: Callable[[str, str, int, str, float], None]
    ) -> None:
        self._queries, self._scans, self._clock, self._counted = queries, scans, clock, counted
        self.counts: Counter[int] = Counter()
        """Answers by status."""

    async def answer(self, code: str, address: str, language: Language) -> Response:
        """302 to the page, with a ticket; or a page that says no."""
        started = time.perf_counter()
        status, location, retry_s = await self._found(code, address)
        self.counts[status] += 1
        self._counted(_RESOLVE.name, LANDING, status, _OUTCOMES[status], time.perf_counter() - started)
        if location:
            return Response(status_code=302, headers={**_HEADERS, "Location": location})
        headers = _HEADERS | {"Content-Language": language, "Vary": "Accept-Language"}
        if retry_s:
            headers["Retry-After"] = str(ceil(retry_s))
        return Response(page(status, language), status, headers, "text/html")

    async def _found(self, code: str, address: str) -> tuple[int, str, float]:
        if wait_s := self._scans.wait_s(address):
            return 429, "", wait_s
        try:
            body = _RESOLVE.requests.dump_json(QrResolve(code=code))
        except ValidationError:
            return 404, "", 0.0
        id = uuid7(self._clock(), os.urandom(10))
        try:
            reply = await self._queries.ask(_RESOLVE, LANDING, body, id, "", _RESOLVE.deadline_ms / 1000)
        except Problem:
            return 503, "", 30.0
        if reply.state is State.SUCCEEDED:
            said = json.loads(reply.result)
            return 302, f"{said['location']}?ticket={quote(said['ticket'])}", 0.0
        return (404, "", 0.0) if reply.state is State.REFUSED else (503, "", 30.0)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for status, count in list(self.counts.items()):
            yield "dmz_front_scans_total", "Scanned QR codes", {"status": str(status)}, count
        yield from self._scans.samples()


def add(app: FastAPI, landing: Landing) -> None:
    """Add the route."""

    @app.get(PATH + "{code:path}", include_in_schema=False)
    async def scanned(code: str, request: Request) -> Response:
        language = chosen(
            request.query_params.get("lang"), request.headers.get("accept-language", "").encode("latin-1")
        )
        return await landing.answer(code, request.client.host if request.client else "", language)


def page(status: int, language: Language) -> bytes:
    """What a person reads. No style, no script: nothing for a policy to allow."""
    title, text = _WORDS[status][language is Language.CHINESE]
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title></head><body><h1>{escape(title)}</h1><p>{escape(text)}</p></body></html>\n"
    ).encode()

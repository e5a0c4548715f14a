"""The desk's pages: a Starlette application under `/desk`. Server-rendered, no script, strict headers.

Deny by default: only addresses of `[desk] networks` are answered at all, only a session is let past the log-in, only a
role past a page, and every form has the session's token besides a `SameSite=Strict` cookie.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from dmz_front.admission.networks import within
from dmz_front.desk.login import LogIn, TooMany
from dmz_front.desk.sessions import Session, Sessions
from dmz_front.desk.words import said
from dmz_front.desk.work import NotDone, Work
from dmz_front.http.languages import Language, chosen
from dmz_front.settings import DeskSection
from protocol.qr import UPLOAD_BYTES
from protocol.runtime.audit import Act
from protocol.runtime.logs import logger

log = logger(__name__)

COOKIE, BEFORE, LANGUAGE = "__Host-desk", "__Host-desk-login", "__Host-desk-lang"
MOST_PRINTED = 24
_FILES = Path(__file__).with_name("templates")
_REFRESH_S = 2
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(slots=True)
class Visit:
    """One request of somebody who is logged in."""

    request: Request
    session: Session
    form: FormData
    """Empty unless it was sent."""

    def text(self, name: str) -> str:
        """A field of the form."""
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else ""


Handle = Callable[[Visit], Awaitable[Response]]


class Desk:
    """The pages."""

    def __init__(self, limits: DeskSection, *, sessions: Sessions, log_in: LogIn, work: Work, act: Act) -> None:
        """`act` writes down who logs in, and what is tried in vain."""
        self._sessions, self._log_in, self._work, self._act = sessions, log_in, work, act
        self._networks = tuple(ip_network(one) for one in limits.networks)
        self._pages = Environment(
            loader=FileSystemLoader(_FILES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self.app = Starlette(
            routes=[
                Route("/login", self._login_page, methods=["GET"]),
                Route("/login", self._logged_in, methods=["POST"]),
                Route("/logout", self._for("", self._logged_out), methods=["POST"]),
                Route("/style.css", self._file("style.css", "text/css"), methods=["GET"]),
                Route("/template.xlsx", self._for("issue", self._template), methods=["GET"]),
                Route("/", self._for("", self._home), methods=["GET"]),
                Route("/issue", self._for("issue", self._issued), methods=["POST"]),
                Route("/batches", self._for("issue", self._batches), methods=["GET"]),
                Route("/batches", self._for("issue", self._uploaded), methods=["POST"]),
                Route("/batches/{id}", self._for("issue", self._batch), methods=["GET"]),
                Route("/batches/{id}/codes.zip", self._for("issue", self._zip), methods=["GET"]),
                Route("/lookup", self._for("lookup revoke", self._lookup), methods=["GET", "POST"]),
                Route("/revoke", self._for("revoke", self._revoked), methods=["POST"]),
                Route("/print", self._for("issue", self._print), methods=["GET", "POST"]),
            ],
            exception_handlers={HTTPException: self._on_http, Exception: self._on_error},  # type: ignore[dict-item]
        )
        self.app.router.redirect_slashes = False

    # --- the way in ----------------------------------------------------------------------------------------

    async def _login_page(self, request: Request) -> Response:
        self._admit(request)
        return self._login(request)

    def _login(self, request: Request, error: str = "", status: int = 200) -> Response:
        token = secrets.token_urlsafe(24)
        page = self._page(request, "login.html", "Log in", status=status, token=token, error=error)
        _cookie(page, BEFORE, token)
        return page

    async def _logged_in(self, request: Request) -> Response:
        self._admit(request)
        async with request.form(max_files=0, max_fields=10, max_part_size=4096) as form:
            name, password, code, token = (_text(form, one) for one in ("name", "password", "code", "token"))
        given = request.cookies.get(BEFORE, "")  # SameSite=Strict: another site's form comes without
        if not given or not hmac.compare_digest(token.encode(), given.encode()):
            return self._login(request, "This page was open for too long. Please do it again.", 403)
        try:
            member = await self._log_in.attempt(name, password, code, _address(request))
        except TooMany:
            return self._login(request, "Too many attempts; wait a minute.", 429)
        except SQLAlchemyError:
            return self._login(request, "The bridge does not answer now. Please try again in a minute.", 503)
        if member is None:
            # a name that is none may be a password in the wrong field
            tried = name if await self._log_in.member(name) else "?"
            await self._act("desk-login-refused", tried, address=_address(request))
            return self._login(
                request, "Name, password or code is not right, or the account is locked for a while.", 403
            )
        await self._act("desk-login", member.name, address=_address(request))
        answer = _see("/desk/")
        _cookie(answer, COOKIE, self._sessions.begin(member.name, member.roles, member.changed_at))
        answer.delete_cookie(BEFORE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    async def _logged_out(self, visit: Visit) -> Response:
        self._sessions.end(visit.request.cookies.get(COOKIE, ""))
        answer = _see("/desk/login")
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    def _for(self, roles: str, handle: Handle) -> Callable[[Request], Awaitable[Response]]:
        """A page for who is logged in and has one of these roles; a form is looked at for its token."""
        wanted = set(roles.split())

        async def handled(request: Request) -> Response:
            self._admit(request)
            session = self._sessions.find(request.cookies.get(COOKIE, ""))
            if session is None:
                return _see("/desk/login")
            if not await self._log_in.still(session.name, session.changed_at):
                self._sessions.end_of(session.name)
                return _see("/desk/login")
            if wanted and not wanted & session.roles:
                raise HTTPException(403, "Your role does not include this.")
            if request.method != "POST":
                return await self._answered(handle, Visit(request, session, FormData()))
            length = request.headers.get("content-length", "")
            most = UPLOAD_BYTES if request.url.path.endswith("/batches") else 64 * 1024
            if not length.isdigit() or int(length) > most:
                raise HTTPException(413, "That file has more than 10 MB, or nothing in it.")
            async with request.form(max_files=1, max_fields=10, max_part_size=64 * 1024) as form:
                if not hmac.compare_digest(_text(form, "token").encode(), session.token.encode()):
                    raise HTTPException(403, "This page was open for too long. Please do it again.")
                return await self._answered(handle, Visit(request, session, form))

        return handled

    async def _answered(self, handle: Handle, visit: Visit) -> Response:
        try:
            return await handle(visit)
        except NotDone as error:
            return self._shown(visit, "message.html", "It did not work", status=error.status, detail=error.why)

    def _admit(self, request: Request) -> None:
        if not within(_address(request), self._networks):
            raise HTTPException(404, "There is no such page.")

    # --- one account -----------------------------------------------------------------------------------------

    async def _home(self, visit: Visit) -> Response:
        if "issue" not in visit.session.roles:
            return _see("/desk/lookup")
        return self._shown(visit, "home.html", "One account", account="", code=None)

    async def _issued(self, visit: Visit) -> Response:
        account = visit.text("account")
        try:
            code = await self._work.issue(visit.session.name, visit.text("once"), account)
        except NotDone as error:
            return self._shown(
                visit, "home.html", "One account", status=error.status, account=account, code=None, error=error.why
            )
        return self._shown(visit, "home.html", "One account", account=account, code=code)

    # --- sheets ----------------------------------------------------------------------------------------------

    async def _template(self, visit: Visit) -> Response:
        named = {"Content-Disposition": 'attachment; filename="accounts.xlsx"'}
        return Response((_FILES / "template.xlsx").read_bytes(), 200, HEADERS | named, _XLSX)

    async def _batches(self, visit: Visit) -> Response:
        return self._shown(visit, "batches.html", "A sheet of accounts")

    async def _uploaded(self, visit: Visit) -> Response:
        sheet = visit.form.get("sheet")
        data = await sheet.read() if isinstance(sheet, UploadFile) else b""
        try:
            batch = await self._work.batch(visit.session.name, visit.text("once"), data)
        except NotDone as error:
            return self._shown(visit, "batches.html", "A sheet of accounts", status=error.status, error=error.why)
        visit.session.began(batch)
        return _see(f"/desk/batches/{batch}")

    async def _batch(self, visit: Visit) -> Response:
        batch = await self._work.batch_state(visit.request.path_params["id"])
        running = batch["state"] not in ("done", "refused")
        return self._shown(visit, "batch.html", "Batch", batch=batch, refresh=_REFRESH_S if running else 0)

    async def _zip(self, visit: Visit) -> Response:
        batch = await self._work.batch_state(visit.request.path_params["id"])
        if batch["state"] != "done":
            raise HTTPException(404, "There is no such page.")
        first = await self._work.part(batch["batch"], 0)  # what fails now is still a page

        async def parts() -> Any:
            yield first
            for part in range(1, batch["parts"]):
                yield await self._work.part(batch["batch"], part)

        named = {
            "Content-Disposition": f'attachment; filename="codes-{batch["batch"][:13]}.zip"',
            "Content-Length": str(batch["length"]),
        }
        return StreamingResponse(parts(), 200, HEADERS | named, "application/zip")

    # --- the record --------------------------------------------------------------------------------------------

    async def _lookup(self, visit: Visit) -> Response:
        account = visit.text("account")
        if visit.request.method == "GET":
            return self._record(visit)
        try:
            return self._record(visit, account=account, record=await self._work.lookup(account))
        except NotDone as error:
            return self._record(visit, account=account, status=error.status, error=error.why)

    async def _revoked(self, visit: Visit) -> Response:
        account, now = visit.text("account"), visit.text("now") == "yes"
        done = await self._work.revoke(visit.session.name, visit.text("once"), account, now=now)
        notice = "The codes of before lead nowhere now." if now else "The codes of before are good until"
        return self._record(
            visit, account=account, record=await self._work.lookup(account), notice=notice,
            notice_time="" if now else datetime.fromisoformat(done["good_until"]).strftime("%Y-%m-%d %H:%M"),
        )  # fmt: skip

    def _record(self, visit: Visit, **values: Any) -> Response:
        values = {"account": "", "record": None, "notice": "", "notice_time": ""} | values
        return self._shown(visit, "lookup.html", "What was issued", **values)

    # --- a sheet to print ----------------------------------------------------------------------------------------

    async def _print(self, visit: Visit) -> Response:
        text = visit.text("accounts")
        accounts = list(dict.fromkeys(text.split()))[:MOST_PRINTED]
        codes, refused = [], []
        for number, account in enumerate(accounts):
            try:
                codes.append(await self._work.issue(visit.session.name, f"{visit.text('once')}-{number}", account))
            except NotDone as error:
                refused.append((account[:20], error.why))
        return self._shown(visit, "print.html", "Sheet to print", accounts=text, codes=codes, refused=refused)

    # --- pages ---------------------------------------------------------------------------------------------------

    def _shown(self, visit: Visit, template: str, title: str, *, status: int = 200, **values: Any) -> Response:
        once = secrets.token_hex(16)  # of this form: sent twice, it is done once
        return self._page(visit.request, template, title, status=status, session=visit.session, once=once, **values)

    def _page(self, request: Request, template: str, title: str, *, status: int = 200, **values: Any) -> Response:
        asked = request.query_params.get("lang")
        language = chosen(
            asked or request.cookies.get(LANGUAGE), request.headers.get("accept-language", "").encode("latin-1")
        )
        values = {"session": None, "error": "", "refresh": 0, "detail": ""} | values
        text = self._pages.get_template(template).render(
            language=language, title=title, t=lambda text: said(text, language), **values
        )
        page = Response(text, status, HEADERS | {"Content-Language": language}, "text/html")
        if asked in set(Language):
            _cookie(page, LANGUAGE, language)
        return page

    def _file(self, name: str, media: str) -> Callable[[Request], Awaitable[Response]]:
        async def file(request: Request) -> Response:
            self._admit(request)
            return Response((_FILES / name).read_bytes(), 200, HEADERS | {"Cache-Control": "no-cache"}, media)

        return file

    async def _on_http(self, request: Request, error: HTTPException) -> Response:
        known = error.detail if error.status_code in (403, 413) else "There is no such page."
        return self._page(request, "message.html", "It did not work", status=error.status_code, detail=known)

    async def _on_error(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, ClientDisconnect):
            log.error("page-failed", error=type(error).__name__)
        return self._page(request, "message.html", "It did not work", status=500)


def _see(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303, HEADERS)


def _cookie(answer: Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _address(request: Request) -> str:
    return request.client.host if request.client else ""

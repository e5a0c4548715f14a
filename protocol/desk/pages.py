"""The frame of a desk: a Starlette application under `/desk` that lets staff in and has a list of pages for their
roles.

Deny by default: only addresses of `networks` are answered at all, only a session is let past the log-in, only a role
past a page, and every form has the session's token besides a `SameSite=Strict` cookie. No script, strict headers.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from protocol.desk.login import LogIn, TooMany
from protocol.desk.sessions import Session, Sessions
from protocol.desk.settings import DeskSection
from protocol.desk.staff import LEAST_PASSWORD, Member
from protocol.desk.words import AWAY, TOO_LONG_OPEN, TOO_MANY, WRONG, Words
from protocol.languages import Language, chosen
from protocol.networks import within
from protocol.runtime.audit import Act
from protocol.runtime.logs import logger

log = logger(__name__)

COOKIE, BEFORE, LANGUAGE = "__Host-desk", "__Host-desk-login", "__Host-desk-lang"
TEMPLATES = Path(__file__).with_name("templates")
FORM_BYTES = 64 * 1024
"""Of a form, unless its page says more."""
_FIELDS = 40
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


class NotDone(Exception):
    """Why a page's work was not done, in words of the pages."""

    def __init__(self, why: str, status: int = 422) -> None:
        super().__init__(why)
        self.why, self.status = why, status


Show = Callable[..., Response]


@dataclass(slots=True)
class Visit:
    """One request of somebody who is logged in."""

    request: Request
    session: Session
    form: FormData
    """Empty unless it was sent."""
    shown: Show
    """(template, title, *, status=200, **values) → a page for this visitor."""
    said: Callable[[str], str]
    """A text of the pages, in this visitor's language."""

    def text(self, name: str) -> str:
        """A field of the form."""
        return text_of(self.form, name).strip()


Handle = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One path of a desk, and who may have it."""

    path: str
    handle: Handle
    roles: str = ""
    """One of these is needed; empty: whoever is logged in."""
    methods: tuple[str, ...] = ("GET",)
    menu: str = ""
    """Its name in the menu, for who has the role; empty: it is not there."""
    most: int = FORM_BYTES
    """Bytes of its form."""

    @property
    def wanted(self) -> frozenset[str]:
        """The roles."""
        return frozenset(self.roles.split())

    def open_to(self, roles: Iterable[str]) -> bool:
        """Whether who has these roles may have it."""
        return not self.wanted or not self.wanted.isdisjoint(roles)


@dataclass(frozen=True, slots=True)
class Furniture:
    """What a desk brings."""

    title: str
    pages: Sequence[Page]
    templates: Path
    words: Words
    tools: dict[str, Any] = field(default_factory=dict)
    """What its templates may use besides."""


class Desk:
    """The pages."""

    def __init__(
        self, limits: DeskSection, furniture: Furniture, *, sessions: Sessions, log_in: LogIn, act: Act
    ) -> None:
        """`act` writes down who logs in, and what is tried in vain."""
        self.sessions, self.log_in, self._act, self._words = sessions, log_in, act, furniture.words
        self._title, self._pages_of, self._tools = furniture.title, tuple(furniture.pages), furniture.tools
        self._networks = tuple(ip_network(one) for one in limits.networks)
        self._pages = Environment(
            loader=FileSystemLoader([furniture.templates, TEMPLATES]),
            autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        )  # fmt: skip
        own = [
            Page("/logout", self._logged_out, methods=("POST",)),
            Page("/password", self._password, methods=("GET", "POST")),
        ]
        if all(page.path != "/" for page in self._pages_of):
            own.append(Page("/", self._home))
        self._addresses = {"/login", *(page.path for page in (*own, *self._pages_of) if "GET" in page.methods)}
        self.app = Starlette(
            routes=[
                Route("/login", self._login_page, methods=["GET"]),
                Route("/login", self._logged_in, methods=["POST"]),
                Route("/style.css", self._style, methods=["GET"]),
                *(Route(one.path, self._for(one), methods=list(one.methods)) for one in (*own, *self._pages_of)),
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
            name, password, code, token = (text_of(form, one) for one in ("name", "password", "code", "token"))
        given = request.cookies.get(BEFORE, "")  # SameSite=Strict: another site's form comes without
        if not given or not hmac.compare_digest(token.encode(), given.encode()):
            return self._login(request, TOO_LONG_OPEN, 403)
        try:
            member = await self.log_in.attempt(name, password, code, address(request))
        except TooMany:
            return self._login(request, TOO_MANY, 429)
        except SQLAlchemyError:
            return self._login(request, AWAY, 503)
        if member is None:
            # a name that is none may be a password in the wrong field
            tried = name if await self.log_in.member(name) else "?"
            await self._act("desk-login-refused", tried, address=address(request))
            return self._login(request, WRONG, 403)
        await self._act("desk-login", member.name, address=address(request))
        answer = see("/desk/")
        self._begin(answer, member)
        answer.delete_cookie(BEFORE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    def _begin(self, answer: Response, member: Member) -> None:
        _cookie(answer, COOKIE, self.sessions.begin(member.name, member.roles, member.changed_at))

    async def _logged_out(self, visit: Visit) -> Response:
        self.sessions.end(visit.request.cookies.get(COOKIE, ""))
        answer = see("/desk/login")
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    async def _password(self, visit: Visit) -> Response:
        """A password of one's own choice; all other sessions end."""
        if visit.request.method == "GET":
            return self._asked_for_password(visit)
        name, new = visit.session.name, text_of(visit.form, "new")
        if len(new) < LEAST_PASSWORD or name in new.lower():
            return self._asked_for_password(visit, "A password has 12 characters or more, and not your name.", 422)
        if new != text_of(visit.form, "again"):
            return self._asked_for_password(visit, "The new password was not written twice the same.", 422)
        old, code = text_of(visit.form, "password"), text_of(visit.form, "code")
        try:
            member = await self.log_in.change(name, old, code, new, address(visit.request))
        except TooMany:
            return self._asked_for_password(visit, TOO_MANY, 429)
        if member is None:
            await self._act("desk-password-refused", name, address=address(visit.request))
            return self._asked_for_password(visit, WRONG, 403)
        await self._act("desk-password", name, address=address(visit.request))
        self.sessions.end_of(name)
        answer = visit.shown(
            "message.html", "Your password", detail="It is changed. Other sessions of yours have ended."
        )
        self._begin(answer, member)
        return answer

    def _asked_for_password(self, visit: Visit, error: str = "", status: int = 200) -> Response:
        return visit.shown("password.html", "Your password", status=status, error=error, least=LEAST_PASSWORD)

    async def _home(self, visit: Visit) -> Response:
        return self._first(visit.session)

    def _first(self, session: Session) -> Response:
        """To the first page of the menu that somebody may have."""
        for page in self._pages_of:
            if page.menu and page.open_to(session.roles):
                return see("/desk" + page.path)
        raise HTTPException(403, "Your role does not include this.")

    def _for(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """A page for who is logged in and has one of its roles; a form is looked at for its token."""

        async def handled(request: Request) -> Response:
            self._admit(request)
            session = self.sessions.find(request.cookies.get(COOKIE, ""))
            if session is None:
                return see("/desk/login")
            if not await self.log_in.still(session.name, session.changed_at):
                self.sessions.end_of(session.name)
                return see("/desk/login")
            if not page.open_to(session.roles):
                if page.path == "/":
                    return self._first(session)
                raise HTTPException(403, "Your role does not include this.")
            if request.method != "POST":
                return await self._answered(page, self._visit(request, session, FormData()))
            length = request.headers.get("content-length", "")
            if not length.isdigit() or int(length) > page.most:
                raise HTTPException(413, "What was sent is too large, or nothing.")
            async with request.form(max_files=1, max_fields=_FIELDS, max_part_size=page.most) as form:
                if not hmac.compare_digest(text_of(form, "token").encode(), session.token.encode()):
                    raise HTTPException(403, TOO_LONG_OPEN)
                return await self._answered(page, self._visit(request, session, form))

        return handled

    def _visit(self, request: Request, session: Session, form: FormData) -> Visit:
        def shown(template: str, title: str, *, status: int = 200, **values: Any) -> Response:
            once = secrets.token_hex(16)  # of this form: sent twice, it is done once
            return self._page(request, template, title, status=status, session=session, once=once, **values)

        language, _ = _language(request)
        return Visit(request, session, form, shown, lambda text: self._words.said(text, language))

    async def _answered(self, page: Page, visit: Visit) -> Response:
        try:
            return await page.handle(visit)
        except NotDone as error:
            return visit.shown("message.html", "It did not work", status=error.status, detail=error.why)
        except SQLAlchemyError as error:
            log.error("page-failed", error=type(error).__name__)
            return visit.shown("message.html", "It did not work", status=503, detail=AWAY)

    def _admit(self, request: Request) -> None:
        if not within(address(request), self._networks):
            raise HTTPException(404, "There is no such page.")

    # --- pages ---------------------------------------------------------------------------------------------

    def _page(self, request: Request, template: str, title: str, *, status: int = 200, **values: Any) -> Response:
        language, asked = _language(request)
        values = {"session": None, "error": "", "refresh": 0, "detail": ""} | self._tools | values
        session = values["session"]
        menu = [one for one in self._pages_of if one.menu and one.open_to(session.roles)] if session else []
        text = self._pages.get_template(template).render(
            language=language, title=title, desk=self._title, menu=menu, here=request.url.path.removeprefix("/desk"),
            in_language=lambda other: self._in_language(request, other),
            t=lambda text: self._words.said(text, language), **values,
        )  # fmt: skip
        page = Response(text, status, HEADERS | {"Content-Language": language}, "text/html")
        if asked:
            _cookie(page, LANGUAGE, language)
        return page

    def _in_language(self, request: Request, language: str) -> str:
        """Where the same page is in another language; the first page where what is shown has no address of its own."""
        path = request.url.path.removeprefix("/desk")
        if request.method != "GET" and path not in self._addresses:
            return f"/desk/?lang={language}"
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
        return "?" + urlencode([*kept, ("lang", language)])

    async def _style(self, request: Request) -> Response:
        self._admit(request)
        kept = HEADERS | {"Cache-Control": "no-cache"}
        return Response((TEMPLATES / "style.css").read_bytes(), 200, kept, "text/css")

    async def _on_http(self, request: Request, error: HTTPException) -> Response:
        known = error.detail if error.status_code in (403, 413) else "There is no such page."
        return self._page(request, "message.html", "It did not work", status=error.status_code, detail=known)

    async def _on_error(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, ClientDisconnect):
            log.error("page-failed", error=type(error).__name__)
        return self._page(request, "message.html", "It did not work", status=500)


def _language(request: Request) -> tuple[Language, bool]:
    """Of a page; and whether its address asks for it."""
    asked = request.query_params.get("lang")
    accepted = request.headers.get("accept-language", "").encode("latin-1")
    return chosen(asked or request.cookies.get(LANGUAGE), accepted), asked in set(Language)


def see(path: str) -> RedirectResponse:
    """Have the browser get another page."""
    return RedirectResponse(path, 303, HEADERS)


def _cookie(answer: Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")


def text_of(form: FormData, name: str) -> str:
    """A field of a form, as it was written; empty if it is not there, or is a file."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def address(request: Request) -> str:
    """Where it comes from."""
    return request.client.host if request.client else ""

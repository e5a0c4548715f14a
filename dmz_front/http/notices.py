"""`GET /v1/notices`: an application asks for its notices, page by page, with a cursor that it keeps.

For applications that cannot be called, and for others to make sure that they missed nothing. Asking changes nothing.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from dmz_front.admission.policy import ALL_SCOPES
from dmz_front.notices.reading import Read
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.sandbox.sandbox import MARK
from protocol.notices import EXAMPLES, Dispatch, NoticeKind
from protocol.runtime.applications import Application

PATH = "/v1/notices"
SCOPE = "notices"
MOST = 200
_EXAMPLE_AT = "2026-07-01T08:00:00+08:00"

After = Annotated[
    str, Query(pattern="^[0-9]{1,18}$", description="The `next` of the page before; left out: from the oldest")
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Notices of one page, at most")]


async def examples(_application: str, after: int, limit: int) -> tuple[list[dict[str, Any]], int, bool]:
    """What a sandbox key gets: an example of each kind."""
    documents = [
        Dispatch(
            application="sandbox", stream="x" * 22, sequence=at, kind=kind.value, at=_EXAMPLE_AT, data=EXAMPLES[kind]
        ).document(f"00000000-0000-7000-8000-{at:012d}")
        for at, kind in enumerate(NoticeKind, 1)
    ]
    page = documents[after : after + limit]
    return page, after + len(page), len(page) == limit


def add(
    app: FastAPI,
    *,
    read: Read,
    admitted: Callable[[Request], Awaitable[Application]],
    answered: Callable[[HttpResponse], Response],
) -> None:
    """Add the route."""

    @app.get(PATH, tags=["notices"], summary="The application's notices, the oldest first")
    async def notices(request: Request, after: After = "0", limit: Limit = 100) -> Response:
        application = await admitted(request)
        if not {SCOPE, ALL_SCOPES} & application.scopes:
            raise Problem(403, "forbidden-scope", f"needs the scope {SCOPE}")
        pages = examples if application.sandbox else read
        found, last, more = await pages(application.name, int(after), limit)
        document = {"notices": found, "next": str(last), "more": more}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return answered(HttpResponse(200, body, [MARK] if application.sandbox else []))

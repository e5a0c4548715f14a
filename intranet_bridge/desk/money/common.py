"""What the pages of money share: who may, how amounts and days are written, what waits, downloads."""

import re
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.spoken import answered, spoken
from intranet_bridge.desk.money.words.files import CODES
from protocol.desk.pages import HEADERS, Visit
from protocol.times import CHINA
from protocol.values import immutable

SETTLE, APPROVE = "settle", "approve"
READ = f"{SETTLE} {APPROVE}"
"""Either reads everything."""
PAGE = 50
"""Rows of a page."""
NOT_THERE = "There is no such page."
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
_SLUG = re.compile(r"[0-9A-Za-z:._-]{0,128}")


@immutable
class Waiting:
    """What waits for a person, or what somebody has to know: a line at the top of the first page."""

    what: str
    """In words of the pages."""
    count: int
    path: str
    grave: bool = True
    """Red: money, or a day's statement, stands still."""
    amount: int | None = None
    """Fen."""


Waits = Callable[[], Awaitable[list[Waiting]]]


def yuan(fen: int) -> str:
    """An amount as an accountant reads it: -1,234.50."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02}"


def debit(fen: int) -> str:
    """The amount if it is one."""
    return yuan(fen) if fen > 0 else ""


def credit(fen: int) -> str:
    """The amount if it is one."""
    return yuan(-fen) if fen < 0 else ""


def clock(ms: int) -> str:
    """An instant by the clocks of China, to the minute."""
    return datetime.fromtimestamp(ms // 1000, CHINA).strftime("%Y-%m-%d %H:%M")


def channel_name(said: Callable[[str], str], code: str) -> str:
    """A channel as people call it; by its code where the pages have no word for it."""
    return said(f"channel-{code}") if f"channel-{code}" in CODES else code


TOOLS = {
    "spoken": spoken, "answered": answered, "yuan": yuan, "debit": debit, "credit": credit, "clock": clock,
    "channel_name": channel_name,
}  # fmt: skip
"""For the templates."""


def asked_day(visit: Visit, name: str = "day") -> date | None:
    """A day of the address; None: none, or none that is one."""
    try:
        return date.fromisoformat(visit.request.query_params.get(name, ""))
    except ValueError:
        return None


def asked_month(visit: Visit) -> date | None:
    """The first day of the month of the address; None: none, or none that is one."""
    try:
        return date.fromisoformat(visit.request.query_params.get("month", "") + "-01")
    except ValueError:
        return None


def next_month(first: date) -> date:
    """The first day of the month after."""
    return (first + timedelta(31)).replace(day=1)


def asked(visit: Visit, name: str) -> str:
    """A name, code or number of the address; empty: none, or none that can be one."""
    value = visit.request.query_params.get(name, "")
    return value if _SLUG.fullmatch(value) else ""


def id_of(visit: Visit, name: str = "id") -> str:
    """The id in the path. Raises HTTPException for what can be none."""
    value = str(visit.request.path_params[name])
    if not _ID.fullmatch(value):
        raise HTTPException(404, NOT_THERE)
    return value


def download(content: bytes, name: str, kind: str) -> Response:
    """A file for whoever asked; `name` is one of ours, without quotation marks."""
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, 200, headers, kind)

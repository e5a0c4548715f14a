"""Pages of the ledger: the balances of a day, the journals of an account, and whether the books are whole."""

import re
from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import NOT_THERE, PAGE, READ, Waiting, asked, asked_day
from intranet_bridge.settlement.events import ACCOUNT
from intranet_bridge.settlement.rows import BOOKS
from protocol.desk.pages import Page, Visit, see
from protocol.runtime.audit import Act
from protocol.runtime.books import Journal, Verified, balances, journals_of, last_closed, verify
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store
from protocol.values import immutable

KINDS = ("channel", "company", "transit", "refund", "promo", "order")
"""Of accounts, in the order in which money goes through them."""
MOST_ACCOUNTS = 200
"""Of a kind, on one page: orders have an account each."""
_BEFORE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.([0-9]{1,18})")


@immutable
class Kind:
    """The accounts of one kind. Amounts in fen."""

    name: str
    accounts: tuple[tuple[str, int], ...]
    """The largest first, as many as are shown."""
    count: int
    debits: int
    credits: int


@immutable
class Look:
    """What the last look at the books found, and when."""

    at: int
    found: Verified


def by_kind(found: Mapping[str, int]) -> tuple[Kind, ...]:
    """Balances by account, gathered."""
    kinds = []
    for name in KINDS:
        mine = [(account, fen) for account, fen in found.items() if account.startswith(f"{name}:")]
        if not mine:
            continue
        largest = sorted(mine, key=lambda one: (-abs(one[1]), one[0]))[:MOST_ACCOUNTS]
        debits, credits = (sum(fen for _, fen in mine if fen * sign > 0) for sign in (1, -1))
        kinds.append(Kind(name, tuple(largest), len(mine), debits, credits))
    return tuple(kinds)


class Ledger:
    """The pages."""

    def __init__(self, store: Store, clock: Clock, act: Act) -> None:
        self._store, self._clock, self._act = store, clock, act
        self.last: Look | None = None
        """Since the bridge started."""

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/ledger", self._balances, READ, menu="Ledger"),
            Page("/ledger/account", self._account, READ),
            Page("/ledger/verify", self._verify, READ, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """Books that are not whole stop everything."""
        if self.last is None or not self.last.found.broken:
            return []
        return [
            Waiting("places where the books are not as they were written", len(self.last.found.broken), "/desk/ledger")
        ]

    async def kinds(self, day: date | None = None) -> tuple[Kind, ...]:
        """The balances at the end of a day; None: of all that is booked."""
        return by_kind(await self._store.scan(lambda one: balances(one, BOOKS, "", day)))

    async def _balances(self, visit: Visit) -> Response:
        day = asked_day(visit)
        kinds = await self.kinds(day)
        closed = await self._store.read(lambda one: last_closed(one, BOOKS))
        return visit.shown(
            "money/ledger.html", "Ledger", day=day, kinds=kinds, closed=closed, look=self.last,
            debits=sum(kind.debits for kind in kinds), credits=sum(kind.credits for kind in kinds),
        )  # fmt: skip

    async def _account(self, visit: Visit) -> Response:
        name, day = asked(visit, "name"), asked_day(visit)
        if not ACCOUNT.fullmatch(name):
            raise HTTPException(404, NOT_THERE)
        before = _before(visit)

        def look(one: Connection) -> tuple[int, list[Journal]]:
            balance = balances(one, BOOKS, name, day).get(name, 0)
            return balance, journals_of(one, BOOKS, account=name, until=day, before=before, limit=PAGE + 1)

        balance, found = await self._store.scan(look)
        found.reverse()
        page = found[:PAGE]
        moved = [(one, sum(fen for account, fen in one.entries if account == name)) for one in page]
        older = f"{page[-1].day}.{page[-1].number}" if len(found) > PAGE else ""
        return visit.shown(
            "money/account.html", "Account", name=name, kind=name.partition(":")[0], day=day, balance=balance,
            moved=moved, older=older,
            newer=before is not None,
        )  # fmt: skip

    async def _verify(self, visit: Visit) -> Response:
        found = await self._store.scan(lambda one: verify(one, BOOKS))
        self.last = Look(self._clock(), found)
        await self._act("ledger-verified", visit.session.name, broken=len(found.broken), head=found.head)
        return see("/desk/ledger#verified")


def _before(visit: Visit) -> tuple[date, int] | None:
    found = _BEFORE.fullmatch(visit.request.query_params.get("before", ""))
    if found is None:
        return None
    try:
        return date.fromisoformat(found[1]), int(found[2])
    except ValueError:
        return None

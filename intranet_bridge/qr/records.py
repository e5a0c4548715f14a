"""The record of codes: generations, what was issued, and tickets. All of it in the bridge's database.

A code is good while its key is active, its account's record has its generation, and that is the present one or not yet
over. Every write may be done twice, and then changes nothing more: it is known by the id of its request.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import field

from sqlalchemy import Connection, func, or_, select

from intranet_bridge.qr.rows import CODES, GENERATIONS, TICKETS
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

_G, _C, _T = GENERATIONS.c, CODES.c, TICKETS.c
MOST_SHOWN = 100


@immutable
class Generation:
    """One generation of an account's codes."""

    account: str
    generation: int
    good_until: int | None
    """Epoch ms; None: it is the present one."""

    def good(self, now: int) -> bool:
        """Whether its codes lead somewhere."""
        return self.good_until is None or now < self.good_until


@immutable
class Issue:
    """One code, as it was issued."""

    account: str
    kid: str
    generation: int
    batch: str
    who: str
    at: int


@immutable
class Redeemed:
    """What a ticket was good for."""

    account: str = field(repr=False)
    page: str


class Records:
    """Reads and writes them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def issue(self, request: str, account: str, kid: str, who: str) -> Issue:
        """Write down that a code of the account's present generation is issued; the first one if there was none."""

        def issue(connection: Connection) -> Issue:
            now = self._clock()
            known = connection.execute(select(CODES).where(_C.request == request, _C.account == account)).first()
            if known is None:
                generation = begun(connection, [account], request, now)[account]
                issued(connection, request, [(account, generation)], kid, "", who, now)
                known = connection.execute(select(CODES).where(_C.request == request, _C.account == account)).one()
            return Issue(known.account, known.kid, known.generation, known.batch, known.who, known.at)

        return await self._store.write(issue)

    async def revoke(self, request: str, account: str, good_until: int) -> tuple[Generation, int] | None:
        """Begin a new generation; those of before are good until then at most. Returns it and when they end; None: no
        code of the account was ever issued.
        """

        def revoke(connection: Connection) -> tuple[Generation, int] | None:
            mine = select(GENERATIONS).where(_G.account == account).order_by(_G.generation).with_for_update()
            rows = connection.execute(mine).all()
            if not rows:
                return None
            done = next((row for row in rows if row.request == request and row.generation > 1), None)
            if done is not None:  # the same request again
                before = next(row for row in rows if row.generation == done.generation - 1)
                return Generation(account, done.generation, done.good_until), before.good_until
            old = or_(_G.good_until.is_(None), _G.good_until > good_until)
            connection.execute(GENERATIONS.update().where(_G.account == account, old).values(good_until=good_until))
            new = rows[-1].generation + 1
            connection.execute(
                GENERATIONS.insert().values(account=account, generation=new, since=self._clock(), request=request)
            )
            return Generation(account, new, None), good_until

        return await self._store.write(revoke)

    async def generations(self, account: str) -> list[Generation]:
        """All of an account, the first one first."""
        mine = select(_G.account, _G.generation, _G.good_until).where(_G.account == account).order_by(_G.generation)
        rows = await self._store.read(lambda connection: connection.execute(mine).all())
        return [Generation(*row) for row in rows]

    async def issues(self, account: str) -> list[Issue]:
        """The latest of an account."""
        mine = select(_C.account, _C.kid, _C.generation, _C.batch, _C.who, _C.at).where(_C.account == account)
        latest = mine.order_by(_C.at.desc(), _C.request).limit(MOST_SHOWN)
        rows = await self._store.read(lambda connection: connection.execute(latest).all())
        return [Issue(*row) for row in rows]

    async def ticket(self, account: str, page: str, life_ms: int) -> str:
        """A new ticket. What is kept of it is its hash: who reads the database can redeem none."""
        ticket = secrets.token_urlsafe(32)
        row = {
            "hash": _hash(ticket), "account": account, "page": page, "expires_at": self._clock() + life_ms,
            "redeemed_by": None,
        }  # fmt: skip
        # which may be done twice, if a commit that was done seems to fail
        await self._store.write(lambda connection: len(insert_new(connection, TICKETS, [row])))
        return ticket

    async def redeem(self, request: str, ticket: str) -> Redeemed | None:
        """What it is good for, once; for the same request as often as that is asked. None: unknown, used or over."""

        def redeem(connection: Connection) -> Redeemed | None:
            free = or_(_T.redeemed_by == request, _T.redeemed_by.is_(None) & (_T.expires_at > self._clock()))
            taken = TICKETS.update().where(_T.hash == _hash(ticket), free).values(redeemed_by=request)
            if not connection.execute(taken).rowcount:
                return None
            row = connection.execute(select(_T.account, _T.page).where(_T.hash == _hash(ticket))).one()
            return Redeemed(row.account, row.page)

        return await self._store.write(redeem)

    async def forget_tickets(self, life_ms: int) -> int:
        """Remove those that were over for as long as they lived: what was redeemed can be asked again until then."""
        old = TICKETS.delete().where(_T.expires_at < self._clock() - life_ms)
        return await self._store.write(lambda connection: connection.execute(old).rowcount)


def begun(connection: Connection, accounts: Iterable[str], request: str, now: int) -> dict[str, int]:
    """The present generation of each; the first one is begun where there is none."""
    wanted = sorted(set(accounts))
    rows = [
        {"account": account, "generation": 1, "since": now, "good_until": None, "request": request}
        for account in wanted
    ]  # fmt: skip
    if rows:
        insert_new(connection, GENERATIONS, rows)
    present = select(_G.account, func.max(_G.generation)).where(_G.account.in_(wanted)).group_by(_G.account)
    return {row[0]: row[1] for row in connection.execute(present)}


def issued(
    connection: Connection,
    request: str,
    accounts: Sequence[tuple[str, int]],
    kid: str,
    batch: str,
    who: str,
    now: int,
) -> None:
    """Write down what is issued: accounts with their generations."""
    rows = [
        {"request": request, "account": account, "kid": kid, "generation": generation, "batch": batch, "who": who,
         "at": now}
        for account, generation in accounts
    ]  # fmt: skip
    if rows:
        insert_new(connection, CODES, rows)


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()

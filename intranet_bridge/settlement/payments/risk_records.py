"""Risk on record: what was decided of each order and refund, what is counted for the next, and the lists.

`RiskRecords.judged` is called within the transaction that makes an order, or takes a refund, and gives the decision:

- `allow`: it goes on;
- `review`: it is made, and held for a person (who then lets it go on or cancels it);
- `refuse`: it is not made; the caller hears `risk-refused` and no more.

The decision is written in that transaction, so whoever refuses **returns** there and raises afterwards: else what was
decided is rolled back with it. The same number asked again has the same decision, and is counted once.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, or_, select

from intranet_bridge.at_rest import AtRest
from intranet_bridge.settlement.payments.risk import Decision, Facts, Subject, decided, needed
from intranet_bridge.settlement.payments.risk_rows import ACCOUNTS, DECISIONS, LISTED, PAYERS
from intranet_bridge.settlement_sections.risk import Measure, RiskRule, Verdict
from protocol.errors import BridgeError
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

LONGEST_MS = 31 * 86_400_000
"""No rule counts further back."""
_D, _A, _L = DECISIONS.c, ACCOUNTS.c, LISTED.c
_FORGET_AT_ONCE = 500


class NotListed(BridgeError):
    """What cannot be put on a list, or is not on it."""


@immutable
class Asked:
    """An order that is to be made, or a refund that is asked for."""

    id: str
    """Its number: decided once."""
    subject: Subject
    payer: str = field(repr=False)
    """Who pays, as the application knows it, in clear; empty: nobody knows, and nothing is counted."""
    amount: int
    """Fen."""
    bill: int = 0
    """Fen that its bills come to; 0: it pays none, or nobody here can say what they come to."""
    for_bills: int = 0
    """Fen of it that pay those bills."""
    accounts: Collection[tuple[str, str]] = field(default=(), repr=False)
    """Company and account number of each line."""
    means: Collection[str] = field(default=(), repr=False)
    """What it is paid with, as far as it is known: looked for on lists, as the payer and the accounts are."""


@immutable
class Listing:
    """An entry of a list; what it is of is told by nobody."""

    list: str
    value: str
    """Its hash."""
    expires_at: int | None
    note: str
    who: str
    added_at: int


@immutable
class Decided:
    """A decision on record."""

    subject: Subject
    id: str
    amount: int
    decision: Decision
    at: int


class RiskRecords:
    """Judges, and keeps what was judged."""

    def __init__(self, store: Store, at_rest: AtRest, rules: Callable[[], Sequence[RiskRule]], clock: Clock) -> None:
        """`rules`: as they are now."""
        self._store, self._at_rest, self._rules, self._clock = store, at_rest, rules, clock
        self.counts: Counter[tuple[str, str]] = Counter()
        """Decisions by verdict and rule. (What is done again after a failed commit is counted again.)"""

    def judged(self, connection: Connection, asked: Asked) -> Decision:
        """Decide, and write it down, within the caller's transaction. Raises StoreKeyClosed."""
        known = connection.execute(select(DECISIONS).where(_D.subject == asked.subject, _D.id == asked.id)).first()
        if known is not None:
            return _decision(known)
        payer = self._hash(asked.payer) if asked.payer else ""
        accounts = sorted({self._hash(_account(company, account)) for company, account in asked.accounts})
        now, rules = self._clock(), self._rules()
        if payer:
            insert_new(connection, PAYERS, [{"payer": payer, "last_at": now}])
            connection.execute(PAYERS.update().where(PAYERS.c.payer == payer).values(last_at=now))  # others wait here
        counts = {
            (measure, window_s): self._count(connection, measure, payer, accounts, now - window_s * 1000)
            for measure, window_s in needed(rules, asked.subject)
        }
        values = {*accounts, *map(self._hash, asked.means)} | ({payer} if payer else set())
        lists = self._lists(connection, values, now)
        found = decided(rules, Facts(asked.subject, asked.amount, asked.bill, asked.for_bills, counts, lists))
        row = {
            "subject": asked.subject, "id": asked.id, "payer": payer, "amount": asked.amount, "verdict": found.verdict,
            "rule": found.rule, "dry": json.dumps(found.dry), "at": now,
        }  # fmt: skip
        connection.execute(DECISIONS.insert(), row)
        if accounts and asked.subject is Subject.ORDER:
            connection.execute(ACCOUNTS.insert(), [{"id": asked.id, "account": one} for one in accounts])
        self.counts[found.verdict, found.rule] += 1
        return found

    def decision(self, connection: Connection, subject: Subject, id: str) -> Decision | None:
        """What was decided of an order or a refund. None: nothing was."""
        row = connection.execute(select(DECISIONS).where(_D.subject == subject, _D.id == id)).first()
        return _decision(row) if row is not None else None

    async def decisions(self, verdict: Verdict | None, limit: int) -> list[Decided]:
        """The latest first; of one verdict, or all that any rule fired for, in dry run too."""
        fired = _D.verdict == verdict if verdict else or_(_D.rule != "", _D.dry != "[]")
        asked = select(DECISIONS).where(fired).order_by(_D.at.desc(), _D.id).limit(limit)
        rows = await self._store.read(lambda connection: connection.execute(asked).all())
        return [Decided(Subject(row.subject), row.id, row.amount, _decision(row), row.at) for row in rows]

    # Lists

    def listing(self, list: str, value: str, expires_at: int | None, note: str, who: str) -> Listing:
        """A payer, a means of payment or an account (`company:account`), as it would stand on a list. Raises NotListed,
        StoreKeyClosed.
        """
        if not value.strip():
            raise NotListed("what is put on a list is not empty")
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise NotListed("expires_at: is over already")
        return Listing(list, self._hash(value.strip()), expires_at, note, who, now)

    def put(self, connection: Connection, one: Listing) -> None:
        """Put it on its list; what is on it already has a new end and note."""
        connection.execute(delete(LISTED).where(_L.list == one.list, _L.value == one.value))
        row = {
            "list": one.list, "value": one.value, "expires_at": one.expires_at, "note": one.note, "who": one.who,
            "added_at": one.added_at,
        }  # fmt: skip
        connection.execute(LISTED.insert(), row)

    def remove(self, connection: Connection, list: str, value: str) -> None:
        """Take a value off a list: as it was put on, or its hash. Raises NotListed, StoreKeyClosed."""
        either = {value.strip(), self._hash(value.strip())}
        if not connection.execute(delete(LISTED).where(_L.list == list, _L.value.in_(either))).rowcount:
            raise NotListed(f"it is not on the list {list}")

    async def listed(self, list: str = "") -> list[Listing]:
        """What is on the lists, or on one."""
        asked = select(LISTED).order_by(_L.list, _L.added_at, _L.value)
        if list:
            asked = asked.where(_L.list == list)
        rows = await self._store.read(lambda connection: connection.execute(asked).all())
        return [Listing(row.list, row.value, row.expires_at, row.note, row.who, row.added_at) for row in rows]

    async def forget(self, before: int) -> None:
        """Decisions from before then, payers not seen since, and entries of lists that ended then."""
        before = min(before, self._clock() - LONGEST_MS)

        def forget(connection: Connection) -> int:
            old = select(_D.subject, _D.id).where(_D.at < before).limit(_FORGET_AT_ONCE)
            rows = connection.execute(old).all()
            for row in rows:
                connection.execute(delete(DECISIONS).where(_D.subject == row.subject, _D.id == row.id))
                connection.execute(delete(ACCOUNTS).where(_A.id == row.id))
            return len(rows)

        while await self._store.write(forget):
            pass

        def tidy(connection: Connection) -> None:
            connection.execute(delete(PAYERS).where(PAYERS.c.last_at < before))
            connection.execute(delete(LISTED).where(and_(_L.expires_at.is_not(None), _L.expires_at < before)))

        await self._store.write(tidy)

    # Within

    def _hash(self, text: str) -> str:
        return self._at_rest.pseudonym(f"risk:{text}")

    def _count(self, connection: Connection, measure: Measure, payer: str, accounts: Sequence[str], since: int) -> int:
        """With this one. What was refused is none of the past."""
        subject = Subject.REFUND if measure is Measure.REFUNDS else Subject.ORDER
        past = and_(_D.payer == payer, _D.subject == subject, _D.at > since, _D.verdict != Verdict.REFUSE)
        if measure is Measure.ACCOUNTS:
            if not payer:
                return len(accounts)
            asked = select(_A.account).join(DECISIONS, and_(_D.id == _A.id, past)).distinct()
            return len({*connection.execute(asked).scalars(), *accounts})
        if not payer:
            return 1
        return connection.execute(select(func.count()).select_from(DECISIONS).where(past)).scalar_one() + 1

    @staticmethod
    def _lists(connection: Connection, values: Collection[str], now: int) -> frozenset[str]:
        if not values:
            return frozenset()
        good = or_(_L.expires_at.is_(None), _L.expires_at > now)
        asked = select(_L.list).where(_L.value.in_(sorted(values)), good).distinct()
        return frozenset(connection.execute(asked).scalars())


def _account(company: str, account: str) -> str:
    return f"{company}:{account}"


def _decision(row: "Row[Any]") -> Decision:
    return Decision(Verdict(row.verdict), row.rule, tuple(json.loads(row.dry)))

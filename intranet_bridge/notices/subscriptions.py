"""Who has subscribed to which notices: the handlers of the three operations, answered from the bridge's own table."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from intranet_bridge.at_rest import AtRest
from intranet_bridge.marketing import MarketingRequest, Refused
from intranet_bridge.notices.rows import SUBSCRIPTIONS
from intranet_bridge.own import Handler
from protocol.notices import NoticeKind
from protocol.operations.notices import SUBSCRIPTIONS_FULL, Subscription
from protocol.operations.notices import Subscriptions as Answer
from protocol.runtime.clock import Clock
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new

_C = SUBSCRIPTIONS.c


class Subscriptions:
    """The `notice_subscriptions` table."""

    def __init__(
        self, store: Store, at_rest: AtRest, most: int, clock: Clock,
        foreign: Callable[[str, str], bool] = lambda _one, _other: False,
        group_of: Callable[[str], str] = lambda _front: "",
    ) -> None:  # fmt: skip
        """`most`: subscriptions (an account and a kind) of one application. `foreign`: whether the second front is of
        another group: an application of the same name there neither sees, ends nor takes over what this one's has, and
        has its own. `group_of`: a front's group.
        """
        self._foreign, self._group_of = foreign, group_of
        self._store, self._at_rest, self.most, self._clock = store, at_rest, most, clock
        self._counted: dict[tuple[str, str], int] = {}
        """By application and group, as counted last."""

    def handlers(self) -> dict[str, Handler]:
        """Of the operations."""
        return {
            "notice-subscribe": self.subscribe,
            "notice-unsubscribe": self.unsubscribe,
            "notice-subscriptions": self.subscribed,
        }

    async def subscribe(self, asked: MarketingRequest) -> Answer | Refused:
        """Add what is not there; what is there stays as it was, but its notices go to the front that asked last."""
        body, application, front = asked.body, asked.application, _front(asked)
        group = self._group_of(front)
        if self._counted.get((application, group), 0) + len(body.kinds) > self.most:
            return Refused(SUBSCRIPTIONS_FULL.code)
        stream, now = self._at_rest.pseudonym(body.account), self._clock()
        rows = [
            {
                "stream": stream, "application": application, "kind": kind.value, "fronts": group, "front": front,
                "account": self._at_rest.seal(body.account.encode(), stream),
                "consent_version": body.consent.version, "consent_at": body.consent.at, "subscribed_at": now,
            }
            for kind in sorted(set(body.kinds))
        ]  # fmt: skip

        def write(connection: Connection) -> list[Any]:
            mine = self._of(connection, stream, application, front)
            self._named_anew(connection, stream, application, front)
            had = set(connection.execute(select(_C.kind).where(*mine)).scalars())  # perhaps from before it had a group
            new = [row for row in rows if row["kind"] not in had]
            if new:
                insert_new(connection, SUBSCRIPTIONS, new)
            connection.execute(SUBSCRIPTIONS.update().where(*mine).values(front=front, fronts=group))
            return _read(connection, mine)

        found = await self._store.write(write)
        self._counted[application, group] = self._counted.get((application, group), 0) + len(rows)
        return _answer(body.account, found)

    async def unsubscribe(self, asked: MarketingRequest) -> Answer:
        """Take away what is there."""
        body, application = asked.body, asked.application
        stream = self._at_rest.pseudonym(body.account)
        kinds = [kind.value for kind in body.kinds]

        def write(connection: Connection) -> list[Any]:
            mine = self._of(connection, stream, application, _front(asked))
            connection.execute(SUBSCRIPTIONS.delete().where(*mine, _C.kind.in_(kinds)))
            return _read(connection, mine)

        return _answer(body.account, await self._store.write(write))

    async def subscribed(self, asked: MarketingRequest) -> Answer:
        """What is there."""
        stream, application = self._at_rest.pseudonym(asked.body.account), asked.application

        def read(connection: Connection) -> list[Any]:
            return _read(connection, self._of(connection, stream, application, _front(asked)))

        return _answer(asked.body.account, await self._store.read(read))

    def _of(self, connection: Connection, stream: str, application: str, front: str) -> list[Any]:
        """What an account's subscriptions of an application are found by, for a front."""
        of = [_C.stream == stream, _C.application == application]
        fronts = connection.execute(select(_C.front).where(*of).distinct()).scalars()
        others = [other for other in fronts if self._foreign(front, other)]
        return [*of, _C.front.not_in(others)] if others else of

    def _named_anew(self, connection: Connection, stream: str, application: str, front: str) -> None:
        """What is another group's by now, and was written down as this one's: a front was moved from one to another."""
        of = _C.stream == stream, _C.application == application, _C.fronts == self._group_of(front)
        for other in connection.execute(select(_C.front).where(*of).distinct()).scalars().all():
            if self._foreign(front, other):
                renamed = SUBSCRIPTIONS.update().where(*of, _C.front == other).values(fronts=self._group_of(other))
                connection.execute(renamed)

    async def count(self) -> None:
        """Count what each application has."""
        statement = select(_C.application, _C.fronts, func.count()).group_by(_C.application, _C.fronts)
        rows = await self._store.scan(lambda connection: connection.execute(statement).all())
        self._counted = {(row.application, row.fronts): row[2] for row in rows}

    async def accounts(self, after: str = "", limit: int = 1000) -> list[tuple[str, str]]:
        """(Place, account number) of accounts that anybody has subscribed to, in the order of places; the next page is
        after the last place. For who keeps them hot.
        """
        statement = select(_C.stream, func.min(_C.account).label("account")).where(_C.stream > after)
        statement = statement.group_by(_C.stream).order_by(_C.stream).limit(limit)
        rows = await self._store.scan(lambda connection: connection.execute(statement).all())
        return [(row.stream, self._at_rest.unseal(bytes(row.account), row.stream).decode()) for row in rows]

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics, as counted last."""
        numbers: dict[str, int] = {}
        for (application, _), count in dict(self._counted).items():
            numbers[application] = numbers.get(application, 0) + count
        for application, count in numbers.items():
            labels = {"application": application}
            yield "intranet_bridge_notice_subscriptions", "Subscriptions (account and kind)", labels, count


def _front(asked: MarketingRequest) -> str:
    return asked.source.partition("/")[0]


def _read(connection: Connection, of: list[Any]) -> list[Any]:
    columns = (_C.kind, _C.subscribed_at, _C.consent_version)
    return list(connection.execute(select(*columns).where(*of).order_by(_C.kind)))


def _answer(account: str, rows: list[Any]) -> Answer:
    known = [row for row in rows if row.kind in set(NoticeKind)]
    return Answer(
        account=account,
        subscriptions=tuple(
            Subscription(
                kind=NoticeKind(row.kind), since=_timestamp(row.subscribed_at), consent_version=row.consent_version
            )
            for row in known
        ),
    )


def _timestamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

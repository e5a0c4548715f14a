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
from protocol.runtime.store import Store, insert_new

_C = SUBSCRIPTIONS.c


class Subscriptions:
    """The `notice_subscriptions` table."""

    def __init__(
        self, store: Store, at_rest: AtRest, most: int, clock: Clock,
        foreign: Callable[[str, str], bool] = lambda _one, _other: False,
    ) -> None:  # fmt: skip
        """`most`: subscriptions (an account and a kind) of one application. `foreign`: whether the second front is of
        another group: an application of the same name there neither sees, ends nor takes over what this one's has.
        """
        self._foreign = foreign
        self._store, self._at_rest, self.most, self._clock = store, at_rest, most, clock
        self._counted: dict[str, int] = {}
        """By application, as counted last."""

    def handlers(self) -> dict[str, Handler]:
        """Of the operations."""
        return {
            "notice-subscribe": self.subscribe,
            "notice-unsubscribe": self.unsubscribe,
            "notice-subscriptions": self.subscribed,
        }

    async def subscribe(self, asked: MarketingRequest) -> Answer | Refused:
        """Add what is not there; what is there stays as it was, but its notices go to the front that asked last."""
        body, application = asked.body, asked.application
        if self._counted.get(application, 0) + len(body.kinds) > self.most:
            return Refused(SUBSCRIPTIONS_FULL.code)
        stream, now, front = self._at_rest.pseudonym(body.account), self._clock(), _front(asked)
        rows = [
            {
                "stream": stream, "application": application, "kind": kind.value, "front": front,
                "account": self._at_rest.seal(body.account.encode(), stream),
                "consent_version": body.consent.version, "consent_at": body.consent.at, "subscribed_at": now,
            }
            for kind in sorted(set(body.kinds))
        ]  # fmt: skip

        def write(connection: Connection) -> list[Any]:
            insert_new(connection, SUBSCRIPTIONS, rows)
            mine = self._of(connection, stream, application, front)
            connection.execute(SUBSCRIPTIONS.update().where(*mine).values(front=front))
            return _read(connection, mine)

        found = await self._store.write(write)
        self._counted[application] = self._counted.get(application, 0) + len(rows)
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

    async def count(self) -> None:
        """Count what each application has."""
        statement = select(_C.application, func.count()).group_by(_C.application)
        rows = await self._store.scan(lambda connection: connection.execute(statement).all())
        self._counted = {row.application: row[1] for row in rows}

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
        for application, count in dict(self._counted).items():
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

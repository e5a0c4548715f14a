"""What operators decided at this front: written down and sealed for the bridge, sent until a bridge has answered.

A row is `pending` until then; `done` or `refused` afterwards, when its envelope is dropped. One that no bridge has
answered for a week is refused: no bridge would open it any more.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, bindparam, select

from dmz_front.ledger.ledger import UNDELIVERED_MS
from dmz_front.ledger.rows import DECISIONS
from protocol.administration import DecisionReport
from protocol.decisions import Decision, Standing
from protocol.errors import BridgeError, EnvelopeError
from protocol.lifecycle import State
from protocol.messages import Reply, fitted
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.outbox import Entry
from protocol.runtime.store import Store

log = logger(__name__)

_C = DECISIONS.c
_PENDING = _C.standing == "pending"
_SENT = DECISIONS.update().where(_C.id == bindparam("of")).values(sent_at=bindparam("now"))
_ANSWERED = (
    DECISIONS.update()
    .where(_C.id == bindparam("of"), _PENDING)
    .values(standing=bindparam("came"), because=bindparam("why"), updated_at=bindparam("now"), envelope=b"")
)
_UNANSWERED = "no bridge has answered it for a week, and none would take it now: decide again"


class DecisionLedger:
    """The `decisions` table."""

    def __init__(self, store: Store, front: str, clock: Clock) -> None:
        self._store, self._front, self._clock = store, front, clock

    async def take(
        self, id: str, decision: Decision, destination: str, envelope: bytes, meanwhile: Callable[[Connection], None]
    ) -> None:
        """Write down a decision. Raises BridgeError if another about the same command is pending.

        `meanwhile` is done in the same transaction.
        """
        row = {
            "id": id, "request": decision.request, "choice": decision.choice.value,
            "decided_by": fitted(decision.by, 64), "note": fitted(decision.note, 400), "decided_at": decision.at,
            "front": self._front, "standing": "pending", "because": "", "destination": destination,
            "envelope": envelope, "updated_at": decision.at,
        }  # fmt: skip

        def write(connection: Connection) -> None:
            others = select(_C.id, _C.choice).where(_C.request == decision.request, _PENDING)
            other = connection.execute(others).first()
            if other is not None and other.id == id:
                return  # a commit that seemed to fail was done
            if other is not None:
                raise BridgeError(
                    f"{other.choice} was decided of {decision.request} already, and waits for a bridge's answer"
                )
            meanwhile(connection)
            connection.execute(DECISIONS.insert().values(row))

        await self._store.write(write)

    async def due(self, resend_after_ms: int, limit: int) -> list[Entry]:
        """What is to be sent: never receipted, or long ago and not answered; the oldest first."""
        now = self._clock()
        waited = _C.sent_at.is_(None) | (_C.sent_at < now - resend_after_ms) | (_C.sent_at > now + resend_after_ms)
        statement = (
            select(_C.id, _C.destination, _C.envelope)
            .where(_PENDING, _C.front == self._front, _C.decided_at > now - UNDELIVERED_MS, waited)
            .order_by(_C.id)
            .limit(limit)
        )
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [Entry(row.id, row.destination, row.envelope) for row in rows]

    async def sent(self, ids: Sequence[str]) -> None:
        """The broker has these on its disk."""
        now = self._clock()
        await self._store.execute(_SENT, *({"of": id, "now": now} for id in sorted(ids)))

    async def answered(self, replies: Sequence[Reply]) -> None:
        """Bridges have carried these out, or refused to."""
        now, changes = self._clock(), []
        for reply in replies:
            came = "done" if reply.state is State.SUCCEEDED else "refused"
            try:
                state = Standing.from_result(reply.result).state
            except EnvelopeError:
                state = None
            why = reply.detail or (f"it is {state} at the bridge" if state else "")
            changes.append({"of": reply.attributes.id, "came": came, "why": fitted(why, 400), "now": now})
            log.warning("decision-answered", decision=reply.attributes.id, standing=came, state=state, because=why)
        await self._store.execute(_ANSWERED, *changes)

    async def of(self, request: str) -> tuple[DecisionReport, ...]:
        """What was decided of a command, the oldest first."""
        statement = select(DECISIONS).where(_C.request == request).order_by(_C.id)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return tuple(
            DecisionReport(
                choice=row.choice, by=row.decided_by, at=row.decided_at, note=row.note, id=row.id,
                standing=row.standing, because=row.because,
            )
            for row in rows
        )  # fmt: skip

    def adopt(self, connection: Connection, fronts: Sequence[str]) -> int:
        """Send what dead fronts did not."""
        theirs = DECISIONS.update().where(_PENDING, _C.front.in_(fronts)).values(front=self._front, sent_at=None)
        return connection.execute(theirs).rowcount

    async def forget(self, before_ms: int) -> None:
        """Refuse what was not answered in time, and delete what is older than `before_ms`."""
        now = self._clock()
        late = DECISIONS.update().where(_PENDING, _C.decided_at <= now - UNDELIVERED_MS)
        late = late.values(standing="refused", because=_UNANSWERED, updated_at=now, envelope=b"")
        old = DECISIONS.delete().where(~_PENDING, _C.updated_at < before_ms)

        def forget(connection: Connection) -> int:
            connection.execute(old)
            return connection.execute(late).rowcount

        count = await self._store.write(forget)
        if count:
            log.error("decisions-unanswered", count=count)

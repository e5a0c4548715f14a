"""Commands for other regions' bridges, and theirs for this one: by the fronts, which can read neither.

::

    row `accepted` ─► outbox ─► front ─► … ─► their inbox: a row as any ─► outcome ─► outbox ─► their front ─► … ─► here
          └ `sent`: again after `resend_after_s`, until its outcome is here ◄──────────────────────────────────┘

Both ends have it on disk, and both say it again: who asks, until there is a final outcome; who is asked, whenever it is
asked again for what it knows. So the way between may lose anything.

It may also turn the order round, so each command names its predecessor, the unfinished one of its ordering key that was
recorded last before it: there it waits for that one, as a front's does (inbox/ordering.py).
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, bindparam, func, or_, select, text, update

from intranet_bridge.commands.asking import PeerQueries
from intranet_bridge.inbox.inbox import Inbox, all_owners
from intranet_bridge.inbox.local import LOCAL, PEER, LocalRows, Untold, forwarded_to
from intranet_bridge.inbox.ordering import FORWARDED, Ordering, QueuedCommand
from intranet_bridge.inbox.paging import Paging
from intranet_bridge.inbox.rows import INBOX, UNTOLD, Failed, Received, state_is_one_of
from intranet_bridge.marketing import NotApplied, Outcome
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.peers import PeerReply, PeerRequest, Peers
from intranet_bridge.replies import LONGEST_RESULT, Replies
from protocol.destinations import submissions
from protocol.errors import BridgeError, Malformed
from protocol.lifecycle import REPORTED, State, state_reported
from protocol.link.lane import Lane
from protocol.messages import CODE_LENGTH, LOWEST_VERSION, Attributes, GrowingIds, Reply, fitted
from protocol.operations import CATALOGUE, Kind
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.outbox import Entry, Outbox
from protocol.runtime.store import Store
from protocol.submissions import TYPE, Submission

log = logger(__name__)

_REQUEST = "request"
_ASK_S = 4.0
"""So long another region's bridge may take for a query: who asks here waits for 5 s."""
_HELD_TIMES = 20
"""What is held there is asked about so many times more rarely."""
_ROOM = 8 * 1024
"""Of a result's length, for the envelopes around it."""
_C = INBOX.c
_OUTWARD = (_C.reply_to.startswith(LOCAL), _C.subject.startswith(FORWARDED))
_SENT = (
    update(INBOX)
    .where(_C.id == bindparam("of"), state_is_one_of((State.ACCEPTED, State.SENT)))
    .values(state=State.SENT, updated_at=bindparam("now"))
)
_ASKED_ABOUT = update(INBOX).where(_C.id == bindparam("of"), _C.state == State.HELD).values(updated_at=bindparam("now"))


class Forwarding:
    """Both directions, of one bridge."""

    def __init__(
        self,
        *,
        store: Store,
        inbox: Inbox,
        ordering: Ordering,
        paging: Paging,
        local: LocalRows,
        peers: Peers,
        replies: Replies,
        lane: Lane,
        front: str,
        name: str,
        clock: Clock,
        resend_after_s: float,
        calls: Callable[[], MarketingCalls],
    ) -> None:
        """`lane`: to `front`, which routes. `name`: of this bridge, whose rows these are."""
        self.peers = peers
        self._store, self._inbox, self._rows = store, inbox, local
        self._ordering, self._paging = ordering, paging
        self._replies, self._destination, self._name, self._clock = replies, submissions(front), name, clock
        self._resend_ms = int(resend_after_s * 1000)
        self._ids = GrowingIds()
        self.outbox = Outbox(lane, sent=self._receipted, unsent=self._unsent)
        self._lane = lane
        self.queries = PeerQueries(peers, calls=calls, send=self._post, clock=clock)
        self.refused = 0
        self.waiting = (0, 0)
        """Commands whose outcome another region has not told, as counted last: how many, since when (epoch ms)."""

    async def ask(self, region: str, operation: str, body: BaseModel) -> Outcome:
        """A query of another region's marketing system. NotApplied if it is not reached."""
        if region not in self.peers:
            return NotApplied("no such region is configured", reached=False)
        return await self.queries.ask(region, operation, body, _ASK_S)

    # --- outward --------------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Send what there is to send."""
        await self.outbox.sweep()

    async def _unsent(self, limit: int) -> list[Entry]:
        requests, outcomes, after = await self._store.read(partial(self._due, limit=limit))
        self.waiting = await self._store.read(self._counted)
        entries: list[Entry] = []
        for row in requests:
            region = forwarded_to(row.subject)
            try:
                body = self._rows.opened(row.id, row.operation, row.envelope).payload
                sealed = self.peers.request(region, row.id, row.operation, row.received_at, body, after.get(row.id, ""))
            except BridgeError as error:
                log.error("submission-not-made", request_id=row.id, region=region, reason=str(error))
                continue
            entries.append(self._entry(f"{row.id}/{_REQUEST}", region, sealed))
        for row in outcomes:
            region = row.reply_to.removeprefix(PEER)
            try:
                reply = self._rows.reply(Untold(row.id, row.operation, State(row.state), row.reply))
                sealed = self.peers.reply(region, _short(reply))
            except (BridgeError, ValueError) as error:
                log.error("submission-not-made", request_id=row.id, region=region, reason=str(error))
                continue
            entries.append(self._entry(f"{row.id}/{row.state}", region, sealed))
        return entries

    def _due(self, connection: Connection, limit: int) -> tuple[list[Any], list[Any], Mapping[str, str]]:
        """Requests, outcomes, and what precedes the requests."""
        before = self._clock() - self._resend_ms
        held_before = self._clock() - _HELD_TIMES * self._resend_ms
        again = or_(
            _C.state == State.ACCEPTED,
            (_C.state == State.SENT) & (_C.updated_at < before),
            (_C.state == State.HELD) & (_C.updated_at < held_before),
        )
        states = _C.state.in_([State.ACCEPTED, State.SENT, State.HELD])
        requests = (
            select(_C.id, _C.operation, _C.subject, _C.envelope, _C.received_at)
            .where(_C.owner == self._name, states, *_OUTWARD, again)
            .order_by(_C.sequence)
            .limit(limit)
        )
        outcomes = (
            select(_C.id, _C.operation, _C.reply_to, _C.state, _C.reply)
            .where(_C.owner == self._name, text(UNTOLD))
            .where(_C.state.in_(sorted(REPORTED)), _C.reply_to.startswith(PEER))
            .order_by(_C.updated_at)
            .limit(limit)
        )
        found = list(connection.execute(requests))
        after = self._predecessors(connection, {row.subject for row in found}) if found else {}
        return found, list(connection.execute(outcomes)), after

    def _predecessors(self, connection: Connection, subjects: Collection[str]) -> Mapping[str, str]:
        """Whichever bridge of this database has given them."""
        unfinished = (
            select(_C.id, _C.subject)
            .where(_C.owner.in_(all_owners(connection)), _C.state.in_([State.ACCEPTED, State.SENT]))
            .where(_C.subject.in_(subjects), *_OUTWARD)
            .order_by(_C.sequence)
        )
        return predecessors((row.id, row.subject) for row in connection.execute(unfinished))

    def _counted(self, connection: Connection) -> tuple[int, int]:
        open_ones = _C.state.in_([State.ACCEPTED, State.SENT])
        wanted = select(func.count(), func.min(_C.received_at)).where(_C.owner == self._name, open_ones, *_OUTWARD)
        count, oldest = connection.execute(wanted).one()
        return count, oldest or 0

    def _post(self, region: str, sealed: bytes) -> None:
        entry = self._entry("", region, sealed)
        self._lane.post(entry.destination, entry.envelope)

    def _entry(self, id: str, region: str, sealed: bytes) -> Entry:
        now = self._clock()
        about = Attributes(
            self._ids.next(now, os.urandom(10)), self._name, TYPE, now, reply_to=self._destination,
            version=LOWEST_VERSION,
        )  # fmt: skip
        result = Submission(region, sealed).payload()
        return Entry(id, self._destination, self._replies.sealed(about, State.SUCCEEDED, "", "", result))

    async def _receipted(self, ids: Sequence[str]) -> None:
        now, suffix = self._clock(), f"/{_REQUEST}"
        rows = [{"of": id.removesuffix(suffix), "now": now} for id in ids if id.endswith(suffix)]
        if rows:
            await self._store.execute(_SENT, *rows)
            await self._store.execute(_ASKED_ABOUT, *rows)
        outcomes = [id for id in ids if not id.endswith(suffix)]
        if outcomes:
            await self._inbox.replied(outcomes)

    # --- inward ---------------------------------------------------------------------------------------------

    async def take(self, envelope: bytes, since: int) -> None:
        """What a peer has sent: written down when this returns. `since`: what was recorded before, there, may have been
        here and is forgotten. Raises EnvelopeError for what no peer sends, and what the database does.
        """
        said = self.peers.opened(envelope)
        if isinstance(said, PeerReply):
            if self.queries.answered(said):
                return
            if await self._store.write(partial(self._told, said=said)):
                reach(Point.BRIDGE_PEER_TOLD_COMMITTED, said.reply.attributes.id)
                self._rows.told.send()
            return
        operation = CATALOGUE.get(said.operation)
        if operation is None:
            raise Malformed("not an operation of this program's catalogue")
        if operation.kind is Kind.QUERY:
            self.queries.asked(said)
            return
        row = self._received(said, since)
        try:
            begin = await self._store.write(partial(self._recorded, row=row))
        except _TakenIdError:
            log.error("peer-command-id-taken", request_id=said.id, operation=said.operation, region=said.region)
            about = Attributes(said.id, "", said.operation, 0)
            text = "the id is another command's there: nothing was done"
            sealed = self.peers.reply(said.region, Reply(about, State.FAILED, "id-taken", text))
            self.outbox.offer(self._entry(f"{said.id}/id-taken", said.region, sealed))
            return
        reach(Point.BRIDGE_RECEIVED_COMMITTED)
        if begin is not None:
            recovered = begin is State.UNKNOWN
            self._paging.add(
                QueuedCommand(row.id, row.operation, row.subject, begin, after=row.after, recovered=recovered)
            )
            self._ordering.work.send()
        else:
            await self.sweep()

    def _received(self, said: PeerRequest, since: int) -> Received:
        operation, refusal = CATALOGUE[said.operation], ""
        key, body = said.id, None
        try:
            body = operation.requests.validate_json(said.body)
        except ValidationError:
            refusal = "invalid-request"
        if not said.allowed:
            refusal = "not-admitted"
        if body is not None and operation.ordering_key is not None:
            key = operation.ordering_key(body) or said.id
        row = self._rows.received(
            said.id, said.operation, key, said.body, PEER + said.region, source=f"{said.source}/settlement"
        )
        if refusal:
            self.refused += 1
            log.warning("peer-command-refused", request_id=said.id, operation=said.operation, region=said.region,
                        code=refusal)  # fmt: skip
            about = Attributes(said.id, said.source, said.operation, 0)
            reply = self._rows.outcome(about, State.FAILED, refusal)
            failed = Failed(refusal, "not done: settlement.peers, or the catalogue, does not allow it", reply)
            return Received(row.id, row.operation, row.source, row.subject, row.reply_to, 0, b"", failed=failed)
        state = State.RECEIVED if said.recorded_at >= since else State.UNKNOWN
        return Received(
            row.id, row.operation, row.source, row.subject, row.reply_to, 0, row.envelope, after=said.after, state=state
        )

    def _recorded(self, connection: Connection, row: Received) -> State | None:
        """The state in which it is to be begun with; None: it is not. What is known, and of this peer, is told once
        more. Raises _TakenIdError for another's id.
        """
        columns = (_C.reply_to, _C.operation, _C.state, _C.owner, _C.decided_at)
        known = connection.execute(select(*columns).where(_C.id == row.id).with_for_update()).first()
        if known is None:
            new = self._inbox.record_in(connection, [row])[0] is None
            return row.state if new and row.failed is None else None
        if (known.reply_to, known.operation) != (row.reply_to, row.operation):
            raise _TakenIdError
        again = update(INBOX).where(_C.id == row.id, _C.reply.is_not(None), _C.state.in_(sorted(REPORTED)))
        connection.execute(again.values(replied_at=None))
        # recorded by a commit whose success was not heard of: nobody else would begin with it
        ours = known.owner == self._name and known.decided_at is None and row.id not in self._ordering
        return State(known.state) if ours and known.state in (State.RECEIVED, State.UNKNOWN) else None

    def _told(self, connection: Connection, said: PeerReply) -> bool:
        """Whether it says something new."""
        reply, id = said.reply, said.reply.attributes.id
        of = (_C.id == id, _C.reply_to.startswith(LOCAL), _C.subject.startswith(f"{FORWARDED}{said.region}:"))
        row = connection.execute(select(_C.state, _C.operation).where(*of).with_for_update()).first()
        if row is None or row.operation != reply.attributes.type:
            raise Malformed("an outcome of what was not asked for")
        state = state_reported(State(row.state), reply.state)
        if state is None:
            return False
        code = fitted(reply.code, CODE_LENGTH)
        note = "" if state is State.REFUSED else fitted(reply.detail, 400)  # their words may name a customer
        sealed = self._rows.outcome(Attributes(id, "", row.operation, 0), state, code, reply.detail, reply.result)
        changes = {"state": state, "code": code, "note": note, "reply": sealed, "replied_at": None}
        connection.execute(update(INBOX).where(*of).values(changes | {"updated_at": self._clock()}))
        reach(Point.BRIDGE_PEER_TOLD_UNCOMMITTED, id)
        return True

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        text = "Commands of other regions' bridges that were not allowed, or fit no schema"
        yield "intranet_bridge_peer_commands_refused_total", text, {}, self.refused


class _TakenIdError(BridgeError):
    """A peer asks for something by the id of another command."""


def predecessors(unfinished: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of each command the one before it of the same ordering key, if there is one. `unfinished`: id and key, in the
    order in which they were recorded. Pure.
    """
    last: dict[str, str] = {}
    found: dict[str, str] = {}
    for id, key in unfinished:
        if key in last:
            found[id] = last[key]
        last[key] = id
    return found


def _short(reply: Reply) -> Reply:
    if len(reply.result) <= LONGEST_RESULT - _ROOM:
        return reply
    text = "the answer is longer than a message between bridges may be"
    return Reply(reply.attributes, reply.state, "answer-too-long", text, b"")

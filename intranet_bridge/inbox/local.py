"""The rows of commands that no front gave: what is different about them.

=====================  ======================================================================================
its outcome goes to    it is
=====================  ======================================================================================
`local:{consumer}`     the bridge's own. With a subject that begins with `to:{region}:` it is for another region's
                       bridge: `accepted` until the broker has it, then `sent`, and nothing is called here
`peer:{region}`        that region's bridge's own, to be done here (commands/forwarding.py)
a queue                a front's
=====================  ======================================================================================

The request and the outcome of such a row are sealed by the database's own key (at_rest.py). Its id is no UUID, and a
front's always is one (`protocol.messages.is_front_id`): so no front can take the place of such a row, name it, or be
answered from it.
"""

from collections.abc import Sequence
from dataclasses import field

from sqlalchemy import Connection, select, text

from intranet_bridge.at_rest import AtRest
from intranet_bridge.inbox.inbox import replied_in
from intranet_bridge.inbox.ordering import FORWARDED, OWN_KEY, QueuedCommand
from intranet_bridge.inbox.rows import INBOX, UNTOLD, Received
from intranet_bridge.inbox.unfinished import QUEUED, earliest, queued
from protocol.envelope import Kind, Opened
from protocol.errors import Tampered
from protocol.lifecycle import REPORTED, State
from protocol.messages import Attributes, Reply, Role, is_front_id
from protocol.runtime.store import BATCH
from protocol.signal import Signal
from protocol.values import immutable

LOCAL = "local:"
"""A consumer's name follows."""
PEER = "peer:"
"""A region follows."""
_MARK = b"\x00"
"""Begins the sealed request. An envelope begins with its wire version, which is never 0."""

_C = INBOX.c
_NOT_TOLD = (text(UNTOLD), _C.state.in_(sorted(REPORTED)))


def is_local(reply_to: str) -> bool:
    """Whether a row is no front's: its outcome is sealed here."""
    return reply_to.startswith((LOCAL, PEER))


def forwarded_to(subject: str) -> str:
    """The region whose bridge has a command in hand; empty: this one has."""
    return subject.removeprefix(FORWARDED).partition(":")[0] if subject.startswith(FORWARDED) else ""


def is_sealed_here(envelope: bytes) -> bool:
    """Whether a row's request is sealed by the database's key, not by a front."""
    return envelope[:1] == _MARK


@immutable
class Untold:
    """A row whose outcome was not taken yet."""

    id: str
    operation: str
    state: State
    reply: bytes = field(repr=False)


class LocalRows:
    """Makes such rows, and opens what is in them. Raises StoreKeyClosed while the database's key is not open."""

    def __init__(self, at_rest: AtRest, name: str) -> None:
        """`name`: of this bridge."""
        self._at_rest, self._source = at_rest, f"{name}/settlement"
        self.told = Signal()
        """An outcome is on disk that nobody has taken."""

    def received(
        self, id: str, operation: str, key: str, body: bytes, reply_to: str, *, source: str = "", region: str = ""
    ) -> Received:
        """The row. `key`: whose commands are done in order, in clear; `body`: JSON; `source`: who gave it, if not this
        bridge; `region`: whose bridge is to do it, if not this one. Raises ValueError for an id that a front could have
        made.
        """
        if is_front_id(id):
            raise ValueError("an id of the form that fronts make is not for a command of the bridge's own")
        source = source or self._source
        sealed = self._at_rest.seal(f"{source}\n{reply_to}\n".encode() + body, _request(id, operation))
        subject = (f"{FORWARDED}{region}:" if region else OWN_KEY) + self._at_rest.pseudonym(f"local command of {key}")
        state = State.ACCEPTED if region else State.RECEIVED
        # `after` None: its predecessor is what was recorded before it
        return Received(id, operation, source, subject, reply_to, 0, _MARK + sealed, after=None, state=state)

    def opened(self, id: str, operation: str, envelope: bytes) -> Opened:
        """The request of a row, as `Opener.authentic` gives a front's. Raises Tampered."""
        try:
            said = self._at_rest.unseal(envelope[len(_MARK) :], _request(id, operation))
            source, reply_to, body = said.split(b"\n", 2)
        except ValueError:
            raise Tampered("this row's request was not sealed by this database's key") from None
        attributes = Attributes(id, source.decode(), operation, 0, reply_to=reply_to.decode())
        return Opened(Kind.REQUEST, attributes, body, Role.BRIDGE, "")

    def outcome(
        self, request: Attributes, state: State, code: str = "", detail: str = "", result: bytes = b""
    ) -> bytes:
        """What the row keeps of its outcome, in place of a reply to a front."""
        return self._at_rest.seal(Reply(request, state, code, detail, result).payload(), _outcome(request.id))

    def reply(self, row: Untold) -> Reply:
        """What `outcome` was given. Raises ValueError for a row that was altered."""
        payload = self._at_rest.unseal(row.reply, _outcome(row.id))
        return Reply.from_payload(Attributes(row.id, self._source, row.operation, 0), payload)


def _request(id: str, operation: str) -> str:
    return f"request {id} {operation}"


def _outcome(id: str) -> str:
    return f"outcome {id}"


def known(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those that are in the inbox."""
    found: set[str] = set()
    for first in range(0, len(ids), BATCH):
        found.update(connection.execute(select(_C.id).where(_C.id.in_(ids[first : first + BATCH]))).scalars())
    return found


def recorded_after(connection: Connection, owner: str, sequence: int, most: int) -> tuple[list[QueuedCommand], int]:
    """Those of an owner's that were recorded later than `sequence` and are not begun with, in their order; and the
    sequence of the last.
    """
    statement = (
        select(*QUEUED, _C.sequence)
        .where(_C.owner == owner, _C.state == State.RECEIVED, _C.decided_at.is_(None), _C.sequence > sequence)
        .where(_C.reply_to.startswith(LOCAL))
    )
    rows, _ = earliest(connection, statement, most)
    commands = [queued(row) for row in rows]
    for command in commands:
        command.recovered = False
    return commands, rows[-1].sequence if rows else sequence


def untold(connection: Connection, owner: str, consumer: str, most: int) -> list[str]:
    """Ids of an owner's rows whose outcome its consumer has not taken, the oldest outcomes first."""
    of = (_C.owner == owner, _C.reply_to == LOCAL + consumer, *_NOT_TOLD)
    statement = select(_C.id).where(*of).order_by(_C.updated_at, _C.sequence).limit(most)
    return list(connection.execute(statement).scalars())


def untold_of(connection: Connection, owner: str, ids: Sequence[str]) -> list[Untold]:
    """Those of some rows that are untold still. They are locked until the transaction ends."""
    statement = select(_C.id, _C.operation, _C.state, _C.reply).where(_C.id.in_(ids), _C.owner == owner, *_NOT_TOLD)
    statement = statement.order_by(_C.updated_at, _C.sequence).with_for_update()
    return [Untold(row.id, row.operation, State(row.state), row.reply) for row in connection.execute(statement)]


def told(connection: Connection, rows: Sequence[Untold], now: int) -> None:
    """Their outcomes were taken."""
    replied_in(connection, [(row.id, row.state) for row in rows], now)


def waiting_for(connection: Connection, owner: str) -> set[str]:
    """Consumers that an owner's rows are for whose outcome was not taken."""
    of = (_C.owner == owner, _C.reply_to.startswith(LOCAL), *_NOT_TOLD)
    found = connection.execute(select(_C.reply_to).where(*of).distinct()).scalars()
    return {reply_to.removeprefix(LOCAL) for reply_to in found}

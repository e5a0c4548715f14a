"""A command: written down durably, then sent, then waited for a little.

Whatever happens after the ledger's commit, the command is on its way for good: a caller that goes away, a
broker that is down and a front that is killed change only when its outcome is known, and the same
Idempotency-Key always finds the same answer.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dmz_front.ledger.acceptance import Seal
from dmz_front.ledger.attachments import AttachmentLedger, NotAttachable
from dmz_front.ledger.ledger import Claim, Ledger
from dmz_front.ledger.rows import Row
from dmz_front.notices.ledger import name_callback
from dmz_front.problems.codes import TITLES
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.replies import responses as answers
from dmz_front.replies.bridges import Bridges, Service
from dmz_front.replies.router import Waiters
from dmz_front.settings import FrontSettings
from protocol.attachments import named
from protocol.destinations import Route
from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import EnvelopeError
from protocol.keyring import Keyring
from protocol.lifecycle import FINAL, State
from protocol.messages import Attributes, Reply
from protocol.operations import Operation
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.history import Gap, id_time
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.outbox import Outbox
from protocol.runtime.store_health import said

log = logger(__name__)

COMMIT_S = 5.0
"""How long a caller waits for its command's row, at most: then it is told 503, and what was not begun is not done."""


def _unavailable() -> Problem:
    return Problem(503, "store-unavailable", retry_after_s=answers.PAUSE_RETRY_S)


@dataclass(frozen=True, slots=True)
class Seals:
    """What one process seals and opens with."""

    keyring: Keyring
    sealer: Sealer
    opener: Opener


@dataclass(frozen=True, slots=True)
class Policy:
    """How many commands are taken on, and when."""

    backlog: int
    """Commands without a final state; with so many no new one is accepted."""
    in_flight: int
    """Callers that may wait at once; one more is answered 202 at once."""
    clock: Clock
    reachable: Callable[[], bool] | None = None
    """Whether the broker is; with it, no new command is accepted that could not be sent now."""
    refuse_in_maintenance: bool = False
    """No new command of an operation that is paused is accepted."""

    @classmethod
    def of(cls, settings: FrontSettings, clock: Clock, connected: Callable[[], bool]) -> "Policy":
        """As configured. `connected`: whether the broker can be reached now."""
        refuse = settings.delivery.when_broker_refuses == "refuse"
        return cls(
            settings.limits.backlog, settings.limits.commands_in_flight, clock, connected if refuse else None,
            settings.maintenance.commands == "refuse",
        )  # fmt: skip


class Commands:
    """Accepts commands, and tells what became of them."""

    def __init__(
        self,
        *,
        route: Route,
        ledger: Ledger,
        outbox: Outbox,
        seals: Seals,
        waiters: Waiters,
        bridges: Bridges,
        attachments: AttachmentLedger,
        policy: Policy,
        forgotten: Callable[[], Gap | None] = lambda: None,
    ) -> None:
        """`forgotten`: what the ledger was put back over."""
        self._forgotten = forgotten
        self._attachments = attachments
        self._route, self._ledger, self._outbox = route, ledger, outbox
        self._keyring, self._sealer, self._opener = seals.keyring, seals.sealer, seals.opener
        self._waiters, self._bridges = waiters, bridges
        self.policy, self._clock = policy, policy.clock
        self._accepting = 0

    async def submit(
        self,
        operation: Operation,
        application: str,
        key: str,
        asked: BaseModel,
        body: bytes,
        id: str,
        trace: str,
        wait_s: float,
        callback: str = "",
    ) -> tuple[str, HttpResponse]:
        """`callback`: where its outcome is told too. The id the command has in the ledger, and the answer.

        Raises Problem 409 or 422 for a key in use, 422 for attachments it cannot have, 502 when no attached bridge
        serves the operation, 503 when
        it cannot be written down.
        """
        patience_s = max(1.0, min(wait_s, COMMIT_S)) if wait_s > 0 else COMMIT_S
        answer_by = asyncio.get_running_loop().time() + wait_s
        service = self._bridges.service(operation.name)
        if service is not Service.UP or len(self._waiters) >= self.policy.in_flight:
            wait_s = 0.0  # nobody could answer soon: say 202 at once
        row, seal = self._row(operation, application, key, asked, body, id, trace)
        files = named(operation, asked) if operation.attachments else {}
        refusal = self._refusal(operation.name, service)
        if refusal is not None:
            known = await self._known(row)
            if known is None:
                raise refusal
            return known.id, self._again(known, row)
        waiter = self._waiters.enter(id)
        reach(Point.FRONT_ACCEPT_DUE, id)
        try:
            self._accepting += 1
            try:
                claim = self._claim(row, files, operation, callback) if files or callback else None
                held = await self._ledger.accept(row, seal, claim, patience_s=patience_s)
            except NotAttachable as error:
                raise _not_attachable(error, files) from None
            except SQLAlchemyError as error:
                log.error("command-not-recorded", request_id=id, operation=operation.name, reason=said(error))
                raise _unavailable() from None
            finally:
                self._accepting -= 1
            if held.id != id:
                return held.id, self._again(held, row)
            reach(Point.FRONT_ACCEPT_COMMITTED, id)
            if self._bridges.addressed and not self._waits_here(row):  # else it goes out when that has changed
                self._outbox.offer(held.entry())
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(answer_by):
                        reply = await waiter
                        reach(Point.FRONT_ANSWER_DUE, id)
                        if reply.state in FINAL:
                            self._ledger.answered(id)
                        return id, self._of_reply(id, reply)
                return id, await self._by_now(row)
            reach(Point.FRONT_ANSWER_DUE, id)
            return id, answers.accepted(id, State.ACCEPTED)
        finally:
            self._waiters.leave(id)

    def _claim(self, row: Row, files: Mapping[str, str], operation: Operation, callback: str) -> Claim:
        types = operation.attachment_types
        attach = self._attachments.claim(row.id, row.application, list(files), types) if files else None

        def claim(connection: Connection) -> None:
            if attach is not None:
                attach(connection)
            if callback:
                name_callback(connection, row.id, callback)

        return claim

    async def _by_now(self, row: Row) -> HttpResponse:
        """What the ledger says when the wait is over: another front may have taken the reply."""
        found = await self._known(row)
        if found is None:
            return answers.accepted(row.id, State.ACCEPTED)
        if found.state in FINAL:
            self._answered(found)
            return self._of_reply(row.id, self._reply(found) or _bare(found))
        return answers.accepted(row.id, found.state)

    async def status(self, id: str, application: str) -> HttpResponse:
        """The status document. Raises Problem 404."""
        try:
            row = await self._ledger.find(id, application)
        except SQLAlchemyError as error:
            log.error("ledger-not-read", request_id=id, reason=said(error))
            raise _unavailable() from None
        if row is None:
            gap, made = self._forgotten(), id_time(id)
            if gap is not None and made is not None and gap.holds(made):
                raise Problem(410, "record-lost")
            raise Problem(404, "unknown-request", "it was never accepted from this application, or is forgotten")
        if row.state not in FINAL:
            return answers.status(row, self._reply(row))
        self._answered(row)
        reply = self._reply(row)
        # without its reply a refusal or failure has still its code; of a success the result is left out
        return answers.status(row, reply if reply or row.state is State.SUCCEEDED else _bare(row))

    def _waits_here(self, row: Row) -> bool:
        """Whether a pause of this front's own may keep it, or an earlier one of its key that it must not overtake: the
        sweep tells.
        """
        paused = self._bridges.paused
        return bool(paused) and (bool(row.subject) or row.operation in paused)

    def _refusal(self, operation: str, service: Service) -> Problem | None:
        """Why no new command is taken on, if so. A key the ledger knows keeps its answer all the same."""
        if service is Service.MAINTENANCE and self.policy.refuse_in_maintenance:
            return answers.service_problem(service, self._bridges.maintenance_s(operation))
        if service is Service.UNSERVED:
            return Problem(502, "operation-not-served")
        if self._ledger.damaged:  # what it does not know it may have known
            return _unavailable()
        if self._bridges.conflict is not None:
            return Problem(503, "inbox-conflict", retry_after_s=answers.PAUSE_RETRY_S)
        # those being written down count: many at once must not slip past the limit together
        if self._ledger.backlog + self._accepting >= self.policy.backlog:
            return Problem(503, "backlog-full", retry_after_s=30)
        if self.policy.reachable is not None:
            if not self.policy.reachable():
                return Problem(503, "broker-unreachable", retry_after_s=answers.PAUSE_RETRY_S)
            if self._outbox.refused:
                return Problem(503, "broker-refused", retry_after_s=answers.PAUSE_RETRY_S)
        return None

    async def _known(self, row: Row) -> Row | None:
        try:
            return await self._ledger.known(row)
        except SQLAlchemyError as error:
            log.error("ledger-not-read", request_id=row.id, reason=said(error))
            return None

    def _row(
        self,
        operation: Operation,
        application: str,
        key: str,
        asked: BaseModel,
        body: bytes,
        id: str,
        trace: str,
    ) -> tuple[Row, Seal]:
        """The row, and what makes its envelope once the ledger knows the row's predecessor."""
        now = self._clock()
        subject = operation.ordering_key(asked) if operation.ordering_key else None
        # of what the body says, not how: a caller that writes its JSON anew means the same request
        meaning = operation.requests.dump_json(asked)
        expires = now + operation.expires_ms if operation.expires_ms else 0
        attributes = Attributes(
            id,
            f"{self._route.front}/{application}",
            operation.name,
            now,
            self._keyring.pseudonym(subject) if subject else "",
            trace,
            expires,
            self._route.reply_to,
            version=self._bridges.wire_version,
        )

        def seal(after: str) -> bytes:
            said = replace(attributes, after=after) if after and attributes.version > 1 else attributes
            return self._sealer.seal(Kind.REQUEST, said, body, now_ms=now)

        row = Row(
            id=id,
            front=self._route.front,
            application=application,
            idempotency_key=self._keyring.pseudonym(f"{application} {key}"),
            fingerprint=self._keyring.fingerprint(operation.name.encode() + b"\n" + meaning),
            operation=operation.name,
            destination=self._route.destination,
            subject=attributes.subject,
            accepted_at=now,
            updated_at=now,
            expires_at=expires,
        )
        return row, seal

    def _again(self, held: Row, asked: Row) -> HttpResponse:
        """The answer to a key that the ledger knows."""
        if held.fingerprint != asked.fingerprint:
            raise Problem(422, "idempotency-key-reused", "use a new Idempotency-Key for another request")
        if held.state in FINAL:
            self._answered(held)
            return self._of_reply(held.id, self._reply(held) or _bare(held))
        if held.id in self._waiters:
            place = (b"location", f"/v1/requests/{held.id}".encode())
            raise Problem(409, "idempotency-key-in-flight", retry_after_s=1, headers=[place])
        return answers.accepted(held.id, held.state)

    def _answered(self, row: Row) -> None:
        if row.answered_at is None:
            self._ledger.answered(row.id)

    def _of_reply(self, id: str, reply: Reply) -> HttpResponse:
        try:
            return answers.of_reply(id, reply)
        except Problem as problem:
            problem.members["request_id"] = id
            raise

    def _reply(self, row: Row) -> Reply | None:
        if row.reply is None:
            return None
        try:
            opened = self._opener.authentic(row.reply)
            return replace(Reply.from_payload(opened.attributes, opened.payload), state=row.state)
        except EnvelopeError as error:
            log.warning("stored-reply-unreadable", request_id=row.id, reason=error.reason)
            return None

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "dmz_front_waiting", "Callers waiting", {"kind": "command"}, len(self._waiters)
        yield "dmz_front_backlog", "Commands accepted and not final", {}, self._ledger.backlog


def _bare(row: Row) -> Reply:
    """What can still be said when the stored reply was dropped, or cannot be read (its key was pruned)."""
    attributes = Attributes(row.id, row.front, row.operation, row.updated_at)
    return Reply(attributes, row.state, row.code)


def _not_attachable(error: NotAttachable, files: Mapping[str, str]) -> Problem:
    message = TITLES[error.code][:1].lower() + TITLES[error.code][1:]
    errors = [{"field": files[id], "message": message, "type": error.code} for id in error.named]
    return Problem(422, error.code, f"{len(errors)} attachment(s) cannot be used", errors=errors)

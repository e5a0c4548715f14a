"""The sandbox: answers what was admitted and validated as a real request is; no ledger, broker or bridge is reached.

Each answer carries `Sandbox: ?1;example=NAME` (RFC 9651), so that nobody takes it for real. `Prefer: example=NAME` (RFC
7240) chooses the example; one that the operation does not have is ignored, as that RFC says, and the header tells so.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

from pydantic import BaseModel

from dmz_front.admission.policy import Preference
from dmz_front.ledger.rows import Row
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.replies import responses as answers
from dmz_front.sandbox import examples
from dmz_front.sandbox.commands import SETTLED_MS, SandboxCommand, SandboxCommands
from protocol.lifecycle import FINAL
from protocol.messages import Attributes
from protocol.operations import Kind, Operation
from protocol.runtime.clock import Clock
from protocol.runtime.metrics import Sample

MARK = (b"sandbox", b"?1")
"""Of what is answered to a sandbox key before any example is chosen."""


class Sandbox:
    """What stands in for queries and commands where the key is a sandbox's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._commands = SandboxCommands()
        self.answered: Counter[tuple[str, int]] = Counter()
        """Answers by operation and status. They count nowhere else: problems on wish are no problems of the front."""

    def answer(
        self, operation: Operation, application: str, key: str, asked: BaseModel, id: str, wish: Preference
    ) -> tuple[str, HttpResponse]:
        """The request's id, which is the first one's of a key that was used before, and the answer."""
        given = wish.example in examples.names(operation)
        name = wish.example if given else examples.SUCCEEDED
        applied = [b"example=" + name.encode()] if given else []
        try:
            if operation.kind is Kind.QUERY:
                made = examples.reply(operation, asked, self._attributes(operation, application, id), name)
                answer = answers.of_reply(id, made)
            else:
                id, name, answer = self._submit(operation, application, key, asked, id, wish.wait_s, name)
                applied = ([wish.applied] if wish.applied else []) + applied
        except Problem as problem:
            id = problem.members.get("request_id", id)
            answer = problem.answer(id)
        mark = b"?1;example=" + name.encode()
        answer.headers.append((b"sandbox", mark if given or not wish.example else mark + b";unknown-example"))
        if applied:
            answer.headers.append((b"preference-applied", b", ".join(applied)))
        self.answered[operation.name, answer.status] += 1
        return id, answer

    def status(self, id: str, application: str) -> HttpResponse:
        """The status document of a command. Raises Problem 404."""
        command = self._commands.find(application, id)
        if command is None:
            said = "a sandbox keeps the latest commands in memory: it was never sent here, or is forgotten"
            raise Problem(404, "unknown-request", said, headers=[MARK])
        row = command.at(self._clock())
        answer = answers.status(row, command.reply if row.state is command.reply.state else None)
        answer.headers.append((b"sandbox", b"?1;example=" + command.example.encode()))
        return answer

    def _submit(
        self,
        operation: Operation,
        application: str,
        key: str,
        asked: BaseModel,
        id: str,
        wait_s: float,
        name: str,
    ) -> tuple[str, str, HttpResponse]:
        """Id, example and answer of a command. Raises Problem as the real submission does."""
        meaning = sha256(operation.name.encode() + b"\n" + operation.requests.dump_json(asked)).digest()
        now = self._clock()
        held = self._commands.known(application, key)
        if held is not None:
            if held.row.fingerprint != meaning:
                raise Problem(422, "idempotency-key-reused", "use a new Idempotency-Key for another request")
            return held.row.id, held.example, _told(held, now)
        made = examples.reply(operation, asked, self._attributes(operation, application, id), name)
        row = Row(
            id=id,
            front="",
            application=application,
            idempotency_key=key,
            fingerprint=meaning,
            operation=operation.name,
            accepted_at=now,
            updated_at=now,
        )
        command = SandboxCommand(row, name, made, now if wait_s > 0 else now + SETTLED_MS)
        self._commands.remember(command)
        return id, name, _told(command, now)

    def _attributes(self, operation: Operation, application: str, id: str) -> Attributes:
        return Attributes(id, f"sandbox/{application}", operation.name, self._clock())

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (operation, status), count in list(self.answered.items()):
            labels = {"operation": operation, "status": str(status)}
            yield "dmz_front_sandbox_responses_total", "HTTP answers to sandbox keys", labels, count
        yield "dmz_front_sandbox_commands", "Commands of sandbox keys in memory", {}, len(self._commands)


def _told(command: SandboxCommand, now_ms: int) -> HttpResponse:
    row = command.at(now_ms)
    if row.state in FINAL:
        try:
            return answers.of_reply(row.id, command.reply)
        except Problem as problem:
            problem.members["request_id"] = row.id
            raise
    return answers.accepted(row.id, row.state)

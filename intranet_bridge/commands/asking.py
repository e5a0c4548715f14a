"""Queries between the bridges of two regions: what a marketing system there says, within a time or not at all.

Nothing is written down: who asks waits, and whose answer is late has asked for nothing.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from pydantic import BaseModel, ValidationError

from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Outcome, Refused, Unknown
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.peers import PeerReply, PeerRequest, Peers
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.messages import Attributes, GrowingIds, Reply
from protocol.operations import CATALOGUE
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.values import immutable

log = logger(__name__)

_PREFIX = "query:"
_LATE_MS = 180_000
"""What was asked so long ago is not answered: the clocks may be two minutes apart."""
_AT_ONCE = 32
_NOBODY = NotApplied("that region's bridge is not reached", reached=False)


@immutable
class _Waiting:
    region: str
    answer: "asyncio.Future[Reply]"


class PeerQueries:
    """Both directions, of one bridge."""

    def __init__(
        self, peers: Peers, *, calls: Callable[[], MarketingCalls], send: Callable[[str, bytes], None], clock: Clock
    ) -> None:
        """`send`: to a region's bridge, what is sealed for it. Raises LinkError."""
        self._peers, self._calls, self._send, self._clock = peers, calls, send, clock
        self._ids = GrowingIds()
        self._waiting: dict[str, _Waiting] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def ask(self, region: str, operation: str, body: BaseModel, timeout_s: float) -> Outcome:
        """What that region's marketing system says. Never raises; unknown if nothing is heard in that time."""
        now = self._clock()
        id = _PREFIX + self._ids.next(now, os.urandom(10))
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[id] = _Waiting(region, answer)
        try:
            sealed = self._peers.request(region, id, operation, now, CATALOGUE[operation].requests.dump_json(body))
            self._send(region, sealed)
            async with asyncio.timeout(timeout_s):
                return _outcome(operation, await answer)
        except TimeoutError:
            return Unknown(f"the bridge of {region} has not answered", timed_out=True)
        except BridgeError:
            return _NOBODY
        finally:
            del self._waiting[id]

    def answered(self, said: PeerReply) -> bool:
        """Whether it is an answer to a query, late or not."""
        about = said.reply.attributes
        waiting = self._waiting.get(about.id)
        if waiting is not None and waiting.region == said.region and not waiting.answer.done():
            waiting.answer.set_result(said.reply)
        return about.id.startswith(_PREFIX)

    def asked(self, said: PeerRequest) -> None:
        """Answer a query soon, if anybody waits for it still."""
        if self._clock() - said.recorded_at > _LATE_MS:
            return
        if len(self._answering) >= _AT_ONCE:
            self._tell(said, State.FAILED, "overloaded")
            return
        task = asyncio.get_running_loop().create_task(self._answer(said))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, said: PeerRequest) -> None:
        calls = self._calls()
        try:
            body = CATALOGUE[said.operation].requests.validate_json(said.body)
        except ValidationError:
            self._tell(said, State.FAILED, "invalid-request")
            return
        if not said.allowed or not calls.admit(said.operation):
            self._tell(said, State.FAILED, "marketing-unavailable" if said.allowed else "not-admitted")
            return
        try:
            outcome = await calls.call(said.operation, MarketingRequest(said.id, body, source=said.source))
        finally:
            calls.release(said.operation)
        match outcome:
            case Answered(result):
                self._tell(said, State.SUCCEEDED, result=result)
            case Refused(code, detail):
                self._tell(said, State.REFUSED, code, detail)
            case _:
                self._tell(said, State.FAILED, "marketing-unavailable")

    def _tell(self, said: PeerRequest, state: State, code: str = "", detail: str = "", result: bytes = b"") -> None:
        about = Attributes(said.id, "", said.operation, 0)
        with suppress(BridgeError):  # it is late then, and who asked knows what that means
            self._send(said.region, self._peers.reply(said.region, Reply(about, state, code, detail, result)))


def _outcome(operation: str, reply: Reply) -> Outcome:
    if reply.state is State.REFUSED:
        return Refused(reply.code, reply.detail)
    if reply.state is not State.SUCCEEDED:
        return NotApplied(reply.code, reached=False)
    try:
        CATALOGUE[operation].responses.validate_json(reply.result)
    except ValidationError:
        return Unknown("the answer does not fit this program's catalogue")
    return Answered(reply.result)

"""Operations that the bridge itself answers, from its own store (`answered_by` in the catalogue).

To everything else each is an `Adapter` like any other: the inbox gives it its exactly-once effect, and circuits,
traces, pauses and statistics are the same. A handler gets the request and returns the answer; a command's handler may
be called again with the same request id, and then changes nothing more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.at_rest import StoreKeyClosed
from intranet_bridge.marketing import (
    Adapter,
    Answered,
    Finding,
    MarketingRequest,
    NotApplied,
    Outcome,
    Refused,
    Unknown,
)
from protocol.errors import Fenced
from protocol.operations import CATALOGUE, Operation
from protocol.runtime.store_health import said

Handler = Callable[[MarketingRequest], Awaitable[BaseModel | Refused | NotApplied]]
"""Gives the operation's response model, or a no that the catalogue knows, or that it cannot be said yet (the marketing
system would have to be asked, and does not answer): then it is called again. It raises what the store raises.
"""

TIMEOUT_S = 10.0
"""The store's own patience with a lock."""


class OwnOperation:
    """The adapter of one operation (marketing/__init__.py says what it keeps to)."""

    timeout_s = TIMEOUT_S
    settle_s = 0.0

    def __init__(self, operation: Operation, handle: Handler) -> None:
        self._operation, self._handle = operation, handle

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Have it handled. A store that fails may have committed, so that is unknown, and the call is repeated."""
        if not asked.may_send():
            return NotApplied("the lease may be over", reached=False)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._handle(asked)
        except TimeoutError:
            return Unknown(f"the bridge's store took more than {timeout_s:.1f} s", timed_out=True)
        except StoreKeyClosed as error:  # known before anything is written
            return NotApplied(str(error), reached=False)
        except (SQLAlchemyError, Fenced) as error:
            return Unknown(f"the bridge's store: {said(error)}")
        if isinstance(answer, Refused | NotApplied):
            return answer
        return Answered(self._operation.answer(asked.body, answer))

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        """Never asked: the catalogue lets the bridge's own operations be repeated."""
        return Unknown("the bridge answers it itself: it is called again")


def own(handlers: Mapping[str, Handler]) -> dict[str, Adapter]:
    """The adapters, by operation."""
    return {name: OwnOperation(CATALOGUE[name], handle) for name, handle in handlers.items()}

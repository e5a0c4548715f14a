"""What must be done at last, however often it fails: tried again after waits that grow."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from protocol.backoff import Backoff

T = TypeVar("T")


async def until_done(
    attempt: Callable[[], Awaitable[T]], backoff: Backoff, failed: Callable[[Exception, int], object]
) -> T:
    """The result of `attempt`, which is tried for ever. `failed` hears of each error, with its number in a row.

    Why not tenacity's AsyncRetrying: it costs 43 µs where nothing fails, and each command goes through here; and it
    does not await what a plain function returns. The waits are tenacity's (Backoff).
    """
    failures = 0
    while True:
        try:
            return await attempt()
        except Exception as error:
            failures += 1
            failed(error, failures)
            await asyncio.sleep(backoff.after(failures))


def now_and_then(failures: int) -> bool:
    """Whether the so-manieth failure in a row is told of: the 1st, 2nd, 4th, 8th and so on."""
    return failures & (failures - 1) == 0

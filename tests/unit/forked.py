"""A part of a test in a process of its own that dies at a crash point."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from protocol.runtime import crash_points


def dies_at(
    point: str, do: Callable[[], Awaitable[object]], *, first: Callable[[], Awaitable[object]] | None = None
) -> None:
    """Run `do` in a fork with `point` armed; fails unless that killed it. `first`: what the fork does before."""
    pid = os.fork()
    if pid == 0:
        try:

            async def bounded() -> None:
                async with asyncio.timeout(180):
                    if first is not None:
                        await first()
                    crash_points.arm({crash_points.VARIABLE: point})
                    await do()

            asyncio.run(bounded())
            os._exit(3)  # it lives: the point was not reached
        except BaseException:
            import traceback

            traceback.print_exc()
        os._exit(4)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code == -signal.SIGKILL, f"{point} did not kill it: exit code {code}"

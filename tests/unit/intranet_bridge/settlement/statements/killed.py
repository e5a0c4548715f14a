"""A bridge that kills itself on the way from a statement to a reversal, at the point that its environment names."""

import asyncio
import os
import sys

from protocol.lifecycle import State
from protocol.runtime.crash_points import arm
from tests.unit.intranet_bridge.settlement.statements.desks import desk
from tests.unit.intranet_bridge.settlement.statements.test_acting import REVERSAL, refunded


async def _run(url: str) -> None:
    async with desk(url) as at:
        await refunded(at)
        await at.outcome(REVERSAL, State.SUCCEEDED)


if __name__ == "__main__":
    arm(os.environ)
    asyncio.run(_run(sys.argv[1]))

"""A bridge that kills itself on the way from a statement to a reversal, or to what an order of ours does, at the point
that its environment names.
"""

import asyncio
import os
import sys

from protocol.lifecycle import State
from protocol.runtime.crash_points import arm
from tests.unit.intranet_bridge.settlement.statements import test_orders as orders
from tests.unit.intranet_bridge.settlement.statements.desks import desk
from tests.unit.intranet_bridge.settlement.statements.test_acting import REVERSAL, refunded


async def _run(url: str, what: str) -> None:
    async with desk(url) as at:
        if what == "proof":
            await orders.ordered(at)
            arm(os.environ)  # the order is there in any case
            await orders.proven(at)
            return
        arm(os.environ)
        await refunded(at)
        await at.outcome(REVERSAL, State.SUCCEEDED)


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))

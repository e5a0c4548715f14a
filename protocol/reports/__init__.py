"""What a daemon says of itself to an administrator on its own host, over its control socket (runtime/control.py).

Names, counts, times and reasons: nothing of a customer. Times are epoch milliseconds by the daemon's clock. A report of
a newer daemon may say more than an older `bridgectl` reads.
"""

from typing import Annotated

from pydantic import Field

from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport

AnyReport = Annotated[FrontReport | BridgeReport, Field(discriminator="role")]

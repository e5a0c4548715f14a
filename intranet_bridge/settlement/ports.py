"""What the settlement uses of the bridge around it."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel

from intranet_bridge.at_rest import AtRest
from intranet_bridge.commands.internal import InternalCommands
from intranet_bridge.files.service import Files
from intranet_bridge.marketing import NotApplied, Outcome
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.notices.outbox import Notices
from protocol.runtime.audit import Act, Transact
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store
from protocol.values import immutable


async def _nowhere(_region: str, _operation: str, _body: BaseModel) -> Outcome:
    return NotApplied("no other region is configured", reached=False)


def _nobody_told() -> Notices:
    raise LookupError("there are no notices here")


@immutable
class Ports:
    """Made before all of it is there, so what comes later is asked for when it is needed."""

    store: Store
    at_rest: AtRest
    """Seals what tells of a customer, before it is written."""
    commands: Callable[[], InternalCommands]
    calls: Callable[[], MarketingCalls]
    """For queries. What changes anything is an internal command."""
    files: Callable[[], Files | None]
    """None: no files cross here."""
    allowed: Callable[[], bool]
    """Whether this bridge's lease holds: nothing is called or sent without."""
    name: str
    act: Act
    """Writes an act into the audit."""
    transact: Transact
    """Does what somebody decides, and writes it into the audit in the same transaction."""
    clock: Clock
    elsewhere: Callable[[str, str, BaseModel], Awaitable[Outcome]] = _nowhere
    """A query of another region's marketing system: region, operation, request. NotApplied if it is not reached."""
    notices: Callable[[], Notices] = _nobody_told
    """For who has subscribed."""

"""What can be seen from this host in three seconds: the daemons' own reports, and the broker's of its queues."""

import asyncio
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bridgectl import daemons
from bridgectl.control import NotAllowed, NotRunning, Stuck, ask
from bridgectl.language import tr
from bridgectl.queues import BrokerUsage, QueueHealth, health, usage
from bridgectl.queues import ask as ask_broker
from bridgectl.settings import ControlSettings
from protocol.errors import BridgeError, ConfigurationError
from protocol.link.certificates import role_objection
from protocol.messages import Role
from protocol.reports import AnyReport
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport
from protocol.runtime.clock import wall_clock
from protocol.runtime.links import stomp_link
from protocol.runtime.settings import LinkSection, load

_REPORT: TypeAdapter[FrontReport | BridgeReport] = TypeAdapter(AnyReport)


class Silence(StrEnum):
    """Why a daemon that is configured on this host has no report."""

    NOT_RUNNING = "not-running"
    STUCK = "stuck"
    NOT_ALLOWED = "not-allowed"
    NO_SOCKET = "no-socket"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Silent:
    """A daemon that is configured on this host and says nothing."""

    role: Role
    why: Silence
    detail: str
    objection: str = ""
    """Why the certificate that it shows to the broker is not one for it: then it does not start."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that was seen."""

    now: int
    front: FrontReport | Silent | None = None
    """None: no front is configured on this host."""
    bridge: BridgeReport | Silent | None = None
    queues: tuple[QueueHealth, ...] | None = None
    """None: see `broker_trouble`, or the broker was not asked."""
    broker_trouble: str = ""
    """Why the broker did not say."""
    usage: BrokerUsage | None = None

    def reports(self) -> list[FrontReport | BridgeReport]:
        """Of the daemons that answered."""
        return [one for one in (self.front, self.bridge) if isinstance(one, FrontReport | BridgeReport)]


async def observe(control: Path, settings: ControlSettings, timeout_s: float) -> Observation:
    """Look at everything at once. Never raises for what it finds."""
    paths = settings.configurations(control)
    front, bridge, (queues, used, trouble) = await asyncio.gather(
        asyncio.to_thread(_daemon, Role.FRONT, paths[Role.FRONT], timeout_s),
        asyncio.to_thread(_daemon, Role.BRIDGE, paths[Role.BRIDGE], timeout_s),
        _broker(settings.link, timeout_s),
    )
    assert not isinstance(front, BridgeReport), "_daemon sees to the role"
    assert not isinstance(bridge, FrontReport), "_daemon sees to the role"
    return Observation(wall_clock(), front, bridge, queues, trouble, used)


def _daemon(role: Role, path: Path, timeout_s: float) -> FrontReport | BridgeReport | Silent | None:
    if not path.exists():
        return None
    try:
        socket = daemons.socket_of(path)
    except ConfigurationError as error:
        return Silent(role, Silence.MISCONFIGURED, str(error))
    if socket is None:
        return Silent(role, Silence.NO_SOCKET, tr("{path} has no [control] socket", path=path))
    try:
        report = _REPORT.validate_python(ask(socket, "report", timeout_s))
    except NotRunning as error:
        return Silent(role, Silence.NOT_RUNNING, str(error), _of_another_role(path, role))
    except NotAllowed as error:
        return Silent(role, Silence.NOT_ALLOWED, str(error))
    except (Stuck, BridgeError) as error:
        return Silent(role, Silence.STUCK, str(error))
    except ValidationError:
        return Silent(role, Silence.STUCK, tr("its report cannot be read: is it of another release?"))
    if report.role != role.value:
        return Silent(role, Silence.MISCONFIGURED, tr("{socket} belongs to a {role}", socket=socket, role=report.role))
    return report


class _LinkView(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    include: tuple[str, ...] = ()
    link: LinkSection


def _of_another_role(configuration: Path, role: Role) -> str:
    """What keeps a daemon from starting; empty: not this, or it cannot be told from here."""
    try:
        found = role_objection(load(configuration, _LinkView).link.certificate, (role,))
    except ConfigurationError:
        return ""
    return "" if found is None else str(found)


async def _broker(
    link: LinkSection | None, timeout_s: float
) -> tuple[tuple[QueueHealth, ...] | None, BrokerUsage | None, str]:
    if link is None:
        return None, None, ""
    try:
        connection = stomp_link(link, "bridgectl")
    except ConfigurationError as error:
        return None, None, str(error)
    await connection.start()
    try:
        async with asyncio.timeout(timeout_s):
            await connection.ready()
        answers = await ask_broker(connection, f"ctl-{os.getpid()}", timeout_s)
        return tuple(health(answers, wall_clock())), usage(answers), ""
    except TimeoutError:
        return None, None, connection.trouble or tr("no answer within {timeout_s:g} s", timeout_s=timeout_s)
    except BridgeError as error:
        return None, None, str(error)
    finally:
        async with asyncio.timeout(1):
            await connection.close()

"""The daemons of this host, as commands ask them: over the control sockets that their configuration files name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bridgectl.control import NotAnswered, NotRunning, ask
from bridgectl.language import tr
from bridgectl.programs import CONFIGURATIONS, PROGRAMS
from bridgectl.settings import control_path, settings_or_defaults
from protocol.errors import ConfigurationError
from protocol.messages import Role
from protocol.runtime.control import ControlSection
from protocol.runtime.settings import load

PATIENCE_S = 10.0
"""For an answer that only the daemon itself has to give."""


class _View(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    include: tuple[str, ...] = ()
    control: ControlSection = ControlSection()


def configured(given: Path | None = None) -> Iterator[tuple[Role, Path]]:
    """Which daemons have a configuration on this host, and where. `given`: that of the bridge, instead of the usual."""
    control, settings = settings_or_defaults()
    for role, path in settings.configurations(control).items():
        chosen = given if given is not None and role is Role.BRIDGE else path
        if chosen.exists():
            yield role, chosen


def one(role: Role | None, given: Path | None = None) -> tuple[Role, Path]:
    """The daemon that is asked: of that role, or the one there is; the bridge where both are.

    Raises ConfigurationError if it is not configured here.
    """
    found = dict(configured(given))
    wanted = role or (Role.BRIDGE if Role.BRIDGE in found else Role.FRONT)
    if wanted not in found:
        file = CONFIGURATIONS[wanted]
        raise ConfigurationError(
            tr(
                "{program} is not configured on this host: no {file} beside {control}",
                program=PROGRAMS[role],
                file=file,
                control=control_path(),
            )
            if role
            else tr(
                "neither daemon is configured on this host: no {file} beside {control}",
                file=file,
                control=control_path(),
            )
        )
    return wanted, found[wanted]


def socket_of(configuration: Path) -> Path | None:
    """Where a daemon is asked; None: nowhere. Raises ConfigurationError."""
    return load(configuration, _View).control.socket


def tell(role: Role, configuration: Path, question: str, timeout_s: float = PATIENCE_S, **more: Any) -> Any:
    """The daemon's answer. Raises ConfigurationError without a socket, and what `control.ask` raises."""
    socket = socket_of(configuration)
    if socket is None:
        raise ConfigurationError(
            tr(
                "has no [control] socket, over which {programs} is asked: set it (config/ shows how) and restart",
                programs=PROGRAMS[role],
            ),
            file=str(configuration),
        )
    try:
        return ask(socket, question, timeout_s, **more)
    except NotAnswered:
        raise NotAnswered(_why_not_answered(role, configuration, question)) from None
    except NotRunning as error:
        program = PROGRAMS[role]
        raise NotRunning(
            tr("{program} does not run ({error}): systemctl start {program}", program=program, error=error)
        ) from None


_TURNED_ON_BY = {
    "file": "[files] enabled", "files": "[files] enabled", "resend-file": "[files] enabled",
    "settle": "[settlement.statements.files]", "clearing": "[settlement.clearing.channels]",
}  # fmt: skip
"""What is asked, or what its name begins with → the setting without which nobody answers it."""


def _why_not_answered(role: Role, configuration: Path, question: str) -> str:
    setting = _TURNED_ON_BY.get(question) or _TURNED_ON_BY.get(question.partition("-")[0])
    if setting is None:
        return tr(
            "{program} does not know this ({question}): it is of another release; "
            "systemctl restart {program} starts the installed one",
            program=PROGRAMS[role],
            question=question,
        )
    return tr(
        "this is not turned on here: it takes {setting} in {configuration}, and a restart of {program}",
        setting=setting,
        configuration=configuration,
        program=PROGRAMS[role],
    )

"""The daemons themselves: silent, or told to take nothing new."""

from collections.abc import Iterator

from bridgectl.programs import PROGRAMS
from bridgectl.status.observation import Observation, Silence, Silent
from bridgectl.status.trouble import Level, Trouble
from protocol.messages import Role


def silences(seen: Observation) -> Iterator[Trouble]:
    for silent in (seen.front, seen.bridge):
        if not isinstance(silent, Silent):
            continue
        program = PROGRAMS[silent.role]
        hurts = {
            Role.FRONT: "nobody is answered, if it is the only front",
            Role.BRIDGE: "no query is answered, commands wait, if it is the only bridge",
        }[silent.role]
        match silent.why:
            case Silence.NOT_RUNNING:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-down",
                    f"{program} does not run on this host",
                    silent.detail,
                    hurts=hurts,
                    mend=f"systemctl restart {program}; journalctl -u {program} -n 20 says why it ended",
                )
            case Silence.STUCK:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-stuck",
                    f"{program} runs and does not answer",
                    silent.detail,
                    hurts=hurts,
                    mend=f"systemctl restart {program}",
                )
            case Silence.MISCONFIGURED:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-misconfigured",
                    f"{program} cannot be asked",
                    silent.detail,
                    mend="mend what is named",
                )
            case _:
                yield Trouble(
                    Level.UNKNOWN,
                    f"{silent.role.value}-not-asked",
                    f"{program} was not asked",
                    silent.detail,
                    mend="run bridgectl as root" if silent.why is Silence.NOT_ALLOWED else "set [control] socket",
                )


def drains(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        if report.drain is None:
            continue
        left = ", ".join(f"{count} {kind}" for kind, count in report.drain.running.items() if count)
        yield Trouble(
            Level.WARNING,
            "draining",
            f"{report.name} takes nothing new, by the word of {report.drain.by}",
            f"still in hand: {left}" if left else "nothing is in hand: it is safe to stop",
            report.drain.since,
            hurts="callers of this front get 503 shutting-down"
            if report.role == "front"
            else "other bridges do its work, if any",
            mend=f"stop it, or bridgectl drain --undo --side {report.role}",
        )

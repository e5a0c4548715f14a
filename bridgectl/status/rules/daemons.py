"""The daemons themselves: silent, or told to take nothing new."""

from collections.abc import Iterator

from bridgectl.language import tr
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
            Role.FRONT: tr("nobody is answered, if it is the only front"),
            Role.BRIDGE: tr("no query is answered, commands wait, if it is the only bridge"),
        }[silent.role]
        match silent.why:
            case Silence.NOT_RUNNING:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-down",
                    tr("{program} does not run on this host", program=program),
                    silent.detail,
                    hurts=hurts,
                    mend=tr(
                        "systemctl restart {program}; journalctl -u {program} -n 20 says why it ended", program=program
                    ),
                    because=("certificate-wrong",) if silent.objection else (),
                )
            case Silence.STUCK:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-stuck",
                    tr("{program} runs and does not answer", program=program),
                    silent.detail,
                    hurts=hurts,
                    mend=f"systemctl restart {program}",
                )
            case Silence.MISCONFIGURED:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-misconfigured",
                    tr("{program} cannot be asked", program=program),
                    silent.detail,
                    mend=tr("mend what is named"),
                )
            case _:
                yield Trouble(
                    Level.UNKNOWN,
                    f"{silent.role.value}-not-asked",
                    tr("{program} was not asked", program=program),
                    silent.detail,
                    mend=tr("run bridgectl as root")
                    if silent.why is Silence.NOT_ALLOWED
                    else tr("set [control] socket"),
                )


def drains(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        if report.drain is None:
            continue
        left = ", ".join(f"{count} {kind}" for kind, count in report.drain.running.items() if count)
        yield Trouble(
            Level.WARNING,
            "draining",
            tr("{name} takes nothing new, by the word of {by}", name=report.name, by=report.drain.by),
            tr("still in hand: {left}", left=left) if left else tr("nothing is in hand: it is safe to stop"),
            report.drain.since,
            hurts=tr("callers of this front get 503 shutting-down")
            if report.role == "front"
            else tr("other bridges do its work, if any"),
            mend=tr("stop it, or bridgectl drain --undo --side {role}", role=report.role),
        )

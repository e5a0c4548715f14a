"""`bridgectl doctor`: whether an installation is as it should be, line by line."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bridgectl.cells import left, wrapped
from bridgectl.doctor.examination import Wish, examine
from bridgectl.doctor.finding import Finding, Status, exit_code, overall
from bridgectl.language import noted, tr
from bridgectl.output import as_json
from bridgectl.settings import control_path
from bridgectl.vocabulary import passed_on
from protocol.messages import Role
from protocol.runtime import logs
from protocol.runtime.settings import checked_address

app = typer.Typer()


_SAID = {Status.OK: noted("ok"), Status.WARN: noted("warn"), Status.FAIL: noted("fail"), Status.SKIP: noted("skip")}


class Here(StrEnum):
    """What this host is."""

    AUTO = "auto"
    FRONT = Role.FRONT.value
    BRIDGE = Role.BRIDGE.value


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="for programs: `overall` and a list of `findings`")] = False,
    role: Annotated[Here, typer.Option(help="which daemon's host this is; auto: whichever is configured")] = Here.AUTO,
    front_config: Annotated[Path | None, typer.Option(help="of dmz-front [default: beside bridgectl.toml]")] = None,
    bridge_config: Annotated[Path | None, typer.Option(help="of intranet-bridge [default: likewise]")] = None,
    inward: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="an intranet address the DMZ must not reach; repeat")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit with 1 for warnings too")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="show warnings and failures alone")] = False,
) -> None:
    """Prove an installation, on the front's host or the bridge's, best as root.

    Exit codes: 0 nothing fails, 1 a check fails (with --strict: or warns), 2 wrong usage.
    """
    logs.configure("critical")
    try:
        addresses = tuple(map(checked_address, inward or ()))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--inward") from error
    wish = Wish(
        control=control_path(),
        role=None if role is Here.AUTO else Role(role.value),
        front_config=front_config,
        bridge_config=bridge_config,
        inward=addresses,
    )
    findings = list(dict.fromkeys(examine(wish)))  # both daemons may share a file
    status = overall(findings)
    shown = [one for one in findings if not quiet or one.status in (Status.WARN, Status.FAIL)]
    if json:
        typer.echo(as_json({"overall": status, "findings": [asdict(one) for one in shown]}))
    else:
        for one in shown:
            typer.echo(line(one))
        counts = ", ".join(
            f"{sum(one.status is word for one in findings)} {tr(_SAID[word])}"
            for word in (Status.OK, Status.WARN, Status.FAIL, Status.SKIP)
        )
        typer.echo(tr("overall: {status} ({counts})", status=tr(_SAID[status]), counts=counts))
    raise typer.Exit(exit_code(status, strict=strict))


def line(finding: Finding, width: int = 116) -> str:
    """A finding for people: what was seen, and below it what to do."""
    first = f"{left(tr(_SAID[finding.status]), 5)} {finding.name:<19} {finding.subject}: {passed_on(finding.seen)}"
    if not finding.action:
        return first
    action = wrapped(f"→ {passed_on(finding.action)}", width - 26)
    return "\n".join([first, *(f"{'':26}{text}" for text in action)])

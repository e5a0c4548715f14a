"""`bridgectl certs`: the private CA and the certificates of broker, fronts, bridges and operators."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from bridgectl.cells import left as padded
from bridgectl.language import tr
from bridgectl.output import as_json, table
from protocol.errors import BridgeError
from protocol.messages import Role

# cryptography is imported inside the commands: `bridgectl --help` and other groups do not need it.

app = typer.Typer(help="Make, show and check TLS certificates.", no_args_is_help=True)

Directory = Annotated[Path, typer.Option("--dir", help="The certificate directory.")]
INSTALLED = Path("/etc/dmz-bridge/certs")
"""Where an installation keeps them."""
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Days = Annotated[int, typer.Option(min=1, max=825, help="Days a leaf certificate is valid.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


@app.command()
def init(
    directory: Directory,
    broker_san: Annotated[
        list[str] | None,
        typer.Option(help="Host name or IP address of the broker, beside localhost. Repeatable."),
    ] = None,
    front: Annotated[list[str] | None, typer.Option(help="Name of a front. Repeatable. [default: front-1]")] = None,
    bridge: Annotated[list[str] | None, typer.Option(help="Name of a bridge. Repeatable. [default: bridge-1]")] = None,
    monitor: Annotated[
        list[str] | None, typer.Option(help="Name of who sees the queues' numbers. Repeatable. [default: monitor-1]")
    ] = None,
    operator: Annotated[
        list[str] | None, typer.Option(help="Name of who handles dead letters. Repeatable. [default: operator-1]")
    ] = None,
    broker: Annotated[list[str] | None, typer.Option(help="Name of a broker. Repeatable. [default: broker-1]")] = None,
    days: Days = 397,
    force: Force = False,
) -> None:
    """Make a new CA and the first certificate of every role."""
    from bridgectl import certificate_files

    names = {
        Role.BROKER: broker or ["broker-1"],
        Role.FRONT: front or ["front-1"],
        Role.BRIDGE: bridge or ["bridge-1"],
        Role.MONITOR: monitor or ["monitor-1"],
        Role.OPERATOR: operator or ["operator-1"],
    }
    written = certificate_files.init(directory, names, broker_san or (), days=days, force=force)
    _record("certs-init", directory, written, forced=force)
    _say(written)
    typer.echo(
        tr(
            "Keep {directory} off the network: whoever has it can be anyone (certs/README.md).",
            directory=directory / "ca.key",
        )
    )


@app.command()
def issue(
    role: Annotated[Role, typer.Argument(help="What the certificate is for.")],
    directory: Directory,
    name: Annotated[str, typer.Option(help="Name of the instance, for example front-2.")],
    san: Annotated[list[str] | None, typer.Option(help="Host name or IP address to add. Repeatable.")] = None,
    days: Days = 397,
    out: Annotated[str | None, typer.Option(help="File name without ending. [default: where it is, else NAME]")] = None,
    force: Force = False,
) -> None:
    """Issue one certificate with a new key: another instance, or with --force a renewal."""
    from bridgectl import certificate_files

    written = certificate_files.issue(directory, role, name, san or (), days=days, out=out, force=force)
    _record("certs-issue", directory, written, role=role.value, name=name, forced=force)
    _say(written)


Done = Annotated[
    list[str] | None,
    typer.Option("--done", metavar="WHO[=CODE]", help="Done there; CODE as `bridgectl reload` says there."),
]


@app.command()
def renew(
    directory: Directory,
    role: Annotated[Role | None, typer.Argument(help="Whose; without it, --expiring.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the instance, for example front-1.")] = None,
    expiring: Annotated[int | None, typer.Option(min=0, metavar="DAYS", help="All that end within DAYS.")] = None,
    days: Days = 397,
) -> None:
    """Renew certificates, each with a new key, and say what to copy where. Nobody else is told, no request fails."""
    import datetime

    from bridgectl import certificate_files, certificate_rollover, rollout

    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=expiring or 0)
    if (role is None) == (expiring is None):
        raise BridgeError(tr("say which: a role and --name, or --expiring DAYS"))
    chosen = [
        leaf for leaf in certificate_files.read_leaves(directory)
        if (leaf.certificate.not_valid_after_utc < soon if role is None else leaf.role == role.value)
        and name in (None, leaf.name)
    ]  # fmt: skip
    if not chosen:
        what = (
            tr("within {expiring} days", expiring=expiring)
            if role is None
            else tr("of {role} {name}", role=role.value, name=name or "").rstrip()
        )
        typer.echo(
            tr("nothing ends {what}", what=what)
            if role is None
            else tr("there is no certificate {what}: bridgectl certs issue", what=what)
        )
        raise typer.Exit(0 if role is None else 1)
    for leaf in chosen:
        written = certificate_files.issue(directory, Role(leaf.role), leaf.name, days=days, out=leaf.base, force=True)
        _record("certs-renew", directory, written, role=leaf.role, name=leaf.name)
        _say(written)
    authorities = certificate_files.read_authorities(directory)
    renewed = {leaf.name for leaf in chosen}
    parts = [
        certificate_rollover.broker_part(directory, leaf) if leaf.role == Role.BROKER
        else certificate_rollover.client_part(leaf, authorities, (f"{leaf.base}.pem", f"{leaf.base}.key"))
        for leaf in certificate_files.read_leaves(directory) if leaf.name in renewed
    ]  # fmt: skip
    typer.echo("\n".join([tr("left to do, in any order:"), *rollout.told(parts)]))


@app.command()
def rollover(
    directory: Directory,
    next_step: Annotated[bool, typer.Option("--next", help="Do the next step; the first makes a new CA.")] = False,
    done: Done = None,
    force: Annotated[bool, typer.Option("--force", help="With --next: even if hosts are left.")] = False,
    days: Days = 397,
) -> None:
    """Put a new CA in place of the old one in four steps, of which none fails a request. Says what is left, and where.

    Everyone believes both; clients have new certificates; brokers have, and forget the old CA; everyone forgets it.
    Each step is asked for with --next when all hosts have done the one before (--done). It can be interrupted anywhere.
    """
    import datetime

    from bridgectl import certificate_rollover as roll
    from bridgectl import rollout

    confirmed = rollout.Confirmed(directory, roll.CONFIRMED)
    under_way = confirmed.begun
    at = roll.step(directory)
    parts = roll.parts(directory, at) if under_way or at is not roll.Step.NONE else []
    confirmed.take(parts, done or ())
    left = confirmed.left(parts)
    if next_step:
        if left and not force:
            raise BridgeError(tr("not yet: this step is not done everywhere\n") + "\n".join(rollout.told(left)))
        if at is roll.Step.NONE and under_way:
            confirmed.forget()
            _record("certs-rollover", directory, [directory / "ca.pem"], step="over", forced=force)
            typer.echo(tr("The roll-over is over."))
            return
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        at = roll.go_on(directory, now=now, days=days)
        confirmed.begin()
        _record("certs-rollover", directory, sorted(directory.glob("*.pem")), step=at.name.lower(), forced=force)
        parts = roll.parts(directory, at)
        left = confirmed.left(parts)
    elif not parts:
        typer.echo(tr("No roll-over is under way; --next begins one."))
        return
    elif at is roll.Step.NONE and not left:
        confirmed.forget()
        typer.echo(tr("The roll-over is over: one CA, which everyone believes. Keep its key off the network."))
        return
    typer.echo(tr("step {at} of 4: {said}", at=at.value or 4, said=tr(roll.SAID[at])))
    typer.echo("\n".join([tr("left to do, in any order:"), *rollout.told(left)] if left else [tr("done everywhere")]))
    how = f"bridgectl certs rollover --dir {directory}"
    if left:
        typer.echo(tr("and tell it: {how}", how=" ".join((how, rollout.options(left)))))
    elif at is not roll.Step.NONE:
        typer.echo(tr("next: {how} --next", how=how))


@app.command()
def show(directory: Directory = INSTALLED, as_json_: Json = False) -> None:
    """List the certificates of a directory."""
    from bridgectl import certificate_checks

    found = certificate_checks.describe(directory)
    if as_json_:
        typer.echo(as_json(found))
        return
    shown = [
        {
            **one,
            "sans": ",".join(map(str, _list(one["sans"]))) or "-",
            "serial": str(one["serial"])[:12] + "…",
            "fingerprint": str(one["fingerprint"])[:16] + "…",
        }
        for one in found
    ]
    headings = {
        "file": tr("file"), "role": tr("role"), "name": tr("name"), "days_left": tr("days left"),
        "not_after": tr("not after"), "key_permission": tr("key permission"), "serial": tr("serial"),
        "fingerprint": tr("fingerprint"), "sans": tr("sans"),
    }  # fmt: skip
    typer.echo(table(list(headings.values()), ([one[name] for name in headings] for one in shown)))


@app.command()
def check(
    directory: Directory = INSTALLED,
    as_json_: Json = False,
    warn_days: Annotated[int, typer.Option(min=0, help="Warn when fewer days are left.")] = 30,
) -> None:
    """Check every certificate, key and store. Exit code 1 if one fails."""
    from dataclasses import asdict

    from bridgectl import certificate_checks

    findings = certificate_checks.check(directory, warn_days=warn_days)
    if as_json_:
        typer.echo(as_json([asdict(finding) for finding in findings]))
    else:
        for one in findings:
            level = padded(tr(certificate_checks.SAID[one.level]), 4)
            typer.echo(f"{level}  {one.file}: {one.what}" + (f" — {one.advice}" if one.advice else ""))
    if any(finding.level is certificate_checks.Level.FAIL for finding in findings):
        raise typer.Exit(1)


def _record(act: str, directory: Path, written: Iterable[Path], **fields: object) -> None:
    from bridgectl import audit, certificate_files

    made = certificate_files.identified(written)
    audit.record(act, directory=str(directory.absolute()), certificates=made, **fields)


def _say(paths: list[Path]) -> None:
    for path in paths:
        typer.echo(tr("wrote {path}", path=path))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []

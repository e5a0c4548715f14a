"""`bridgectl keys`: the keys that sign and seal what crosses the boundary."""

import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridgectl.language import tr
from bridgectl.output import as_json, table
from protocol.destinations import checked_name
from protocol.errors import ConfigurationError
from protocol.messages import Role

if TYPE_CHECKING:
    from bridgectl import keys, rollout

app = typer.Typer(help="Make, show and rotate the envelope's keys.", no_args_is_help=True)

Directory = Annotated[Path, typer.Option("--dir", help="The key directory.")]
INSTALLED = Path("/etc/dmz-bridge/keys")
"""Where an installation keeps them."""


class Holder(StrEnum):
    """The roles that have envelope keys."""

    FRONT = Role.FRONT.value
    BRIDGE = Role.BRIDGE.value


Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="NAME", help="Fronts that share a ledger get keys of their own; once for each."),
]


@app.command()
def init(
    directory: Directory,
    force: Annotated[
        bool, typer.Option("--force", help="Replace all keys: what is on its way becomes unreadable.")
    ] = False,
    group: Groups = None,
) -> None:
    """Make the first keys of front and bridge."""
    from bridgectl import keys

    written = keys.init(directory, now=_now(), force=force, groups=[_checked(name) for name in group or ()])
    _record("keys-init", directory, Role.FRONT, Role.BRIDGE, forced=force)
    for path in written:
        typer.echo(tr("wrote {path}", path=path))
    if group:
        typer.echo(
            tr("Each front gets its group's keyring and trusted.json, each bridge bridge.keyring and trusted.json.")
        )
        return
    typer.echo(tr("Each front gets front.keyring and trusted.json, each bridge bridge.keyring and trusted.json."))


@app.command()
def show(
    directory: Directory = INSTALLED, as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List ids, ages and states; never a secret."""
    from bridgectl import keys

    found = keys.describe(directory, now=_now())
    if as_json_:
        typer.echo(as_json(found))
        return
    rows = (
        {
            **one,
            "group": one["group"] or "-",
            "retired": one["retired"] or "-",
            "private_key_here": tr("here") if one["private_key_here"] else "-",
        }
        for one in found
    )
    headings = {
        "role": tr("role"), "group": tr("group"), "algorithm": tr("algorithm"), "id": "id", "state": tr("state"),
        "age_days": tr("age days"), "created": tr("created"), "retired": tr("retired"),
        "private_key_here": tr("private key here"),
    }  # fmt: skip
    if not any(one["group"] for one in found):
        del headings["group"]
    typer.echo(table(list(headings.values()), ([row[name] for name in headings] for row in rows)))


@app.command()
def rotate(
    role: Annotated[Holder, typer.Argument(help="Whose keys.")],
    directory: Directory,
    activate: Annotated[bool, typer.Option("--activate", help="Second step: use the new keys.")] = False,
    done: Annotated[
        list[str] | None,
        typer.Option("--done", metavar="WHO=CODE", help="All have it; CODE as `bridgectl reload` says there."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --activate: even if hosts are left.")] = False,
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Which fronts' keys, if by group.")
    ] = None,
) -> None:
    """Change a role's keys in three steps, of which none fails a request. Says what is left to do, and on which hosts.

    Without an option it makes the next keys, or says how far the change is; --activate, when every host has them; then
    prune, when nothing on its way needs the old ones. It can be interrupted anywhere.
    """
    from bridgectl import keys, rollout

    whose = keys.holder(directory, Role(role.value), group)
    confirmed = rollout.Confirmed(directory, keys.CONFIRMED)
    before = keys.stage(directory, whose)
    if done:
        confirmed.take(keys.parts(directory, [whose]), done)
    if activate:
        left = confirmed.left(keys.parts(directory, [whose]))
        if before is keys.Stage.KNOWN and left and not force and not keys.cut_short(directory, whose):
            raise ConfigurationError(
                tr(
                    "not yet: who does not know the new keys could not read what they seal (--force does it all the "
                    "same)\n"
                )
                + "\n".join(rollout.told(left))
            )
        keys.activate(directory, whose, now=_now())
        _record("keys-activate", directory, whose.role, forced=force)
        typer.echo(tr("The {whose}'s new keys are active; the old ones stay readable.", whose=whose))
    elif not done and (before is keys.Stage.NONE or _settled(directory, whose, confirmed)):
        made = keys.rotate(directory, whose, now=_now())
        if made:
            _record("keys-rotate", directory, whose.role)
        typer.echo(
            tr("The {whose}'s next keys are made; nobody uses them yet.", whose=whose)
            if made
            else tr("The {whose}'s next keys were there already; nobody uses them yet.", whose=whose)
        )
    _tell(directory, whose, confirmed)


@app.command()
def split(
    directory: Directory,
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="[GROUP]...", help="Each a table [fronts.GROUP].")
    ] = None,
    activate: Annotated[bool, typer.Option("--activate", help="Second step: use the groups' keys.")] = False,
    done: Annotated[
        list[str] | None,
        typer.Option("--done", metavar="WHO=CODE", help="All have it; CODE as `bridgectl reload` says there."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --activate: even if hosts are left.")] = False,
) -> None:
    """Give each group of fronts that share a ledger keys of its own, in place of those that all fronts share.

    In three steps as `rotate`, of which none fails a request: name all groups, and it makes their keys; --activate,
    when every host has them; then prune. Upgrade every program, and name the groups in the bridges' [fronts], before.
    """
    from bridgectl import keys, rollout

    confirmed = rollout.Confirmed(directory, keys.CONFIRMED)
    if groups:
        new = keys.split(directory, [_checked(name) for name in groups], now=_now())
        if new:
            _record("keys-split", directory, Role.FRONT, groups=[whose.group for whose in new])
    fronts = [whose for whose in keys.holders(directory) if whose.role is Role.FRONT]
    parts = keys.parts(directory, fronts)
    if done:
        confirmed.take(parts, done)
    if activate:
        left = confirmed.left(parts)
        if left and not force and keys.split_stage(directory) is keys.Stage.KNOWN:
            raise ConfigurationError(
                tr(
                    "not yet: who does not know the new keys could not read what they seal (--force does it all the "
                    "same)\n"
                )
                + "\n".join(rollout.told(left))
            )
        keys.use_groups(directory, now=_now())
        _record("keys-activate", directory, Role.FRONT, forced=force)
        parts = keys.parts(directory, fronts)
    at, left = keys.split_stage(directory), confirmed.left(parts)
    typer.echo(tr(at.value))
    how = f"bridgectl keys split --dir {directory}"
    if left:
        typer.echo("\n".join([tr("left to do, in any order:"), *rollout.told(left)]))
        typer.echo(tr("and tell it: {how}", how=" ".join((how, rollout.options(left)))))
    elif at is keys.Stage.KNOWN:
        typer.echo(tr("done everywhere; next: {how} --activate", how=how))
    elif (when := keys.forgettable(directory)) is not None:
        how = f"bridgectl keys prune --older-than {keys.SAFE_PRUNE_DAYS} --dir {directory}"
        typer.echo(tr("done everywhere; next, from {when:%Y-%m-%d} on: {how}", when=when, how=how))


def _checked(name: str) -> str:
    try:
        return checked_name(name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _settled(directory: Path, whose: "keys.Whose", confirmed: "rollout.Confirmed") -> bool:
    """Whether the keys of the change before are used everywhere: then another may begin."""
    from bridgectl import keys

    used = keys.stage(directory, whose) is keys.Stage.USED
    return used and not (confirmed.begun and confirmed.left(keys.parts(directory, [whose])))


def _tell(directory: Path, whose: "keys.Whose", confirmed: "rollout.Confirmed") -> None:
    """How far the change is, what is left, and what comes next."""
    from bridgectl import keys, rollout

    at, left = keys.stage(directory, whose), confirmed.left(keys.parts(directory, [whose]))
    typer.echo(tr(at.value))
    of = f"{whose.role} --group {whose.group}" if whose.group else whose.role.value
    how = f"bridgectl keys rotate {of} --dir {directory}"
    if left:
        typer.echo("\n".join([tr("left to do, in any order:"), *rollout.told(left)]))
        typer.echo(tr("and tell it: {how}", how=" ".join((how, rollout.options(left)))))
    elif at is keys.Stage.KNOWN:
        typer.echo(tr("done everywhere; next: {how} --activate", how=how))
    elif (when := keys.forgettable(directory)) is not None:
        how = f"bridgectl keys prune --older-than {keys.SAFE_PRUNE_DAYS} --dir {directory}"
        typer.echo(tr("done everywhere; next, from {when:%Y-%m-%d} on: {how}", when=when, how=how))


@app.command()
def prune(
    directory: Directory,
    older_than: Annotated[int, typer.Option(min=0, help="Days since a key ceased to be active.")] = 30,
    force: Annotated[
        bool, typer.Option("--force", help="Even if messages on their way become unreadable, or hosts are left.")
    ] = False,
) -> None:
    """Third step: remove keys that are no longer needed to read anything."""
    from bridgectl import keys, rollout

    if older_than < keys.SAFE_PRUNE_DAYS and not force:
        raise ConfigurationError(
            tr(
                "messages up to {safe_prune_days} days old may still need these keys: give --older-than "
                "{keys_safe_prune_days} or more, or --force",
                safe_prune_days=keys.SAFE_PRUNE_DAYS - 1,
                keys_safe_prune_days=keys.SAFE_PRUNE_DAYS,
            )
        )
    confirmed = rollout.Confirmed(directory, keys.CONFIRMED)
    if confirmed.begun and not force and (left := confirmed.left(keys.parts(directory, keys.retired(directory)))):
        raise ConfigurationError(
            tr("not yet: who still has older files seals with the old keys\n") + "\n".join(rollout.told(left))
        )
    before = keys.retired(directory)
    gone = keys.prune(directory, older_than_days=older_than, now=_now())
    if gone:
        _record("keys-prune", directory, *{Role(key.role) for key in gone}, gone=[key.id for key in gone], forced=force)
    for key in gone:
        typer.echo(
            tr(
                "removed {role} {algorithm} {id}, retired {retired_at:%Y-%m-%d}",
                role=key.role,
                algorithm=key.algorithm,
                id=key.id,
                retired_at=key.retired_at,
            )
        )
    if not gone:
        typer.echo(tr("nothing to remove"))
        return
    confirmed.forget()
    changed = before & {*keys.holders(directory)}
    typer.echo("\n".join([tr("left to do, in any order:"), *rollout.told(keys.parts(directory, changed))]))


def _record(act: str, directory: Path, *roles: Role, **fields: object) -> None:
    """With the ids of the keys that these roles have now, and their states."""
    from bridgectl import audit, keys

    names = {role.value for role in roles}
    shown = [f"{one['role']} {one['id']} {one['state']}" for one in keys.describe(directory, now=_now())
             if one["role"] in names]  # fmt: skip
    audit.record(act, directory=str(directory.absolute()), keys=shown[:20], **fields)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)

"""`bridgectl qr`: customers' QR codes, on the bridge's host: single ones, sheets, the record, revocation, keys."""

import base64
import hashlib
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.files import PRIVATE, Content, write_all
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.errors import BridgeError, ConfigurationError
from protocol.messages import Role
from protocol.qr import MOST_SHEET_BYTES, QrKeys, parsed_keys
from protocol.runtime.keyfiles import read_private
from protocol.suites import Suite

app = typer.Typer(no_args_is_help=True, help="Customers' QR codes: issue, batches, the record, revocation, keys.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="the account number")]
INSTALLED = Path("/etc/dmz-bridge/qr.keys")
_PART = 512 * 1024
_LOOK_S = 0.5
_DRAW_S = 60.0


def _ask(config: Path | None, question: str, timeout_s: float = daemons.PATIENCE_S, **more: Any) -> Any:
    _, path = daemons.one(Role.BRIDGE, config)
    return daemons.tell(Role.BRIDGE, path, question, timeout_s, sudo_user=sudo_user(), **more)


@app.command()
def issue(
    account: Account,
    out: Annotated[Path | None, typer.Option("--out", help="the picture [default: ACCOUNT.png]")] = None,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Issue the code of one account: the same one as before, until it is revoked. It is kept on record."""
    made = _ask(bridge_config, "qr-issue", _DRAW_S, account=account)
    target = out or Path(f"{account}.png")
    _save(target, base64.b64decode(made.pop("png")))
    if json:
        typer.echo(as_json(made | {"file": str(target)}))
        return
    typer.echo(made["url"])
    typer.echo(tr("wrote {target}; print {host} beside it", target=target, host=made["host"]))


@app.command()
def batch(
    sheet: Annotated[Path, typer.Argument(metavar="SHEET.xlsx", help="A1 is 用户编号, the accounts stand below")],
    out: Annotated[Path | None, typer.Option("--out", help="the ZIP [default: SHEET.zip]")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="seconds until it must be done")] = 3600.0,
    bridge_config: Config = None,
) -> None:
    """Issue the codes of all accounts of a sheet: a ZIP of pictures named by account, and result.csv.

    Exit codes: 0 each row has its code, 1 some rows have none (result.csv says why) or the sheet is refused, 3 the
    bridge could not be asked.
    """
    data = _read(sheet)
    for at in range(0, len(data), _PART):
        _ask(bridge_config, "qr-sheet", offset=at, data=base64.b64encode(data[at : at + _PART]).decode())
    id = _ask(bridge_config, "qr-batch")["batch"]
    state = _finished(id, wait, bridge_config)
    if state["state"] == "refused":
        raise BridgeError(tr("the sheet is refused: {code}", code=state["refused"]))
    parts = [
        base64.b64decode(_ask(bridge_config, "qr-batch-part", batch=id, part=part)["data"])
        for part in range(state["parts"])
    ]
    archive = b"".join(parts)
    if hashlib.sha256(archive).hexdigest() != state["sha256"]:
        raise BridgeError(tr("what came is not the ZIP that was made; try again"))
    target = out or sheet.with_suffix(".zip")
    _save(target, archive)
    for one in state["verdicts"]:
        typer.echo(f"{one['verdict']:<16}  {one['rows']}")
    typer.echo(tr("wrote {target}", target=target))
    raise typer.Exit(int(any(one["verdict"] != "ok" for one in state["verdicts"])))


def _finished(id: str, wait_s: float, config: Path | None) -> Any:
    end = time.monotonic() + wait_s
    while True:
        state = _ask(config, "qr-batch-state", batch=id)
        if state["state"] in ("done", "refused"):
            return state
        if time.monotonic() > end:
            told = tr(
                "batch {id} is at {done} of {rows} rows; it goes on by itself",
                id=id,
                done=state["done"],
                rows=state["rows"],
            )
            raise BridgeError(told)
        time.sleep(_LOOK_S)


@app.command()
def lookup(account: Account, json: Json = False, bridge_config: Config = None) -> None:
    """Show which codes of an account were issued, when and by whom, and which are good."""
    found = _ask(bridge_config, "qr-lookup", account=account)
    if json:
        typer.echo(as_json(found))
        return
    if not found["codes"]:
        typer.echo(tr("none was issued"))
        return
    rows = [
        (_local(one["issued_at"]), one["generation"], one["kid"], tr("good") if one["good"] else "-", one["by"],
         one["batch"] or "-")
        for one in found["codes"]
    ]  # fmt: skip
    typer.echo(table((tr("issued"), tr("generation"), "kid", tr("good"), tr("by"), tr("batch")), rows))


@app.command()
def revoke(
    account: Account,
    now: Annotated[bool, typer.Option("--now", help="at once; else old codes stay good for a while")] = False,
    bridge_config: Config = None,
) -> None:
    """Make an account's codes bad. Issue a new one then."""
    found = _ask(bridge_config, "qr-revoke", account=account, now=now)
    if now:
        typer.echo(tr("codes of before are bad now; issue a new one"))
    else:
        typer.echo(tr("codes of before are good until {end}; issue a new one", end=_local(found["good_until"])))


@app.command()
def keys(
    add: Annotated[
        str, typer.Option("--add", metavar="KID", help="make one: 1 to 8 of 0-9 and a-z, in each code")
    ] = "",
    suite: Annotated[
        Suite, typer.Option("--suite", help="with --add: the bridge's `suite`; sm signs by HMAC-SM3")
    ] = Suite.AES,
    retire: Annotated[str, typer.Option("--retire", metavar="KID", help="all codes it signed lead nowhere then")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="with --retire: do it")] = False,
    file: Annotated[Path, typer.Option("--file", help="the file of the keys; --add makes it")] = INSTALLED,
    json: Json = False,
) -> None:
    """List the keys that sign codes, never a secret; make one, which signs new codes from the next reload on (codes of
    the others stay good); or retire one that became known.
    """
    if add and retire:
        raise typer.BadParameter(tr("--add and --retire are two steps, with a reload after each"))
    if add:
        known = _keys(file) if file.exists() else QrKeys(())
        _write(file, known.added(add, suite))
        typer.echo(tr("wrote {file}; the bridge's service must be able to read it. Then: bridgectl reload", file=file))
        return
    if retire:
        left = _keys(file).retired(retire)
        if left.signing() is None:
            raise ConfigurationError(tr("no active key would be left: add one first"), file=str(file))
        if not yes:
            typer.echo(tr("would retire {kid}: every code it signed leads nowhere then. --yes does it", kid=retire))
            raise typer.Exit(1)
        _write(file, left)
        typer.echo(tr("{kid} is retired. Now: bridgectl reload", kid=retire))
        return
    found = _keys(file)
    signing = found.signing()
    rows = [
        {"kid": one.kid, "state": "active" if one.active else "retired", "signs": one == signing, "suite": one.suite}
        for one in found.keys
    ]
    if json:
        typer.echo(as_json(rows))
        return
    shown = [(row["kid"], row["state"], tr("new codes") if row["signs"] else "-", row["suite"]) for row in rows]
    typer.echo(table(("kid", tr("state"), tr("signs"), tr("suite")), shown))


def _keys(file: Path) -> QrKeys:
    try:
        return parsed_keys(read_private(file).decode("ascii"))
    except UnicodeDecodeError:
        raise ConfigurationError(tr("is not a file of QR keys"), file=str(file)) from None
    except ConfigurationError as error:
        if error.file is None:
            raise ConfigurationError(str(error), file=str(file)) from None
        raise


def _write(file: Path, keys: QrKeys) -> None:
    """Write the keys; who owned the file, and may read it, stays."""
    before = file.stat() if file.exists() else None
    mode = before.st_mode & 0o777 if before else PRIVATE
    write_all(file.parent, {file.name: Content(keys.text().encode(), mode)}, replace=True)
    if before is not None:
        os.chown(file, before.st_uid, before.st_gid)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BridgeError(f"{path}: {error.strerror}") from None
    if not data or len(data) > MOST_SHEET_BYTES:
        raise BridgeError(tr("{path}: is empty, or has more than 10 MB", path=path))
    return data


def _save(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BridgeError(f"{path}: {error.strerror}") from None


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")

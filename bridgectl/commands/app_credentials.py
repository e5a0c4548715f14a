"""`bridgectl apps signature`, `bridgectl apps certificate`: public keys that applications' requests are signed by,
certificates that their connections show, and who must sign or show one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from cryptography import x509
from sqlalchemy import Connection

from bridgectl import audit
from bridgectl.instants import iso
from bridgectl.language import tr
from bridgectl.output import Json, as_json, table
from bridgectl.settings import front_store
from bridgectl.stores import from_store, in_store
from protocol.credential_kinds import CERTIFICATE, SIGNATURE
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.runtime import applications, credentials
from protocol.runtime.clock import wall_clock
from protocol.runtime.credentials import Credential

signature = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Public keys of applications that sign their requests (RFC 9421); who must sign.",
)

certificate = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Client certificates of applications; who must show one.",
)

T = TypeVar("T")

Application = Annotated[str, typer.Argument(help="the application")]
OneOrAll = Annotated[str, typer.Argument(metavar="[NAME]", help="the application; without it all")]
Off = Annotated[bool, typer.Option("--off", help="not any more")]


@signature.command("add")
def add_key(
    name: Application,
    file: Annotated[Path, typer.Argument(help="its public key: Ed25519, or ECDSA on P-256; PEM")],
) -> None:
    """Let an application sign its requests with one more key: two at most, during a change. Prints the key's id.

    The application names that id in each signature (`keyid`). Its private key stays with it.
    """
    _add(lambda: credentials.signing_key(name, _read(file)))


@signature.command("list")
def list_keys(name: OneOrAll = "", json: Json = False) -> None:
    """List the public keys, and who must sign."""
    _list(SIGNATURE, name, json=json)


@signature.command("remove")
def remove_key(name: Application, id: Annotated[str, typer.Argument(help="as `list` shows it")]) -> None:
    """Take nothing that is signed by this key any more."""
    _remove(SIGNATURE, name, id)


@signature.command("required")
def require_signature(name: Application, off: Off = False) -> None:
    """Refuse the application's key alone: each request of it must be signed."""
    _require(SIGNATURE, name, wanted=not off)
    if off:
        typer.echo(tr("{name} may come with its key alone", name=name))
    else:
        typer.echo(tr("{name} must sign each request; its key alone is refused", name=name))


@certificate.command("add")
def add_certificate(
    name: Application,
    file: Annotated[Path, typer.Argument(help="its certificate, PEM; of several in it the first")],
) -> None:
    """Let an application show one more certificate: two at most, during a change. Prints its SHA-256."""
    _add(lambda: credentials.certificate(name, _read(file)))


@certificate.command("list")
def list_certificates(name: OneOrAll = "", json: Json = False) -> None:
    """List the certificates, and who must show one."""
    _list(CERTIFICATE, name, json=json)


@certificate.command("remove")
def remove_certificate(name: Application, id: Annotated[str, typer.Argument(help="as `list` shows it")]) -> None:
    """Take this certificate no more."""
    _remove(CERTIFICATE, name, id)


@certificate.command("required")
def require_certificate(name: Application, off: Off = False) -> None:
    """Refuse the application's key or signature alone: its connections must show one of its certificates too."""
    _require(CERTIFICATE, name, wanted=not off)
    if off:
        typer.echo(tr("{name} may come without a certificate", name=name))
    else:
        typer.echo(tr("{name} must show one of its certificates", name=name))


def _work(work: Callable[[Connection], T]) -> T:
    try:
        return in_store(front_store(), Role.FRONT, credentials.CREDENTIALS.name, work)
    except ValueError as error:
        raise BridgeError(str(error)) from error


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except OSError as error:
        raise BridgeError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise BridgeError(tr("{file} is not PEM", file=file)) from None


def _add(read: Callable[[], Credential]) -> None:
    try:
        new = read()
    except ValueError as error:
        raise BridgeError(str(error)) from error
    _work(lambda connection: applications.add_credential(connection, new, wall_clock()))
    audit.record(f"apps-{new.kind}-add", application=new.application, id=new.id)
    typer.echo(new.id)


def _list(kind: str, name: str, *, json: bool) -> None:
    known, found = from_store(
        front_store(),
        Role.FRONT,
        credentials.CREDENTIALS.name,
        lambda connection: (
            {one.name: one for one in applications.all_applications(connection)},
            credentials.of(connection, kind, name or None),
        ),
    )
    rows = [
        {
            "application": one.application,
            "id": one.id,
            "added_at": iso(one.added_at),
            "required": kind in known[one.application].requires,
        }
        | (validity(one) if kind == CERTIFICATE else {})
        for one in found
    ]
    if json:
        typer.echo(as_json(rows))
        return
    heads = [tr("application"), tr("id"), tr("added"), tr("required")]
    more = [tr("subject"), tr("expires")] if kind == CERTIFICATE else []
    said = [
        (
            str(row["application"]), str(row["id"]), str(row["added_at"]), tr("yes") if row["required"] else "-",
            *(str(row[name]) for name in ("subject", "expires_at") if more),
        )
        for row in rows
    ]  # fmt: skip
    typer.echo(table([*heads, *more], said))


def validity(one: Credential) -> dict[str, str]:
    """Of a certificate: whose it says it is, and until when it is valid."""
    found = x509.load_pem_x509_certificate(one.public.encode())
    until = int(found.not_valid_after_utc.timestamp() * 1000)
    return {"subject": found.subject.rfc4514_string(), "expires_at": iso(until)}


def _remove(kind: str, name: str, id: str) -> None:
    if not _work(lambda connection: applications.remove_credential(connection, kind, name, id)):
        raise BridgeError(tr("{name} has no {id}", name=name, id=id))
    audit.record(f"apps-{kind}-remove", application=name, id=id)
    typer.echo(tr("{id} is not taken any more", id=id))


def _require(kind: str, name: str, *, wanted: bool) -> None:
    _work(lambda connection: applications.require(connection, name, kind, wanted=wanted))
    audit.record(f"apps-{kind}-required", application=name, wanted=wanted)

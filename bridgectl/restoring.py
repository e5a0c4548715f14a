"""Putting a backup back: the daemon's lock is held meanwhile, what is replaced is kept, what is forgotten is marked."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from bridgectl.databases import Place
from bridgectl.language import tr
from protocol.errors import BridgeError, ConfigurationError
from protocol.runtime.backup import BackupManifest, libpq_url
from protocol.runtime.lease import database_now, only_one
from protocol.runtime.settings import StoreSection
from protocol.runtime.store_engine import engine

_PARTS = ("", "-wal", "-shm")
_SLOW_S = 4 * 3600


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done."""

    kept: Path | None
    """What was there before."""
    revoked: int = 0
    """Application keys that were revoked since the copy, and stay so."""
    notes: tuple[str, ...] = ()


def seen(place: Place, manifest: BackupManifest) -> list[str]:
    """Why a backup may not be the one that is meant."""
    owner = place.owner
    doubts = [
        tr("it is of {what} {theirs}, and here is {ours}", what=what, theirs=theirs, ours=ours)
        for what, theirs, ours in (
            (tr("the instance"), manifest.instance, owner.instance), (tr("the region"), manifest.region, owner.region),
        )
        if theirs != ours
    ]  # fmt: skip
    if (manifest.database == "sqlite") != (place.store.file is not None):
        raise BridgeError(
            tr(
                "it is a copy of {database}, and the configuration names another kind of database",
                database=manifest.database,
            )
        )
    here = _inbox(place.store) if manifest.inbox else ""
    if here and here != manifest.inbox:
        doubts.append(tr("it is a copy of inbox {inbox}, and the one here is {here}", inbox=manifest.inbox, here=here))
    return doubts


def restore(place: Place, file: Path, manifest: BackupManifest, now_ms: int) -> Restored:
    """Put it back. Raises BridgeError, and changes nothing, while the daemon runs."""
    if place.store.file is None:
        return _restored(place.store, file, manifest, now_ms)
    try:
        lock = only_one(place.store.file, manifest.program)
    except ConfigurationError:
        raise BridgeError(
            tr(
                "{program} is running on {file}: systemctl stop {program}",
                program=manifest.program,
                file=place.store.file,
            )
        ) from None
    with lock:
        try:
            return _replaced(place.store.file, file, manifest, now_ms)
        except OSError as error:
            raise BridgeError(f"{error.filename or place.store.file}: {error.strerror}") from error


def _replaced(there: Path, file: Path, manifest: BackupManifest, now_ms: int) -> Restored:
    new = there.with_name(there.name + ".restoring")
    for part in _PARTS:
        new.with_name(new.name + part).unlink(missing_ok=True)
    new.touch(mode=0o600)
    shutil.copyfile(file, new)
    notes: list[str] = []
    with closing(sqlite3.connect(new, isolation_level=None)) as copy:
        try:
            _mark(copy, manifest.taken_at, now_ms)
        except sqlite3.Error as error:
            raise BridgeError(tr("{file} cannot be used: {error}", file=file, error=error)) from error
        revoked = _revocations(copy, there, notes) if manifest.program == "dmz-front" and there.exists() else 0
    with contextlib.suppress(FileNotFoundError):
        before = there.stat()
        new.chmod(before.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(new, before.st_uid, before.st_gid)
    _sync(new)
    kept = None
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    for part in reversed(_PARTS):  # the database itself last: until then it is whole
        old = there.with_name(there.name + part)
        if old.exists():
            kept = old.with_name(f"{there.name}.replaced-{stamp}{part}")
            old.rename(kept)
    new.rename(there)
    _sync(there.parent)
    return Restored(kept, revoked, tuple(notes))


def _mark(copy: sqlite3.Connection, taken_at: int, now_ms: int) -> None:
    """Say in the copy that it is one: the daemon acts on it at its start (protocol/runtime/history.py)."""
    done = copy.execute("UPDATE history SET pending = 1, restored_at = ?, copied_at = ?", (now_ms, taken_at)).rowcount
    if done != 1:
        raise BridgeError(tr("the backup has no history: no daemon of this release has run on it"))


def _revocations(copy: sqlite3.Connection, there: Path, notes: list[str]) -> int:
    """Keys that were revoked after the copy was made stay revoked, as far as what is replaced can be read."""
    try:
        with closing(sqlite3.connect(f"{there.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as replaced:
            revoked = replaced.execute(
                "SELECT name, revoked_at FROM applications WHERE revoked_at IS NOT NULL"
            ).fetchall()
    except sqlite3.Error as error:
        notes.append(
            tr(
                "what was there cannot be read ({error}): application keys revoked since the backup are valid "
                "again. Compare with bridgectl apps list, and revoke them anew",
                error=error,
            )
        )
        return 0
    done = 0
    for name, at in revoked:
        changed = "UPDATE applications SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL"
        done += copy.execute(changed, (at, name)).rowcount
    if done:
        notes.append(tr("{done} application keys that were revoked since the backup stay revoked", done=done))
    return done


def _inbox(store: StoreSection) -> str:
    if store.file is None or not store.file.exists():
        return ""
    with (
        contextlib.suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{store.file.absolute().as_uri()}?mode=ro", uri=True)) as there,
    ):
        row = there.execute("SELECT inbox FROM identity").fetchone()
        return str(row[0]) if row else ""
    return ""


def _restored(store: StoreSection, file: Path, manifest: BackupManifest, now_ms: int) -> Restored:
    """PostgreSQL: in one transaction, over what is there; nothing of that is kept."""
    database = engine(store.address())
    try:
        with database.connect() as connection:
            alive = "SELECT name FROM instances WHERE lease_until > :now"
            names = list(connection.execute(text(alive), {"now": database_now(connection)}).scalars())
        if names:
            raise BridgeError(
                tr("{program} is running on this database: {names}", program=manifest.program, names=", ".join(names))
            )
        command = ["pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction"]
        command += [f"--dbname={libpq_url(store)}", str(file)]
        done = subprocess.run(  # noqa: S603  # our own words, no shell
            command, capture_output=True, text=True, timeout=_SLOW_S, check=False
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [tr("it says nothing")])[-1]
            raise BridgeError(tr("pg_restore failed, nothing was changed: {said}", said=said[:300]))
        with database.begin() as connection:
            mark = text("UPDATE history SET pending = true, restored_at = :now, copied_at = :taken")
            connection.execute(mark, {"now": now_ms, "taken": manifest.taken_at})
    except FileNotFoundError:
        raise BridgeError(tr("pg_restore is not installed here: it comes with PostgreSQL's client programs")) from None
    finally:
        database.dispose()
    keys = tr("application keys revoked since the backup are valid again: bridgectl apps list")
    return Restored(None, 0, (keys,) if manifest.program == "dmz-front" else ())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

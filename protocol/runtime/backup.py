"""Copies of a daemon's database, made while it runs, each verified and described by a manifest beside it.

::

    dmz-front-front-1-20261129T101500Z.sqlite3        the copy (PostgreSQL: .dump, pg_dump's custom format)
    dmz-front-front-1-20261129T101500Z.sqlite3.json   whose, when, of which schema, its checksum

SQLite: the online backup API within one read transaction, so the copy is of one instant, and the daemon goes on
writing. The copy is checked (`integrity_check`), synced and only then given its name. What is sealed in the database
is sealed in the copy. A backup is an older copy by the time it is put back: docs/explanation/restore.md.
"""

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import make_url

from protocol.errors import BridgeError
from protocol.runtime.settings import FilePath, Section, StoreSection

_STEP_PAGES = 1024
"""4 MB; between two steps others get the disk."""
_PAUSE_S = 0.01
_DUMP_S = 4 * 3600
_TABLES: Mapping[str, str] = {"dmz-front": "requests", "intranet-bridge": "inbox"}
_VERSIONS: Mapping[str, str] = {"dmz-front": "alembic_version_front", "intranet-bridge": "alembic_version_bridge"}

Program = Literal["dmz-front", "intranet-bridge"]


class BackupSection(Section):
    """Copies that the daemon makes by itself."""

    folder: FilePath | None = None
    """Where; none: it makes none."""
    every_hours: Annotated[float, Field(gt=0, le=24 * 31)] = 24.0
    """how often"""
    keep: Annotated[int, Field(ge=1, le=1000)] = 7
    """So many; the oldest go."""


class BackupManifest(BaseModel):
    """What a backup is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["dmz-bridge backup 1"] = "dmz-bridge backup 1"
    program: Program
    instance: str
    region: str
    software: str
    database: Literal["sqlite", "postgresql"]
    taken_at: int
    """Epoch ms, before the copy's instant."""
    inbox: str = ""
    """The bridge's inbox."""
    schema_revision: str
    generation: int = 0
    commands: int
    """Rows of requests or inbox."""
    highest: str = ""
    """The highest request id."""
    bytes: int
    sha256: str


class Owner(BaseModel):
    """Whose database it is."""

    model_config = ConfigDict(frozen=True)

    program: Program
    instance: str
    region: str
    software: str


def manifest_of(file: Path) -> Path:
    """Where a backup's manifest is."""
    return file.with_name(file.name + ".json")


def back_up(store: StoreSection, owner: Owner, target: Path, now_ms: int) -> tuple[Path, BackupManifest]:
    """Copy the database to `target`: a file, or a folder, where it gets a name of its own.

    Returns the copy and its manifest. Raises BridgeError, and leaves nothing, when it cannot be made or is not whole.
    """
    remote = store.file is None
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{owner.program}-{owner.instance}-{stamp}.{'dump' if remote else 'sqlite3'}"
    file = target / name if target.is_dir() else target
    part = file.with_name(file.name + ".part")
    try:
        if file.exists():
            raise BridgeError(f"{file} is there already")
        _created(part)
        told = _dumped(store, owner, part, now_ms) if remote else _copied(store, owner, part, now_ms)
        manifest = told.model_copy(update={"bytes": part.stat().st_size, "sha256": checksum(part)})
        _sync(part)
        description = manifest_of(file)
        _created(description)
        description.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _sync(description)
        part.rename(file)
        _sync(file.parent)
    except OSError as error:
        raise BridgeError(f"the backup cannot be written: {error.strerror}: {error.filename or file}") from error
    except sqlite3.Error as error:
        raise BridgeError(f"the backup cannot be made: {error}: {store.file}") from error
    finally:
        for left in (part, part.with_name(part.name + "-wal"), part.with_name(part.name + "-shm")):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
    return file, manifest


def _created(file: Path) -> None:
    """A new file, for its owner alone, in place of what a copy that failed has left there. The folder may be another's:
    a link in it must not lead what is written elsewhere.
    """
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))


def _copied(store: StoreSection, owner: Owner, part: Path, now_ms: int) -> BackupManifest:
    assert store.file is not None
    if not store.file.exists():
        raise BridgeError(f"there is no database at {store.file}")
    with closing(sqlite3.connect(store.file, timeout=10, isolation_level=None)) as source:
        source.execute("BEGIN")  # one snapshot for all steps, or each commit would make it begin anew
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            source.backup(copy, pages=_STEP_PAGES, sleep=_PAUSE_S)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
        source.execute("ROLLBACK")
    return _described(part, owner, now_ms)


def _described(file: Path, owner: Owner, taken_at: int) -> BackupManifest:
    """What a copy holds, once it is found whole. Raises BridgeError."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
        try:
            found = [row[0] for row in copy.execute("PRAGMA integrity_check(3)")]
            if found != ["ok"]:
                raise BridgeError(f"the copy is not whole ({found[0]}): the database itself is damaged")
            rows, highest = copy.execute(
                f"SELECT count(*), max(id) FROM {_TABLES[owner.program]}"  # noqa: S608  # ours
            ).fetchone()
            revision = copy.execute(
                f"SELECT version_num FROM {_VERSIONS[owner.program]}"  # noqa: S608  # ours
            ).fetchone()[0]
            generation = copy.execute("SELECT generation FROM history").fetchone()
            inbox = (
                copy.execute("SELECT inbox FROM identity").fetchone() if owner.program == "intranet-bridge" else None
            )
        except (sqlite3.DatabaseError, TypeError) as error:
            raise BridgeError(f"{file.name} is not a database of {owner.program} of this release: {error}") from error
    return BackupManifest(
        **owner.model_dump(), database="sqlite", taken_at=taken_at, inbox=inbox[0] if inbox else "",
        schema_revision=revision, generation=generation[0] if generation else 0, commands=rows, highest=highest or "",
        bytes=0, sha256="",
    )  # fmt: skip


def libpq_url(store: StoreSection) -> str:
    """The database as libpq's own programs want it; it holds no password (see StoreSection)."""
    return make_url(store.address()).set(drivername="postgresql").render_as_string(hide_password=False)


def _dumped(store: StoreSection, owner: Owner, part: Path, now_ms: int) -> BackupManifest:
    url = libpq_url(store)
    _run(["pg_dump", "--format=custom", "--no-owner", f"--file={part}", f"--dbname={url}"], "pg_dump")
    _run(["pg_restore", "--list", str(part)], "pg_restore")  # whole enough to be read to its end
    table = _TABLES[owner.program]
    inbox = "(SELECT inbox FROM identity)" if owner.program == "intranet-bridge" else "''"
    query = (
        f"SELECT count(*), max(id), (SELECT version_num FROM {_VERSIONS[owner.program]}), "  # noqa: S608  # ours
        f"(SELECT generation FROM history), {inbox} FROM {table}"
    )
    told = _run(["psql", "-XAtq", "-F", "\t", "-c", query, f"--dbname={url}"], "psql").strip("\n").split("\t")
    rows, highest, revision, generation, identity = told
    return BackupManifest(
        **owner.model_dump(), database="postgresql", taken_at=now_ms, inbox=identity, schema_revision=revision,
        generation=int(generation or 0), commands=int(rows), highest=highest, bytes=0, sha256="",
    )  # fmt: skip


def _run(command: list[str], program: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # our own words, no shell
            command, capture_output=True, text=True, timeout=_DUMP_S, check=False
        )
    except FileNotFoundError:
        raise BridgeError(f"{program} is not installed here: it comes with PostgreSQL's client programs") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise BridgeError(f"{program} failed: {said[:300]}")
    return done.stdout


def verified(file: Path) -> BackupManifest:
    """The manifest of a backup that is whole. Raises BridgeError naming what is wrong."""
    try:
        manifest = BackupManifest.model_validate_json(manifest_of(file).read_bytes())
    except OSError as error:
        raise BridgeError(f"{manifest_of(file)}: {error.strerror}: a backup has its manifest beside it") from None
    except ValidationError:
        raise BridgeError(f"{manifest_of(file)} is not the manifest of a backup of this release") from None
    try:
        found = checksum(file)
    except OSError as error:
        raise BridgeError(f"{file}: {error.strerror}") from None
    if found != manifest.sha256:
        raise BridgeError(
            f"{file} is not what was written: its SHA-256 is {found}, the manifest says {manifest.sha256}"
        )
    return manifest


def kept(folder: Path, owner: Owner) -> list[tuple[Path, BackupManifest]]:
    """The backups of one instance in a folder, the newest first; what cannot be read is none."""
    found = []
    for description in folder.glob(f"{owner.program}-{owner.instance}-*.json"):
        with contextlib.suppress(OSError, ValidationError):
            manifest = BackupManifest.model_validate_json(description.read_bytes())
            found.append((description.with_suffix(""), manifest))
    return sorted(found, key=lambda one: one[1].taken_at, reverse=True)


def prune(folder: Path, owner: Owner, keep: int) -> list[Path]:
    """Remove all but the `keep` newest; returns what went."""
    gone = [file for file, _ in kept(folder, owner)[keep:]]
    for file in gone:
        file.unlink(missing_ok=True)
        manifest_of(file).unlink(missing_ok=True)
    return gone


def checksum(file: Path) -> str:
    """SHA-256, in hex."""
    digest = hashlib.sha256()
    for block in _blocks(file):
        digest.update(block)
    return digest.hexdigest()


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            yield block
            time.sleep(0)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

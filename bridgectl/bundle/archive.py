"""A support bundle's file: members in order, a manifest of them first, for its owner alone."""

import gzip
import hashlib
import io
import json
import os
import secrets
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bridgectl.language import tr
from protocol.errors import ConfigurationError

FORMAT = "dmz-bridge support bundle 1"
MANIFEST = "manifest.json"
_FOLDER = "dmz-bridge-bundle"


def manifest(members: Mapping[str, bytes], left_out: Sequence[tuple[str, str]], **facts: Any) -> dict[str, Any]:
    """What is in a bundle, and what is not, with the reason."""
    return {
        "format": FORMAT,
        **facts,
        "members": [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(members.items())
        ],
        "left_out": [{"what": what, "why": why} for what, why in sorted(set(left_out))],
    }


def packed(members: Mapping[str, bytes], listed: Mapping[str, Any], made_s: int) -> bytes:
    """The archive. The same members at the same second give the same bytes."""
    told = (json.dumps(listed, indent=2, ensure_ascii=False) + "\n").encode()
    archive = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=archive, mode="wb", mtime=made_s) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in [(MANIFEST, told), *sorted(members.items())]:
            entry = tarfile.TarInfo(f"{_FOLDER}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, made_s
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raises ConfigurationError if the file is there and is not to be replaced."""
    if not force and os.path.lexists(path):
        raise ConfigurationError(tr("exists already and is not overwritten (--force replaces it)"), file=str(path))


def write(path: Path, data: bytes, *, force: bool) -> None:
    """Write whole, or not at all; mode 0600 from the first instant. Raises ConfigurationError."""
    refuse_existing(path, force=force)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if force:
                beside.replace(path)
            else:
                os.link(beside, path)  # unlike a rename it never replaces what came meanwhile
        finally:
            with suppress(OSError):
                beside.unlink()
    except OSError as error:
        raise ConfigurationError(
            tr("cannot be written: {strerror}", strerror=error.strerror), file=str(path)
        ) from error

"""A tar whose bytes depend on the files in it alone: sorted, root's, one time, two modes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

Content = bytes | Path


def write(out: Path, top: str, files: Mapping[str, Content], programs: frozenset[str], epoch: int) -> None:
    """Write `out` with every file below the folder `top`; `programs` are executable."""
    scratch = out.with_name(f".{out.name}.new")
    folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
    with tarfile.open(scratch, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted({"", *folders, *files}):
            entry = tarfile.TarInfo(f"{top}/{name}".rstrip("/"))
            entry.mtime = epoch
            entry.uname = entry.gname = "root"
            if name not in files:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
                continue
            content = files[name]
            entry.mode = 0o755 if name in programs else 0o644
            if isinstance(content, bytes):
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            else:
                entry.size = content.stat().st_size
                with content.open("rb") as file:
                    tar.addfile(entry, file)
    scratch.replace(out)


def sums(files: Mapping[str, Content]) -> bytes:
    """SHA256SUMS, as sha256sum(1) writes and checks it."""
    lines = []
    for name, content in sorted(files.items()):
        data = content if isinstance(content, bytes) else content.read_bytes()
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    return "".join(lines).encode()

"""Reading sheets and drawing codes in a process of its own: `python -m intranet_bridge.qr.drawing`.

An uploaded sheet is hostile, so it is read where a bomb costs the bridge nothing (bounds on memory and time); and a
code takes 10 ms to draw, so thousands are drawn beside the bridge's loop, at a lower priority, in another interpreter.

Standard input brings tasks, each a JSON line and then `bytes` bytes; standard output answers each in the same way. It
ends when its input does, so that none is left behind when the bridge is killed::

    {"read": {"pattern": …, "digits": …}, "bytes": n} sheet   → {"rows": [[number, verdict, account], …], "bytes": 0}
                                                             or {"refused": code, "bytes": 0}
    {"draw": [url, …], "pixels": …, "dpi": …, "bytes": 0}     → {"sizes": [n, …], "bytes": Σ} images
"""

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

from intranet_bridge.qr.verdicts import Form, Row, SheetRefused, Verdict

_NICE = 10
_MEMORY = 2 << 30
"""Bytes of address space: a sheet of 100 MB unpacked fits."""
_LINE = 64 << 20
READ_S = 120.0
"""A sheet that takes longer is refused."""
DRAW_S = 120.0


class DrawingFailed(Exception):
    """The process ended or answers no more."""


class Drawing:
    """The process, started when it is first needed. One task at a time."""

    def __init__(self, *, pixels_per_module: int, dpi: int) -> None:
        """What images are drawn with."""
        self.pixels, self.dpi = pixels_per_module, dpi
        self._process: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()

    async def rows(self, sheet: bytes, form: Form) -> list[Row]:
        """The rows of a sheet. Raises SheetRefused, also when reading takes more time or memory than it may."""
        try:
            task = {"read": {"pattern": form.pattern.pattern, "digits": form.digits}}
            said, _ = await self._ask(task, sheet, READ_S)
        except DrawingFailed as error:
            raise SheetRefused("too-large") from error
        if "refused" in said:
            raise SheetRefused(said["refused"])
        return [Row(number, Verdict(verdict), account) for number, verdict, account in said["rows"]]

    async def images(self, urls: Sequence[str]) -> list[bytes]:
        """A PNG of each. Raises DrawingFailed."""
        said, data = await self._ask({"draw": list(urls), "pixels": self.pixels, "dpi": self.dpi}, b"", DRAW_S)
        made, at = [], 0
        for size in said["sizes"]:
            made.append(data[at : at + size])
            at += size
        return made

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, task: dict[str, Any], data: bytes, patience_s: float) -> tuple[dict[str, Any], bytes]:
        async with self._one:
            try:
                async with asyncio.timeout(patience_s):
                    return await self._exchange(task, data)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                await self.close()
                raise DrawingFailed(type(error).__name__) from error
            except asyncio.CancelledError:  # what it would answer is nobody's
                await self.close()
                raise

    async def _exchange(self, task: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", __name__, limit=_LINE,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.write(json.dumps({**task, "bytes": len(data)}).encode() + b"\n" + data)
        await into.drain()
        said = json.loads(await out.readuntil(b"\n"))
        return said, await out.readexactly(said["bytes"])


def _bounded() -> None:
    for each in (signal.SIGTERM, signal.SIGINT):  # systemd, or a terminal, sends the bridge's to all of its processes
        signal.signal(each, signal.SIG_IGN)
    with contextlib.suppress(OSError, ValueError):
        os.nice(_NICE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


# Excel's and the pictures' libraries are this process's alone: the bridge itself never loads them.
def _answer(task: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    if "read" in task:
        from intranet_bridge.qr.sheets import read

        form = Form(re.compile(task["read"]["pattern"]), task["read"]["digits"])
        try:
            return {"rows": [[row.number, row.verdict, row.account] for row in read(data, form)]}, b""
        except SheetRefused as refused:
            return {"refused": refused.code}, b""
    from intranet_bridge.qr import images

    made = [images.png(url, pixels_per_module=task["pixels"], dpi=task["dpi"]) for url in task["draw"]]
    return {"sizes": [len(image) for image in made]}, b"".join(made)


def serve(into: BinaryIO, out: BinaryIO) -> None:
    """Answer tasks until there are no more."""
    while line := into.readline():
        task = json.loads(line)
        said, data = _answer(task, into.read(task["bytes"]))
        out.write(json.dumps({**said, "bytes": len(data)}).encode() + b"\n" + data)
        out.flush()


if __name__ == "__main__":
    _bounded()
    serve(sys.stdin.buffer, sys.stdout.buffer)

"""Has a comparison done by a process of its own (worker.py), and hands over what it finds as it comes."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from intranet_bridge.settlement.statements.comparing import Found
from intranet_bridge.settlement.statements.matching import WriteOff
from intranet_bridge.settlement.statements.worker import END, Question, Totals, answered, written
from protocol.errors import BridgeError

_LINE = 1 << 20
_MODULE = "intranet_bridge.settlement.compare_statements"


class NotCompared(BridgeError):
    """The comparison failed; says where."""


class Matcher(Protocol):
    """Compares."""

    def compare(self, question: Question, pages: AsyncIterator[Sequence[WriteOff]]) -> AsyncIterator[Found | Totals]:
        """What comes of it; Totals are the last. Raises NotCompared, and what `pages` raises: then nothing comes."""


class ProcessMatcher:
    """In a process that lives for one comparison."""

    async def compare(
        self, question: Question, pages: AsyncIterator[Sequence[WriteOff]]
    ) -> AsyncIterator[Found | Totals]:
        """See Matcher."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", _MODULE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, limit=_LINE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            try:
                process.stdin.write(question.line().encode() + b"\n")
                async for page in pages:
                    process.stdin.write("".join(f"{written(one)}\n" for one in page).encode())
                    await process.stdin.drain()
                process.stdin.write(f'"{END}"\n'.encode())
                process.stdin.close()
            except ConnectionError:
                pass  # it says why, below
            ended = False
            while line := await process.stdout.readline():
                try:
                    found = answered(line.decode())
                except ValueError as error:
                    raise NotCompared(str(error)) from None
                ended = isinstance(found, Totals)
                yield found
            if not ended:
                raise NotCompared("the process that compares has ended")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()

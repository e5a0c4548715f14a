"""A file goes across: its manifest, then its chunks, a few at a time, each until the other side has it on disk.

What is not answered in time goes out again under the same id. Nothing of this is remembered over a restart: the answer
to the manifest says how many chunks are there, and the sender goes on behind them.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from protocol.errors import LinkError
from protocol.file_transfer import FileManifest, Progress, Stage, message_id

_LOOK_S = 0.2
"""How often it is looked whether there is a way again."""
_LONGEST_S = 3_600.0
"""The most that is waited before a message goes out again: what lies in a queue that nobody reads must not grow."""


class FileSending:
    """Sends files to one other side, as many at once as are asked for; they share the window."""

    def __init__(
        self,
        *,
        post: Callable[[FileManifest, int, bytes], "asyncio.Future[None]"],
        ready: Callable[[], bool],
        window: int,
        resend_after_s: float,
    ) -> None:
        """`post` seals a payload as a file's message with this number, and sends it; it may raise LinkError. `ready`:
        whether there is a way, and somebody at its end. `window`: messages on their way at once.
        """
        self._post, self._ready, self.resend_after_s = post, ready, resend_after_s
        self._room = asyncio.Semaphore(window)
        self._waiting: dict[str, asyncio.Future[Progress]] = {}
        self._decisions: dict[str, asyncio.Future[Progress]] = {}
        self.have: dict[str, int] = {}
        """Of the files on their way: chunks that the other side has."""
        self.sent = 0
        self.unanswered = 0
        """Messages without an answer in time: they went out again."""

    def heard(self, progress: Progress) -> None:
        """The other side has answered a message."""
        if progress.file_id in self.have:
            self.have[progress.file_id] = progress.have
        waits = [self._waiting.get(message_id(progress.file_id, progress.number))]
        if progress.decided:
            waits.append(self._decisions.get(progress.file_id))
        for one in waits:
            if one is not None and not one.done():
                one.set_result(progress)

    async def send(self, manifest: FileManifest, read: Callable[[int], Awaitable[bytes]]) -> Progress:
        """The decision about a file. `read`: the payload of a chunk by its number; what it raises is raised here, and
        what is on its way then is waited for by nobody.
        """
        id, wait_s = manifest.file_id, self.resend_after_s
        decision = self._decisions[id] = asyncio.get_running_loop().create_future()
        self.have[id] = 0
        try:
            while True:
                answer = await self._one(manifest, 0, manifest.payload())
                if not answer.decided:
                    answer = await self._chunks(manifest, read, answer.have)
                if answer.decided:
                    return answer
                if answer.stage is Stage.UNKNOWN:  # it was forgotten there: the manifest begins anew
                    await asyncio.sleep(_LOOK_S)
                    continue
                with contextlib.suppress(TimeoutError):  # all is there; now and then it is asked what became of it
                    async with asyncio.timeout(wait_s):
                        return await asyncio.shield(decision)
                wait_s = min(2 * wait_s, _LONGEST_S)
        finally:
            del self._decisions[id], self.have[id]

    async def _chunks(self, manifest: FileManifest, read: Callable[[int], Awaitable[bytes]], have: int) -> Progress:
        latest = Progress(file_id=manifest.file_id, number=0, stage=Stage.RECEIVING, have=have)
        running: set[asyncio.Task[Progress]] = set()
        try:
            for number in range(have + 1, manifest.chunks + 1):
                payload = await read(number)
                await self._room.acquire()
                task = asyncio.get_running_loop().create_task(self._one(manifest, number, payload))
                task.add_done_callback(lambda _: self._room.release())
                running.add(task)
                for done in [one for one in running if one.done()]:
                    running.discard(done)
                    latest = done.result()
                    if latest.decided or latest.stage is Stage.UNKNOWN:
                        return latest
            for one in asyncio.as_completed(running):
                latest = await one
                if latest.decided or latest.stage is Stage.UNKNOWN:
                    return latest
            return latest
        finally:
            for task in running:
                task.cancel()
            with contextlib.suppress(Exception):
                await asyncio.gather(*running, return_exceptions=True)

    async def _one(self, manifest: FileManifest, number: int, payload: bytes) -> Progress:
        id = message_id(manifest.file_id, number)
        waits: asyncio.Future[Progress] = asyncio.get_running_loop().create_future()
        self._waiting[id] = waits
        wait_s = self.resend_after_s
        try:
            while True:
                while not self._ready():  # noqa: ASYNC110  # links and presence tell of no change
                    await asyncio.sleep(_LOOK_S)
                try:
                    receipt = self._post(manifest, number, payload)
                except LinkError:
                    await asyncio.sleep(_LOOK_S)
                    continue
                self.sent += 1
                with contextlib.suppress(LinkError, TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await receipt
                        return await asyncio.shield(waits)
                self.unanswered += 1
                wait_s = min(2 * wait_s, _LONGEST_S)
                await asyncio.sleep(_LOOK_S)  # a broker that refuses is not asked without a pause
        finally:
            self._waiting.pop(id, None)

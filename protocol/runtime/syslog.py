"""Audit records to a syslog server: RFC 5424, over UDP, TCP (octet counting, RFC 6587) or a Unix socket.

`logging.handlers.SysLogHandler` speaks the older format, without years, zones or framing, and blocks the loop; so the
few lines are here. UDP loses what it loses; over TCP and Unix what failed is sent again from the last record that went
out, so a server may get one twice, and knows it by chain and sequence.
"""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from protocol.audit import Stored
from protocol.runtime.logs import logger

log = logger(__name__)

_PRIORITY = 13 * 8 + 5
"""Facility 13 (log audit), severity 5 (notice)."""
_LONGEST_UDP = 2048
"""Bytes: what every receiver should take (RFC 5424, section 6.1)."""
_BATCH = 200
_PATIENCE_S = 5.0
_TARGET = re.compile(r"(udp|tcp)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})|unix:(/[^\x00]{1,100})")


@dataclass(frozen=True, slots=True)
class Target:
    """Where records are sent."""

    kind: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parsed(cls, text: str) -> "Target":
        """Raises ValueError."""
        found = _TARGET.fullmatch(text)
        if found is None or (found[1] and not 0 < int(found[3]) < 65_536):
            raise ValueError("is none of udp://HOST:PORT, tcp://HOST:PORT and unix:/PATH")
        if found[1]:
            return cls(found[1], host=found[2].strip("[]"), port=int(found[3]))
        return cls("unix", path=found[4])

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        return f"{self.kind}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def message(record: Stored, host: str, program: str, process: int) -> bytes:
    """A record as RFC 5424 has it; the hash stands before the text it is of."""
    when = datetime.fromtimestamp(record.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{_PRIORITY}>1 {when} {_name(host, 255)} {_name(program, 48)} {process} {_name(record.event, 32)} - "
    return head.encode() + b"\xef\xbb\xbf" + f"{record.hash} {record.text}".encode()


def _name(text: str, most: int) -> str:
    return re.sub(r"[^!-~]", "_", text)[:most] or "-"


def framed(text: bytes) -> bytes:
    """Octet counting (RFC 6587, section 3.4.1)."""
    return b"%d %b" % (len(text), text)


class SyslogForward:
    """Sends each record, in order, from the last one that was sent on."""

    def __init__(
        self,
        target: Target,
        program: str,
        *,
        after: Callable[[int, int], Awaitable[Sequence[Stored]]],
        start: Callable[[], Awaitable[int]],
        sent: Callable[[int], Awaitable[None]],
    ) -> None:
        """`after(sequence, limit)` reads the next records; `start()` the sequence of the last one that was sent, and
        `sent(sequence)` writes it down.
        """
        self._target, self._program = target, program
        self._after, self._start, self._sent = after, start, sent
        self._host, self._process = socket.gethostname(), os.getpid()
        self._through: int | None = None
        self.trouble = ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def forward(self) -> None:
        """Send what is new. What cannot be sent is tried again the next time."""
        through = await self._start() if self._through is None else self._through
        self._through = through
        try:
            async with asyncio.timeout(_PATIENCE_S * 4):
                while records := await self._after(through, _BATCH):
                    await self._send([message(one, self._host, self._program, self._process) for one in records])
                    self._through = through = records[-1].sequence
                    await self._sent(through)
        except (OSError, TimeoutError) as error:
            await self.close()
            if not self.trouble:
                log.error("audit-not-forwarded", target=str(self._target), error=str(error) or type(error).__name__)
            self.trouble = str(error) or type(error).__name__
            return
        if self.trouble:
            log.info("audit-forwarded-again", target=str(self._target))
        self.trouble = ""

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _send(self, messages: Sequence[bytes]) -> None:
        target = self._target
        if target.kind == "tcp":
            if self._streams is not None and self._streams[0].at_eof():  # a server says nothing but that it goes
                await self.close()
            if self._streams is None:
                connecting = asyncio.open_connection(target.host, target.port)
                self._streams = await asyncio.wait_for(connecting, _PATIENCE_S)
            _, writer = self._streams
            writer.write(b"".join(framed(one) for one in messages))
            await asyncio.wait_for(writer.drain(), _PATIENCE_S)
            return
        await asyncio.to_thread(self._send_datagrams, messages)

    def _send_datagrams(self, messages: Sequence[bytes]) -> None:
        target = self._target
        if target.kind == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
                local.settimeout(_PATIENCE_S)
                local.connect(target.path)
                for one in messages:
                    local.send(one)
            return
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as away:
            for one in messages:
                away.sendto(one[:_LONGEST_UDP], address)

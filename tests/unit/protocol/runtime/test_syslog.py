"""Audit records at a syslog server: over real sockets, in order, from where it was left off."""

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from protocol.audit import ACT, Head, Stored, following
from protocol.runtime.syslog import SyslogForward, Target, framed, message
from scripts.tools.testbed.processes import free_port

pytestmark = pytest.mark.anyio


class Log:
    """Some records, and how far they were sent."""

    def __init__(self, count: int) -> None:
        self.records: list[Stored] = []
        self.noted = 0
        self.add(count)

    def add(self, count: int) -> None:
        for _ in range(count):
            head = self.records[-1].head if self.records else Head("front-1")
            self.records.append(following(head, 1_770_000_000_123, ACT, {"act": "暂停"}))

    async def after(self, sequence: int, limit: int) -> Sequence[Stored]:
        return [one for one in self.records if one.sequence > sequence][:limit]

    async def start(self) -> int:
        return self.noted

    async def sent(self, sequence: int) -> None:
        self.noted = sequence

    def forward(self, target: str) -> SyslogForward:
        return SyslogForward(Target.parsed(target), "dmz-front", after=self.after, start=self.start, sent=self.sent)


def test_the_format_is_that_of_rfc_5424() -> None:
    [record] = Log(1).records
    sent = message(record, "dmz host", "dmz-front", 7)
    head, _, text = sent.partition(b"\xef\xbb\xbf")
    assert head == b"<109>1 2026-02-02T02:40:00.123Z dmz_host dmz-front 7 act - "
    assert text.decode() == f"{record.hash} {record.text}"
    assert framed(b"abc") == b"3 abc"


async def test_over_tcp_with_octet_counting_and_from_where_it_was_left_off() -> None:
    log, got = Log(450), bytearray()
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while data := await reader.read(65_536):
            got.extend(data)

    def numbers() -> list[int]:
        found, at = [], 0
        while at < len(got):
            count, blank, _ = bytes(got[at : at + 12]).partition(b" ")
            if not blank or at + len(count) + 1 + int(count) > len(got):
                break
            one = bytes(got[at + len(count) + 1 : at + len(count) + 1 + int(count)])
            found.append(int(re.search(rb'"sequence":(\d+)', one)[1]))  # type: ignore[index]
            at += len(count) + 1 + int(count)
        return found

    async def until(last: int) -> None:
        async with asyncio.timeout(60):
            while not numbers() or numbers()[-1] != last:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    port = free_port()  # it is let go of and taken again
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    forward = log.forward(f"tcp://127.0.0.1:{port}")
    await forward.forward()
    await until(450)
    assert (numbers(), log.noted, len(connections)) == ([*range(1, 451)], 450, 1)
    server.close()
    connections[0].close()
    async with asyncio.timeout(60):
        while not forward._streams[0].at_eof():  # type: ignore[index]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    log.add(2)
    with capture_logs() as logs:
        await forward.forward()
        await forward.forward()
    assert [line["event"] for line in logs] == ["audit-not-forwarded"]  # said once
    assert (forward.trouble != "", log.noted) == (True, 450)
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    with capture_logs() as logs:
        await forward.forward()
    await until(452)
    assert ([line["event"] for line in logs], forward.trouble) == (["audit-forwarded-again"], "")
    assert numbers() == [*range(1, 453)]
    await forward.close()
    server.close()


@pytest.mark.parametrize("kind", ["udp", "unix"])
async def test_in_datagrams(kind: str, tmp_path: Path) -> None:
    log = Log(3)
    family, address = (socket.AF_INET, ("127.0.0.1", 0)) if kind == "udp" else (socket.AF_UNIX, str(tmp_path / "log"))
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(5)
        target = f"udp://127.0.0.1:{server.getsockname()[1]}" if kind == "udp" else f"unix:{address}"
        await log.forward(target).forward()
        got = [server.recv(4096) for _ in range(3)]
    assert [re.findall(rb'"sequence":(\d)', one) for one in got] == [[b"1"], [b"2"], [b"3"]]
    assert all(one.startswith(b"<109>1 ") for one in got)


async def test_a_socket_that_is_not_there_is_said(tmp_path: Path) -> None:
    log = Log(1)
    forward = log.forward(f"unix:{tmp_path / 'log'}")
    with capture_logs() as logs:
        await forward.forward()
    assert [(line["event"], line["target"]) for line in logs] == [("audit-not-forwarded", f"unix:{tmp_path / 'log'}")]

"""The control socket: whoever may asks, a daemon that is stuck is told from one that is not there."""

import asyncio
import json
import os
import pwd
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridgectl.control import NotAllowed, NotAnswered, NotRunning, Stuck, ask
from protocol.errors import BridgeError, ConfigurationError, WrongQuestion
from protocol.runtime import control
from protocol.runtime.control import ControlSocket, Peer

pytestmark = pytest.mark.anyio


async def told(path: Path, question: str, timeout_s: float = 5, **more: Any) -> Any:
    return await asyncio.to_thread(ask, path, question, timeout_s, **more)


async def echo(request: Mapping[str, Any], _who: Peer) -> dict[str, Any]:
    return dict(request)


async def refuse(_request: Mapping[str, Any], _who: Peer) -> None:
    raise BridgeError("not today")


async def break_down(_request: Mapping[str, Any], _who: Peer) -> None:
    raise RuntimeError("a customer's name")


async def hang(_request: Mapping[str, Any], _who: Peer) -> None:
    await asyncio.Event().wait()


async def misread(_request: Mapping[str, Any], _who: Peer) -> None:
    raise WrongQuestion("day: no such day")


ANSWERS = {"echo": echo, "refuse": refuse, "misread": misread, "break": break_down, "hang": hang}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


async def test_a_question_is_answered_on_a_socket_of_the_owner_alone(path: Path) -> None:
    server = ControlSocket(path, ANSWERS)
    await server.start()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116
    assert await told(path, "echo", more=1) == {"ask": "echo", "more": 1}
    await server.close()
    assert not os.path.lexists(path)  # noqa: ASYNC240
    with pytest.raises(NotRunning):
        await told(path, "echo")


async def test_what_cannot_be_answered_is_said_without_what_it_is_about(path: Path) -> None:
    server = ControlSocket(path, ANSWERS)
    await server.start()
    try:
        with pytest.raises(BridgeError, match="not today"):
            await told(path, "refuse")
        with pytest.raises(BridgeError, match="failed to answer: RuntimeError") as raised:
            await told(path, "break")
        assert "customer" not in str(raised.value)
        with pytest.raises(WrongQuestion, match="no such day"):
            await told(path, "misread")
        with pytest.raises(NotAnswered, match="it answers: break, echo, hang, misread, refuse"):
            await told(path, "no such thing")
    finally:
        await server.close()


@pytest.mark.parametrize("sent", [b"not json\n", b"[]\n", b'{"ask": []}\n', b"\n", b"x" * 100_000, b""])
async def test_nonsense_is_answered_or_hung_up_on_and_harms_nobody(path: Path, sent: bytes) -> None:
    server = ControlSocket(path, ANSWERS)
    await server.start()
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(sent)
        writer.write_eof()
        line = await asyncio.wait_for(reader.read(), 60)
        assert not line or "error" in json.loads(line)
        writer.close()
        assert (await told(path, "echo"))["ask"] == "echo"
    finally:
        await server.close()


async def test_a_daemon_that_is_there_and_does_not_answer_is_stuck(path: Path) -> None:
    server = ControlSocket(path, ANSWERS)
    await server.start()
    try:
        with pytest.raises(Stuck, match=r"within 0\.05 s"):
            await told(path, "hang", 0.05)
    finally:
        await server.close()


async def test_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ControlSocket(path, ANSWERS)
    await server.start()
    monkeypatch.setattr(control, "peer", lambda _: Peer(os.geteuid() + 4711, 1))
    try:
        with pytest.raises(NotAllowed, match="may not ask"):
            await told(path, "echo")
    finally:
        await server.close()


def test_the_kernel_says_who_asks() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert control.peer(one) == Peer(os.geteuid(), os.getpid())
        assert control.peer(one).name == pwd.getpwuid(os.geteuid()).pw_name


async def test_the_socket_of_a_dead_daemon_is_taken_over_and_a_living_one_is_not(path: Path) -> None:
    path.parent.mkdir()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    first = ControlSocket(path, ANSWERS)
    await first.start()
    with pytest.raises(ConfigurationError, match="another daemon answers there"):
        await ControlSocket(path, ANSWERS).start()
    assert (await told(path, "echo"))["ask"] == "echo"
    await first.close()


async def test_a_file_in_its_place_is_left_alone(path: Path) -> None:
    await asyncio.to_thread(path.parent.mkdir)
    await asyncio.to_thread(path.write_text, "precious")
    with pytest.raises(ConfigurationError, match="is no socket"):
        await ControlSocket(path, ANSWERS).start()
    assert await asyncio.to_thread(path.read_text) == "precious"


async def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    path = tmp_path / ("deep" * 30) / "control.sock"
    server = ControlSocket(path, ANSWERS)
    await server.start()
    assert (await told(path, "echo"))["ask"] == "echo"
    await server.close()

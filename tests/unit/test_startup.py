"""No mistake in a configuration, or in a file it names, is a traceback: each is one line and an exit status.

Every key of the shipped files is set to what it cannot be, and every file that is named is spoilt; that is checked, and
started, in this process.
"""

import contextlib
import gc
import logging
import os
import re
import shutil
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog

from bridgectl import cli
from dmz_front import command_line as front
from intranet_bridge import command_line as bridge
from protocol.runtime import daemon
from tests.support.shipped import BRIDGE
from tests.unit.installed import CONTROL, FRONT, install

Main = Callable[[list[str]], None]
MAINS: dict[str, Main] = {FRONT.name: front.main, BRIDGE.name: bridge.main}
VALUES = (
    '""', '"\\u0000"', f'"{"营" * 3000}"', "-1", "1e999", "99999999999999999999", "true", "[1]", '{ a = "b" }',
)  # fmt: skip
"""What nearly no key can be. (Where one is allowed, it is checked that the start says so.)"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    install(folder)
    return folder


@pytest.fixture
def folder(installed: Path, tmp_path: Path) -> Path:
    """An installation of this test's own, with few bindings: each is read again for each mistake."""
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    for file in (tmp_path / "bindings").glob("*.toml"):
        if file.name != "theft.toml":
            file.unlink()
    return tmp_path


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What a start sets for its process is undone."""
    handlers, level, interval = logging.getLogger().handlers[:], logging.getLogger().level, sys.getswitchinterval()
    yield
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()
    sys.setswitchinterval(interval)
    gc.unfreeze()


def ended(run: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and standard error of a program, which raises nothing."""
    status = 0
    try:
        run()
    except SystemExit as done:
        status = int(done.code or 0)
    told = capsys.readouterr().err
    assert "Traceback" not in told
    if status:
        errors = [line for line in told.splitlines() if line.startswith(("error: ", "bridgectl: "))]
        assert errors, told
        assert all(len(line) < 1_500 for line in errors)
        assert status in (1, 2, 3)
    return status, told


def keys(text: str) -> Iterator[tuple[str, int, int]]:
    """Each key of a TOML text that is set, and where its value stands."""
    table = ""
    at = 0
    for line in text.splitlines(keepends=True):
        if header := re.match(r"\[+([^\]]+)\]", line):
            table = header[1] + "."
        elif found := re.match(r"([a-z_]+)\s*=\s*(\"[^\"]*\"|\[[^\]]*\]|[^#\s]+)", line):
            yield table + found[1], at + found.start(2), at + found.end(2)
        at += len(line)


@pytest.mark.parametrize("name", sorted(MAINS))
def test_every_key_set_to_what_it_cannot_be(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / name
    whole = path.read_text(encoding="utf-8")
    refused = dict.fromkeys((key for key, _, _ in keys(whole)), 0)
    assert len(refused) > 25
    for key, begin, end in keys(whole):
        for value in VALUES:
            path.write_text(whole[:begin] + value + whole[end:], encoding="utf-8")
            status, told = ended(lambda: MAINS[name](["--config", str(path), "--check-config"]), capsys)
            if status:
                refused[key] += 1
                assert str(folder) in told, told
    assert not [key for key, count in refused.items() if count < 5]


@pytest.mark.parametrize("name", sorted(MAINS))
def test_every_key_misspelt_is_told_its_name(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / name
    whole = path.read_text(encoding="utf-8")
    for key, begin, _ in keys(whole):
        at = whole.rindex(key.rpartition(".")[2], 0, begin)
        short = key.rpartition(".")[2]
        wrong = short + "s"
        path.write_text(whole[:at] + wrong + whole[at + len(short) :], encoding="utf-8")
        status, told = ended(lambda: MAINS[name](["--config", str(path), "--check-config"]), capsys)
        line = whole.count("\n", 0, at) + 1
        assert (status, told.startswith(f"error: {path}:{line}: {key}s: unknown key; did you mean {key}?")) == (
            2, True,
        ), told  # fmt: skip


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


SPOILT: dict[str, Callable[[Path], object]] = {
    "missing": lambda file: file.unlink(),
    "a folder": _folder,
    "empty": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(bytes(range(256))),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "JSON": lambda file: file.write_text("[null]"),
    "deep": lambda file: file.write_text("[" * 100_000),
    "huge": lambda file: file.write_bytes(b"x" * (3 << 20)),
    "a pipe": _pipe,
    "a loop": _loop,
    "open to all": lambda file: file.chmod(0o666),
    "UTF-16": lambda file: file.write_bytes(file.read_bytes().decode("latin-1").encode("utf-16")),
}
FILES = {
    FRONT.name: ("certs/ca.pem", "certs/front.pem", "certs/front.key", "keys/front.keyring", "keys/trusted.json"),
    BRIDGE.name: (
        "certs/ca.pem", "certs/bridge.pem", "certs/bridge.key", "keys/bridge.keyring", "keys/trusted.json",
        "marketing.token", "bindings/theft.toml",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in FILES.items() for file in files])
def test_every_file_spoilt(name: str, file: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = (folder / file).read_bytes()
    for how, spoil in SPOILT.items():
        target = folder / file
        spoil(target)
        status, told = ended(lambda: MAINS[name](["--config", str(folder / name), "--check-config"]), capsys)
        if how != "open to all" and not (file == "marketing.token" and how in ("cut off", "JSON", "deep", "huge")):
            assert (status, str(target) in told or "include: there is" in told or "operations: is" in told) == (
                2,
                True,
            ), (how, told)
        started, said = ended(lambda: start(MAINS[name], folder / name), capsys)
        assert bool(started) == bool(status), (how, said)
        with contextlib.suppress(OSError):
            target.rmdir()
        target.unlink(missing_ok=True)
        target.write_bytes(saved)
        target.chmod(0o600)


def start(main: Main, path: Path) -> None:
    """Start a daemon; when it is ready, it is asked to stop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon, "notify", _stop_when_ready)
        main(["--config", str(path)])


def _stop_when_ready(*states: str) -> None:
    if "READY=1" in states:
        os.kill(os.getpid(), signal.SIGTERM)


OTHERS = {
    FRONT.name: ("front", "bridge"),
    BRIDGE.name: ("bridge", "front"),
}


@pytest.mark.parametrize("name", sorted(MAINS))
def test_the_other_side_s_files(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, other = OTHERS[name]
    path = folder / name
    whole = path.read_text(encoding="utf-8")
    for old, new, words in (
        (f"certs/{own}.pem", f"certs/{other}.pem", f"is not the key of {folder}/certs/{other}.pem"),
        (f"certs/{own}.key", f"certs/{other}.key", f"is not the key of {folder}/certs/{own}.pem"),
        (f"certs/{own}.", f"certs/{other}.", f"is the certificate of a {other} (CN={other}-1); here belongs one with"),
        (f"keys/{own}.keyring", f"keys/{other}.keyring", f"is not a {own}'s keyring"),
        ("certs/ca.pem", f"certs/{own}.pem", f"is the certificate of no authority (CN={own}-1)"),
        ("certs/ca.pem", "certs/ca.key", "holds no PEM CA certificate"),
    ):
        path.write_text(whole.replace(old, new), encoding="utf-8")
        status, told = ended(lambda: MAINS[name](["--config", str(path), "--check-config"]), capsys)
        assert (status, words in told) == (2, True), told
        assert re.search(rf"\({path}:\d+: (link|keys)\.[a-z]+\)$", told.splitlines()[0]), told
        started = ended(lambda: start(MAINS[name], path), capsys)
        if "here belongs" in words:  # else the broker would let it in, and it would wait for ever
            assert started == (2, f"{told.splitlines()[0]}\n")


@pytest.mark.parametrize("name", sorted(MAINS))
def test_databases_that_cannot_be_used(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / name
    own, other = OTHERS[name]
    assert ended(lambda: start(MAINS[name], path), capsys)[0] == 0
    file = folder / f"{own}.sqlite3"
    saved = file.read_bytes()

    def newer() -> None:
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            (table,) = database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'alembic_version_%'").fetchone()
            database.execute(f"UPDATE {table} SET version_num = '9999'")

    def foreign() -> None:
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                database.execute(f"DROP TABLE {table}")
                if not table.startswith("alembic"):
                    database.execute(f"CREATE TABLE {table} (x INTEGER)")

    def other_daemon() -> None:
        other_name = FRONT.name if name == BRIDGE.name else BRIDGE.name
        assert ended(lambda: start(MAINS[other_name], folder / other_name), capsys)[0] == 0
        shutil.copy(folder / f"{other}.sqlite3", file)

    for how, spoil in {
        "newer schema": newer,
        "a folder": lambda: file.mkdir(),
        "garbage": lambda: file.write_bytes(b"nothing of use" * 1000),
        "cut off": lambda: file.write_bytes(saved[:5000]),
        "another program's": foreign,
        "the other daemon's": other_daemon,
    }.items():
        if how not in ("newer schema", "another program's"):
            file.unlink(missing_ok=True)
        spoil()
        status, told = ended(lambda: start(MAINS[name], path), capsys)
        assert (status > 0, str(file) in told) == (True, True), (how, told)
        with contextlib.suppress(OSError):
            file.rmdir()
        for one in folder.glob(f"{file.name}*"):
            one.unlink()
        file.write_bytes(saved)


def test_ports_and_sockets_that_are_taken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / FRONT.name
    whole = path.read_text(encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for old, new in (("port = 8080", f"port = {port}"), ("port = 0 ", f"port = {port} ")):
            path.write_text(whole.replace(old, new, 1), encoding="utf-8")
            status, told = ended(lambda: start(front.main, path), capsys)
            assert (status, f":{port}" in told) == (2, True), told
    (folder / "file").write_text("")
    (folder / "folder").mkdir()
    for place in ("file", "folder", "file/control.sock", "/proc/control.sock", "x" * 300):
        path.write_text(whole.replace("front-control.sock", place), encoding="utf-8")
        status, told = ended(lambda: start(front.main, path), capsys)
        assert (status, "control.socket" in told) == (2, True), told


def test_a_configuration_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "deep.toml").write_text("a = " + "[" * 5_000)
    (folder / "long.toml").write_text("a = " + "9" * 10_000)
    for main in MAINS.values():
        for place in ("none.toml", "certs", "deep.toml", "long.toml", "keys/front.keyring", "x" * 300, "none/\udcff"):
            status, _ = ended(partial(main, ["--config", str(folder / place), "--check-config"]), capsys)
            assert status == 2


CERTIFICATES = ("certs/ca.pem", "certs/monitor.pem", "certs/monitor.key")
COMMANDS = {
    ("apps", "list"): ("front.sqlite3", CONTROL.name),
    ("queues",): CERTIFICATES,
    ("dlq", "list"): CERTIFICATES,
}  # fmt: skip


def test_bridgectl_with_every_key_set_to_what_it_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / CONTROL.name
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(path))
    whole = path.read_text(encoding="utf-8")
    for key, begin, end in keys(whole):
        refused = 0
        for value in VALUES:
            path.write_text(whole[:begin] + value + whole[end:], encoding="utf-8")
            monkeypatch.setattr(sys, "argv", ["bridgectl", "apps", "list"])
            refused += bool(ended(cli.main, capsys)[0])
        assert refused > 4, key


@pytest.mark.parametrize("command", list(COMMANDS), ids=" ".join)
def test_bridgectl_with_files_that_cannot_be_used(
    command: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / CONTROL.name
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(path))
    monkeypatch.setattr(sys, "argv", ["bridgectl", *command])
    for file in COMMANDS[command]:
        target = folder / file
        saved = target.read_bytes() if target.exists() else None
        target.touch()
        for how, spoil in SPOILT.items():
            if how == "open to all":  # taken, and then the broker is waited for
                continue
            spoil(target)
            ended(cli.main, capsys)
            with contextlib.suppress(OSError):
                target.rmdir()
            target.unlink(missing_ok=True)
            target.write_bytes(saved or b"")
        if saved is None:
            target.unlink()

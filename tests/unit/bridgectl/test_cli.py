"""The shape of the tool: its help, the exit codes it tells, and completion at a shell's prompt."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridgectl import cli
from bridgectl.cli import GROUPS, app, group
from protocol.errors import BridgeError, NotAsked, WrongQuestion


def commands() -> Iterator[tuple[str, ...]]:
    for name in sorted(GROUPS):
        yield from below((name,), group(name))


def below(words: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from below((*words, name), inner)


def is_group(words: tuple[str, ...]) -> bool:
    command = group(words[0])
    for word in words[1:]:
        command = command.commands[word]
    return hasattr(command, "commands")


COMMANDS = list(commands())


def helped(*words: str, **environment: str) -> str:
    done = CliRunner().invoke(app, [*words, "--help"], env=environment, terminal_width=60)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_plain_and_tells_exit_codes(words: tuple[str, ...]) -> None:
    told = helped(*words, FORCE_COLOR="1")
    assert not set(told) & set("╭│╰\033")
    assert "--show-completion" not in told
    assert told.startswith("Usage: ")
    if not is_group(words):
        assert "xit code" in told
    assert max(map(len, told.splitlines())) <= 60


def test_completion_is_offered_once() -> None:
    assert helped().count("--show-completion") == 1


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("bridgectl dlq re", ["redrive"]),
        ("bridgectl status --j", ["--json"]),
        ("bridgectl re", ["reload", "requests", "restore", "resume"]),
        ("bridgectl certs issue mon", ["monitor"]),
    ],
)
def test_completion_at_the_prompt(typed: str, offered: list[str]) -> None:
    asked = {"_BRIDGECTL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = bridgectl(**asked)
    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_the_script_for_a_shell_is_printed(tmp_path: Path) -> None:
    asked = f"{sys.executable} -m bridgectl.cli --show-completion; exit $?"  # which shell, it sees by who starts it
    done = subprocess.run(
        ["bash", "-c", asked], env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "_BRIDGECTL_COMPLETE=complete_bash" in done.stdout
    assert "bridgectl" in done.stdout.splitlines()[-1]


def test_names_are_completed_without_importing_any_group() -> None:
    code = (
        "import sys; from bridgectl import cli\n"
        "try: cli.main()\n"
        "except SystemExit: print(*[m for m in sys.modules if m.startswith('bridgectl.commands')])"
    )
    asked = {"_BRIDGECTL_COMPLETE": "complete_bash", "COMP_WORDS": "bridgectl tra", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["trace"]


def test_what_tells_how_things_are_imports_neither_catalogue_nor_database() -> None:
    code = (
        "import sys, bridgectl.commands.status, bridgectl.commands.top\n"
        "print([name for name in ('protocol.operations', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def bridgectl(*words: str, **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "bridgectl.cli", *words],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(("raised", "status"), [(WrongQuestion, 2), (NotAsked, 3), (BridgeError, 1)])
def test_the_exit_code_tells_a_wrong_value_from_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: type[BridgeError], status: int
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise raised("states.0: no such state")

    monkeypatch.setattr(cli, "app", refused)
    monkeypatch.setattr(sys, "argv", ["bridgectl", "--lang", "en", "settle", "runs", "--state", "x"])
    with pytest.raises(SystemExit) as ended:
        cli._run()
    assert ended.value.code == status
    assert "states.0" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("orders", "list", "--state", "x"), ("audit", "show", "--event", "x")])
def test_a_mistyped_state_is_no_empty_list(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert "'x' is not one of" in done.output

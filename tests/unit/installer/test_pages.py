"""What the page about installing tells an administrator to type is understood."""

import re

import pytest

from scripts.tools.installer import command_line
from scripts.tools.installer.source import SOURCE
from tests.support.command_lines import command_lines, words

LINES = [
    line
    for line in command_lines(SOURCE / "docs/how-to/install.md")
    if re.search(r"scripts/\w*(install|upgrade)", line)
]


class Read(Exception):
    """The options were taken: nothing is to be done."""


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object, **__: object) -> None:
        raise Read

    monkeypatch.setattr(command_line, "look", taken)
    program, *options = words(line)
    with pytest.raises(Read):
        command_line.COMMANDS[program.rpartition("/")[2]](options)


def test_there_are_lines_of_all_three() -> None:
    assert {words(line)[0].rpartition("/")[2] for line in LINES} == {"install", "upgrade", "uninstall"}

"""Command lines of pages, as a reader would type them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from bridgectl.cli import app
from bridgectl.language import asked

_BLOCK = re.compile(r"^( *)```(sh|console)\n(.*?)^\1```", re.M | re.S)


def command_lines(page: Path) -> Iterator[str]:
    """Each line of its blocks `sh`, and each of its blocks `console` that begins with a prompt; continued lines as one,
    without comments and without `sudo`.
    """
    for _, language, content in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in re.sub(r"\\\n\s*", "", content).splitlines():
            if language == "console" and not line.lstrip().startswith("$ "):
                continue
            bare = re.sub(r"\s+#\s.*$|^#\s.*$", "", line.strip().removeprefix("$ "))
            if bare:
                yield re.sub(r"^sudo (-u \S+ )?", "", bare)


def words(line: str) -> list[str]:
    """The first command of a line: up to a pipe, a redirection or the next command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            break
        found.append(word)
    return found


def bridgectl_understands(arguments: list[str]) -> None:
    """Raises click's UsageError unless `bridgectl` takes them."""
    command: Any = typer.main.get_command(app)
    arguments = asked(arguments)[1]
    while hasattr(command, "resolve_command") and arguments and arguments[0] != "--help":
        if command.invoke_without_command and arguments[0].startswith("-"):
            break
        context = command.make_context(command.name, [], resilient_parsing=True)
        _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None, "no such command"
        command = found
    if arguments != ["--help"]:
        command.make_context(command.name, arguments)

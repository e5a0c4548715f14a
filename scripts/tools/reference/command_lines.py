"""docs/reference/cli.md: bridgectl's commands as typer has them, the daemons' as argparse has."""

import argparse
from collections.abc import Callable, Iterator
from enum import EnumMeta
from typing import Any
from unittest.mock import patch

from bridgectl.cli import GROUPS, group
from dmz_front import command_line as front
from intranet_bridge import command_line as bridge
from scripts.tools.reference.markdown import code, page, table
from scripts.tools.reference.wording import Say, paragraphs

_INTRODUCTION = """
`bridgectl` reads the file that `BRIDGECTL_CONFIG` names ([configuration](configuration.md#bridgectltoml)). Exit codes,
unless a command has its own: 0 done; 1 it failed, or something is wrong; 2 wrong usage; 3 a daemon could not be asked.
`bridgectl --install-completion` has the shell complete commands and options. `NO_COLOR` is heard. `BRIDGECTL_DEBUG=1`
shows where an error that nobody foresaw came from.

"""
_DAEMONS = """
Exit codes: 0 stopped when asked, or the configuration is in order; 1 the start failed; 2 a configuration that
cannot be used. Each says why in one line.

"""


_HEADS = ("option", "default", "what")
_OF_EACH = ("help", "install_completion", "show_completion")


class _Captured(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def cli_page(say: Say) -> str:
    """The page."""
    text = ""
    for name in sorted(GROUPS):
        about, command = GROUPS[name][1], group(name)
        text += f"## bridgectl {name}\n\n{say(about)}\n\n"
        for words, one in _commands(name, command):
            text += _command(words, one, head=bool(getattr(command, "commands", None)), about=about, say=say)
    text += f"## {say('The daemons')}\n\n{say(_DAEMONS.strip())}\n\n"
    for program, main in (("dmz-front", front.main), ("intranet-bridge", bridge.main)):
        text += f"### {program}\n\n" + _options(_parser(main), program, say)
    return page(say("Command lines"), say(_INTRODUCTION), text)


def _commands(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield words, command
        return
    for name in sorted(inner):
        yield from _commands(f"{words} {name}", inner[name])


def _command(words: str, command: Any, *, head: bool, about: str, say: Say) -> str:
    parameters = [one for one in command.params if not getattr(one, "hidden", False) and one.name not in _OF_EACH]
    arguments = [_argument(one) for one in parameters if one.param_type_name == "argument"]
    usage = " ".join(["bridgectl", words, *arguments])
    text = f"### {words}\n\n" if head else ""
    text += f"`{usage}`\n\n"
    said = (command.help or "").strip()
    if said and said != about:
        text += "\n\n".join(map(say, paragraphs(said))) + "\n\n"
    rows = [
        (
            " ".join(code(one) for one in (*parameter.opts, *parameter.secondary_opts)),
            say("needed") if parameter.required else _default(parameter),
            _help(parameter, say),
        )
        for parameter in parameters
        if parameter.param_type_name == "option"
    ]
    return text + (table(map(say, _HEADS), rows) + "\n" if rows else "")


def _argument(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name or "").strip("[].").upper() + (
        "..." if parameter.nargs == -1 else ""
    )
    return name if parameter.required else f"[{name}]"


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or callable(value) or value is False or value in ((), []):
        return ""
    return code(str(getattr(value, "value", value)))


def _help(parameter: Any, say: Say) -> str:
    of = getattr(parameter, "bare_type", None)
    choices: list[Any] = list(of) if isinstance(of, EnumMeta) and not parameter.metavar else []
    listed = ", ".join(code(str(one.value)) for one in choices)
    return ": ".join(part for part in (say(parameter.help or ""), listed) if part)


def _parser(main: Callable[[list[str]], None]) -> argparse.ArgumentParser:
    def capture(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _Captured(parser)

    with patch.object(argparse.ArgumentParser, "parse_args", capture):
        try:
            main([])
        except _Captured as found:
            return found.parser
    raise AssertionError("it did not read its arguments")


def _options(parser: argparse.ArgumentParser, words: str, say: Say) -> str:
    text = f"{say(parser.description or '')}\n\n"
    rows, inner = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner += list(action.choices.items())
        elif not isinstance(action, argparse._HelpAction):
            given = [code(one) for one in action.option_strings] or [code(str(action.metavar or action.dest))]
            default = "" if action.default in (None, False) else code(str(action.default))
            rows.append((" ".join(given), default, say((action.help or "").replace("%%", "%"))))
    text += table(map(say, _HEADS), rows) + "\n" if rows else ""
    for name, one in inner:
        text += f"#### {words} {name}\n\n{_options(one, f'{words} {name}', say)}"
    return text

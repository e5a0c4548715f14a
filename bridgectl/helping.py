"""Help and usage errors in the language that is spoken: typer says them in English, and wraps by characters."""

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
import typer.core

from bridgectl.cells import left, width, wrapped
from bridgectl.language import heard, noted, tr

TYPER = (
    noted("Usage: "), noted("Arguments"), noted("Options"), noted("Commands"), noted("required"),
    noted("Show this message and exit."),
    noted("Install completion for the current shell."),
    noted("Show completion for the current shell, to copy it or customize the installation."),
)  # fmt: skip
"""What typer's help says itself."""
ERRORS = (
    noted("Missing argument {what}."), noted("Missing option {what}."), noted("Missing command."),
    noted("Missing argument {what}. Choose from:{known}"), noted("Missing option {what}. Choose from:{known}"),
    noted("No such option: {what} (Possible options: {known})"), noted("No such option: {what}"),
    noted("No such command {what}. Did you mean {known}?"), noted("No such command {what}."),
    noted("Invalid value for {what}: {why}"), noted("Invalid value: {why}"),
    noted("Got unexpected extra argument ({what})"), noted("Got unexpected extra arguments ({what})"),
    noted("Option {what} requires an argument."), noted("Option {what} does not take a value."),
    noted("{what} is not one of {known}."), noted("{what} is not a valid integer."),
    noted("{what} is not a valid float."), noted("{what} is not a valid int."),
    noted("{what} is not in the range {known}."),
    noted("Input should be a valid number, unable to parse string as a number"),
    noted("Input should be a valid integer, unable to parse string as an integer"),
    noted("Input should be less than or equal to {most}"), noted("Input should be greater than or equal to {least}"),
)  # fmt: skip
"""What its errors say."""


def spoken(command: Any) -> None:
    """Have a command, and those in it, say its help in the language that is spoken."""
    command.context_class = _context(command.context_class)
    for part in (command, *command.params):
        if getattr(part, "help", None):
            part.help = tr(part.help)
    if command.epilog:
        command.epilog = tr(command.epilog)
    if command.help:  # typer would cut at a blank
        command.short_help = f"{command.help.partition('。')[0].splitlines()[0]}。".replace("。。", "。")
    for one in getattr(command, "commands", {}).values():
        spoken(one)


def run(app: typer.Typer, arguments: Sequence[str]) -> None:
    """Run it, and end the program; usage errors in the language that is spoken."""
    try:
        status = app(list(arguments), prog_name="bridgectl", standalone_mode=False)
    except typer.TyperException as error:
        _show(error)
        status = error.exit_code
    except typer.Abort:
        typer.echo(tr("Aborted!"), err=True)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _show(error: Any) -> None:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        typer.echo(error.format_message(), err=True)
        return
    if context is not None:
        typer.echo(context.get_usage(), err=True)
        command = context.command_path + " --help"
        typer.echo(tr("Try '{command}' for help.", command=command) + "\n", err=True)
    typer.echo(
        tr("Error: {what}", what=heard(error.format_message().replace(": Value error, ", ": "), ERRORS)), err=True
    )


def _context(base: Any) -> Any:
    class Context(base):  # type: ignore[misc]
        formatter_class = type("Formatter", (_Wide, base.formatter_class), {})

    return Context


class _Wide:
    """typer's formatter, that measures in cells."""

    width: int
    current_indent: int

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line that shows how it is called."""
        start = (tr("Usage: ") if prefix is None else prefix) + f"{prog} "
        first, *rest = wrapped(args, max(20, self.width - width(start)))
        self._write(start + first + "\n")
        for line in rest:
            self._write(" " * width(start) + line + "\n")

    def write_heading(self, heading: str) -> None:
        """Above a section."""
        self._write(" " * self.current_indent + tr(heading) + ":\n")

    def write_text(self, text: str) -> None:
        """Paragraphs."""
        indent = " " * self.current_indent
        paragraphs = ["\n".join(wrapped(one, self.width - len(indent))) for one in re.split(r"\n\s*\n", text.strip())]
        self._write("\n".join(f"{indent}{line}".rstrip() for line in "\n\n".join(paragraphs).splitlines()) + "\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Two columns."""
        indent = " " * self.current_indent
        column = min(max((width(first) for first, _ in rows), default=0), col_max) + col_spacing
        for first, second in rows:
            lines = wrapped(_marked(tr(second)), max(10, self.width - column - 2)) if second else []
            if lines and width(first) + col_spacing <= column:
                self._write(f"{indent}{left(first, column)}{lines.pop(0)}\n")
            else:
                self._write(f"{indent}{first}\n")
            for line in lines:
                self._write(f"{indent}{'':{column}}{line}\n")

    def _write(self, text: str) -> None:
        self.write(text)  # type: ignore[attr-defined]  # of the formatter that this is mixed into


def _marked(help_text: str) -> str:
    """`[default: 30]` and `[required]`, which typer puts behind a help."""
    marked = re.sub(r"\[default: ([^\]]*)\]", lambda found: tr("[default: {value}]", value=found[1]), help_text)
    return re.sub(r"\[([^\]]*[;, ]+)?required\]", lambda found: "[" + (found[1] or "") + tr("required") + "]", marked)

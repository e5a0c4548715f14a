"""`bridgectl`: the list of command groups, imported only when one is used, and how errors reach the operator.

A new group is a line in `GROUPS` and a module with a typer `app` under bridgectl/commands.
"""

import gc
import importlib
import io
import os
import sys
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from bridgectl.language import LANGUAGES, asked, chinese, chosen, known, speak, tr
from bridgectl.vocabulary import passed_on
from protocol.errors import BridgeError, NotAsked, WrongQuestion, in_one_line

GROUPS = {
    "addresses": ("bridgectl.commands.addresses", "Client addresses that the front has paused; let one in again."),
    "apps": ("bridgectl.commands.apps", "Applications: keys, scopes, networks, rates and quotas."),
    "backup": ("bridgectl.commands.backup", "Copy a daemon's database, verified, while it runs."),
    "audit": ("bridgectl.commands.audit", "What administrators did and which commands were accepted, chained."),
    "bundle": ("bridgectl.commands.bundle", "One file for support: reports, masked configurations, logs; no secrets."),
    "cache": ("bridgectl.commands.cache", "Kept answers of the marketing system: how many; forget some."),
    "certs": ("bridgectl.commands.certs", "Make, show and check TLS certificates."),
    "circuit": ("bridgectl.commands.circuit", "Circuit breakers: show them, close one."),
    "clearing": ("bridgectl.commands.clearing", "Clearing sheets: show, sign, pay out, what arrived, adjust, export."),
    "content": ("bridgectl.commands.content", "Texts that the bridge publishes: list, show, import, export."),
    "desk": ("bridgectl.commands.desk", "Staff of the pages under /desk/, of the front and of the bridge."),
    "dlq": ("bridgectl.commands.dlq", "Dead letters: why, how old, sent again or taken away."),
    "doctor": ("bridgectl.commands.doctor", "Prove an installation: one-way rule, TLS, clocks, files, expiry."),
    "drain": ("bridgectl.commands.drain", "Before a stop: take nothing new, finish what runs."),
    "import": ("bridgectl.commands.imports", "Data that the bridge fetches by the clock; run an import now."),
    "files": ("bridgectl.commands.files", "Files of platforms: look at them, have a refused one sent again."),
    "inbox": ("bridgectl.commands.inbox", "The inbox that commands of this region are for."),
    "keys": ("bridgectl.commands.keys", "Make, show and rotate the envelope's keys."),
    "ledger": ("bridgectl.commands.ledger", "The books of money: balances, journals, and whether they are whole."),
    "notices": ("bridgectl.commands.notices", "Notices to applications: publish, look at them, deliver again."),
    "pause": ("bridgectl.commands.pause", "Pause operations while the marketing system is maintained."),
    "qr": ("bridgectl.commands.qr", "Customers' QR codes: issue, whole sheets, record, revoke, keys."),
    "probe": ("bridgectl.commands.probe", "Try an interface of the marketing system, step by step."),
    "orders": ("bridgectl.commands.orders", "Payment orders: look at them, settle those that are held."),
    "queues": ("bridgectl.commands.queues", "Depth, consumers and flow of each queue."),
    "reload": ("bridgectl.commands.reload", "Have the daemons of this host take up their changed configuration."),
    "resume": ("bridgectl.commands.pause:resuming", "Go on with operations that are paused."),
    "restore": ("bridgectl.commands.restore", "Put a backup back; what it has forgotten is guarded."),
    "settle": ("bridgectl.commands.settle", "Statements beside the books: what differs; resolve, approve, run again."),
    "risk": ("bridgectl.commands.risk", "Risk: lists of payers and cards, and what the rules decided."),
    "stats": ("bridgectl.commands.stats", "Calls, outcomes and latencies by day; exports, a report."),
    "status": ("bridgectl.commands.status", "What is wrong, who is hurt, and the one command that mends it."),
    "trace": ("bridgectl.commands.trace", "One request's life, as far as this host knows it."),
    "top": ("bridgectl.commands.top", "Status, live: rates, interfaces and queues, with keys to sort and open."),
    "withholding": ("bridgectl.commands.withholding", "Batches that banks are asked to charge; settle what is held."),
    "requests": ("bridgectl.commands.requests", "Commands in ledger and inbox; decide those that are held."),
}
"""Command group → the module that holds its typer `app`, or `module:name` where one module holds several, and
what `bridgectl --help` says of it."""


EXIT_CODES = "Exit codes: 0 done, 1 it failed or something is wrong, 2 wrong usage, 3 a daemon could not be asked."
"""Of a command that has none of its own."""


def group(name: str) -> Any:
    """The command, or the group of commands, of that name: its help plain as the root's, and each with its exit codes.

    Plain: what rich frames cannot be read on 60 columns, nor by a screen reader, and `NO_COLOR` is heard by itself.
    """
    module, _, attribute = GROUPS[name][0].partition(":")
    loaded: typer.Typer = getattr(importlib.import_module(module), attribute or "app")
    loaded.rich_markup_mode = None
    command: Any = typer.main.get_command(loaded)
    command.name = name
    command.params = [one for one in command.params if one.name not in ("install_completion", "show_completion")]
    _tell_exit_codes(command)
    _speak(command)
    return command


def _speak(command: Any) -> None:
    if chinese():
        from bridgectl.helping import spoken

        spoken(command)


def _tell_exit_codes(command: Any) -> None:
    if isinstance(command, typer.core.TyperGroup):
        for one in command.commands.values():
            _tell_exit_codes(one)
    elif "Exit code" not in (command.help or ""):
        command.epilog = EXIT_CODES


class _Lazy(typer.core.TyperGroup):
    """Commands looked up in GROUPS, so that `certs`, and `--help`, never pay for what `queues` imports."""

    _names_only = False
    """While names are completed at a shell's prompt, no group is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        _speak(self)

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in GROUPS:
            return None
        if self._names_only:
            return typer.core.TyperCommand(cmd_name, help=tr(GROUPS[cmd_name][1]))
        found = group(cmd_name)
        gc.freeze()
        gc.enable()
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, tr(GROUPS[name][1])) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        self._names_only = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._names_only = False


app = typer.Typer(
    cls=_Lazy,
    name="bridgectl",
    help="Operate a dmz-bridge: status, diagnosis, queues, held commands, certificates, keys.",
    no_args_is_help=True,
    epilog="Exit codes of each command stand in its own --help. BRIDGECTL_DEBUG=1 shows where an error came from.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(
    lang: Annotated[
        str | None,
        typer.Option("--lang", metavar="LANGUAGE", help="en or zh, anywhere on the line [default: by the locale]"),
    ] = None,
) -> None:
    """Make typer build a group even while no command is defined here. `main` has seen to the language."""


def main() -> None:
    """Run bridgectl. Exit codes: 0 done, 1 something is wrong (said on stderr), 2 wrong usage, 3 a daemon that could
    not be asked; `status` has those of monitoring plug-ins.
    """
    gc.disable()  # for which nothing of what is imported is garbage; on again when a command is found
    try:
        _run()
    finally:
        gc.freeze()  # nor is it looked for at the end


def _run() -> None:
    said, arguments = asked(sys.argv[1:])
    if said is not None and known(said) is None:
        print(f"bridgectl: --lang: {said!r} is not one of {', '.join(LANGUAGES)}", file=sys.stderr)
        sys.exit(2)
    speak(chosen(said, arguments, os.environ))
    try:
        if chinese():
            from bridgectl.helping import run

            _replace_what_cannot_be_shown()
            run(app, arguments)
        app(arguments, prog_name="bridgectl")
    except NotAsked as error:
        _end(error, 3)
    except WrongQuestion as error:
        _end(error, 2)
    except BridgeError as error:
        _end(error, 1)
    except Exception as error:
        if os.environ.get("BRIDGECTL_DEBUG"):
            raise
        _end(error, 1, f"{type(error).__name__}: ", tr(" (BRIDGECTL_DEBUG=1 shows where)"))


def _replace_what_cannot_be_shown() -> None:
    """A terminal whose character set has no Chinese shows `?`, and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _end(error: Exception, status: int, before: str = "", after: str = "") -> None:
    print(f"bridgectl: {before}{passed_on(in_one_line(error))}{after}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()

"""The commands `scripts/install`, `scripts/upgrade` and `scripts/uninstall`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scripts.tools.installer import plan, turning
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.executor import Executor, announce
from scripts.tools.installer.facts import Facts, look
from scripts.tools.installer.layout import KNOWN, PREFIX, ROLES
from scripts.tools.installer.plan import Wanted
from scripts.tools.installer.services import MANAGERS, Manager
from scripts.tools.installer.source import SOURCE, read_source, verify
from scripts.tools.installer.steps import Step
from scripts.tools.installer.uninstall import uninstall_plan
from scripts.tools.installer.upgrade import BACKUPS, Turn, upgrade_plan, way_back

INSTALL = """Install one role of dmz-bridge on this host, from an unpacked bundle (no network) or a source tree.

Run it again as often as you like: what is there is left alone, and a configuration file that was changed here is never
written over (a new one of ours goes beside it, as FILE.new). A host may have several roles: run it for each."""


def _common(prog: str, text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"scripts/{prog}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prefix", default=PREFIX, metavar="DIR", help=f"where releases are kept (default: {PREFIX})")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument(
        "--services",
        choices=sorted(MANAGERS),
        default=os.environ.get("DMZ_BRIDGE_SERVICES", ""),
        help=argparse.SUPPRESS,
    )
    return parser


def install(arguments: list[str]) -> None:
    """`scripts/install`. Raises InstallError."""
    parser = _common("install", INSTALL)
    parser.add_argument("--role", choices=ROLES, required=True)
    parser.add_argument("--root", default="", metavar="DIR", help="install below DIR, for an image; nothing is started")
    parser.add_argument(
        "--name", default="", help="of this instance, as in its certificate (default: front-1, bridge-1)"
    )
    parser.add_argument("--region", default="", help="whose queues are used (default: main)")
    parser.add_argument("--broker", action="append", default=[], metavar="HOST:PORT",
                        help="where the broker is reached; repeatable (front: default localhost:61616)")  # fmt: skip
    parser.add_argument("--secrets", default="", metavar="DIR",
                        help="certs/ and keys/ as bridgectl made them: this role's are put in place")  # fmt: skip
    parser.add_argument("--no-start", action="store_true", help="leave the service as it is")
    given = parser.parse_args(arguments)
    root = str(Path(given.root).resolve()) if given.root else ""
    facts = look(root, given.prefix, given.services)
    source = read_source()
    available: frozenset[str] = frozenset()
    if given.secrets:
        folder = Path(given.secrets).resolve()
        given.secrets = str(folder)
        available = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        if not available:
            raise InstallError(f"--secrets {folder}: there is nothing in it")
    wanted = Wanted(
        KNOWN[given.role], given.prefix, given.name, given.region, tuple(given.broker), given.secrets, available,
        not given.no_start,
    )  # fmt: skip
    steps = plan.install_plan(facts, source, wanted)
    if not given.dry_run:
        may(root)
        if count := verify(SOURCE):
            print(f"{count} files of the bundle are what they were made as")
    carry_out(given.dry_run, steps, executor(facts, given.prefix))


def executor(facts: Facts, prefix: str) -> Executor:
    """One for this host."""
    return Executor(facts.root, prefix, manager_of(facts))


def manager_of(facts: Facts) -> Manager | None:
    """The service manager there is."""
    return MANAGERS[facts.manager]() if facts.manager else None


def carry_out(dry_run: bool, steps: list[Step], doer: Executor) -> None:
    """Do the steps, or say them."""
    if dry_run:
        for step in steps:
            announce(step)
        return
    doer.all(steps)


def may(root: str) -> None:
    """Raises InstallError for one who cannot."""
    if not root and os.geteuid() != 0:
        raise InstallError("only root can install on this host (--dry-run says what would be done)")


UPGRADE = """Put this release (the bundle or source tree this script is in) in the place of the installed one.

It is made ready beside the other while that runs on; then services stop (they drain), databases are copied and
migrated, the link is switched, services start and are asked over their control sockets. If anything fails, the release
before is put back. No request is lost: commands wait at the other side meanwhile."""


def upgrade(arguments: list[str]) -> None:
    """`scripts/upgrade`. Raises InstallError."""
    parser = _common("upgrade", UPGRADE)
    parser.add_argument("--roll-back", action="store_true", help="back to the release before the last upgrade")
    parser.add_argument("--prepare", action="store_true", help="only make the new release ready; nothing is stopped")
    parser.add_argument("--patience", type=float, default=turning.PATIENCE_S, metavar="S",
                        help="seconds for each service to be well (default: %(default)g)")  # fmt: skip
    given = parser.parse_args(arguments)
    facts = look("", given.prefix, given.services)
    last = turning.last_turn(given.prefix)
    if given.roll_back:
        _roll_back(given, facts, last)
        return
    if last is not None and not last.done:
        raise InstallError(
            f"the upgrade from {last.before} to {last.after} was cut short ({last.folder}): "
            "scripts/upgrade --roll-back first"
        )
    manager = manager_of(facts)
    if manager is None:
        raise InstallError("an upgrade stops and starts services, and systemd is not PID 1 here")
    source = read_source()
    services = turning.services_of(facts, manager)
    folder = f"{BACKUPS}/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{source.release}"
    found = upgrade_plan(facts, source, given.prefix, services, folder)
    if given.dry_run:
        carry_out(True, [*found.prepare, *found.turn], executor(facts, given.prefix))
        return
    may("")
    turning.enough_room(services)
    if count := verify(SOURCE):
        print(f"{count} files of the bundle are what they were made as")
    if given.prepare:
        executor(facts, given.prefix).all(found.prepare)
        print(f"{source.release} is ready; {facts.installed.release} runs on. Now scripts/upgrade takes seconds")
        return
    turning.turn(found, turning.Turner(given.prefix, manager, found.state, given.patience), given.prefix)
    print(f"{found.state.after} is in use; {found.state.before} is kept (scripts/upgrade --roll-back)")


def _roll_back(given: argparse.Namespace, facts: Facts, last: Turn | None) -> None:
    if last is None or (last.done and last.after != facts.installed.release):
        raise InstallError(f"there is no upgrade to {facts.installed.release or 'anything'} to go back on")
    manager = manager_of(facts)
    if manager is None:
        raise InstallError("this stops and starts services, and systemd is not PID 1 here")
    shipped = facts.installed.shipped
    changed = {
        path for path in last.files if last.done and (here := facts.at(path)) and here.digest != shipped.get(path)
    }
    if given.dry_run:
        record = Path(last.folder, "installed.json").read_bytes()
        carry_out(True, way_back(last, given.prefix, record, frozenset(changed)), executor(facts, given.prefix))
        return
    may("")
    doer = turning.Turner(given.prefix, manager, last, given.patience)
    turning.back(last, doer, given.prefix, frozenset(changed))
    print(f"{last.before} is in use again")


UNINSTALL = (
    """Remove dmz-bridge, or one role of it, from this host. Data and configuration stay, unless --purge is given."""
)


def uninstall(arguments: list[str]) -> None:
    """`scripts/uninstall`. Raises InstallError."""
    parser = _common("uninstall", UNINSTALL)
    parser.add_argument("--role", choices=ROLES, default="", help="only this one (default: all of this host)")
    parser.add_argument(
        "--purge", action="store_true", help="data and configuration too: ledger, inbox, keys, everything"
    )
    given = parser.parse_args(arguments)
    facts = look("", given.prefix, given.services)
    steps = uninstall_plan(facts, given.prefix, given.role, purge=given.purge)
    if not given.dry_run:
        may("")
    carry_out(given.dry_run, steps, executor(facts, given.prefix))


COMMANDS: dict[str, Callable[[list[str]], None]] = {"install": install, "upgrade": upgrade, "uninstall": uninstall}


def main() -> int:
    """`python3 -m scripts.tools.installer.command_line COMMAND …`; the exit code."""
    command, *arguments = sys.argv[1:]
    os.umask(0o022)
    try:
        COMMANDS[command](arguments)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The `intranet-bridge` command: its options, and the bridge that an operator's files describe."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from intranet_bridge.app import Bridge
from intranet_bridge.bound import bind, place_of
from intranet_bridge.links import links_of
from intranet_bridge.marketing.sql.binding import SqlSystem
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.settlement.assembly import check as check_settlement
from intranet_bridge.store import MIGRATIONS
from intranet_bridge.trial import trial
from protocol.destinations import commands
from protocol.errors import ConfigurationError
from protocol.keyring import judged_groups
from protocol.link.certificates import role_objection
from protocol.messages import Role
from protocol.runtime import crash_points, daemon, logs
from protocol.runtime.config_check import backup_errors, checked, dated, link_errors, store_doubts, store_errors
from protocol.runtime.keyfiles import keyring_of
from protocol.runtime.lease import only_one
from protocol.runtime.migrate import add_argument
from protocol.runtime.settings import load, naming, toml_path
from protocol.runtime.tracing import opened


def installed(settings: BridgeSettings) -> Bridge:
    """The bridge as an operator's files describe it. Raises ConfigurationError for one that cannot be used."""
    links, bound = links_of(settings), bind(settings)
    traced, tracing = None, opened(settings.tracing, "intranet-bridge", settings.name)
    if tracing is not None:
        from intranet_bridge.traced import Traced

        traced = Traced(tracing, commands(settings.region))
    return Bridge(
        settings, keyring=keyring_of(settings.keys, Role.BRIDGE), links=links, bound=bound,
        traced=traced,
    )  # fmt: skip


def compose(settings: BridgeSettings, configuration: Path) -> Callable[[daemon.Daemon], Awaitable[None]]:
    """What the daemon runs."""

    async def start(parts: daemon.Daemon) -> None:
        if settings.store.file is not None:
            lock = only_one(settings.store.file, "intranet-bridge")
            await parts.start("lock", None, lock.close)
        for doubt in settings.doubts():
            logs.logger(__name__).warning("binding-doubtful", setting=doubt)
        await installed(settings).start(parts, configuration)

    return start


def main(arguments: list[str] | None = None) -> None:
    """The `intranet-bridge` command. Exits with 2 and one line for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="intranet-bridge", description="Takes requests from the broker in the DMZ and calls the marketing system."
    )
    parser.add_argument("--config", type=Path, default=Path("/etc/dmz-bridge/intranet_bridge.toml"), metavar="FILE")
    parser.add_argument("--check-config", action="store_true", help="check every setting and file, then exit")
    add_argument(parser)
    trial.add_command(parser.add_subparsers(dest="command", metavar="try"))
    given = parser.parse_args(arguments)
    with daemon.one_line():
        settings = load(given.config, BridgeSettings)
        logs.configure(settings.log.level, style=settings.log.format)
        crash_points.arm(os.environ)
        if given.command == "try":
            with naming(given.config, settings):
                sys.exit(trial.run(settings, given))
        if given.check_config:
            _check(given.config, settings)
            return
        if given.migrate:
            print(MIGRATIONS.command(settings.store.address(), settings.store.file, given.migrate))
            return
    start = compose(settings, given.config)

    async def named(parts: daemon.Daemon) -> None:
        with naming(given.config, settings):
            if wrong := role_objection(settings.link.certificate, (Role.BRIDGE,)):
                raise wrong
            await start(parts)

    daemon.run(named)


def _check(path: Path, settings: BridgeSettings) -> None:
    """Say all that is wrong with an operator's files; exits with 2 if it cannot be used. Raises ConfigurationError."""
    with naming(path, settings):
        installed(settings)
        check_settlement(settings.settlement)
        wrong, in_doubt = judged_groups(keyring_of(settings.keys, Role.BRIDGE), settings.fronts)
        if settings.pushes.port:
            from intranet_bridge.pushes.http import check

            check(settings.pushes)
        if settings.desk.enabled:
            from intranet_bridge.desk.server import check as check_desk

            check_desk(settings.desk)
    doubts = [*store_doubts(settings.store), *settings.doubts(), *_absent(settings), *in_doubt]
    if not settings.fronts:
        doubts.append("fronts: none is named, so that any front and application is taken (docs/how-to/ceilings.md)")
    if unbound := settings.unbound():
        doubts.append(f"operations: bound to nothing, so callers get 502: {', '.join(unbound)}")
    checked(
        path,
        settings,
        (
            *(ConfigurationError(word, file=str(settings.keys.trusted)) for word in wrong),
            *store_errors(settings.store),
            *backup_errors(settings.backup),
            *link_errors(settings.link, (Role.BRIDGE,), datetime.now(UTC)),
            *dated(settings.all_systems.values(), datetime.now(UTC)),
        ),
        doubts,
        f"ok, {len(settings.operations)} operations bound",
    )


def _absent(settings: BridgeSettings) -> Iterator[str]:
    """SQLite files of back ends that are not there: no bridge makes them."""
    for name, system in settings.all_systems.items():
        if isinstance(system, SqlSystem) and system.file is not None and not system.file.is_file():
            yield f"{toml_path((*place_of(name), 'file'))}: {system.file} is not there"


if __name__ == "__main__":
    main()

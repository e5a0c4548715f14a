"""The `dmz-front` command: its options, and the front that an operator's files describe."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from dmz_front.app import Front
from dmz_front.http.server import HttpServer
from dmz_front.settings import FrontSettings
from dmz_front.store import MIGRATIONS
from protocol.link.certificates import role_objection, server_objections
from protocol.messages import Role
from protocol.runtime import crash_points, logs
from protocol.runtime.config_check import backup_errors, checked, link_errors, store_doubts, store_errors
from protocol.runtime.daemon import Daemon, one_line, run
from protocol.runtime.migrate import add_argument
from protocol.runtime.settings import load, naming


def main(arguments: list[str] | None = None) -> None:
    """Command `dmz-front`. Exits with 2 and one line for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="dmz-front", description="The HTTP endpoint in the DMZ.")
    parser.add_argument("--config", type=Path, default=Path("/etc/dmz-bridge/dmz_front.toml"), metavar="FILE")
    parser.add_argument("--check-config", action="store_true", help="check every setting and file, then exit")
    add_argument(parser)
    given = parser.parse_args(arguments)
    with one_line():
        settings = load(given.config, FrontSettings)
        logs.configure(settings.log.level, style=settings.log.format)
        crash_points.arm(os.environ)
        if given.check_config:
            _check(given.config, settings)
            return
        if given.migrate:
            print(MIGRATIONS.command(settings.store.address(), settings.store.file, given.migrate))
            return

    async def compose(daemon: Daemon) -> None:
        with naming(given.config, settings):
            front = Front(settings)
            if wrong := role_objection(settings.link.certificate, (Role.FRONT,)):
                raise wrong
            await front.compose(daemon, given.config)

    run(compose)


def _check(path: Path, settings: FrontSettings) -> None:
    """Say all that is wrong with an operator's files; exits with 2 if it cannot be used. Raises ConfigurationError."""
    now = datetime.now(UTC)
    with naming(path, settings):
        HttpServer(Front(settings).api, settings.http).load()
        if settings.files.enabled and settings.files.servers:
            from dmz_front.relay.relay import check

            check(settings.files)
    certificate = settings.http.certificate
    errors = (
        *store_errors(settings.store),
        *backup_errors(settings.backup),
        *link_errors(settings.link, (Role.FRONT,), now),
        *(server_objections(certificate, now) if certificate else ()),
    )
    checked(path, settings, errors, (*store_doubts(settings.store), *settings.doubts()), "ok")


if __name__ == "__main__":
    main()

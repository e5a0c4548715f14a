"""The command line: options, database, exit status (0: stopped by a signal, 1: could not start)."""

import argparse
import gc
import json
import sqlite3
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import uvloop

from scripts.tools.marketing_simulator import database
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.process import (
    LOOPBACK,
    Settings,
    StartError,
    bind,
    interface_tables,
    read_or_create_token,
    serve,
)
from scripts.tools.marketing_simulator.pushing.plan import PushPlan, PushPlanError


def parser() -> argparse.ArgumentParser:
    """All options."""
    options = argparse.ArgumentParser(
        prog="marketing_simulator", description="A simulator of a utility's marketing system."
    )
    options.add_argument("--host", default=LOOPBACK, help="IPv4 address to listen on (default %(default)s)")
    options.add_argument("--port", type=int, default=8090, help="0: any free one (default 8090)")
    options.add_argument("--port-file", type=Path, help="write the port here once ready")
    options.add_argument(
        "--database",
        type=Path,
        default=Path("var/marketing_simulator.sqlite3"),
        help="SQLite file, generated when missing (default %(default)s)",
    )
    options.add_argument("--customers", type=_count, help="how many to generate (default 5000)")
    options.add_argument("--seed", type=int, help="what the population is generated from (default 1)")
    options.add_argument(
        "--today",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="fix the business day (default: the real day)",
    )
    options.add_argument(
        "--token-file",
        type=Path,
        help="access token; created with a random one when missing (default DATABASE.token)",
    )
    options.add_argument(
        "--node-seconds",
        type=_seconds,
        default=20.0,
        help="how long a work order stays at a node (default 20)",
    )
    options.add_argument(
        "--session-seconds",
        type=_seconds,
        default=600.0,
        help="how long one of the GBK face is open (default 600)",
    )
    options.add_argument("--sql-url", help="keep up interface tables in this database: sqlite:///FILE ...")
    options.add_argument("--sql-password-file", type=Path, help="the password of --sql-url")
    options.add_argument("--push-url", help="push what happens there: a bridge's http://HOST:PORT/v1/pushes")
    options.add_argument("--push-token-file", type=Path, default=None, help="what is shown there")
    options.add_argument("--push-rate", type=float, default=0.0, help="pushes a second, about any customer (default 0)")
    options.add_argument("--idempotent", action="store_true", help="make /api/wo/create apply each reqId only once")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator."""
    given = parser().parse_args(arguments)
    try:
        sql = interface_tables(given.sql_url, given.sql_password_file) if given.sql_url else None
        pushes = _pushes(given)
    except (StartError, OSError) as error:
        print(f"marketing_simulator: {error}", file=sys.stderr)
        return 1
    settings = Settings(
        port=given.port,
        database=given.database,
        token_file=given.token_file or given.database.with_name(f"{given.database.name}.token"),
        port_file=given.port_file,
        customers=given.customers,
        seed=given.seed,
        today=given.today,
        node_seconds=given.node_seconds,
        idempotent=given.idempotent,
        session_seconds=given.session_seconds,
        sql=sql,
        pushes=pushes,
    )
    try:
        with bind(settings.port, given.host) as listener:
            token = read_or_create_token(settings.token_file)
            database.prepare(
                settings.database,
                customers=settings.customers,
                seed=settings.seed,
                today=Clock(settings.today).today(),
            )
            gc.collect()
            gc.freeze()
            uvloop.run(serve(settings, listener, token))
    except (StartError, database.OriginMismatchError, sqlite3.DatabaseError, OSError) as error:
        print(f"marketing_simulator: {error}", file=sys.stderr)
        return 1
    return 0


def _pushes(given: argparse.Namespace) -> PushPlan | None:
    """Where pushes go. Raises StartError."""
    if given.push_url is None:
        return None
    token_file = str(given.push_token_file) if given.push_token_file is not None else ""
    try:
        return PushPlan.parse(json.dumps({"url": given.push_url, "token_file": token_file, "rate": given.push_rate}))
    except PushPlanError as error:
        raise StartError(f"--push-{error.field.replace('_', '-')}: {error.reason}") from error


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 1_000_000:
        raise argparse.ArgumentTypeError("must be from 1 to 1000000")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds

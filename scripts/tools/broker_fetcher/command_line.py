"""Fetch, start and stop an ActiveMQ with the hardened configuration of activemq/.

    scripts/broker fetch                     find or download a broker, once
    scripts/broker start --instance DIR --certs DIR [--port 61616] [--data DIR]
    scripts/broker status --instance DIR [--json]
    scripts/broker stop --instance DIR

Where the broker comes from: ACTIVEMQ_HOME if it is set, else the newest ActiveMQ 6 from Maven's repository
(every file checked against its checksum), else Debian's package. The configuration is the same for all three.

Two instances with one --data share a store: the second waits, not listening, and takes over when the first is gone.

The process in DIR/broker.pid is the Java process itself. Only the standard library is used.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from scripts.tools.broker_fetcher.console import BrokerError, say
from scripts.tools.broker_fetcher.fetch import fetch
from scripts.tools.broker_fetcher.home import warn_if_unsafe
from scripts.tools.broker_fetcher.instance import start, status, stop
from scripts.tools.broker_fetcher.paths import CONF


def arguments() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/broker", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    kinds = ("auto", "home", "maven", "debian")
    one = commands.add_parser("fetch", help="find or download a broker")
    one.add_argument("--kind", choices=kinds, default="auto")
    one = commands.add_parser("start", help="start an instance and wait until it accepts TLS")
    one.add_argument("--instance", type=Path, required=True, help="directory of its data, log and pid")
    one.add_argument("--certs", type=Path, required=True, help="what `bridgectl certs init` made")
    one.add_argument("--conf", type=Path, default=CONF, help="directory of activemq.xml (default: activemq/)")
    one.add_argument("--host", default="127.0.0.1", help="address to listen on")
    one.add_argument("--port", type=int, default=61616)
    one.add_argument("--data", type=Path, help="directory of its store (default: data/ of the instance)")
    one.add_argument("--memory", type=int, default=512, metavar="MB", help="Java heap")
    one.add_argument("--kind", choices=kinds, default="auto")
    for name, text in (("stop", "stop an instance"), ("status", "say whether an instance runs")):
        one = commands.add_parser(name, help=text)
        one.add_argument("--instance", type=Path, required=True)
        if name == "status":
            one.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Run one command; the exit code."""
    options = arguments()
    try:
        if options.command == "fetch":
            home = fetch(options.kind)
            warn_if_unsafe(home.version)
            print(f"ActiveMQ {home.version} ({home.kind})")
            return 0
        instance = options.instance.resolve()
        if options.command == "start":
            home = fetch(options.kind)
            warn_if_unsafe(home.version)
            began = time.monotonic()
            now = start(
                home, instance, options.certs.resolve(), options.conf.resolve(),
                options.host, options.port, options.memory, (options.data or instance / "data").resolve(),
            )  # fmt: skip
            took = time.monotonic() - began
            does = "accepts TLS on" if now.accepting else "stands by for the store, to accept TLS on"
            print(f"ActiveMQ {now.version} {does} {now.host}:{now.port}, pid {now.pid}, {took:.1f} s")
            return 0
        if options.command == "stop":
            print("stopped" if stop(instance) else "was not running")
            return 0
        now = status(instance)
        if options.json:
            print(json.dumps(asdict(now)))
        elif now.running:
            print(f"running: ActiveMQ {now.version}, pid {now.pid}, {now.host}:{now.port}"
                  f"{'' if now.accepting else ', not accepting'}")  # fmt: skip
        else:
            print("not running")
        return 0 if now.running else 3
    except BrokerError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130

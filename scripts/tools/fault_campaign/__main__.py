"""The fault campaign: load through the HTTP API while parts are killed, stopped and cut off; then three records are
reconciled: what callers were told, the ledgers, the marketing system's journal; and what it pushed, with the notices
that two applications got. With --money, payment orders too, whose four books are compared: callers, ledger, marketing
system, channels. Exit code 0 if every invariant held.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from scripts.tools.fault_campaign import report
from scripts.tools.fault_campaign.campaign import Campaign, Result, Settings
from scripts.tools.fault_campaign.faults import BY_NAME, KINDS, deaths, table
from scripts.tools.fault_campaign.plan import plan
from scripts.tools.fault_campaign.site import Site
from scripts.tools.testbed.layout import PARTS, ROOT
from scripts.tools.testbed.processes import TestbedError

QUICK = {
    "dmz_front": {"delivery.resend_after_s": 5, "delivery.sweep_s": 0.5},
}
"""`--quick`: shorter timeouts, so that a short campaign drains soon. The guarantees do not depend on them."""


def main() -> int:
    """Parse, run, print."""
    options = _options()
    if options.list_faults:
        print(table())
        return 0
    seconds = options.minutes * 60
    faults = plan(options.seed, seconds, options.only, money=options.money > 0)
    if options.plan:
        print("\n".join(map(str, faults)))
        return 0
    pushes = int(10 * seconds) if options.pushes is None else options.pushes
    settings = Settings(
        options.seed, seconds, options.rate, options.queries_rate, options.drain, faults, pushes, options.money,
        deaths(options.seed, options.deaths),
    )  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="dmz-bridge-campaign-"))
    orders_mb = 32 + int(options.money * seconds * 60 / 1024) if options.money else 0
    disk_mb = 64 + int(options.minutes * 30 * options.rate / 60) + pushes * 5 // 1024 + orders_mb
    site = Site(folder, disk_mb, seed=options.seed, money=options.money > 0, seconds=seconds)
    try:
        result = asyncio.run(_whole(site, settings, options))
        if result is None:
            print("interrupted; everything is taken down", file=sys.stderr)
            return 130
        unavailable = site.unavailable
        print(
            json.dumps(report.document(settings, result, unavailable), indent=2, ensure_ascii=False)
            if options.json
            else report.text(settings, result, unavailable)
        )
        return 0 if result.good else 1
    except TestbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, metavar="N", help="of load and faults (default 20)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="every random choice follows from it")
    parser.add_argument("--rate", type=float, default=60, metavar="R", help="commands a second (default 60)")
    parser.add_argument("--queries-rate", type=float, default=20, metavar="R", help="queries a second (default 20)")
    parser.add_argument(
        "--pushes",
        type=int,
        metavar="N",
        help="of the marketing system in all, with notices to two applications (default 10 a second)",
    )
    parser.add_argument(
        "--money", type=float, default=0, metavar="R",
        help="payment orders a second, paid and notified in all ways, with statements at the end (default 0: none)",
    )  # fmt: skip
    parser.add_argument(
        "--deaths", type=int, metavar="N",
        help="with --money: at how many of the named points the bridge dies after the load (default: at all)",
    )  # fmt: skip
    parser.add_argument("--drain", type=float, default=300, metavar="S", help="longest time to drain at the end")
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT", choices=sorted(BY_NAME), help="only these")
    parser.add_argument("--quick", action="store_true", help="shorter timeouts in the daemons than shipped")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--plan", action="store_true", help="print the schedule and exit")
    parser.add_argument("--list-faults", action="store_true", help="explain each fault and exit")
    parser.add_argument("--keep", type=Path, default=ROOT / "var" / "campaign", metavar="DIR",
                        help="where logs and databases of a failed campaign go")  # fmt: skip
    options = parser.parse_args()
    if not 0 < options.minutes <= 24 * 60:
        parser.error("--minutes must be more than 0 and at most a day")
    if options.pushes is not None and not 0 <= options.pushes <= 10_000_000:
        parser.error("--pushes must be from 0 to 10000000")
    if not 0 <= options.money <= 20:
        parser.error("--money must be from 0 to 20")
    if options.deaths is not None and options.deaths < 0:
        parser.error("--deaths must be 0 or more")
    return options


async def _whole(site: Site, settings: Settings, options: argparse.Namespace) -> Result | None:
    """None when interrupted."""
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    assert me is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, me.cancel)
    result: Result | None = None
    try:
        await site.set_up(QUICK if options.quick else {})
        unavailable = {kind.name for kind in KINDS if kind.needs in site.unavailable}
        settings.faults[:] = plan(settings.seed, settings.seconds, options.only, unavailable, money=settings.money > 0)
        print(
            f"seed {settings.seed}: {len(settings.faults)} faults in {settings.seconds:g} s",
            file=sys.stderr,
            flush=True,
        )
        await asyncio.to_thread(site.testbed.start, *PARTS)
        result = await Campaign(site, settings).run()
        return result
    except asyncio.CancelledError:
        return None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)  # teardown is not interrupted
        if result is None or not result.good:
            kept = options.keep / f"seed-{settings.seed}"
            site.keep(kept)
            if result is not None:
                told = report.document(settings, result, site.unavailable) | {"evidence": result.evidence}
                (kept / "report.json").write_text(json.dumps(told, indent=1, ensure_ascii=False))
            print(f"logs, databases and report.json are kept in {kept}", file=sys.stderr)
        await site.take_down()


if __name__ == "__main__":
    sys.exit(main())

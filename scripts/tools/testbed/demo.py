"""The demo: a bill query and a work order cross from HTTP through ActiveMQ over mutual TLS to a marketing
system and back, and a notice from there to an application, with curl lines the reader can repeat. `money`: a morning at
the utility, with payments, statements and what becomes of them (money.py).
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.tools.channel_simulator.keys import made_or_loaded
from scripts.tools.testbed import money
from scripts.tools.testbed.layout import PARTS, ROOT, Ports
from scripts.tools.testbed.processes import INTERRUPTS, TestbedError, command_line, free_port
from scripts.tools.testbed.sftp import SftpServer
from scripts.tools.testbed.steps import check, curl, marketing, say
from scripts.tools.testbed.testbed import Testbed

ACCOUNT = "3210000000003"
NOTICED_WITHIN_S = 30
_SAID = {"marketing": "marketing system"}


def tour(testbed: Testbed) -> None:
    """The main use cases, step by step; every response is checked."""
    say("a bill query: HTTP → dmz-front → queue → intranet-bridge → marketing system, and back")
    status, bills = curl(
        testbed, "/v1/bill-query", {"account": ACCOUNT, "first_month": "2026-04", "last_month": "2026-06"}
    )
    check("three bills", status == 200 and [bill["month"] for bill in bills["result"]["bills"]][:1] == ["2026-04"])

    say("a work order: written down durably, then carried; the Idempotency-Key makes it safe to repeat")
    order = {
        "type": "fault-repair",
        "account": ACCOUNT,
        "contact_name": "张伟",
        "contact_phone": "13800000001",
        "address": "人民路1号",
        "content": "家里没电了，请派人检修。",
    }
    key = f"demo-{uuid.uuid4()}"
    status, first = curl(testbed, "/v1/work-order", order, Idempotency_Key=key, Prefer="wait=10")
    check("the work order is registered", status == 200 and first["status"] == "succeeded")
    say("the same again, as after a lost connection: the same answer, and no second work order")
    status, second = curl(testbed, "/v1/work-order", order, Idempotency_Key=key)
    check("the same answer", status == 200 and second == first)
    journal = marketing(testbed, f"/journal?request_id={first['request_id']}")
    print(f"the marketing system's own journal: {json.dumps(journal)}\n", flush=True)
    check("applied once", [entry["applied"] for entry in journal] == [1])

    say("what became of it, and how far it is")
    status, told = curl(testbed, f"/v1/requests/{first['request_id']}")
    check("the status", status == 200 and told["status"] == "succeeded")
    status, progress = curl(testbed, "/v1/work-order-progress", {"work_order": first["result"]["work_order"]})
    check("the progress", status == 200 and len(progress["result"]["steps"]) >= 1)

    notice(testbed)

    say("the queues, seen over the same port with the monitor's certificate")
    print("$ ./scripts/ctl queues", flush=True)
    print(testbed.ctl("queues"), flush=True)


def notice(testbed: Testbed) -> None:
    """What happens in the marketing system reaches an application without its asking for it."""
    say("a notice: the application subscribes, the marketing system pushes that a bill is issued, and it is there")
    subscription = {
        "account": ACCOUNT,
        "kinds": ["bill-issued"],
        "consent": {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"},
    }
    key = f"demo-{uuid.uuid4()}"
    status, told = curl(testbed, "/v1/notice-subscribe", subscription, Idempotency_Key=key, Prefer="wait=10")
    check("the subscription", status == 200 and told["status"] == "succeeded")
    after = _to_the_end(testbed)
    pushed = marketing(testbed, "/pushes", {"kind": "bill-issued", "account": ACCOUNT})
    print(f"the marketing system pushes {pushed['id']}\n", flush=True)
    end = time.monotonic() + NOTICED_WITHIN_S
    while not _page(testbed, after)["notices"] and time.monotonic() < end:
        time.sleep(0.1)
    status, page = curl(testbed, f"/v1/notices?after={after}")
    check("one notice", status == 200 and [one["type"] for one in page["notices"]] == ["bill-issued"])
    check("of this bill", page["notices"][0]["data"]["bill"] == pushed["id"].replace("MKT-", "ZD"))


def _to_the_end(testbed: Testbed) -> str:
    """The cursor after what an earlier demo in the same folder left."""
    page = _page(testbed, "0")
    while page["more"]:
        page = _page(testbed, page["next"])
    return str(page["next"])


def _page(testbed: Testbed, after: str) -> Any:
    headers = {"Authorization": f"Bearer {testbed.app_key}"}
    url = f"{testbed.front_url}/v1/notices?after={after}&limit=200"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def set_up(testbed: Testbed) -> None:
    """Set up and start everything, printing each step."""
    began = time.monotonic()
    say("the broker: an ActiveMQ of yours (ACTIVEMQ_HOME), Maven's newest, or Debian's")
    if subprocess.run([sys.executable, str(ROOT / "scripts" / "broker"), "fetch"], check=False).returncode != 0:
        raise TestbedError("there is no broker to start; it says why above")
    say(f"certificates, keys and configuration in {os.path.relpath(testbed.folder)}")
    testbed.set_up()
    headers = testbed.folder / "curl.headers"
    headers.touch(mode=0o600)
    headers.write_text(f"Authorization: Bearer {testbed.app_key}\n")
    for part in PARTS:
        say(f"starting the {_SAID.get(part, part)}")
        testbed.start(part)
    say(f"all is up after {time.monotonic() - began:.1f} s")


def restart(folder: Path, part: str) -> None:
    """Start one part of a running demo again; raises TestbedError, with the end of its log, if it fails."""
    testbed = Testbed.attach(folder)
    if testbed.running(part):
        raise TestbedError(f"the {part} runs (pid {testbed.pids[part]}); end it first")
    say(f"starting the {_SAID.get(part, part)} again")
    testbed.start_and_confirm(part)
    say(f"the {_SAID.get(part, part)} is up, pid {testbed.pids[part]}")


def kill(folder: Path, part: str) -> None:
    """End one part of a running demo as a power failure would; raises TestbedError if it does not run."""
    testbed = Testbed.attach(folder)
    if not testbed.running(part):
        raise TestbedError(f"the {part} does not run")
    testbed.kill(part)
    say(f"the {_SAID.get(part, part)} was killed (kill -9)")


def stay(testbed: Testbed) -> None:
    """Keep running until Ctrl-C."""
    again = "./scripts/demo" + {"demo": "", "demo-money": " money"}.get(
        testbed.folder.name if testbed.folder.parent == ROOT / "var" else "", f" --var {testbed.folder}"
    )
    say("it stays up until you press Ctrl-C")
    print(
        f"  front      {testbed.front_url}/docs\n"
        f"  operator   ./scripts/ctl queues --watch\n"
        f"  metrics    {testbed.metrics_url}\n"
        f"  try        {again} --kill bridge   and then   {again} --restart bridge\n"
        f"  logs       {os.path.relpath(testbed.logs)}/",
        flush=True,
    )
    while True:
        signal.pause()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else's demo has this folder meanwhile; what one that was killed left running is ended first.

    Raises TestbedError where one is up: a second would write over its files, and on its way out stop its parts.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TestbedError(
                f"a demo is up in {folder} already; press Ctrl-C in its terminal to end it, or choose another folder "
                "with --var, and other ports"
            ) from error
        end_what_was_left(folder)
        yield


def end_what_was_left(folder: Path) -> None:
    """A demo that was killed leaves its parts running, and their ports taken."""
    if not (folder / "state.json").exists():
        return
    left = Testbed.attach(folder)
    # after a restart of the machine the numbers are other programs'
    left.pids = {part: pid for part, pid in left.pids.items() if str(folder) in command_line(pid)}
    if left.pids:
        say("stopping what an earlier demo left running")
        left.stop()
    left.state_file.unlink()


def stopped(_number: int, _frame: object) -> None:
    """Each of these signals ends the demo as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    """`./scripts/demo`."""
    parser = argparse.ArgumentParser(prog="./scripts/demo", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["money"], help="another demo than the main one")
    parser.add_argument("--check", action="store_true", help="verify each answer, stop everything, exit 0 or 1")
    parser.add_argument("--kill", choices=PARTS, help="end one part of the running demo with kill -9")
    parser.add_argument("--restart", choices=PARTS, help="start one part of the running demo again")
    parser.add_argument("--var", type=Path, help="where everything is kept (default: var/demo, or var/demo-money)")
    parser.add_argument("--front-port", type=int, default=int(os.environ.get("DEMO_FRONT_PORT", "8080")))
    parser.add_argument("--broker-port", type=int, default=int(os.environ.get("DEMO_BROKER_PORT", "61616")))
    parser.add_argument("--marketing-port", type=int, default=int(os.environ.get("DEMO_MARKETING_PORT", "8090")))
    options = parser.parse_args()
    # SIGINT too: a shell starts its background jobs with SIGINT ignored, and Python leaves it so
    for number in INTERRUPTS:
        signal.signal(number, stopped)
    folder = (options.var or ROOT / "var" / "-".join(filter(None, ("demo", options.what)))).resolve()
    try:
        if options.kill:
            kill(folder, options.kill)
            return 0
        if options.restart:
            restart(folder, options.restart)
            return 0
        ports = Ports(options.front_port, options.broker_port, options.marketing_port)
        with alone(folder):
            if options.what == "money":
                return _money(folder, ports, options.check)
            return _run(Testbed(folder, ports, push_port=free_port()), tour, options.check)
    except TestbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: what was being started was stopped again", file=sys.stderr)
        return 130


def _money(folder: Path, ports: Ports, check_only: bool) -> int:
    shutil.rmtree(folder, ignore_errors=True)  # yesterday's statements are of one story
    made_or_loaded(folder / "channels")
    (folder / "platforms").mkdir()
    server = SftpServer(folder / "platforms")
    server.start()
    try:
        settings = money.settings(folder, server)
        settings["intranet_bridge"] |= {"desk.enabled": True, "desk.port": free_port()}
        testbed = Testbed(folder, ports, settings=settings, today=money.yesterday().isoformat())
        return _run(testbed, lambda testbed: money.tour(testbed, server), check_only)
    finally:
        server.stop()


def _run(testbed: Testbed, tour: Callable[[Testbed], None], check_only: bool) -> int:
    folder = testbed.folder
    try:
        set_up(testbed)
        tour(testbed)
        if check_only:
            say("every answer was as it should be")
        else:
            stay(testbed)
        return 0
    except KeyboardInterrupt:
        return 0
    finally:
        for number in INTERRUPTS:
            signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C must leave nothing behind
        say("stopping")
        # a part may have been started again by `--restart`: the state file has the pids of now
        if testbed.state_file.exists():
            testbed.pids = Testbed.attach(folder).pids
        testbed.stop()
        testbed.state_file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())

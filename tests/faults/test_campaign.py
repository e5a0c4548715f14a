"""A short fault campaign, whole: every kind of fault this machine can do, and not one broken promise."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.tools.testbed.layout import ROOT

KINDS = 23
COMMAND = [sys.executable, "-m", "scripts.tools.fault_campaign", "--quick"]
SLOW = ["--rate", "12", "--queries-rate", "4", "--pushes", "600"]
"""A rate that two busy cores can carry."""
MONEY = ["--money", "0.4", "--deaths", "2"]
"""Payment orders, statements and a bank's batches meanwhile; the bridge dies at two of the points of money's life."""


def left_behind(folder: Path) -> list[str]:
    """Processes and mounts whose command line or place is in this folder."""
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}


@pytest.mark.timeout(1500)
def test_two_minutes_of_every_fault_break_no_promise(tmp_path: Path) -> None:
    """Waits as long as a slow machine needs: the outcome counts, not the time."""
    place = tmp_path / "there"
    place.mkdir()
    done = subprocess.run(
        [*COMMAND, *SLOW, *MONEY, "--minutes", "2", "--seed", "1", "--json", "--keep", str(tmp_path / "kept")],
        cwd=ROOT, env=environment(place), capture_output=True, text=True, timeout=1450, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr[-3000:]
    told = json.loads(done.stdout)
    print(json.dumps({name: told[name] for name in told if name != "done"}, indent=1))
    assert told["violations"] == [], f"logs: {tmp_path / 'kept'}\n{done.stderr[-3000:]}"
    assert done.returncode == 0
    assert told["good"] is True
    assert told["accepted"] == told["commands"] > 200
    assert (
        told["applied_once"] + told["outcomes"].get("refused", 0) + told["outcomes"].get("failed", 0)
        == told["accepted"]
    )
    assert (told["applied_more_than_once"], told["lost"], told["told_wrong"], told["held"]) == (0, 0, 0, [])
    assert told["queries"]["200 succeeded"] > 0
    assert told["replayed"] > 100
    assert sum(told["faults"].values()) >= 8
    notices = told["notices"]
    assert notices["answered"] == notices["pushes"] == 600 < notices["attempts"]  # some are said twice on purpose
    assert notices["called"] == notices["expected"]["demo"] == notices["asked"]["demo"] > 100
    assert notices["asked"]["asking"] == notices["expected"]["asking"] > 100
    assert notices["turned_away"] > 0
    assert [notices[name] for name in ("lost", "doubled", "out_of_order", "wrong")] == [0, 0, 0, 0]
    money = told["money"]
    assert [money[name] for name in ("lost", "doubled", "unexplained")] == [0, 0, 0]
    assert money["charged"] > money["given_back"] > 0
    assert money["written_off"] > money["coupons"] > 0
    assert money["found"] >= money["planted"] > 0
    assert money["payments"]["forged: refused"] > 0
    assert len(money["died_at"]) == 2
    assert money["not_reached"] == []
    banks = money["withholding"]
    assert banks["charged"] == banks["written_off"] + banks["in_doubt"] > 0
    assert (banks["lost"], banks["doubled"]) == (0, 0)
    assert left_behind(place) == []
    assert list(place.iterdir()) == []


def test_a_campaign_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "there"
    place.mkdir()
    log = tmp_path / "log"
    with log.open("wb") as out:
        campaign = subprocess.Popen(
            [*COMMAND, *SLOW, "--minutes", "2", "--only", "stop", "--keep", str(tmp_path / "kept")],
            cwd=ROOT, env=environment(place), stdout=out, stderr=out,
        )  # fmt: skip
    end = time.monotonic() + 240
    while "accepted" not in log.read_text() and campaign.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    assert left_behind(place)
    campaign.send_signal(signal.SIGINT)
    assert campaign.wait(120) == 130, log.read_text()
    assert left_behind(place) == []
    assert list(place.iterdir()) == []


def test_the_plan_and_the_faults_are_shown_without_starting_anything() -> None:
    plan = subprocess.run(
        [*COMMAND, "--plan", "--seed", "1", "--minutes", "2"], cwd=ROOT, capture_output=True, text=True
    )
    again = subprocess.run(
        [*COMMAND, "--plan", "--seed", "1", "--minutes", "2"], cwd=ROOT, capture_output=True, text=True
    )
    assert plan.stdout == again.stdout
    assert len({line.split()[2] for line in plan.stdout.splitlines()}) == KINDS
    faults = subprocess.run([*COMMAND, "--list-faults"], cwd=ROOT, capture_output=True, text=True)
    assert len(faults.stdout.splitlines()) == 2 * KINDS

"""Crash points: armed by the environment alone, and deadly at exactly the time asked for."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import ConfigurationError
from protocol.runtime import crash_points
from protocol.runtime.crash_points import POINTS, VARIABLE, Point, arm, reach, reach_written
from tests.unit.forked import dies_at


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm({})


def test_nothing_is_armed_by_default() -> None:
    for point in POINTS:
        reach(point)
    arm({})
    reach(Point.OUTBOX_OFFERED)


@pytest.mark.parametrize(
    "wanted",
    [
        "nowhere",
        "bridge.calling",
        "bridge.delivered:0",
        "bridge.delivered:x",
        "bridge.delivered:-1",
        "bridge.delivered:²",
    ],
)
def test_what_is_not_a_point_is_a_configuration_error(wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=VARIABLE):
        arm({VARIABLE: wanted})


def test_other_points_and_other_requests_pass() -> None:
    arm({VARIABLE: "bridge.called:id=a"})
    for point in POINTS:
        reach(point, "b")
    reach(Point.BRIDGE_CALLED)


@pytest.mark.parametrize(("point", "passes"), [("bridge.called", 0), ("bridge.called:1", 0), ("bridge.called:3", 2)])
def test_it_kills_at_the_time_asked_for(point: str, passes: int) -> None:
    async def lives() -> None:
        for _ in range(passes):
            reach(Point.BRIDGE_CALLED, "a")
        reach(Point.BRIDGE_OPENED, "a")

    async def dies() -> None:
        await lives()
        reach(Point.BRIDGE_CALLED, "a")

    with pytest.raises(AssertionError, match="exit code 3"):
        dies_at(point, lives)
    dies_at(point, dies)


def test_it_kills_with_the_request_asked_for() -> None:
    async def dies() -> None:
        reach(Point.BRIDGE_CALLED, "b")
        reach(Point.BRIDGE_CALLED, "a")

    dies_at("bridge.called:id=a", dies)


def test_written_is_a_few_turns_later() -> None:
    async def soon() -> None:
        reach_written(Point.OUTBOX_WRITTEN)

    async def later() -> None:
        await soon()
        await asyncio.sleep(0.1)

    dies_at("outbox.written", later)


def test_every_point_says_what_it_is_and_where() -> None:
    source = crash_points.__file__
    text = Path(source).read_text(encoding="utf-8")
    for point in POINTS:
        name = point.upper().replace(".", "_").replace("-", "_")
        assert getattr(Point, name) == point
        place = text.index(f'{name} = "{point}"')
        assert text[place:].split("\n")[1].strip().startswith('"""'), point
        assert point.partition(".")[0] in ("front", "bridge", "outbox")


def test_a_file_arms_and_disarms_while_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "armed"

    async def lives() -> None:
        reach(Point.BRIDGE_CALLED)
        file.write_text("bridge.opened")
        reach(Point.BRIDGE_CALLED)
        file.unlink()
        reach(Point.BRIDGE_OPENED)

    async def dies() -> None:
        await lives()
        file.write_text("bridge.called:2")
        reach(Point.BRIDGE_CALLED)
        reach(Point.BRIDGE_CALLED)

    with pytest.raises(AssertionError, match="exit code 3"):
        dies_at(f"file:{file}", lives)
    dies_at(f"file:{file}", dies)


OF_MONEY = (
    "local", "taken", "peer", "clearing", "sheet", "statement", "batch", "answer", "proof", "order", "refund", "desk",
)  # fmt: skip
"""What the names of the bridge's points of money begin with."""


def test_every_point_of_money_kills_in_a_test_or_in_the_fault_campaign() -> None:
    root = Path(__file__).parents[4]
    files = [file for file in (root / "tests").rglob("test_*.py") if file != Path(__file__)]
    files.append(root / "scripts" / "tools" / "fault_campaign" / "faults.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    of_money = {point for point in POINTS if point.removeprefix("bridge.").startswith(OF_MONEY)}
    of_money |= {Point.FRONT_SUBMISSION_DELIVERED, Point.FRONT_SUBMISSION_SENT}
    names = {value: name for name, value in vars(Point).items() if name.isupper()}
    struck = {
        point for point in of_money if re.search(rf'"{re.escape(point)}[:"]|Point\.{names[point]}\b', text)
    }  # fmt: skip
    assert of_money - struck == set()
    assert len(of_money) > 25

"""A testbed's brokers know all of its fronts, and its daemons all of its brokers."""

from pathlib import Path

from scripts.tools.testbed.broker_files import name_fronts, with_fronts, with_groups
from scripts.tools.testbed.layout import ROOT, Ports
from scripts.tools.testbed.testbed import Testbed

FRONTS = ["front-1", "front-2", "front-3", "front-4"]


def test_each_further_front_has_the_lines_of_the_second(tmp_path: Path) -> None:
    for file in ("users.properties", "groups.properties", "activemq.xml"):
        (tmp_path / file).write_bytes((ROOT / "activemq" / file).read_bytes())
    name_fronts(tmp_path, FRONTS)
    for file, lines in (("users.properties", 1), ("activemq.xml", 3)):
        text = (tmp_path / file).read_text(encoding="utf-8").splitlines()
        named = {name: [line.replace(name, "NAME") for line in text if name in line] for name in FRONTS[1:]}
        assert len(named["front-2"]) == lines
        assert named["front-3"] == named["front-4"] == named["front-2"]
    groups = (tmp_path / "groups.properties").read_text(encoding="utf-8").splitlines()
    assert [line for line in groups if line.startswith(("front=", "shared-ledger="))] == [
        "front=front-1,front-2,front-3,front-4",
        "shared-ledger=front-1,front-2,front-3,front-4",
    ]


def test_the_shipped_fronts_need_no_more_lines() -> None:
    text = (ROOT / "activemq" / "activemq.xml").read_text(encoding="utf-8")
    assert with_fronts(text, []) == text
    assert "front=front-1,front-2\n" in with_groups("front=front-1,front-2\n", ["front-1", "front-2"])


def test_daemons_take_turns_in_which_broker_they_begin_with(tmp_path: Path) -> None:
    testbed = Testbed(tmp_path, Ports(broker=1), twins=("broker-2", "front-2", "front-3", "bridge-2"))
    testbed.twin_ports = {"broker-2": 2}
    one, other = "localhost:1", "localhost:2"
    assert (
        testbed._brokers_of("front") == testbed._brokers_of("front-3") == testbed._brokers_of("bridge") == [one, other]
    )
    assert testbed._brokers_of("front-2") == testbed._brokers_of("bridge-2") == [other, one]

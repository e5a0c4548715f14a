"""What testbeds begin with a copy of, and what they make themselves all the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.testbed import testbed as module
from scripts.tools.testbed.layout import Place
from scripts.tools.testbed.testbed import Testbed


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The programs that were run, by their first words; each makes the files that it would make."""
    ran: list[str] = []

    def run(command: list[str], *_: Any, **__: Any) -> str:
        words = command[1:]
        ran.append(" ".join(words[:2]))
        if words[0] in ("certs", "keys"):
            folder = Path(words[words.index("--dir") + 1])
            folder.mkdir(exist_ok=True)
            own = [f"{words[words.index('--name') + 1]}.{ending}" for ending in ("pem", "key") if "--name" in words]
            for name in own or ("broker.p12", "monitor.pem", "trusted.json"):
                (folder / name).touch(mode=0o600)
        if "--migrate" in words:
            configuration = Path(words[1])
            side = {"dmz_front": "front", "intranet_bridge": "bridge"}[configuration.stem]
            (configuration.parents[1] / "data" / f"{side}.sqlite3").write_text("migrated")
        return "the-key\n" if words[0] == "apps" else ""

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(Testbed, "template", tmp_path / "template")
    return ran


def test_the_second_runs_nothing(programs: list[str], tmp_path: Path) -> None:
    first, second = Testbed(tmp_path / "one"), Testbed(tmp_path / "two")
    first.set_up()
    once = len(programs)
    second.set_up()
    assert (once, len(programs)) == (5, 5)
    for one in (first, second):
        assert one.app_key == "the-key"
        for side in ("front", "bridge"):
            assert (one.folder / "data" / f"{side}.sqlite3").read_text() == "migrated"
        assert (one.certs / "monitor.pem").stat().st_mode & 0o777 == 0o600
    assert first.ports != second.ports


@pytest.mark.parametrize(
    ("own", "runs"),
    [
        ({"stores": {"front": "postgresql://x"}}, 2),
        ({"settings": {"dmz_front": {"store.file": "/elsewhere"}}}, 2),
        ({"places": {"broker": Place((), "127.0.0.9")}}, 1),
        ({"twins": ("bridge-2",)}, 1),
    ],
    ids=["database", "file", "name", "twin"],
)
def test_what_is_not_the_same_is_made(programs: list[str], tmp_path: Path, own: dict[str, Any], runs: int) -> None:
    Testbed(tmp_path / "one").set_up()
    programs.clear()
    Testbed(tmp_path / "two", **own).set_up()
    assert len(programs) == runs, json.dumps(programs)


def test_a_twins_certificate_is_made_once_and_is_in_no_others_folder(programs: list[str], tmp_path: Path) -> None:
    first, second, alone = (
        Testbed(tmp_path / "one", twins=("bridge-2",)), Testbed(tmp_path / "two", twins=("front-2", "bridge-2")),
        Testbed(tmp_path / "three"),
    )  # fmt: skip
    for one in (first, second, alone):
        one.set_up()
    assert programs.count("certs issue") == 2
    assert sorted(file.name for file in second.certs.glob("*-2.*")) == [
        "bridge-2.key", "bridge-2.pem", "front-2.key", "front-2.pem",
    ]  # fmt: skip
    assert [*first.certs.glob("front-2.*"), *alone.certs.glob("*-2.*")] == []


@pytest.mark.parametrize(
    "own",
    [{"stores": {"bridge": "postgresql://x"}}, {"settings": {"intranet_bridge": {"store.file": "/elsewhere"}}}],
    ids=["database", "file"],
)
def test_a_bridge_with_a_database_elsewhere_gets_no_copy(
    programs: list[str], tmp_path: Path, own: dict[str, Any]
) -> None:
    two = Testbed(tmp_path / "two", **own)
    two.set_up()
    assert [file.name for file in (two.folder / "data").glob("*.sqlite3")] == ["front.sqlite3"]


def test_a_database_that_is_there_is_not_written_over(programs: list[str], tmp_path: Path) -> None:
    two = Testbed(tmp_path / "two")
    (two.folder / "data").mkdir(parents=True)
    (two.folder / "data" / "bridge.sqlite3").write_text("used")
    two.set_up()
    assert (two.folder / "data" / "bridge.sqlite3").read_text() == "used"
    assert (two.folder / "data" / "front.sqlite3").read_text() == "migrated"


def test_without_a_template_each_makes_its_own(
    programs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Testbed, "template", None)
    for name in ("one", "two"):
        Testbed(tmp_path / name).set_up()
    assert len(programs) == 8

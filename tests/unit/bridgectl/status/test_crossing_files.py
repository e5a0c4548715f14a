"""What `bridgectl status` says of files of platforms."""

from typing import Any

import pytest

from bridgectl.status.observation import Observation
from bridgectl.status.rules.crossing_files import files
from bridgectl.status.trouble import Level
from bridgectl.status.troubles import RULES
from protocol.reports.bridge import BridgeReport
from protocol.reports.files import FileReportRow, FilesReport, LateFileReport, PlaceReport
from protocol.reports.front import FrontReport

NOW = 1_800_000_000_000
MINUTE = 60_000


def report(kind: Any, told: FilesReport) -> Any:
    """A report of which the rules read nothing else."""
    role = "front" if kind is FrontReport else "bridge"
    return kind.model_construct(role=role, name=f"{role}-1", files=told)


def front(**told: Any) -> Observation:
    return Observation(NOW, report(FrontReport, FilesReport(enabled=True, **told)), None, None)


def bridge(**told: Any) -> Observation:
    return Observation(NOW, None, report(BridgeReport, FilesReport(enabled=True, **told)), None)


def place(state: str, since: int = NOW - 20 * MINUTE, **more: Any) -> PlaceReport:
    values = {"name": "statements", "use": "source", "at": "bank", "state": state, "since": since} | more
    return PlaceReport.model_validate(values)


def row(direction: str) -> FileReportRow:
    return FileReportRow(
        id="x", direction=direction, front="front-1", peer="statements", name="a.txt", profile="p", bytes=1,
        sha256="0", chunks=1, have=0, state="refused", code="digest", created=NOW, updated=NOW, decided=NOW - MINUTE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "key", "level", "words"),
    [
        (front(places=(place("host-key-changed", NOW),)), "file-host-key-changed", Level.CRITICAL, "bank"),
        (front(places=(place("unreachable", trouble="TimeoutError"),)), "file-place-unreachable", Level.WARNING,
         "TimeoutError"),
        (front(places=(place("failing", at="drop"),)), "file-place-unreachable", Level.WARNING, "statements"),
        (front(refused=(row("in"),)), "files-refused", Level.WARNING, "a.txt, digest"),
        (bridge(refused=(row("out"),)), "files-refused", Level.WARNING, "a.txt, digest"),
        (front(waiting=2, oldest=NOW - 31 * MINUTE), "files-waiting", Level.WARNING, "2 files"),
        (bridge(late=(LateFileReport(profile="p", due=NOW - 90 * MINUTE),)), "file-late", Level.WARNING, "no file p"),
    ],
)  # fmt: skip
def test_it_is_told(seen: Observation, key: str, level: Level, words: str) -> None:
    [trouble] = files(seen)
    assert (trouble.key, trouble.level) == (key, level)
    assert words in f"{trouble.what} {trouble.why}"
    assert trouble.mend


@pytest.mark.parametrize(
    "seen",
    [
        front(places=(place("ok"), place("not-tried"), place("unreachable", NOW - MINUTE))),
        front(refused=(row("out"),)),  # the bridge tells of it, where it can be sent again
        bridge(refused=(row("in"),)),
        bridge(waiting=1, oldest=NOW - 29 * MINUTE),
    ],
)
def test_it_is_not_told(seen: Observation) -> None:
    assert list(files(seen)) == []


def test_a_late_file_is_under_what_keeps_it_away() -> None:
    seen = Observation(
        NOW, front(places=(place("host-key-changed"),)).front,
        bridge(late=(LateFileReport(profile="p", due=NOW - 90 * MINUTE),)).bridge, None,
    )  # fmt: skip
    found = list(files(seen))
    late = next(one for one in found if one.key == "file-late")
    assert "file-host-key-changed" in late.because
    assert files in RULES

"""`bridgectl import`: what it asks the bridge, and what it prints."""

from typing import Any

from typer.testing import CliRunner

from bridgectl.cli import app
from protocol.messages import Role
from protocol.reports.marketing_data import ImportReport
from tests.unit.bridgectl.test_maintenance import Asked, daemon

__all__ = ["daemon"]

DONE = ImportReport(name="policies", answers=("policy-texts",), rows=50, as_of=1_790_000_000_000, fresh=True)
UNDER_WAY = DONE.model_copy(
    update={"running": True, "read": 20, "began": 1_790_000_000_000, "runner": "bridge-2", "fresh": False}
)


def ran(*words: str) -> Any:
    return CliRunner().invoke(app, ["import", *words])


def told(*reports: ImportReport) -> dict[str, Any]:
    return {"now": 1_790_000_000_000, "imports": [one.model_dump(mode="json") for one in reports]}


def test_list_and_show_have_rows_age_and_progress(daemon: Asked) -> None:
    daemon.answers = [told(UNDER_WAY), told(UNDER_WAY), told(DONE.model_copy(update={"error": "no connection"}))]
    listed = ran("list").stdout
    for words in ("policies", "too old", "20 read (40%) in", "by bridge-2"):
        assert words in listed, listed
    shown = ran("show", "policies").stdout
    assert "answered from: no: nothing there, or too old" in shown, shown
    failing = ran("show", "policies").stdout
    assert "error: no connection" in failing, failing
    assert daemon.questions == [(Role.BRIDGE, "imports", {})] * 3


def test_what_is_not_there_is_said(daemon: Asked) -> None:
    daemon.answers = [told(), told(DONE)]
    assert "nothing is imported" in ran("list").stdout
    assert ran("show", "outlets").exit_code == 1


def test_run_says_when(daemon: Asked) -> None:
    daemon.answers = [DONE.model_dump(mode="json"), DONE.model_copy(update={"quiet": True}).model_dump(mode="json")]
    assert "policies runs" in ran("run", "policies", "--full").stdout
    assert daemon.questions == [(Role.BRIDGE, "run-import", {"name": "policies", "full": True, "sudo_user": "li"})]
    assert "after the quiet hours" in ran("run", "policies").stdout

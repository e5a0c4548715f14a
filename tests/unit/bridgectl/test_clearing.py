"""`bridgectl clearing` and `bridgectl risk`: what is asked of the bridge, and shown."""

import base64
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from bridgectl.commands import clearing, risk

SHEET: dict[str, Any] = {
    "id": "power.wechat.20261124", "state": "short", "count": 3, "waiting": 1, "net": 12_910, "arrived": 12_900,
    "outstanding": 10, "signed_by": ["wang", "li"],
}  # fmt: skip
ADJUSTMENT = {
    "id": "a1", "company": "power", "channel": "wechat", "amount": -30, "against": "next-sheet", "note": "多结",
    "said_by": ["wang"],
}  # fmt: skip
PART = {
    "kind": "late", "origin": "2026-11-23", "source": "a.csv", "count": 1, "gross": 700, "promotions": 0, "refunds": 0,
    "fee": 4, "adjustments": 0, "net": 696,
}  # fmt: skip


class Bridge:
    """Answers, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[tuple[str, dict[str, Any]]]()

    def ask(self, _config: Path | None, question: str, **more: Any) -> Any:
        self.asked.append((question, more))
        return self.answers[question.replace("-", "_")]


def run(monkeypatch: pytest.MonkeyPatch, bridge: Bridge, *arguments: str, given: str = "") -> Result:
    for module in (clearing, risk):
        monkeypatch.setattr(module, "_ask", bridge.ask)
    return CliRunner().invoke(app, arguments, input=given, env={"LANGUAGE": "en"})


def test_sheets_are_listed_with_what_is_outstanding(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = Bridge(clearing_list={"sheets": [SHEET], "adjustments": [ADJUSTMENT]})
    shown = run(monkeypatch, bridge, "clearing", "list", "--from", "2026-11-01", "--to", "2026-11-30")
    assert (shown.exit_code, bridge.asked[0][1]["first"]) == (0, "2026-11-01")
    assert [word for word in ("129.10", "0.10", "short", "-0.30", "多结") if word not in shown.output] == []
    assert run(monkeypatch, bridge, "clearing", "list", "--from", "yesterday").exit_code == 2


def test_a_sheet_is_shown_with_its_parts_and_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = {
        "sheet": SHEET, "parts": [PART], "adjustments": [],
        "arrivals": [{"day": "2026-11-25", "row": "B1", "amount": 12_900, "who": "statement"}],
        "acts": [[1_795_600_000_000, "approve", "wang", ""]],
    }  # fmt: skip
    shown = run(monkeypatch, Bridge(clearing_show=detail), "clearing", "show", SHEET["id"])
    wanted = ("2026-11-23", "6.96", "B1", "wang, li", "1 rows of its day wait", "2026-11-25 09:46:40")
    assert [word for word in wanted if word not in shown.output] == []


def test_what_arrived_is_entered_in_fen(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = Bridge(clearing_arrived=SHEET)
    done = run(
        monkeypatch, bridge, "clearing", "arrived", SHEET["id"], "129.5", "--row", "B1", "--day", "2026-11-25"
    )  # fmt: skip
    assert bridge.asked == [
        ("clearing-arrived", {"sheet": SHEET["id"], "amount": 12_950, "row": "B1", "day": "2026-11-25"})
    ]
    assert "0.10 yuan have not arrived" in done.output
    for wrong in ("1,000.00", "1.234", "x", "１"):
        assert run(monkeypatch, bridge, "clearing", "arrived", SHEET["id"], wrong, "--row", "B1").exit_code == 1


def test_an_adjustment_is_of_a_sheet_or_of_a_company(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = Bridge(clearing_adjust=SHEET | {"state": "closed", "outstanding": 0}, clearing_owe=ADJUSTMENT)
    assert (
        run(monkeypatch, bridge, "clearing", "adjust", SHEET["id"], "--against", "channel", "--note", "x").exit_code
        == 0
    )
    company = ("--company", "power", "--channel", "wechat", "--amount", "-0.30", "--note", "多结")
    assert run(monkeypatch, bridge, "clearing", "adjust", *company).exit_code == 0
    assert bridge.asked[0] == ("clearing-adjust", {"sheet": SHEET["id"], "against": "channel", "note": "x"})
    assert bridge.asked[1][1]["amount"] == -30
    assert run(monkeypatch, bridge, "clearing", "adjust", SHEET["id"], *company).exit_code == 1
    assert run(monkeypatch, bridge, "clearing", "adjust").exit_code == 1


def test_a_file_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfx"
    bridge = Bridge(
        clearing_file={"name": "clearing_power_20261124_1.csv", "length": 4, "data": base64.b64encode(content).decode()}
    )
    target = tmp_path / "sheet.csv"
    assert run(monkeypatch, bridge, "clearing", "export", SHEET["id"], "--out", str(target)).exit_code == 0
    assert target.read_bytes() == content


def test_what_is_listed_may_come_by_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = Bridge(risk_add={"list": "stolen", "value": "h4sh"}, risk_remove={"list": "stolen"})
    done = run(monkeypatch, bridge, "risk", "add", "stolen", "-", "--until", "2099-01-01", given="6222020\n")
    assert "h4sh" in done.output
    assert bridge.asked[0][1]["value"] == "6222020"
    assert bridge.asked[0][1]["expires_at"] > 4_000_000_000_000
    assert run(monkeypatch, bridge, "risk", "add", "stolen", "x", "--until", "soon").exit_code == 1
    assert run(monkeypatch, bridge, "risk", "remove", "stolen", "h4sh").exit_code == 0


def test_decisions_and_lists_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"list": "stolen", "value": "h4sh", "expires_at": None, "note": "", "by": "wang", "over": False}
    decision = {
        "subject": "order", "id": "P1", "amount": 5, "verdict": "review", "rule": "large", "dry": ["new"], "at": 0,
    }  # fmt: skip
    bridge = Bridge(risk_list={"entries": [entry]}, risk_decisions={"decisions": [decision]})
    assert "h4sh" in run(monkeypatch, bridge, "risk", "list").output
    shown = run(monkeypatch, bridge, "risk", "decisions", "--verdict", "review").output
    assert [word for word in ("P1", "large", "new", "0.05") if word not in shown] == []

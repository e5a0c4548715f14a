"""`bridgectl files`: what it asks, and what it prints."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridgectl import daemons
from bridgectl.cli import app
from protocol.messages import Role

ID = "288cfe6d-aeaf-8d74-97ad-18804e4fee99"
ROW: dict[str, object] = {
    "id": ID, "direction": "in", "front": "front-1", "peer": "statements",
    "name": "SDDL_DSDZ_37101_20261124.txt", "profile": "utility-dsdz", "bytes": 11, "sha256": "00", "chunks": 1,
    "have": 1, "state": "accepted", "code": "", "attempt": 0, "arrivals": 1, "created": 1_772_000_000_000,
    "updated": 1_772_000_000_000, "decided": 0,
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Role, str, dict[str, Any]]]:
    found: list[tuple[Role, str, dict[str, Any]]] = []

    def tell(role: Role, _path: Path, question: str, **more: Any) -> Any:
        found.append((role, question, more))
        rows = [ROW | {"state": "refused", "code": "digest"}] if "refused" in more.get("states", ()) else [ROW]
        return {"files": rows, "file": ROW, "resend-file": {"id": ID}}[question]

    monkeypatch.setattr(daemons, "tell", tell)
    monkeypatch.setattr(daemons, "one", lambda role, _given=None: (role or Role.BRIDGE, Path("x")))
    monkeypatch.setenv("SUDO_USER", "li")
    return found


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["files", *words])


def test_the_list(asked: list[Any]) -> None:
    told = run("list", "--peer", "statements", "--side", "front")
    assert told.exit_code == 0
    assert "SDDL_DSDZ_37101_20261124.txt" in told.output
    assert json.loads(run("list", "--json").output) == [ROW]
    assert run("list", "--state", "refused").exit_code == 1
    assert asked[0] == (
        Role.FRONT, "files", {"states": (), "peer": "statements", "direction": "", "limit": 100},
    )  # fmt: skip


def test_one(asked: list[Any]) -> None:
    told = run("show", ID)
    assert "utility-dsdz" in told.output
    assert json.loads(run("show", ID, "--json").output) == ROW


def test_one_is_sent_again_by_who_asks(asked: list[Any]) -> None:
    assert "is sent again" in run("resend", ID, "--side", "front").output
    assert asked == [(Role.FRONT, "resend-file", {"id": ID, "sudo_user": "li"})]

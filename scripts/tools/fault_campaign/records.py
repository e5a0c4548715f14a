"""The records besides the callers' own: both ledgers, read by SQL without changes, and the simulator's journal."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Effect:
    """One entry of the journal."""

    applied: int
    number: str
    """The first work order it created; numbers increase in the order of application."""


@dataclass(frozen=True, slots=True)
class Records:
    """Everything recorded about commands, by request id."""

    ledger: dict[str, str]
    """The state in the front's ledger."""
    inbox: dict[str, str]
    """The state in the bridge's inbox."""
    journal: dict[str, Effect]
    unknown: dict[str, list[str]] = field(default_factory=dict)
    """From the bridge's log: the steps taken for commands whose outcome was unknown at some time."""


def read(front: Path, bridge: Path, marketing_url: str, bridge_log: Path) -> Records:
    """All records as they are now."""
    return Records(
        states(front, "requests"),
        states(bridge, "inbox"),
        journal(marketing_url),
        unknown(bridge_log.read_text(errors="replace").splitlines()),
    )


def states(file: Path, table: str) -> dict[str, str]:
    """id → state."""
    return dict(_rows(file, f"SELECT id, state FROM {table}"))  # noqa: S608 - our own table names


def unfinished(file: Path) -> int:
    """Commands of the front's ledger that are neither final nor held. Raises sqlite3.Error."""
    return int(_rows(file, "SELECT count(*) FROM requests WHERE state IN ('accepted', 'sent')")[0][0])


def _rows(file: Path, query: str) -> list[Any]:
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def journal(url: str) -> dict[str, Effect]:
    """What the simulator recorded as applied, by request id."""
    with urllib.request.urlopen(f"{url}/journal", timeout=60) as answer:  # noqa: S310 - loopback
        return {line["request_id"]: Effect(line["applied"], line["effect"]) for line in json.load(answer)}


def unknown(log: Iterable[str]) -> dict[str, list[str]]:
    """The steps in the bridge's log for commands with an unknown outcome: id → steps."""
    found: dict[str, list[str]] = {}
    for line in log:
        if "command-waits" not in line and "command-held" not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:  # the process was killed in the middle of a line
            continue
        if event.get("event") not in ("command-waits", "command-held"):
            continue
        step = event.get("next", "held")
        if event.get("request_id") and (step in ("inquire", "repeat", "held") or event["request_id"] in found):
            found.setdefault(event["request_id"], []).append(step)
    return found

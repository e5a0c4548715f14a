"""The journal of pushes, in an SQLite file of its own: a push is there, on the disk, before it is sent for the first
time, so a simulator that was killed goes on with the same ids and the same words.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.tools.marketing_simulator.database import connect

TABLES = """
CREATE TABLE IF NOT EXISTS push (
    number INTEGER PRIMARY KEY, accounts TEXT NOT NULL, body TEXT NOT NULL, by_plan INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, repeated INTEGER NOT NULL DEFAULT 0, answered_at TEXT, outcome TEXT,
    notices INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS push_unanswered ON push (number) WHERE answered_at IS NULL;
CREATE TABLE IF NOT EXISTS push_plan (one INTEGER PRIMARY KEY CHECK (one = 1), plan TEXT NOT NULL);
"""
INSERT = "INSERT INTO push (number, accounts, body, by_plan) VALUES (?, ?, ?, ?)"
ATTEMPTED = "UPDATE push SET attempts = attempts + 1 WHERE number = ?"
ANSWERED = (
    "UPDATE push SET answered_at = coalesce(answered_at, ?), outcome = CASE"
    " WHEN outcome IS NULL OR outcome = 'repeated' OR ? NOT IN ('accepted', 'repeated') THEN ? ELSE outcome END,"
    " repeated = repeated + (? = 'repeated'), notices = max(notices, ?) WHERE number = ?"
)
"""An answer that is neither `accepted` nor `repeated` stays: it must not be hidden by a later one."""
LINES = (
    "SELECT number, accounts, body, attempts, repeated, answered_at, outcome, notices FROM push WHERE number > ?"
    " ORDER BY number LIMIT ?"
)
TOTALS = (
    "SELECT count(*), coalesce(sum(attempts), 0), coalesce(sum(repeated), 0),"
    " coalesce(max(number), 0), coalesce(sum(by_plan), 0) FROM push"
)


@dataclass(frozen=True, slots=True)
class Made:
    """A push that is in the journal."""

    number: int
    body: str
    """JSON."""

    @property
    def id(self) -> str:
        """Its own."""
        return str(json.loads(self.body)["id"])


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bridge said of one."""

    number: int
    outcome: str
    """`accepted`, `repeated`, or the code of a refusal."""
    notices: int = 0


class PushRecord:
    """Its calls block; one thread at a time makes them."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = connect(file)
        self._connection.executescript(TABLES)
        self.made, self.attempts, self.repeated, self.last, self.by_plan = self._connection.execute(TOTALS).fetchone()

    def plan(self) -> str | None:
        """The plan in force, as JSON."""
        row = self._connection.execute("SELECT plan FROM push_plan").fetchone()
        return None if row is None else str(row[0])

    def keep_plan(self, plan: str) -> None:
        """Replace it."""
        self._connection.execute("INSERT OR REPLACE INTO push_plan VALUES (1, ?)", (plan,))

    def add(self, pushes: Sequence[tuple[Made, Sequence[str]]], *, by_plan: bool) -> None:
        """New ones with their accounts; returns when they are on the disk."""
        rows = [(made.number, json.dumps(list(accounts)), made.body, int(by_plan)) for made, accounts in pushes]
        self._together([(INSERT, rows)])
        self.made += len(rows)
        self.by_plan += len(rows) if by_plan else 0
        self.last = max([self.last, *(made.number for made, _ in pushes)])

    def sent(self, numbers: Iterable[int], answers: Sequence[Answer], at: str) -> None:
        """What was sent once more, and what was answered."""
        tried = [(number,) for number in numbers]
        rows = [
            (at, answer.outcome, answer.outcome, answer.outcome, answer.notices, answer.number) for answer in answers
        ]
        self._together([(ATTEMPTED, tried), (ANSWERED, rows)])
        self.attempts += len(tried)
        self.repeated += sum(answer.outcome == "repeated" for answer in answers)

    def unanswered(self) -> list[Made]:
        """The oldest first."""
        query = "SELECT number, body FROM push WHERE answered_at IS NULL ORDER BY number"
        return [Made(*row) for row in self._connection.execute(query)]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _together(self, work: Sequence[tuple[str, list[Any]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in work:
                self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise


def lines(connection: sqlite3.Connection, after: int, limit: int) -> list[dict[str, Any]]:
    """The journal's entries after a number, in the order in which they happened."""
    return [
        {
            "number": number, "accounts": json.loads(accounts), "push": json.loads(body), "attempts": attempts,
            "repeated": repeated, "answered_at": answered_at, "outcome": outcome, "notices": notices,
        }
        for number, accounts, body, attempts, repeated, answered_at, outcome, notices in connection.execute(
            LINES, (after, limit)
        )
    ]  # fmt: skip


def outcomes(connection: sqlite3.Connection) -> dict[str, int]:
    """How many of each."""
    query = "SELECT outcome, count(*) FROM push WHERE outcome IS NOT NULL GROUP BY outcome"
    return dict(connection.execute(query).fetchall())

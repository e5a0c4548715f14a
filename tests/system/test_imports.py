"""An import from a database, its bridge killed in the middle: it goes on, and what it brought is answered from."""

import re
import sqlite3
from collections.abc import Iterator

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.testbeds import ctl, eventually, query

ROWS = 200
ANSWER = {
    "search": {"keyword": ["question"]}, "sort": "key",
    "response": "{items: rows[:50].{question: question, answer: answer}}",
}  # fmt: skip


@pytest.fixture
def importing(testbed: Testbed) -> Iterator[Testbed]:
    """The session's testbed, its bridge importing questions."""
    file, source = testbed.config / "intranet_bridge.toml", testbed.folder / "archive.sqlite3"
    before = file.read_text(encoding="utf-8")
    with sqlite3.connect(source) as database:
        database.execute("CREATE TABLE faq (id INTEGER PRIMARY KEY, question, answer)")
        rows = [(number, f"imported question {number:04d}", f"answer {number}") for number in range(1, ROWS + 1)]
        database.executemany("INSERT INTO faq VALUES (?, ?, ?)", rows)
    database.close()
    tables = {
        "maintenance.zone": "Asia/Shanghai",
        "systems.archive": {"adapter": "sql", "file": str(source)},
        "imports.questions": {
            "system": "archive", "personal": False, "cron": "0 3 * * *", "batch": 10, "rate": 5,
            "query": "SELECT id AS cursor, id AS key, question, answer FROM faq WHERE id > :cursor ORDER BY id "
            "LIMIT :batch",
            "answers": {"faq": ANSWER},
        },
    }  # fmt: skip
    file.write_text(with_values(before, tables), encoding="utf-8")
    try:
        testbed.stop("bridge")
        testbed.start("bridge")
        yield testbed
    finally:
        file.write_text(before, encoding="utf-8")
        testbed.stop("bridge")
        testbed.start("bridge")


def test_an_import_that_is_killed_goes_on_and_is_answered_from(importing: Testbed, http: httpx.Client) -> None:
    def shown(pattern: str) -> bool:
        return re.search(pattern, ctl(importing, "import", "list").stdout) is not None

    eventually(lambda: shown(r"\b[1-9][0-9]+ read\b"), what="a part of the import")
    assert "imported" not in query(http, "faq", {})["items"][0]["question"]  # by its binding, until the end
    importing.kill("bridge")
    file = importing.config / "intranet_bridge.toml"
    file.write_text(with_values(file.read_text(encoding="utf-8"), {"imports.questions.rate": 50}), encoding="utf-8")
    importing.start("bridge")
    eventually(lambda: shown(f"full  {ROWS}"), what="the import")
    found = query(http, "faq", {"keyword": "question 0117"})["items"]
    assert [(one["question"], one["answer"]) for one in found] == [("imported question 0117", "answer 117")]
    log = (importing.logs / "bridge.log").read_text(encoding="utf-8")
    assert "import-goes-on" in log

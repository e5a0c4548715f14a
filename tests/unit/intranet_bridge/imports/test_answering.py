"""What is answered from imported rows, what is asked elsewhere, and what a configuration may not say."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.imports.answering import ImportedOperation
from intranet_bridge.imports.section import AnswerSection, ImportSection
from intranet_bridge.imports.selection import page_of, selected
from intranet_bridge.imports.sources import OperationSource, Rows, SqlSource, Unread
from intranet_bridge.marketing import Answered, Fault, MarketingRequest, NotApplied, Outcome, Refused, Unknown
from intranet_bridge.marketing.sql.binding import SqlSystem
from intranet_bridge.marketing.sql.kind import OpenSqlSystem
from intranet_bridge.settings import BridgeSettings
from protocol.operations import CATALOGUE
from tests.unit.intranet_bridge.imports.test_runs import section

NEWS = [
    {"key": "1", "title": "停电", "category": "公告", "published_on": "2026-07-01"},
    {"key": "2", "title": "电价", "category": "新闻", "published_on": "2026-07-03"},
    {"key": "3", "title": "营业厅", "category": "公告", "published_on": "2026-07-02"},
]
LIST: dict[str, Any] = {
    "where": {"category": ["category"]}, "sort": "published_on", "descending": True, "none": "no-such-category",
    "response": "{total: total, items: rows[*].{news: key, title: title, published_on: published_on}}",
}  # fmt: skip


class Rowed:
    """In place of an import."""

    def __init__(self, rows: list[Mapping[str, Any]], *, fresh: bool = True) -> None:
        self.rows, self.fresh = rows, fresh

    async def find(self, key: str) -> Mapping[str, Any] | None:
        return next((row for row in self.rows if row["key"] == key), None)


class Bound:
    """In place of an adapter."""

    timeout_s, settle_s = 3.0, 0.0

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes, self.asked = list(outcomes), list[Any]()

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        self.asked.append(asked.body)
        return self.outcomes.pop(0)

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Any:
        raise AssertionError


def asks(name: str, imported: Rowed, answer: dict[str, Any], request: dict[str, Any], under: Any = None) -> Outcome:
    operation = ImportedOperation(
        CATALOGUE[name], AnswerSection.model_validate(answer), imported, lambda _: under  # type: ignore[arg-type]
    )  # fmt: skip
    body = CATALOGUE[name].requests.validate_python(request)
    return asyncio.run(operation.call(MarketingRequest("id", body), 5))


def result(outcome: Outcome) -> Any:
    assert isinstance(outcome, Answered), outcome
    return json.loads(outcome.result)


def test_a_page_of_what_fits_in_order() -> None:
    imported = Rowed(list(NEWS))
    first = result(asks("news-list", imported, LIST, {"page": 1, "page_size": 2}))
    assert (first["total"], [one["news"] for one in first["items"]]) == (3, ["2", "3"])
    second = result(asks("news-list", imported, LIST, {"page": 2, "page_size": 2}))
    assert [one["news"] for one in second["items"]] == ["1"]
    notices = result(asks("news-list", imported, LIST, {"category": "公告"}))
    assert (notices["total"], [one["news"] for one in notices["items"]]) == (2, ["3", "1"])
    assert asks("news-list", imported, LIST, {"category": "?"}) == Refused("no-such-category")


def test_words_are_searched_and_lists_looked_into() -> None:
    answer = AnswerSection.model_validate(
        {"where": {"category": ["kinds", "kind"]}, "search": {"keyword": ["q", "a"]}, "response": "@"}
    )
    rows: list[Mapping[str, Any]] = [
        {"kinds": ["x", "y"], "q": "Outage", "a": None},
        {"kind": "x", "q": "price", "a": "no OUTAGE"},
        {"q": "z", "a": "z"},
    ]
    assert selected(rows, answer, {"category": "x"}) == rows[:2]
    assert selected(rows, answer, {"keyword": "outage"}) == rows[:2]
    assert selected(rows, answer, {"keyword": "price", "category": "y"}) == []
    assert selected(rows, answer, {}) == rows
    assert page_of(rows, {"limit": 1}) == rows[:1]


def test_one_row_answers_who_it_is_about_and_nobody_else() -> None:
    answer = {"by": "account", "response": "row.{account: acct, name: name, address: address, status: status}"}
    row = {"key": "3210000000001", "acct": "3210000000001", "name": "田*", "address": "***", "status": "active"}
    assert result(asks("account-profile", Rowed([row]), answer, {"account": "3210000000001"}))["name"] == "田*"
    wrong = Rowed([{**row, "acct": "3210000000002"}])
    assert asks("account-profile", wrong, answer, {"account": "3210000000001"}) == Unknown(
        "mismatch at account", fault=Fault.MISMATCH
    )
    unmasked = asks("account-profile", Rowed([{**row, "name": "田中"}]), answer, {"account": "3210000000001"})
    assert isinstance(unmasked, Unknown)
    assert "田" not in unmasked.reason
    none = {**answer, "none": "no-such-account"}
    assert asks("account-profile", Rowed([]), none, {"account": "3210000000001"}) == Refused("no-such-account")


def test_what_is_too_old_or_not_there_is_asked_where_it_is_bound_or_nowhere() -> None:
    answer = {"by": "account", "response": "row"}
    request = {"account": "3210000000001"}
    for imported in (Rowed([]), Rowed([{"key": "3210000000001"}], fresh=False)):
        under = Bound(Answered(b"{}"))
        assert asks("account-profile", imported, answer, request, under) == Answered(b"{}")
        assert len(under.asked) == 1
        assert isinstance(asks("account-profile", imported, answer, request), NotApplied)


def test_an_operation_is_read_page_by_page_through_its_binding() -> None:
    one = section(
        system=None, query=None, operation="news-list", items="items", row="{key: news, title: title}",
        requests=[{"page_size": 2}, {"category": "公告", "page_size": 2}],
    )  # fmt: skip

    def page(*news: str) -> Answered:
        items = [{"news": number, "title": number, "published_on": "2026-07-01"} for number in news]
        return Answered(json.dumps({"total": 3 if news else 0, "items": items}).encode())

    bound = Bound(page("1", "2"), page("3"), page(), Refused("no-such-category"))
    source = OperationSource(one, lambda _: bound, lambda: 1_790_000_000_000)
    read = [asyncio.run(source.page(0))]
    while read[-1].more:
        read.append(asyncio.run(source.page(read[-1].cursor)))
    assert [[row.key for row in page.rows] for page in read] == [["1", "2"], ["3"], []]
    assert [(body.category, body.page) for body in bound.asked] == [(None, 1), (None, 2), ("公告", 1)]
    with pytest.raises(Unread, match="refused: no-such-category"):
        asyncio.run(source.page([1, 1]))


def test_pages_are_told_by_the_rows_that_came_and_not_by_those_that_are_taken() -> None:
    one = section(
        system=None, query=None, operation="news-list", items="items[?title == 'a']", row="{key: news, title: title}",
        requests=[{"page_size": 2}],
    )  # fmt: skip

    def page(*titles: str, total: int) -> Answered:
        items = [{"news": title, "title": title, "published_on": "2026-07-01"} for title in titles]
        return Answered(json.dumps({"total": total, "items": items}).encode())

    bound = Bound(page("b", "c", total=3), page("a", total=3), page("a", total=3), page("a", total=3))
    source = OperationSource(one, lambda _: bound, lambda: 1_790_000_000_000)
    first = asyncio.run(source.page(0))
    assert (list(first.rows), first.more, first.cursor) == ([], True, [0, 2])
    second = asyncio.run(source.page(first.cursor))
    assert ([row.key for row in second.rows], second.more) == (["a"], False)
    with pytest.raises(Unread, match="page 1 ends at row 1 of 3: the source gives fewer than page_size = 2"):
        asyncio.run(source.page(0))


def test_a_database_is_read_after_the_cursor_and_must_be_in_order(tmp_path: Any) -> None:
    import sqlite3

    file = tmp_path / "db.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, k TEXT, more TEXT, gone INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [(1, "a", '{"x": 1}', 0), (5, "b", "{}", 1)])
    connection.close()

    def source(order: str, **changes: Any) -> SqlSource:
        query = f"SELECT id AS cursor, k AS key, more, gone AS deleted FROM t WHERE id > :cursor ORDER BY id {order}"
        system = OpenSqlSystem("db", SqlSystem(adapter="sql", file=file))
        return SqlSource(
            section(query=query, json_columns=["more"], batch=3, row="{key: key, more: more, deleted: deleted == `1`}"),
            lambda: system,
        )

    async def read(one: SqlSource) -> Any:
        return await one.page(0)

    page = asyncio.run(read(source("")))
    assert [(row.key, row.body) for row in page.rows] == [("a", {"key": "a", "more": {"x": 1}, "deleted": False}),
                                                          ("b", None)]  # fmt: skip
    assert (page.cursor, page.more) == (5, False)
    with pytest.raises(Unread, match="order"):
        asyncio.run(read(source("DESC")))
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO t VALUES (9, 'c', '{}', 0), (9, 'd', '{}', 0)")
    connection.close()
    page = asyncio.run(read(source("LIMIT :batch")))
    assert ([row.key for row in page.rows], page.cursor, page.more) == (["a", "b"], 5, True)
    with pytest.raises(Unread, match="each with another"):  # a page ends between them
        asyncio.run(source("LIMIT :batch").page(page.cursor))


@pytest.mark.parametrize("row", [{}, {"key": ""}, {"key": True}, {"key": "x" * 129}])
def test_a_row_has_a_key(row: dict[str, Any]) -> None:
    with pytest.raises(Unread, match="key"):
        Rows(section()).of(row)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cron": "daily"}, "minute hour day"),
        ({"query": "SELECT 1"}, ":cursor"),
        ({"operation": "news-list", "requests": [{}]}, "either system and query"),
        ({"system": None, "query": None, "operation": "news-list", "requests": [{"page": 0}]}, "makes no request"),
        ({"system": None, "query": None, "operation": "qr-lookup", "requests": [{}]}, "no query"),
        ({"answers": {"work-order": {"response": "@"}}}, "no query that may be answered"),
        ({"answers": {"faq": {"response": "@", "where": {"day": ["x"]}}}}, "no day"),
        ({"answers": {"faq": {"response": "@", "none": "no-such-account"}}}, "no refusal of it"),
        (
            {"answers": {"balance-query": {"response": "@", "by": "account"}}, "personal": False},
            "must be true",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        section(**changes)


def test_two_answerers_of_one_operation_are_refused() -> None:
    one = section().model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    settings: dict[str, Any] = {
        "link": {"brokers": ["localhost:1"], "ca": "x", "certificate": "x", "key": "x"},
        "keys": {"keyring": "x", "trusted": "x"},
        "store": {"file": "x"},
        "marketing": {"url": "http://localhost:1"},
        "systems": {"db": {"adapter": "sql", "file": "x"}},
        "maintenance": {"zone": "Asia/Shanghai"},
        "operations": {"bill-query": {"path": "/", "response": "@"}},
    }
    good = BridgeSettings.model_validate({**settings, "imports": {"a": one}})
    assert good.imported == {"faq": "a"}
    assert "faq" not in good.unbound()
    with pytest.raises(ValidationError, match=r"imports.a answers it already"):
        BridgeSettings.model_validate({**settings, "imports": {"a": one, "b": one}})
    with pytest.raises(ValidationError, match=r"content answers it already"):
        BridgeSettings.model_validate({**settings, "content": {"operations": ["faq"]}, "imports": {"a": one}})
    with pytest.raises(ValidationError, match="needs maintenance"):
        BridgeSettings.model_validate({**settings, "maintenance": {}, "imports": {"a": one}})
    with pytest.raises(ValidationError, match="is no database"):
        BridgeSettings.model_validate({**settings, "imports": {"a": {**one, "system": "marketing"}}})
    assert isinstance(good.imports["a"], ImportSection)

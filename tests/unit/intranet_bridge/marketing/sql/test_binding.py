"""What an operator may write, and what is said of what is wrong."""

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.marketing.sql import binding as module
from intranet_bridge.marketing.sql.binding import SqlBinding, SqlSystem
from intranet_bridge.marketing.sql.check import complaints, statements
from intranet_bridge.marketing.sql.kind import KIND
from protocol.errors import ConfigurationError
from protocol.operations import CATALOGUE

ARREARS, ORDER = CATALOGUE["arrears-query"], CATALOGUE["work-order"]
QUERY: dict[str, Any] = {
    "parameters": "{account: account}",
    "statement": "SELECT acct, total FROM owed WHERE acct = :account",
    "response": "rows[0].{account: acct, as_of: asof, total: total, unpaid: `[]`}",
}
COMMAND: dict[str, Any] = {
    "parameters": "{id: request_id, acct: account}",
    "insert": "INSERT INTO req (id, acct) VALUES (:id, :acct)",
    "poll": "SELECT done, no, at FROM req WHERE id = :id",
    "done": "rows[0].done == `1`",
    "response": "rows[0].{work_order: no, accepted_at: at}",
    "inquire": {"not_found": "length(rows) == `0`"},
}


def told(model: type[Any], table: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as error:
        model.model_validate(table, strict=False)
    return "; ".join(one["msg"] for one in error.value.errors())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "needs either url or file"),
        ({"url": "postgresql+psycopg://u@h/d", "file": "x"}, "needs either url or file"),
        ({"url": "no url"}, "is no database URL"),
        ({"url": "postgresql+psycopg://u@h:notaport/d"}, "is no database URL"),
        ({"url": "postgresql+psycopg://u@h:99999/d"}, "the port is 1 to 65535"),
        ({"url": "postgresql://u@h/d"}, "begins with one of postgresql+psycopg://, mysql+pymysql://"),
        ({"url": "sqlite:///x"}, "is given by `file`"),
        ({"url": "postgresql+psycopg://u:s3cret@h/d"}, "a password does not belong in the url"),
        ({"url": "postgresql+psycopg://u@h/d?password=s3cret"}, "a password does not belong in the url"),
        ({"file": "x", "password_file": "y"}, "neither a password nor TLS"),
        ({"file": "x", "tls": {}}, "neither a password nor TLS"),
        ({"url": "postgresql+psycopg://u@h/d", "tls": {"key": "x"}}, "certificate and key belong together"),
        ({"url": "dm+dmPython://u@h/d"}, "its driver dmPython is not installed here: pip install dmPython"),
        ({"url": "oracle+oracledb://u@h/d"}, "its driver oracledb is not installed here: pip install oracledb"),
    ],
)
def test_a_system_that_is_wrong_is_said_so(table: dict[str, Any], message: str) -> None:
    said = told(SqlSystem, {"adapter": "sql"} | table)
    assert message in said
    assert "s3cret" not in said


def test_a_driver_whose_dialect_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: sys)  # the driver without SQLAlchemy's part of it
    system = SqlSystem(adapter="sql", url="dm+dmPython://u@h/d")
    with pytest.raises(ConfigurationError, match=r"what dm\+dmPython:// needs is not installed here .*dmSQLAlchemy"):
        KIND.open("marketing", system)


def test_a_password_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "db.password"
    system = SqlSystem(adapter="sql", url="postgresql+psycopg://u@h/d", password_file=file)
    for content, message in ((None, "cannot be read"), (b"\n", "holds no password"), (b"\xff", "not UTF-8")):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ConfigurationError, match=message) as error:
            KIND.open("marketing", system)
        assert error.value.file == str(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"statement": "DELETE FROM owed"}, "begins with SELECT or WITH"),
        ({"statement": "SELECT 1; DROP TABLE owed"}, "holds no semicolon"),
        ({"statement": "SELECT\x001"}, "holds a control character"),
        ({"statement": "-- a comment\nSELECT 1"}, "begins with SELECT or WITH"),
        ({"statements": {"a": "SELECT 1"}}, "needs either statement or statements"),
        ({"statements": {"a b": "SELECT 1"}, "statement": None}, "should match pattern"),
        ({"statement": None}, "needs statement or statements"),
        ({"insert": "INSERT INTO x VALUES (:account)"}, "not both"),
        ({"inquire": {"not_found": "`true`"}}, "only a command is inquired about"),
        ({"response": "rows[0"}, "not a JMESPath expression"),
    ],
)
def test_a_query_that_is_wrong_is_said_so(changes: dict[str, Any], message: str) -> None:
    assert message in told(SqlBinding, QUERY | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"insert": "UPDATE req SET id = :id"}, "begins with INSERT"),
        ({"poll": "DELETE FROM req WHERE id = :id"}, "begins with SELECT or WITH"),
        ({"poll": None}, "insert, poll and done belong together"),
        ({"done": None}, "insert, poll and done belong together"),
        (
            {"inquire": {"not_found": "`true`", "statement": "SELECT 1", "statements": {"a": "SELECT 1"}}},
            "needs either statement or statements",
        ),
        ({"poll_s": 0.001}, "greater than or equal to 0.01"),
    ],
)
def test_a_command_that_is_wrong_is_said_so(changes: dict[str, Any], message: str) -> None:
    assert message in told(SqlBinding, COMMAND | changes)


def found(table: dict[str, Any], operation: Any = ARREARS) -> dict[str, str]:
    binding = SqlBinding.model_validate(table)
    return {".".join(one.setting): one.message for one in complaints(operation, binding)}


def test_what_is_right_is_not_complained_of() -> None:
    assert found(QUERY) == {}
    assert found(COMMAND, ORDER) == {}


def test_a_binding_is_held_against_the_catalogue() -> None:
    assert "it needs insert, poll and done" in found(QUERY, ORDER)[""]
    assert "it needs statement or statements" in found(COMMAND, ARREARS)["insert"]
    assert (
        "leaves out the required field"
        in found(QUERY | {"response": "rows[0].{total: total, as_of: asof}"})["response"]
    )
    assert "consNo" in found(QUERY | {"parameters": "{account: consNo}"})["parameters"]
    assert "required" in found(
        COMMAND | {"inquire": {"not_found": "length(rows) == `0`", "response": "{work_order: rows[0].no}"}}, ORDER
    )["inquire.response"]  # fmt: skip


def test_every_name_of_a_statement_has_a_value_and_every_value_a_name() -> None:
    wrong = QUERY | {"statement": "SELECT 1 FROM owed WHERE acct = :acct AND at > '10\\:30' AND x\\:\\:text = 'a'"}
    assert found(wrong) == {
        "statement": "parameters does not give :acct (a colon that is no parameter is written \\:)",
        "parameters": "no statement has :account",
    }
    assert "is written {name: expression, ...}" in found(QUERY | {"parameters": "@"})["parameters"]
    blind = COMMAND | {"insert": "INSERT INTO req (id) VALUES (1)", "parameters": "{id: request_id}"}
    assert found(blind, ORDER)["insert"] == "has no parameter: the request id must be in it"


def test_what_is_true_of_no_answer_is_doubted() -> None:
    doubted = COMMAND | {"inquire": {"not_found": "`true`"}}
    assert "is true of {}" in found(doubted, ORDER)["inquire.not_found"]


def test_the_statements_are_all_there_is() -> None:
    inquire = {"not_found": "length(rows) == `0`", "statement": "SELECT 1 FROM log WHERE id = :id"}
    assert statements(SqlBinding.model_validate(COMMAND | {"inquire": inquire})) == {
        ("insert",): COMMAND["insert"],
        ("poll",): COMMAND["poll"],
        ("inquire", "statement"): "SELECT 1 FROM log WHERE id = :id",
    }
    several = {**QUERY, "statement": None, "statements": {"a": "SELECT 1", "b": "WITH x AS (SELECT 1) SELECT 2"}}
    assert list(statements(SqlBinding.model_validate(several))) == [("statements", "a"), ("statements", "b")]

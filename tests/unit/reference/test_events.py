"""Every event that the source logs is in the one table, with its level and fields, and none there is unused."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol.runtime import events
from protocol.runtime.events import EVENTS, TABLES

ROOT = Path(__file__).parents[3]
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
LEVELS = ["debug", "info", "warning", "error", "critical"]
HOPS = {"sampled", "failed", "command"}
"""Methods of a RequestLog, whose first argument is an event."""


@dataclass(frozen=True)
class Use:
    place: str
    level: str
    name: str
    fields: frozenset[str]


def uses() -> Iterator[Use]:
    for package in ("protocol", "dmz_front", "intranet_bridge", "bridgectl"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield from use(node, node.func, f"{file.relative_to(ROOT)}:{node.lineno}")


def use(call: ast.Call, method: ast.Attribute, place: str) -> Iterator[Use]:
    if method.attr not in METHODS | HOPS:
        return
    owner = ast.unparse(method.value)
    first = call.args[0] if call.args else None
    if "log" in owner and method.attr in METHODS:
        names = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        assert all(isinstance(one, ast.Constant) for one in names), f"{place}: write an event's name where it is logged"
        fields = {word.arg for word in call.keywords if word.arg not in (None, "exc_info")}
        raised = method.attr == "exception" or any(word.arg == "exc_info" for word in call.keywords)
        level = "error" if method.attr == "exception" else method.attr
        found = frozenset({str(one) for one in fields} | ({"exception"} if raised else set()))
        yield from (Use(place, level, ast.literal_eval(one), found) for one in names if one is not None)
    elif owner.endswith("requests") and method.attr in HOPS and isinstance(first, ast.Constant):
        yield Use(place, "info", str(first.value), frozenset())


USES = list(uses())


def test_the_source_was_read() -> None:
    assert len(USES) > 100


@pytest.mark.parametrize("one", USES, ids=lambda one: f"{one.place} {one.name}")
def test_what_is_logged_is_in_the_table(one: Use) -> None:
    assert one.name in EVENTS, f"{one.place}: add it to its subject's table in protocol/runtime/events/"
    event = EVENTS[one.name]
    assert LEVELS.index(one.level) <= LEVELS.index(event.level), one
    assert one.fields <= set(event.fields), f"{one.place}: fields that the table does not name"


@pytest.mark.parametrize("name", list(EVENTS))
def test_what_is_in_the_table_is_logged_as_it_says(name: str) -> None:
    event, found = EVENTS[name], [one for one in USES if one.name == name]
    assert found, "nothing logs it"
    assert max(found, key=lambda one: LEVELS.index(one.level)).level == event.level
    assert set(event.once_by or ()) <= set(event.fields)
    assert event.meaning.endswith(".")


def test_an_event_is_in_one_table() -> None:
    names = Counter(name for table in TABLES for name in table)
    assert [name for name, count in names.items() if count > 1] == []


def test_every_table_is_listed() -> None:
    files = {file.stem for file in Path(events.__file__).parent.glob("*.py")} - {"__init__", "event"}
    assert {name.upper() for name in files} == {name for name, found in vars(events).items() if found in TABLES}


def test_a_request_has_one_name() -> None:
    for name, event in EVENTS.items():
        assert not {"request", "requests", "id", "req_id"} & set(event.fields), name

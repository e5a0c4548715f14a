"""uvicorn's inside, as far as connections.py stands on it: what a new release has changed is said here, by name."""

import ast
import inspect
import textwrap
from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

CYCLE = {
    "flow", "default_headers", "waiting_for_100_continue", "on_response",
    "transport", "keep_alive", "receive", "response_started", "response_complete", "disconnected", "message_event",
}  # fmt: skip
CONNECTION = {
    "transport", "parser", "headers", "url", "scope", "cycle", "pipeline", "client", "scheme", "loop",
    "expect_100_continue", "flow", "server_state",
}  # fmt: skip
METHODS = {
    "connection_made", "connection_lost", "data_received", "eof_received", "on_message_begin", "on_headers_complete",
    "on_message_complete", "on_response_complete", "_start_asgi_task",
}  # fmt: skip


def of_self(thing: type) -> set[str]:
    """Attributes a class assigns to itself, and its methods."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    assigned = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    return assigned | set(vars(thing))


def test_the_version_is_one_it_was_tested_with() -> None:
    ours = next(one for one in map(Requirement, requires("dmz-bridge") or []) if one.name == "uvicorn")
    assert any(part.operator == "<" for part in ours.specifier)
    assert version("uvicorn") in ours.specifier


@pytest.mark.parametrize(
    ("thing", "names"),
    [(RequestResponseCycle, CYCLE), (HttpToolsProtocol, CONNECTION | METHODS)],
    ids=["cycle", "connection"],
)
def test_what_is_used_is_there(thing: type, names: set[str]) -> None:
    assert names - of_self(thing) == set()


def test_an_answer_asks_of_its_transport_what_the_corked_one_has() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(RequestResponseCycle)))
    asked = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "transport"
    }
    assert asked == {"write", "close", "is_closing"}

"""An HTTP binding against the catalogue, at start (marketing/check.py has what is about answers)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jmespath

from intranet_bridge.marketing import check
from intranet_bridge.marketing.check import answering, read, request_of, tested
from intranet_bridge.marketing.expressions.functions import Tables
from intranet_bridge.marketing.expressions.shapes import ANY, NUMBER, OBJECT, TEXT, Shape
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem, InquireSection, TokenPlace
from intranet_bridge.marketing.kind import Complaint
from protocol.errors import ConfigurationError
from protocol.operations.operation import Kind, Operation

_PART = r"\{([^{}]*)\}"
"""An expression in a path."""


def complaints(operation: Operation, binding: HttpBinding) -> Iterator[Complaint]:
    """All that is wrong with a binding, as far as a start can know."""
    tables, request = binding.values, _with_ours(request_of(operation), binding)
    if binding.paging and operation.kind is Kind.COMMAND:
        yield Complaint(("paging",), "only a query's answer comes in pages: a command is one call")
    yield from _asking((), binding.path, binding.query, binding.request, request, tables)
    yield from check.complaints(operation, binding)
    if binding.paging:
        yield from read(("paging", "cursor"), binding.paging.cursor, ANY, {})
        yield from tested(("paging", "more"), binding.paging.more, {})
    inquire = binding.inquire
    if inquire:
        yield from _asking(("inquire",), inquire.path, inquire.query, inquire.request, request, tables)
        yield from tested(("inquire", "found"), inquire.found, tables)
        yield from tested(("inquire", "not_found"), inquire.not_found, tables)
        yield from answering(("inquire", "response"), inquire.response, operation, tables)


def login(system: HttpSystem) -> None:
    """Raise ConfigurationError for a log-in whose expressions cannot be meant."""
    section = system.login
    if section is None:
        return
    sees = _named("user", "password", "request_id")
    found = [*_asking((), section.path, section.query, section.request, sees, {})]
    for name, text in section.expressions():
        found += read((name,), text, ANY, {})
    for complaint in found:
        if complaint.fatal:
            raise ConfigurationError(f"login.{'.'.join(complaint.setting)}: {complaint.message}")


def session(operation: Operation, binding: HttpBinding, system: HttpSystem) -> None:
    """Raise ConfigurationError if a binding wants a session that its system has not, or leaves its token out."""
    place = system.login.place if system.login else system.oauth.place if system.oauth else None
    asks: list[HttpBinding | InquireSection] = [binding, *([binding.inquire] if binding.inquire else [])]
    for one in asks:
        texts = [*re.findall(_PART, one.path), one.query, one.request]
        wants = any(text is not None and _has_field(jmespath.compile(text).parsed, "session") for text in texts)
        if wants and place is None:
            raise ConfigurationError(f"operations.{operation.name}: `session`, and its system has no login")
        if place is not None and place == TokenPlace() and not wants:
            raise ConfigurationError(
                f"operations.{operation.name}: the session's token goes nowhere: give login.place, or use `session`"
            )


def _has_field(tree: Mapping[str, Any], name: str) -> bool:
    if tree["type"] == "field" and tree["value"] == name:
        return True
    return any(isinstance(child, Mapping) and _has_field(child, name) for child in tree.get("children", ()))


def _named(*names: str) -> Shape:
    text = Shape(frozenset((TEXT,)))
    return Shape(frozenset((OBJECT,)), dict.fromkeys(names, text), required=frozenset(names))


def _with_ours(request: Shape, binding: HttpBinding) -> Shape:
    ours: dict[str, Shape] = {"session": Shape(frozenset((TEXT,)))}
    if binding.paging:
        number = Shape(frozenset((NUMBER,)))
        pages = {"number": number, "offset": number, "size": number, "cursor": ANY}
        ours["paging"] = Shape(frozenset((OBJECT,)), pages, required=frozenset(pages))
    fields = ours | dict(request.fields or {})
    return Shape(request.kinds, fields, required=frozenset(fields))


def _asking(
    table: tuple[str, ...], path: str, query: str | None, body: str | None, request: Shape, tables: Tables
) -> Iterator[Complaint]:
    for part in re.findall(_PART, path):
        yield from read((*table, "path"), part, request, tables)
    yield from read((*table, "query"), query, request, tables)
    yield from read((*table, "request"), body, request, tables)

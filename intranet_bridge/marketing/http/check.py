"""An HTTP binding against the catalogue, at start (marketing/check.py has what is about answers)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jmespath

from intranet_bridge.marketing import check
from intranet_bridge.marketing.check import answering, read, request_of, tested
from intranet_bridge.marketing.expressions.functions import Tables
from intranet_bridge.marketing.expressions.shapes import ANY, LIST, NUMBER, OBJECT, TEXT, Shape
from intranet_bridge.marketing.http.binding import (
    AttachmentsSection,
    HttpBinding,
    HttpSystem,
    InquireSection,
    TokenPlace,
)
from intranet_bridge.marketing.kind import Complaint
from protocol.errors import ConfigurationError
from protocol.operations.operation import Kind, Operation
from protocol.runtime.toml_lines import Place

_PART = r"\{([^{}]*)\}"
"""An expression in a path."""


def complaints(operation: Operation, binding: HttpBinding) -> Iterator[Complaint]:
    """All that is wrong with a binding, as far as a start can know."""
    tables, bare = binding.values, _with_ours(request_of(operation), binding)
    request = bare
    if binding.attachments and not operation.attachments:
        yield Complaint(("attachments",), f"{operation.name} takes no attachments")
    elif binding.attachments:
        request = _with_file(bare, "attachments", Shape(frozenset((LIST,)), item=_FILE))
        yield from _handing_over(binding, bare, tables)
    else:
        yield from check.unattached(operation)
    if binding.paging and operation.kind is Kind.COMMAND:
        yield Complaint(("paging",), "only a query's answer comes in pages: a command is one call")
    yield from _asking((), binding.path, binding.query, binding.request, request, tables)
    yield from check.complaints(operation, binding)
    if binding.paging:
        yield from read(("paging", "cursor"), binding.paging.cursor, ANY, {})
        yield from tested(("paging", "more"), binding.paging.more, {})
    inquire = binding.inquire
    if inquire:
        yield from _asking(("inquire",), inquire.path, inquire.query, inquire.request, bare, tables)
        yield from tested(("inquire", "found"), inquire.found, tables)
        yield from tested(("inquire", "not_found"), inquire.not_found, tables)
        yield from answering(("inquire", "response"), inquire.response, operation, tables)


def _handing_over(binding: HttpBinding, request: Shape, tables: Tables) -> Iterator[Complaint]:
    section = binding.attachments
    assert section is not None, "asked for only then"
    seen = _with_file(request, "file", _FILE)
    yield from _asking(("attachments",), section.path, section.query, section.request, seen, tables)
    yield from read(("attachments", "reference"), section.reference, ANY, tables)
    if section.request is not None and section.encoding == "raw":
        yield Complaint(("attachments", "request"), "a raw body is the file alone, and has no other fields")
    if section.refusal:
        yield from tested(("attachments", "refusal", "when"), section.refusal.when, tables)


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
            raise ConfigurationError(complaint.message, place=("login", *complaint.setting))


def session(binding: HttpBinding, system: HttpSystem) -> None:
    """Raise ConfigurationError if a binding wants a session that its system has not, or leaves its token out."""
    place = system.login.place if system.login else system.oauth.place if system.oauth else None
    asks: list[tuple[Place, HttpBinding | InquireSection | AttachmentsSection]] = [((), binding)]
    asks += [((name,), one) for name in ("inquire", "attachments") if (one := getattr(binding, name)) is not None]
    for above, one in asks:
        texts = [*re.findall(_PART, one.path), one.query, one.request]
        wants = any(text is not None and _has_field(jmespath.compile(text).parsed, "session") for text in texts)
        if wants and place is None:
            raise ConfigurationError("`session`, and its system has no login", place=above)
        if place is not None and place == TokenPlace() and not wants:
            message = "the session's token goes nowhere: give login.place, or use `session`"
            raise ConfigurationError(message, place=above)


def _has_field(tree: Mapping[str, Any], name: str) -> bool:
    if tree["type"] == "field" and tree["value"] == name:
        return True
    return any(isinstance(child, Mapping) and _has_field(child, name) for child in tree.get("children", ()))


def _named(*names: str) -> Shape:
    text = Shape(frozenset((TEXT,)))
    return Shape(frozenset((OBJECT,)), dict.fromkeys(names, text), required=frozenset(names))


_FILE = Shape(
    frozenset((OBJECT,)),
    {
        "length": Shape(frozenset((NUMBER,))),
        **dict.fromkeys(("id", "name", "extension", "media_type", "sha256", "reference"), Shape(frozenset((TEXT,)))),
    },
)


def _with_file(request: Shape, name: str, shape: Shape) -> Shape:
    fields = dict(request.fields or {}) | {name: shape}
    return Shape(request.kinds, fields, required=frozenset(fields))


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

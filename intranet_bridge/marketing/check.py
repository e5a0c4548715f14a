"""A binding against the catalogue, at start: what its expressions can never give is not left for the first customer.

Refused: a name that the request does not have; a text in double quotes, which name a field; what can only be null;
comparisons that are never true; a result that lacks a required field of the schema, or has one it does not have, or
has it as the wrong kind. Warned of: tests of what became of a request that are true of ``{}`` or null.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import jmespath

from intranet_bridge.marketing.binding import Binding
from intranet_bridge.marketing.functions import Tables
from intranet_bridge.marketing.mapping import MappingError, condition, truth
from intranet_bridge.marketing.shapes import (
    ANY,
    LIST,
    NOTHING,
    NULL,
    OBJECT,
    TEXT,
    Inference,
    Shape,
    in_words,
    of_schema,
)
from protocol.operations.operation import Operation


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong, or may be."""

    setting: tuple[str, ...]
    """Within the binding: ``("refusal", "when")``."""
    message: str
    fatal: bool = True


def complaints(operation: Operation, binding: Binding) -> Iterator[Complaint]:
    """All that is wrong with a binding, as far as a start can know."""
    tables = binding.values
    asked = of_schema(operation.request.model_json_schema())
    fields = dict(asked.fields or {}) | {"request_id": Shape(frozenset((TEXT,)))}
    request = Shape(asked.kinds, fields, required=frozenset(fields))
    result = of_schema(operation.response.model_json_schema())
    yield from _asking((), binding.path, binding.query, binding.request, request, tables)
    yield from _answering(("response",), binding.response, result, tables)
    if binding.refusal:
        yield from _test(("refusal", "when"), binding.refusal.when, tables)
        for name, text in (("code", binding.refusal.code), ("detail", binding.refusal.detail)):
            yield from _read(("refusal", name), text, ANY, tables)[1]
        known = {refusal.code for refusal in operation.refusals}
        for theirs, ours in binding.refusal.codes.items():
            if ours not in known:
                message = f"the catalogue's {operation.name} does not have the refusal {ours}: callers do not expect it"
                yield Complaint(("refusal", "codes", theirs), message, fatal=False)
    for name, text in (("failure", binding.failure), ("not_applied", binding.not_applied)):
        yield from _test((name,), text, tables)
    inquire = binding.inquire
    if inquire:
        yield from _asking(("inquire",), inquire.path, inquire.query, inquire.request, request, tables)
        yield from _test(("inquire", "found"), inquire.found, tables)
        yield from _test(("inquire", "not_found"), inquire.not_found, tables)
        yield from _answering(("inquire", "response"), inquire.response, result, tables)


def _read(setting: tuple[str, ...], text: str | None, sees: Shape, tables: Tables) -> tuple[Shape, list[Complaint]]:
    if text is None:
        return ANY, []
    reading = Inference(text, jmespath.compile(text).parsed, sees, tables)
    found = [Complaint(setting, message) for message in reading.mistakes]
    found += [Complaint(setting, message, fatal=False) for message in reading.doubts]
    if not found and reading.gives.kinds == NOTHING.kinds:
        found.append(Complaint(setting, "can only be null"))
    return reading.gives, found


def _asking(
    table: tuple[str, ...], path: str, query: str | None, body: str | None, request: Shape, tables: Tables
) -> Iterator[Complaint]:
    for part in re.findall(r"\{([^{}]*)\}", path):
        yield from _read((*table, "path"), part, request, tables)[1]
    yield from _read((*table, "query"), query, request, tables)[1]
    yield from _read((*table, "request"), body, request, tables)[1]


def _test(setting: tuple[str, ...], text: str | None, tables: Tables) -> Iterator[Complaint]:
    if text is None:
        return
    yield from _read(setting, text, ANY, tables)[1]
    test = condition(text, tables)
    for empty, written in (({}, "{}"), (None, "null")):
        try:
            if truth(test(empty)):
                yield Complaint(setting, f"is true of {written}, and so of many an error page", fatal=False)
                return
        except MappingError:
            continue  # such an answer decides nothing


def _answering(setting: tuple[str, ...], text: str | None, wanted: Shape, tables: Tables) -> Iterator[Complaint]:
    gives, found = _read(setting, text, ANY, tables)
    yield from found
    if not found and text is not None:
        for message in _misfits(gives, wanted, ""):
            yield Complaint(setting, message)


def _misfits(gives: Shape, wanted: Shape, place: str) -> Iterator[str]:
    name = place.removeprefix(".") or "the result"
    if gives.kinds == NOTHING.kinds and NULL not in wanted.kinds:
        yield f"{name} can only be null"
    elif not (gives.kinds - {NULL}) & wanted.kinds and gives.kinds != NOTHING.kinds:
        yield f"{name} is {in_words(gives)}, and must be {in_words(wanted)}"
    elif OBJECT in gives.kinds and gives.fields is not None and wanted.fields is not None:
        for missing in sorted(wanted.required - set(gives.fields)):
            yield f"leaves out the required field {f'{place}.{missing}'.removeprefix('.')}"
        for field, given in gives.fields.items():
            if field not in wanted.fields:
                yield f"gives {f'{place}.{field}'.removeprefix('.')}, which the schema does not have"
            elif field in wanted.required or given.kinds != NOTHING.kinds:
                yield from _misfits(given, wanted.fields[field], f"{place}.{field}")
    elif LIST in gives.kinds and gives.item is not None and wanted.item is not None:
        yield from _misfits(gives.item, wanted.item, f"{place}[]")

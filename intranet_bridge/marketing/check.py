"""A binding against the catalogue, at start: what its expressions can never give is not left for the first customer.

Refused: a name that the request does not have; a text in double quotes, which name a field; what can only be null;
comparisons that are never true; a result that lacks a required field of the schema, or has one it does not have, or
has it as the wrong kind. Warned of: tests of what became of a request that are true of ``{}`` or null.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

import jmespath
from pydantic import BaseModel

from intranet_bridge.marketing.binding import OperationBinding
from intranet_bridge.marketing.expressions.functions import Tables
from intranet_bridge.marketing.expressions.mapping import MappingError, condition, truth
from intranet_bridge.marketing.expressions.shapes import (
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
from intranet_bridge.marketing.kind import Complaint
from protocol.operations.operation import Operation


def complaints(operation: Operation, binding: OperationBinding) -> Iterator[Complaint]:
    """All that is wrong with what a binding reads from answers, as far as a start can know."""
    tables = binding.values
    yield from answering(("response",), binding.response, operation, tables, asks(binding))
    if binding.refusal:
        yield from tested(("refusal", "when"), binding.refusal.when, tables)
        for name, text in (("code", binding.refusal.code), ("detail", binding.refusal.detail)):
            yield from read(("refusal", name), text, ANY, tables)
        known = {refusal.code for refusal in operation.refusals}
        for theirs, ours in binding.refusal.codes.items():
            if ours not in known:
                message = f"the catalogue's {operation.name} does not have the refusal {ours}: callers do not expect it"
                yield Complaint(("refusal", "codes", theirs), message, fatal=False)
    for name, text in (("failure", binding.failure), ("not_applied", binding.not_applied)):
        yield from tested((name,), text, tables)


def request_of(operation: Operation) -> Shape:
    """What an expression about a request sees: its fields, and `request_id`."""
    asked = _body(operation.request)
    fields = dict(asked.fields or {}) | {"request_id": Shape(frozenset((TEXT,)))}
    return Shape(asked.kinds, fields, required=frozenset(fields))


@cache
def _body(model: type[BaseModel]) -> Shape:
    """The shape of a body. Kept: a start asks for each several times, and pydantic makes its schema anew each time."""
    return of_schema(model.model_json_schema())


def read(setting: tuple[str, ...], text: str | None, sees: Shape, tables: Tables) -> list[Complaint]:
    """What is wrong with an expression that sees values of a shape."""
    return _read(setting, text, sees, tables)[1]


def tested(setting: tuple[str, ...], text: str | None, tables: Tables) -> Iterator[Complaint]:
    """What is wrong with a test of an answer."""
    if text is None:
        return
    yield from read(setting, text, ANY, tables)
    test = condition(text, tables)
    for empty, written in (({}, "{}"), (None, "null")):
        try:
            if truth(test(empty)):
                yield Complaint(setting, f"is true of {written}, and so of many an error page", fatal=False)
                return
        except MappingError:
            continue  # such an answer decides nothing


def asks(binding: OperationBinding) -> tuple[str, ...]:
    """The texts of a binding, of whatever kind, that make a request."""
    names = ("path", "query", "request", "header", "parameters")
    return tuple(text for name in names if isinstance(text := getattr(binding, name, None), str))


def answering(
    setting: tuple[str, ...], text: str | None, operation: Operation, tables: Tables, asked: Iterable[str] = ()
) -> Iterator[Complaint]:
    """What is wrong with an expression that gives the catalogue's response. `asked`: what makes the request."""
    wanted = _body(operation.response)
    gives, found = _read(setting, text, ANY, tables)
    yield from found
    if not found and text is not None:
        for message in _misfits(gives, wanted, ""):
            yield Complaint(setting, message)
        for name, message in _unanswered(gives, operation):
            needed = operation.request.model_fields[name].is_required()
            said = any(re.search(rf"\b{re.escape(name)}\b", one) for one in asked)
            yield Complaint(setting, message, fatal=needed or said)


def _unanswered(gives: Shape, operation: Operation) -> Iterator[tuple[str, str]]:
    """Fields that must be what was asked, where the schema alone would let them be left out: who asks with them would
    always be answered `answer-mismatch`. With the request's field that each must equal.
    """
    if OBJECT not in gives.kinds or gives.fields is None:
        return
    fields = operation.response.model_fields
    for path, name in operation.matching.pairs.items():
        given = gives.fields.get(path)
        if "." in path or fields[path].is_required() or (given is not None and given.kinds != NOTHING.kinds):
            continue
        how = "leaves out" if given is None else "gives only null for"
        yield name, f"{how} {path}, which must equal the request's {name}: requests that have it cannot be answered"


def unattached(operation: Operation) -> Iterator[Complaint]:
    """A warning of an operation whose files nothing hands over."""
    if operation.attachments:
        message = "takes attachments, and nothing hands them over: the marketing system gets their ids alone"
        yield Complaint((), message, fatal=False)


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


def _read(setting: tuple[str, ...], text: str | None, sees: Shape, tables: Tables) -> tuple[Shape, list[Complaint]]:
    if text is None:
        return ANY, []
    reading = Inference(text, jmespath.compile(text).parsed, sees, tables)
    found = [Complaint(setting, message) for message in reading.mistakes]
    found += [Complaint(setting, message, fatal=False) for message in reading.doubts]
    if not found and reading.gives.kinds == NOTHING.kinds:
        found.append(Complaint(setting, "can only be null"))
    return reading.gives, found

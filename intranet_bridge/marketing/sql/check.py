"""An SQL binding against the catalogue, at start (marketing/check.py has what is about answers)."""

from collections.abc import Iterator, Mapping

import jmespath

from intranet_bridge.marketing import check
from intranet_bridge.marketing.check import answering, read, request_of, tested
from intranet_bridge.marketing.kind import Complaint
from intranet_bridge.marketing.sql.binding import SqlBinding
from intranet_bridge.marketing.sql.statement import parameters
from protocol.operations.operation import Kind, Operation


def complaints(operation: Operation, binding: SqlBinding) -> Iterator[Complaint]:
    """All that is wrong with a binding, as far as a start can know without the database."""
    command = operation.kind is Kind.COMMAND
    if command and binding.insert is None:
        yield Complaint((), "is a command: it needs insert, poll and done")
        return
    if not command and binding.insert is not None:
        yield Complaint(("insert",), "this is a query: it needs statement or statements")
        return
    yield from read(("parameters",), binding.parameters, request_of(operation), binding.values)
    yield from _named(binding)
    yield from check.complaints(operation, binding)
    yield from check.unattached(operation)
    yield from tested(("done",), binding.done, binding.values)
    inquire = binding.inquire
    if inquire:
        yield from tested(("inquire", "found"), inquire.found, binding.values)
        yield from tested(("inquire", "not_found"), inquire.not_found, binding.values)
        yield from answering(("inquire", "response"), inquire.response, operation, binding.values)


def statements(binding: SqlBinding) -> Mapping[tuple[str, ...], str]:
    """Every statement by its place in the binding: all that is ever executed."""
    found: dict[tuple[str, ...], str] = {}
    for place, owner in (((), binding), (("inquire",), binding.inquire)):
        if owner is None:
            continue
        if owner.statement is not None:
            found[(*place, "statement")] = owner.statement
        for name, text in (owner.statements or {}).items():
            found[(*place, "statements", name)] = text
    for name, one in (("insert", binding.insert), ("poll", binding.poll)):
        if one is not None:
            found[(name,)] = one
    return found


def _named(binding: SqlBinding) -> Iterator[Complaint]:
    """Every `:name` has a value, and every value a `:name`."""
    tree = jmespath.compile(binding.parameters).parsed
    if tree["type"] != "multi_select_dict":
        yield Complaint(("parameters",), "is written {name: expression, ...}: a value for each :name of the statements")
        return
    given, used = {child["value"] for child in tree["children"]}, set[str]()
    for place, text in statements(binding).items():
        names = parameters(text)
        used |= names
        for name in sorted(names - given):
            yield Complaint(place, f"parameters does not give :{name} (a colon that is no parameter is written \\:)")
    for name in sorted(given - used):
        yield Complaint(("parameters",), f"no statement has :{name}")
    if binding.insert is not None and not parameters(binding.insert):
        yield Complaint(("insert",), "has no parameter: the request id must be in it")

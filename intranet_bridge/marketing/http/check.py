"""An HTTP binding against the catalogue, at start (marketing/check.py has what is about answers)."""

import re
from collections.abc import Iterator

from intranet_bridge.marketing import check
from intranet_bridge.marketing.check import answering, read, request_of, tested
from intranet_bridge.marketing.expressions.functions import Tables
from intranet_bridge.marketing.expressions.shapes import Shape
from intranet_bridge.marketing.http.binding import HttpBinding
from intranet_bridge.marketing.kind import Complaint
from protocol.operations.operation import Operation


def complaints(operation: Operation, binding: HttpBinding) -> Iterator[Complaint]:
    """All that is wrong with a binding, as far as a start can know."""
    tables, request = binding.values, request_of(operation)
    yield from _asking((), binding.path, binding.query, binding.request, request, tables)
    yield from check.complaints(operation, binding)
    inquire = binding.inquire
    if inquire:
        yield from _asking(("inquire",), inquire.path, inquire.query, inquire.request, request, tables)
        yield from tested(("inquire", "found"), inquire.found, tables)
        yield from tested(("inquire", "not_found"), inquire.not_found, tables)
        yield from answering(("inquire", "response"), inquire.response, operation, tables)


def _asking(
    table: tuple[str, ...], path: str, query: str | None, body: str | None, request: Shape, tables: Tables
) -> Iterator[Complaint]:
    for part in re.findall(r"\{([^{}]*)\}", path):
        yield from read((*table, "path"), part, request, tables)
    yield from read((*table, "query"), query, request, tables)
    yield from read((*table, "request"), body, request, tables)

"""A SOAP binding against the catalogue, at start. What needs the WSDL is looked at when the system is opened."""

from collections.abc import Iterator

from intranet_bridge.marketing import check
from intranet_bridge.marketing.check import answering, read, request_of, tested
from intranet_bridge.marketing.kind import Complaint
from intranet_bridge.marketing.soap.binding import FAILURE, NOT_APPLIED, SoapBinding
from protocol.operations.operation import Operation


def complaints(operation: Operation, binding: SoapBinding) -> Iterator[Complaint]:
    """All that is wrong with a binding, as far as a start can know without the WSDL."""
    tables, request = binding.values, request_of(operation)
    yield from read(("request",), binding.request, request, tables)
    yield from read(("header",), binding.header, request, tables)
    yield from check.complaints(operation, binding)
    yield from check.unattached(operation)
    known = {refusal.code for refusal in operation.refusals} | {NOT_APPLIED, FAILURE}
    for fault, ours in binding.faults.items():
        if ours not in known:
            message = f"the catalogue's {operation.name} does not have the refusal {ours}: callers do not expect it"
            yield Complaint(("faults", fault), message, fatal=False)
    inquire = binding.inquire
    if inquire:
        yield from read(("inquire", "request"), inquire.request, request, tables)
        yield from read(("inquire", "header"), inquire.header, request, tables)
        yield from tested(("inquire", "found"), inquire.found, tables)
        yield from tested(("inquire", "not_found"), inquire.not_found, tables)
        yield from answering(("inquire", "response"), inquire.response, operation, tables)

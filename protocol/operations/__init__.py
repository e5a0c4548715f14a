"""The catalogue: every operation the product carries. One file a business family; the one place to add one.

To add an operation, append an `Operation` to its family's `OPERATIONS` and bind it in
`config/intranet_bridge.toml`; the HTTP path, the OpenAPI page, the validation on both sides, the queues and
the ledger follow from the entry.
"""

from collections.abc import Mapping
from types import MappingProxyType

from protocol.operations import bills, work_orders
from protocol.operations.matching import AnswerMismatch
from protocol.operations.operation import Kind, Operation, UnknownOutcome

__all__ = ["CATALOGUE", "AnswerMismatch", "Kind", "Operation", "UnknownOutcome"]


def _catalogue(*families: tuple[Operation, ...]) -> Mapping[str, Operation]:
    entries: dict[str, Operation] = {}
    for family in families:
        for operation in family:
            if operation.name in entries:
                raise ValueError(f"two catalogue entries are called {operation.name}")
            entries[operation.name] = operation
    return MappingProxyType(entries)


CATALOGUE: Mapping[str, Operation] = _catalogue(bills.OPERATIONS, work_orders.OPERATIONS)
"""Operation name → entry."""

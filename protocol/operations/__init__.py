"""The catalogue: every operation the product carries. One file a business family; the one place to add one.

To add an operation, append an `Operation` to its family's `OPERATIONS` and bind it in
`config/intranet_bridge.toml`; the HTTP path, the OpenAPI page, the validation on both sides, the queues and
the ledger follow from the entry.
"""

from collections.abc import Mapping
from types import MappingProxyType

from protocol.operations import bills, work_orders
from protocol.operations.matching import AnswerMismatch
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome

__all__ = ["CATALOGUE", "FAMILIES", "AnswerMismatch", "Family", "Kind", "Operation", "UnknownOutcome"]

FAMILIES: Mapping[Family, tuple[Operation, ...]] = MappingProxyType(
    {module.FAMILY: module.OPERATIONS for module in (bills, work_orders)}
)
"""Each business family with its operations, in the order of the API's pages."""


def _catalogue(families: Mapping[Family, tuple[Operation, ...]]) -> Mapping[str, Operation]:
    entries: dict[str, Operation] = {}
    for operation in (operation for family in families.values() for operation in family):
        if operation.name in entries:
            raise ValueError(f"two catalogue entries are called {operation.name}")
        entries[operation.name] = operation
    return MappingProxyType(entries)


CATALOGUE: Mapping[str, Operation] = _catalogue(FAMILIES)
"""Operation name → entry."""

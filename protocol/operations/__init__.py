"""The catalogue: every operation the product carries. One file a business family; the one place to add one.

To add an operation, append an `Operation` to its family's `OPERATIONS` and bind it in the family's file under
`config/bindings/` (one that the bridge itself answers has a handler in intranet_bridge/app.py instead); the HTTP path,
the OpenAPI page, the validation on both sides, the queues and the ledger follow from the entry.
"""

from collections.abc import Mapping
from types import MappingProxyType

from protocol.operations import (
    accounts,
    bills,
    clearing,
    connection,
    notices,
    orders,
    payment,
    public,
    qr,
    settlement,
    theft,
    usage,
    withholding,
    work_orders,
)
from protocol.operations.matching import AnswerMismatch
from protocol.operations.operation import (
    AnsweredBy,
    AskedBy,
    Deprecation,
    Family,
    Kind,
    Operation,
    Removed,
    UnknownOutcome,
)
from protocol.operations.refusals import Refusal

__all__ = [
    "CATALOGUE",
    "FAMILIES",
    "INTERNAL",
    "OFFERED",
    "OFFERED_FAMILIES",
    "OWN",
    "AnswerMismatch",
    "AnsweredBy",
    "AskedBy",
    "Deprecation",
    "Family",
    "Kind",
    "Operation",
    "Refusal",
    "Removed",
    "UnknownOutcome",
]

FAMILIES: Mapping[Family, tuple[Operation, ...]] = MappingProxyType(
    {
        module.FAMILY: module.OPERATIONS
        for module in (
            accounts,
            bills,
            payment,
            orders,
            withholding,
            clearing,
            usage,
            work_orders,
            connection,
            public,
            theft,
            qr,
            notices,
            settlement,
        )
    }
)
"""Each business family with its operations, in the order of the API's pages."""


def _catalogue(families: Mapping[Family, tuple[Operation, ...]]) -> Mapping[str, Operation]:
    entries: dict[str, Operation] = {}
    refusals: dict[str, Refusal] = {}
    for operation in (operation for family in families.values() for operation in family):
        if operation.name in entries:
            raise ValueError(f"two catalogue entries are called {operation.name}")
        entries[operation.name] = operation
        for refusal in operation.refusals:
            if refusals.setdefault(refusal.code, refusal) != refusal:
                raise ValueError(f"{operation.name}: the refusal {refusal.code} means something else in another entry")
    for operation in entries.values():
        deprecated = operation.deprecated
        if deprecated is not None and deprecated.successor not in entries:
            raise ValueError(f"{operation.name}: its successor {deprecated.successor} is not in the catalogue")
    return MappingProxyType(entries)


CATALOGUE: Mapping[str, Operation] = _catalogue(FAMILIES)
"""Operation name → entry."""
OFFERED_FAMILIES: Mapping[Family, tuple[Operation, ...]] = MappingProxyType(
    {
        family: offered
        for family, operations in FAMILIES.items()
        if (offered := tuple(one for one in operations if one.asked_by is AskedBy.APPLICATION))
    }
)
"""What fronts offer, by family."""
OFFERED: Mapping[str, Operation] = MappingProxyType(
    {name: operation for name, operation in CATALOGUE.items() if operation.asked_by is AskedBy.APPLICATION}
)
"""Operation name → entry, of those that an application can ask for, through a front."""
INTERNAL: frozenset[str] = frozenset(CATALOGUE.keys() - OFFERED.keys())
"""Those that only the bridge asks for. They are bound, probed and reported like every other."""
OWN: frozenset[str] = frozenset(
    name for name, operation in CATALOGUE.items() if operation.answered_by is AnsweredBy.BRIDGE
)
"""Those that the bridge answers itself: nothing binds them."""

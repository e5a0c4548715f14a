"""What is wrong, by what was seen: a pure judgement. Consequences are folded under their cause, the cause comes first.

Each rule (rules/) gives troubles; its place in `RULES` is its place in the chain of causes: what a host's disk does to
a ledger comes before what the ledger's silence does to callers. A later trouble that names an earlier one in `because`
is shown under it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from bridgectl.status.observation import Observation
from bridgectl.status.rules import (
    bridges,
    broker,
    certificates,
    clearing,
    crossing_files,
    daemons,
    files,
    hot_data,
    limits,
    notices,
    operations,
    orders,
    own_commands,
    pushes,
    requests,
    statements,
    stores,
    withholding,
)
from bridgectl.status.trouble import Level, Trouble

RULES: tuple[Callable[[Observation], Iterator[Trouble]], ...] = (
    certificates.certificates,
    daemons.silences,
    stores.stores,
    stores.backups,
    broker.reached,
    daemons.drains,
    bridges.presence,
    bridges.inboxes,
    operations.interfaces,
    operations.announced,
    operations.long_pauses,
    operations.unbound,
    requests.ceilings,
    requests.commands,
    broker.room,
    broker.queues,
    requests.denials,
    limits.paused_addresses,
    limits.admission_store,
    notices.notices,
    pushes.tables,
    crossing_files.files,
    statements.statements,
    clearing.late,
    clearing.differing,
    clearing.carried,
    clearing.calendar,
    withholding.withholding,
    orders.orders,
    own_commands.own_commands,
    own_commands.unrouted,
    hot_data.prequery,
    hot_data.imports,
    files.not_reloaded,
)


def troubles(seen: Observation) -> list[Trouble]:
    """All that is wrong, the worst first, consequences under their causes."""
    found = [trouble for rule in RULES for trouble in rule(seen)]
    keys = {trouble.key for trouble in found}
    roots = [trouble for trouble in found if not keys.intersection(trouble.because)]
    folded = []
    for root in roots:
        under = tuple(
            one for one in found if one is not root and root.key in one.because and _first(one, keys) == root.key
        )
        folded.append(replace(root, consequences=under))
    order = {Level.CRITICAL: 0, Level.UNKNOWN: 1, Level.WARNING: 2}
    return sorted(folded, key=lambda trouble: order[trouble.level])


def _first(trouble: Trouble, keys: set[str]) -> str:
    return next(key for key in trouble.because if key in keys)

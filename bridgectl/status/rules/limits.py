"""Limits: client addresses that are left alone, and whether fronts count together."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.front import FrontReport


def paused_addresses(seen: Observation) -> Iterator[Trouble]:
    front = seen.front
    if not isinstance(front, FrontReport) or not front.paused_addresses:
        return
    yield Trouble(
        Level.WARNING,
        "addresses-paused",
        trn(
            "{count} client address is paused",
            "{count} client addresses are paused",
            front.paused_addresses,
        ),
        tr("they went on in spite of 429"),
        hurts=tr("they are not answered until their pause is over"),
        mend=tr("bridgectl addresses list; if one is yours: bridgectl addresses lift ADDRESS, or raise limits.ip_rate"),
    )


def admission_store(seen: Observation) -> Iterator[Trouble]:
    front = seen.front
    store = front.admission_store if isinstance(front, FrontReport) else None
    if store is None or not store.trouble:
        return
    yield Trouble(
        Level.WARNING,
        "admission-store-lost",
        tr("{place}, by which fronts count limits together, cannot be reached", place=store.place),
        store.trouble,
        store.since,
        hurts=tr("applications may have their limits at each front"),
        mend=tr("start it, or mend the way to it; the front goes on by itself until then"),
    )

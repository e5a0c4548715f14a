"""The databases: the disk under them, what their daemons say of them, and their backups."""

from collections.abc import Iterator

from bridgectl.status.observation import Observation
from bridgectl.status.rules.naming import program
from bridgectl.status.trouble import Level, Trouble
from protocol.reports import BridgeReport, FrontReport, StoreReport

_DISK_WARN, _DISK_BYTES, _DISK_FULL = 0.10, 1 << 30, 100 << 20
_SLOW_MS = 1_000.0


def stores(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        yield from _store(report.store, report)


def _ill(store: StoreReport) -> str:
    """What is wrong with a database. A daemon of an older release says it in words alone."""
    words = {
        "full": "full", "malformed": "damaged", "not a database": "damaged", "waits": "locked", "locked": "locked",
    }  # fmt: skip
    said = next((ill for word, ill in words.items() if word in store.trouble), "failing" if store.trouble else "")
    return store.ill or said


def _store(store: StoreReport, report: FrontReport | BridgeReport) -> Iterator[Trouble]:
    name = "ledger" if isinstance(report, FrontReport) else "inbox"
    hurts = "commands are refused with 503" if name == "ledger" else "commands wait on the broker"
    ill = _ill(store)
    full = ill == "full" or (store.free_bytes is not None and store.free_bytes < _DISK_FULL and ill != "damaged")
    remote = store.place.startswith("postgres")
    if full:
        free = "" if store.free_bytes is None else f"{store.free_bytes >> 20} MB are free; "
        yield Trouble(
            Level.CRITICAL,
            "disk-full",
            f"the disk under the {name} of {report.name} is full",
            f"{free}{store.trouble}".rstrip("; "),
            hurts=hurts,
            mend=f"free space under {store.place}",
        )
    elif ill == "damaged":
        yield Trouble(
            Level.CRITICAL,
            "database-damaged",
            f"the {name} of {report.name} is damaged",
            store.trouble if store.place in store.trouble else f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend=f"systemctl stop {program(report)}; bridgectl restore FILE --yes; systemctl start {program(report)}",
        )
    elif ill == "unreachable":
        yield Trouble(
            Level.CRITICAL,
            "database-unreachable",
            f"the database of {report.name}'s {name} does not answer",
            f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend="on the database's host: systemctl start postgresql",
        )
    elif ill:
        yield Trouble(
            Level.CRITICAL,
            "database-locked" if ill == "locked" else "database-failing",
            f"the {name} of {report.name} cannot be written",
            f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend="end the session that holds its rows (the page has the query)"
            if remote
            else f"find who holds it: fuser -v {store.place}",
        )
    elif store.write_ms > _SLOW_MS:
        yield Trouble(
            Level.WARNING,
            "database-slow",
            f"the {name} of {report.name} is slow",
            f"a write took {store.write_ms / 1000:.1f} s",
            hurts="every command waits so long",
            mend="see what else uses the disk: iostat -x 1",
        )
    little = min(_DISK_BYTES, _DISK_WARN * (store.total_bytes or 0))
    if not full and store.free_bytes is not None and store.free_bytes < little:
        yield Trouble(
            Level.WARNING,
            "disk-nearly-full",
            f"the disk under the {name} of {report.name} fills up",
            f"{store.free_bytes >> 20} MB of {(store.total_bytes or 0) >> 20} are free",
            mend=f"free space under {store.place}",
        )


def backups(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        backup = report.backup
        late = backup.last and report.now - backup.last > 2 * backup.every_hours * 3_600_000
        if backup.folder and (backup.trouble or late):
            yield Trouble(
                Level.WARNING,
                "backup-failing",
                f"the database of {report.name} is not backed up",
                f"{backup.folder}: {backup.trouble or 'the latest is too old'}",
                since=backup.last,
                hurts="what is accepted meanwhile would be lost with the disk",
                mend=f"bridgectl backup {backup.folder} --side {report.role} says what is wrong",
                because=("disk-full", "database-damaged", "database-unreachable", "database-locked"),
            )

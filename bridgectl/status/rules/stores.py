"""The databases: the disk under them, what their daemons say of them, and their backups."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.status.observation import Observation
from bridgectl.status.rules.naming import program
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport
from protocol.reports.daemon import StoreReport
from protocol.reports.front import FrontReport

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
    name = tr("ledger") if isinstance(report, FrontReport) else tr("inbox")
    hurts = (
        tr("commands are refused with 503") if isinstance(report, FrontReport) else tr("commands wait on the broker")
    )
    ill = _ill(store)
    full = ill == "full" or (store.free_bytes is not None and store.free_bytes < _DISK_FULL and ill != "damaged")
    remote = store.place.startswith("postgres")
    if full:
        free = "" if store.free_bytes is None else tr("{free_bytes} MB are free; ", free_bytes=store.free_bytes >> 20)
        yield Trouble(
            Level.CRITICAL,
            "disk-full",
            tr("the disk under the {name} of {report_name} is full", name=name, report_name=report.name),
            f"{free}{store.trouble}".rstrip("; "),
            hurts=hurts,
            mend=tr("free space under {place}", place=store.place),
        )
    elif ill == "damaged":
        yield Trouble(
            Level.CRITICAL,
            "database-damaged",
            tr("the {name} of {report_name} is damaged", name=name, report_name=report.name),
            store.trouble if store.place in store.trouble else f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend=f"systemctl stop {program(report)}; bridgectl restore FILE --yes; systemctl start {program(report)}",
        )
    elif ill == "unreachable":
        yield Trouble(
            Level.CRITICAL,
            "database-unreachable",
            tr("the database of {report_name}'s {name} does not answer", report_name=report.name, name=name),
            f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend=tr("on the database's host: systemctl start postgresql"),
        )
    elif ill:
        yield Trouble(
            Level.CRITICAL,
            "database-locked" if ill == "locked" else "database-failing",
            tr("the {name} of {report_name} cannot be written", name=name, report_name=report.name),
            f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend=tr("end the session that holds its rows (the page has the query)")
            if remote
            else tr("find who holds it: fuser -v {place}", place=store.place),
        )
    elif store.write_ms > _SLOW_MS:
        yield Trouble(
            Level.WARNING,
            "database-slow",
            tr("the {name} of {report_name} is slow", name=name, report_name=report.name),
            tr("a write took {write_ms:.1f} s", write_ms=store.write_ms / 1000),
            hurts=tr("every command waits so long"),
            mend=tr("see what else uses the disk: iostat -x 1"),
        )
    little = min(_DISK_BYTES, _DISK_WARN * (store.total_bytes or 0))
    if not full and store.free_bytes is not None and store.free_bytes < little:
        yield Trouble(
            Level.WARNING,
            "disk-nearly-full",
            tr("the disk under the {name} of {report_name} fills up", name=name, report_name=report.name),
            tr(
                "{free_bytes} MB of {total_bytes} are free",
                free_bytes=store.free_bytes >> 20,
                total_bytes=(store.total_bytes or 0) >> 20,
            ),
            mend=tr("free space under {place}", place=store.place),
        )


def backups(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        backup = report.backup
        late = backup.last and report.now - backup.last > 2 * backup.every_hours * 3_600_000
        if backup.folder and (backup.trouble or late):
            yield Trouble(
                Level.WARNING,
                "backup-failing",
                tr("the database of {name} is not backed up", name=report.name),
                f"{backup.folder}: {backup.trouble or 'the latest is too old'}",
                since=backup.last,
                hurts=tr("what is accepted meanwhile would be lost with the disk"),
                mend=f"bridgectl backup {backup.folder} --side {report.role} says what is wrong",
                because=("disk-full", "database-damaged", "database-unreachable", "database-locked"),
            )

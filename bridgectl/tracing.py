"""A request's life as a list of events, from what daemons report and their logs say. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from bridgectl.language import tr
from protocol.administration import CommandDetail, CommandReport, TraceReport

_OF_THE_LINE = frozenset({"event", "request", "request_id", "timestamp", "logger", "level", "at", "exception"})
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to it."""

    at: int
    """Epoch ms, by the clock of where it happened."""
    where: str
    what: str
    more: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def events_of(report: TraceReport) -> Iterator[Event]:
    """What a daemon knows of it."""
    where = _where(report)
    if report.command is not None:
        yield from _rows(where, report.command)
    for decided in report.decisions:
        yield Event(
            decided.at,
            where,
            tr("decided"),
            tr("{choice} by {by}: {note}", choice=decided.choice, by=decided.by, note=decided.note),
        )
    for hop in report.hops:
        yield Event(int(hop["at"]), where, str(hop["event"]), _told(hop))


def revealed(report: TraceReport, detail: CommandDetail) -> Event:
    """What the customer asked for, opened by the bridge: of the instant of its receipt."""
    return Event(detail.command.recorded, _where(report), tr("was asked"), detail.request)


def _where(report: TraceReport) -> str:
    return f"{report.side} {report.name}"


def _rows(where: str, row: CommandReport) -> Iterator[Event]:
    if row.side == "front":
        yield Event(
            row.recorded,
            where,
            tr("accepted in the ledger"),
            tr("{operation} of {source}", operation=row.operation, source=row.source),
        )
        if row.sent:
            yield Event(
                row.sent, where, tr("on the broker"), tr("sent {sends} times", sends=row.sends) if row.sends > 1 else ""
            )
        final = tr("ledger says")
        if row.replied:
            yield Event(row.replied, where, tr("outcome told to a caller"))
    else:
        yield Event(
            row.recorded,
            where,
            tr("received in the inbox"),
            tr("{operation} of {source}, {owner} has it", operation=row.operation, source=row.source, owner=row.owner),
        )
        if row.calling:
            yield Event(
                row.calling, where, tr("called the marketing system"), tr("attempt {attempts}", attempts=row.attempts)
            )
        final = tr("inbox says")
        if row.replied:
            yield Event(row.replied, where, tr("reply on the broker"))
    why = " ".join(text for text in (row.code, row.note) if text)
    yield Event(row.updated, where, f"{final} {row.state}", why)


def events_of_log(lines: Iterable[Mapping[str, Any]], id: str, where: str) -> Iterator[Event]:
    """Log lines about it."""
    for line in lines:
        try:
            at = int(datetime.fromisoformat(str(line["timestamp"])).timestamp() * 1000)
            what = str(line["event"])
        except (KeyError, ValueError):
            continue
        if id in (line.get("request_id"), line.get("request")) or id in (line.get("request_ids") or ()):
            yield Event(at, f"log {where}", what, _told(line))


def _told(line: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} {value}" for name, value in line.items() if name not in _OF_THE_LINE)
    return shown[:_LONGEST]

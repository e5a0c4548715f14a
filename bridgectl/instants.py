"""Instants and spans of time as an administrator writes and reads them."""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

from bridgectl.language import noted, tr

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LONGEST_S = 3_660 * 86_400
_SPAN = re.compile(r"(?:\d+[dhms])+")
_OF_DAY = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")


def span_s(text: str) -> int:
    """Seconds of `2h`, `90m`, `1d`, `1h30m`. Raises ValueError."""
    if not _SPAN.fullmatch(text):
        raise ValueError(tr("{text!r} is not a span of time such as 2h, 90m, 1h30m or 1d", text=text))
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", text))
    if not 0 < seconds <= _LONGEST_S:
        raise ValueError(tr("{text!r} is no span between a second and ten years", text=text))
    return seconds


def instant(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """`03:30`: the next such time; else a date and time of ISO 8601. Without an offset it is of `zone`, by default this
    host's. Raises ValueError.
    """
    if _OF_DAY.fullmatch(text):
        local = now.astimezone(zone)
        at = datetime.combine(local.date(), time.fromisoformat(text.zfill(5)), zone)
        at = at if at.astimezone(UTC) > now else datetime.combine(local.date() + timedelta(days=1), at.time(), zone)
        return at.astimezone(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            tr("{text!r} is not a time such as 03:30, 2026-12-01T03:30 or 2026-12-01T03:30+08:00", text=text)
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def shown(ms: int) -> str:
    """An instant, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(ms: int) -> str:
    """An instant, in UTC, for programs: ISO 8601."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def span(ms: float) -> str:
    """A span of time in the greatest unit of which it has two: `3 d`, `45 min`, `12 s`."""
    seconds = max(0, int(ms // 1000))
    for size, unit in ((86_400, noted("{count} d")), (3_600, noted("{count} h")), (60, noted("{count} min"))):
        if seconds >= 2 * size:
            return tr(unit, count=seconds // size)
    return tr("{count} s", count=seconds)


def in_seconds(number: float) -> str:
    """So many seconds, as short as can be: `0.5 s`."""
    shortest = f"{number:g}"
    return tr("{count} s", count=shortest)

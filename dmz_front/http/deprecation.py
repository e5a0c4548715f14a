"""That an operation goes out of use, in the headers of each of its answers."""

from datetime import UTC, date, datetime
from email.utils import format_datetime

from dmz_front.problems.details import Headers
from protocol.operations import Operation


def headers(operation: Operation) -> Headers:
    """`Deprecation` (RFC 9745), `Sunset` (RFC 8594) and the successor (RFC 5829); none for an operation in full use."""
    deprecated = operation.deprecated
    if deprecated is None:
        return []
    found = [(b"deprecation", b"@%d" % _midnight(deprecated.since).timestamp())]
    if deprecated.sunset is not None:
        found.append((b"sunset", format_datetime(_midnight(deprecated.sunset), usegmt=True).encode()))
    link = f'</v1/{deprecated.successor}>; rel="successor-version"'
    return [*found, (b"link", link.encode())]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

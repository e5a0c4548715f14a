"""What is counted of requests, by day: the tables, and latencies as sketches (DDSketch) that add up over fronts and
days without losing accuracy.

Nothing of a customer: an operation's name, an application's, a closed vocabulary of outcomes, numbers.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from ddsketch import DDSketch
from ddsketch.mapping import LogarithmicMapping
from pydantic import Field
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, Text, select

from protocol.runtime.settings import Section

ACCURACY = 0.01
"""A percentile is off by at most this share of itself."""
_MAPPING = LogarithmicMapping(ACCURACY)
PER_BIN = 1 / math.log(_MAPPING.gamma)
"""Bins per natural logarithm: `ceil(log(seconds) * PER_BIN)` is the sketch's key, without three calls a request."""


class Kind(StrEnum):
    """What a count is of."""

    ANSWER = "answer"
    """An answer over HTTP."""
    END = "end"
    """A command that came to its end, whether its caller still waited or not."""


class StatisticsSection(Section):
    """What is counted of requests by day (`bridgectl stats`)."""

    write_s: Annotated[float, Field(ge=1, le=3_600)] = 60
    """How often what was counted is written to the ledger database; a kill loses as much."""
    retention_days: Annotated[int, Field(ge=1, le=3_660)] = 400
    """Older days are forgotten."""


@dataclass(frozen=True, slots=True)
class StatisticsTables:
    """The tables, each row one front's."""

    counts: Table
    latencies: Table
    written: Table
    """What each front wrote last: a transaction that is done again counts once."""


def statistics_tables(metadata: MetaData) -> StatisticsTables:
    """The tables in this schema."""
    counts = Table(
        "statistics",
        metadata,
        Column("day", String(10), primary_key=True),  # of the front's host: 2026-11-29
        Column("front", String(64), primary_key=True),
        Column("operation", String(64), primary_key=True),
        Column("application", String(64), primary_key=True),  # empty: nobody with a valid key
        Column("kind", String(8), primary_key=True),
        Column("status", Integer, primary_key=True, autoincrement=False),  # of HTTP; 0 where there is none
        Column("outcome", String(160), primary_key=True),
        Column("number", BigInteger, nullable=False),
    )
    latencies = Table(
        "statistics_latencies",
        metadata,
        Column("day", String(10), primary_key=True),
        Column("front", String(64), primary_key=True),
        Column("operation", String(64), primary_key=True),
        Column("application", String(64), primary_key=True),
        Column("bins", Text, nullable=False),  # JSON: the sketch's key → how many
    )
    written = Table(
        "statistics_written",
        metadata,
        Column("front", String(64), primary_key=True),
        Column("batch", String(36), nullable=False),
    )
    return StatisticsTables(counts, latencies, written)


Bins = Counter[int]
"""Of a sketch: key → how many."""


def percentiles(bins: Mapping[int, int], shares: Sequence[float]) -> list[float] | None:
    """Seconds that these shares (0.95) of requests took at most; None without any."""
    sketch = DDSketch(ACCURACY)
    for key, number in bins.items():
        sketch.add(_MAPPING.value(key), number)
    if not sketch.count:
        return None
    return [float(sketch.get_quantile_value(share) or 0.0) for share in shares]


def packed(bins: Mapping[int, int]) -> str:
    """As the table holds them."""
    return json.dumps({str(key): bins[key] for key in sorted(bins)}, separators=(",", ":"))


def unpacked(text: str) -> Bins:
    """Raises ValueError."""
    return Counter({int(key): int(number) for key, number in json.loads(text).items()})


@dataclass(frozen=True, slots=True)
class Counted:
    """A count of one day, of all fronts."""

    day: str
    operation: str
    application: str
    kind: Kind
    status: int
    outcome: str
    number: int


@dataclass(frozen=True, slots=True)
class Took:
    """Latencies of one day and one front."""

    day: str
    operation: str
    application: str
    bins: Bins


def counted(connection: Connection, tables: StatisticsTables, since: str, until: str) -> Iterable[Counted]:
    """What was counted on these days, both included."""
    own = tables.counts.c
    columns = (own.day, own.operation, own.application, own.kind, own.status, own.outcome)
    found: Counter[tuple[str, str, str, str, int, str]] = Counter()
    for row in connection.execute(select(*columns, own.number).where(own.day >= since, own.day <= until)):
        found[tuple(row)[:-1]] += row.number
    return [
        Counted(day, operation, application, Kind(kind), status, outcome, number)
        for (day, operation, application, kind, status, outcome), number in sorted(found.items())
    ]


def took(connection: Connection, tables: StatisticsTables, since: str, until: str) -> Iterable[Took]:
    """Latencies of these days, both included."""
    own = tables.latencies.c
    columns = (own.day, own.operation, own.application, own.bins)
    rows = connection.execute(select(*columns).where(own.day >= since, own.day <= until))
    return [Took(row.day, row.operation, row.application, unpacked(row.bins)) for row in rows]

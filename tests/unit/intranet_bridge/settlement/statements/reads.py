"""Reads files of the samples, or bytes made in a test."""

import io
from datetime import date
from functools import partial
from pathlib import Path

from intranet_bridge.settlement.statements.profiles import Profile, shipped
from intranet_bridge.settlement.statements.reading import read
from intranet_bridge.settlement.statements.rows import Expected, Row, Summary
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused

SAMPLES = Path(__file__).parents[4] / "data" / "settlement"
PROFILES = shipped()
DAY = date(2026, 11, 24)


def taken(
    content: bytes | str, profile: Profile | str, expected: Expected | None = None
) -> tuple[Summary, dict[int, Row]]:
    """The summary and the rows that count, by line. `content`: bytes, or a sample's name."""
    data = (SAMPLES / content).read_bytes() if isinstance(content, str) else content
    rows: list[Row] = []
    chosen = PROFILES[profile] if isinstance(profile, str) else profile
    summary = read(partial(io.BytesIO, data), chosen, expected or Expected(DAY), rows.append)
    return summary, {row.line: row for row in rows if row.line not in summary.dropped}


def refused(
    content: bytes | str, profile: Profile | str, expected: Expected | None = None
) -> tuple[Code, tuple[Finding, ...]]:
    """Why it is refused."""
    try:
        taken(content, profile, expected)
    except StatementRefused as error:
        return error.code, error.findings
    raise AssertionError("it was taken")

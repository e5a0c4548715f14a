"""Times as an administrator writes them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bridgectl.instants import instant, shown, span_s

NOW = datetime(2026, 11, 29, 18, 0, tzinfo=UTC)  # 02:00 of the 30th in Shanghai
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("1d", 86_400), ("45s", 45)]
)
def test_spans(text: str, seconds: int) -> None:
    assert span_s(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "2w", "1.5h"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="is not a span of time"):
        span_s(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("03:30", "2026-11-29 19:30:00 UTC"), ("1:30", "2026-11-30 17:30:00 UTC"), ("02:00", "2026-11-30 18:00:00 UTC"),
        ("2026-12-01T03:30", "2026-11-30 19:30:00 UTC"), ("2026-12-01 03:30:05", "2026-11-30 19:30:05 UTC"),
        ("2026-12-01T03:30+02:00", "2026-12-01 01:30:00 UTC"), ("2026-12-01T03:30Z", "2026-12-01 03:30:00 UTC"),
    ],
)  # fmt: skip
def test_instants(text: str, expected: str) -> None:
    assert shown(round(instant(text, NOW, SHANGHAI).timestamp() * 1000)) == expected


@pytest.mark.parametrize("text", ["", "25:00", "tomorrow", "2026-13-01T00:00"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as"):
        instant(text, NOW, SHANGHAI)

"""Where an answer came from: as a reply says it, and as a caller reads it."""

import pytest

from protocol.freshness import Freshness, Way, heard

KINDS = [
    (Freshness(Way.HIT, 12, 48), [(b"cache-status", b"x; hit; ttl=48"), (b"age", b"12")]),
    (Freshness(Way.MISS, left_s=60, stored=True), [(b"cache-status", b"x; fwd=uri-miss; stored; ttl=60")]),
    (Freshness(Way.MISS, collapsed=True), [(b"cache-status", b"x; fwd=uri-miss; collapsed")]),
    (Freshness(Way.STALE), [(b"cache-status", b"x; fwd=stale")]),
    (Freshness(Way.REQUEST), [(b"cache-status", b"x; fwd=request")]),
]


@pytest.mark.parametrize(("freshness", "headers"), KINDS)
def test_it_is_heard_as_it_was_said(freshness: Freshness, headers: list[tuple[bytes, bytes]]) -> None:
    assert heard(freshness.said()) == freshness
    assert freshness.headers("x") == headers


@pytest.mark.parametrize("detail", ["", "cache hit", "cache hit 1 2 -\r\nx: y", "cache new 1 2 -", "户号不存在"])
def test_anything_else_says_nothing(detail: str) -> None:
    assert heard(detail) is None

"""Positions: the published test vectors, there and back, and nothing moved outside China."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.marketing.expressions.coordinates import gcj02_of_wgs84, wgs84_of_gcj02
from intranet_bridge.marketing.expressions.mapping import MappingError, compiled

VECTORS = [  # eviltransform's own: WGS-84, GCJ-02
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),  # Shanghai
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),  # Shenzhen
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),  # Beijing
]


@pytest.mark.parametrize(("wgs84", "gcj02"), VECTORS)
def test_the_published_vectors(wgs84: tuple[float, float], gcj02: tuple[float, float]) -> None:
    assert gcj02_of_wgs84(*wgs84) == pytest.approx(gcj02, abs=1e-12)
    assert wgs84_of_gcj02(*gcj02) == pytest.approx(wgs84, abs=1e-9)


@given(st.floats(18, 53), st.floats(74, 135))
def test_there_and_back_is_the_same_place(latitude: float, longitude: float) -> None:
    moved = gcj02_of_wgs84(latitude, longitude)
    assert max(abs(moved[0] - latitude), abs(moved[1] - longitude)) < 0.02
    assert wgs84_of_gcj02(*moved) == pytest.approx((latitude, longitude), abs=1e-8)


@pytest.mark.parametrize("place", [(39.7392, -104.9903), (-33.87, 151.21), (90.0, 180.0), (0.0, 0.0)])
def test_outside_china_nothing_is_moved(place: tuple[float, float]) -> None:
    assert gcj02_of_wgs84(*place) == place
    assert wgs84_of_gcj02(*place) == place


def point(datum: Any, latitude: Any = 31.1774276, longitude: Any = 121.5272106) -> dict[str, Any]:
    return {"near": {"latitude": latitude, "longitude": longitude, "datum": datum}}


def test_a_mapping_asks_for_the_datum_it_needs() -> None:
    gcj02 = compiled("gcj02(near)", {})
    assert gcj02(point("WGS-84")) == {"latitude": 31.175304, "longitude": 121.5315419, "datum": "GCJ-02"}
    assert gcj02(point("GCJ-02")) == point("GCJ-02")["near"]
    wgs84 = compiled("wgs84(near)", {})
    assert wgs84(point("GCJ-02", 31.17530398, 121.53154186)) == point("WGS-84")["near"]
    assert gcj02({}) is None
    assert compiled("gcj02(near).latitude", {})({"near": None}) is None


@pytest.mark.parametrize(
    ("near", "says"),
    [
        (point("BD-09"), "names no datum"),
        (point(None), "names no datum"),
        (point(["WGS-84"]), "names no datum"),
        (point("WGS-84", "31.1"), "without latitude and longitude"),
        (point("WGS-84", True), "without latitude and longitude"),
        ({"near": "31.1,121.5"}, "was given a text"),
    ],
)
def test_what_is_no_point_is_told_and_not_shown(near: dict[str, Any], says: str) -> None:
    evaluate: Callable[[Any], Any] = compiled("gcj02(near)", {})
    with pytest.raises(MappingError, match=says) as caught:
        evaluate(near)
    assert "31.1" not in str(caught.value)

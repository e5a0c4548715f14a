"""Positions in the datum that a marketing system knows.

Public maps of mainland China are drawn in GCJ-02 (国测局坐标系): WGS-84, as a satellite receiver tells it, moved by
up to some 700 m. No formula was ever published by law; this is the approximation that map programs use
(github.com/googollee/eviltransform, whose test vectors the tests hold it to). Outside a box around China the two are
the same. Latitudes and longitudes are degrees.
"""

from math import cos, pi, radians, sin, sqrt

_AXIS_M = 6_378_245.0
"""Semi-major axis of the Krasovsky 1940 ellipsoid, on which the shift is reckoned."""
_ECCENTRICITY_SQUARED = 0.00669342162296594323
_SOUTH, _NORTH, _WEST, _EAST = 0.8293, 55.8271, 72.004, 137.8347
_CLOSE_DEGREES = 1e-9
"""A tenth of a millimetre."""


def gcj02_of_wgs84(latitude: float, longitude: float) -> tuple[float, float]:
    """A WGS-84 position in GCJ-02."""
    if not (_SOUTH <= latitude <= _NORTH and _WEST <= longitude <= _EAST):
        return latitude, longitude
    east, north = longitude - 105.0, latitude - 35.0
    waves = (20.0 * sin(6.0 * east * pi) + 20.0 * sin(2.0 * east * pi)) * 2.0 / 3.0
    up = -100.0 + 2.0 * east + 3.0 * north + 0.2 * north * north + 0.1 * east * north + 0.2 * sqrt(abs(east)) + waves
    up += (20.0 * sin(north * pi) + 40.0 * sin(north / 3.0 * pi)) * 2.0 / 3.0
    up += (160.0 * sin(north / 12.0 * pi) + 320.0 * sin(north / 30.0 * pi)) * 2.0 / 3.0
    right = 300.0 + east + 2.0 * north + 0.1 * east * east + 0.1 * east * north + 0.1 * sqrt(abs(east)) + waves
    right += (20.0 * sin(east * pi) + 40.0 * sin(east / 3.0 * pi)) * 2.0 / 3.0
    right += (150.0 * sin(east / 12.0 * pi) + 300.0 * sin(east / 30.0 * pi)) * 2.0 / 3.0
    flat = 1.0 - _ECCENTRICITY_SQUARED * sin(radians(latitude)) ** 2
    meridian = _AXIS_M * (1.0 - _ECCENTRICITY_SQUARED) / (flat * sqrt(flat))
    parallel = _AXIS_M / sqrt(flat) * cos(radians(latitude))
    return latitude + up / meridian * 180.0 / pi, longitude + right / parallel * 180.0 / pi


def wgs84_of_gcj02(latitude: float, longitude: float) -> tuple[float, float]:
    """A GCJ-02 position in WGS-84: the one that `gcj02_of_wgs84` moves here, found by fixed-point iteration."""
    found = latitude, longitude
    for _ in range(20):  # each round is some hundred times closer
        moved = gcj02_of_wgs84(*found)
        missed = latitude - moved[0], longitude - moved[1]
        found = found[0] + missed[0], found[1] + missed[1]
        if max(map(abs, missed)) < _CLOSE_DEGREES:
            break
    return found

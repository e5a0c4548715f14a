"""Room for as many connections as are allowed."""

import resource

import pytest

from dmz_front.http.server import make_room


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "then"),
    [
        (1_024, 65_536, 8_448, [(8_448, 65_536)]),
        (1_024, resource.RLIM_INFINITY, 8_448, [(8_448, resource.RLIM_INFINITY)]),
        (65_536, 65_536, 8_448, []),  # never lowered, and never touched without need
        (1_024, 4_096, 8_448, [(4_096, 4_096)]),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 8_448, []),
    ],
)
def test_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, then: list[tuple[int, int]]
) -> None:
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: done.append(limits))
    make_room(wanted)
    assert done == then

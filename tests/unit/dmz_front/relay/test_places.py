"""What is done with several files of a place."""

import pytest

from dmz_front.relay.places import PlaceError, Unreachable, each_apart


def handled(*outcomes: Exception | None) -> tuple[list[int], str]:
    """Which files had their turn, and what was raised."""
    done: list[int] = []
    try:
        with each_apart() as apart:
            for number, outcome in enumerate(outcomes):
                with apart():
                    done.append(number)
                    if outcome is not None:
                        raise outcome
    except PlaceError as error:
        return done, str(error)
    return done, ""


def test_one_file_keeps_no_other_back_and_the_first_failure_is_told() -> None:
    assert handled(None, PlaceError("no space"), None, PlaceError("no right")) == ([0, 1, 2, 3], "no space")
    assert handled(None, None) == ([0, 1], "")


def test_a_place_that_is_away_ends_it_at_once() -> None:
    assert handled(PlaceError("no space"), Unreachable("reset"), None) == ([0, 1], "reset")


def test_what_is_no_failure_of_a_place_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        handled(ZeroDivisionError())

"""Who is who, where it takes two people."""

import os

import pytest

from protocol.people import among, person
from protocol.runtime.control import Peer


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("wang", "wang"), ("root (wang)", "wang"), ("bridgectl:root (wang)", "wang"), ("dmz-bridge (wang)", "wang"),
        ("bridgectl:wang", "wang"), ("root (Wang)", "wang"), ("root", "root"), ("uid 1000", "uid 1000"),
        ("uid 1000 (wang)", "uid 1000 (wang)"), ("root (wang) (li)", "root (wang) (li)"),
    ],
)  # fmt: skip
def test_a_person_is_who_is_behind(name: str, who: str) -> None:
    assert person(name) == who


def test_a_second_name_is_no_second_person() -> None:
    assert among("wang", ["li", "root (wang)"])
    assert among("root (wang)", ("dmz-bridge (wang)",))
    assert not among("root (wang)", ("root (li)", "zhao"))
    assert not among("wang", ())


def test_who_became_the_daemons_own_user_is_named() -> None:
    """Root and that user alone may ask, and both are nobody's own names."""
    mine = Peer(os.getuid(), 1)
    assert mine.behind("wang") == f"{mine.name} (wang)"
    assert Peer(os.getuid() + 1, 1).behind("wang") == Peer(os.getuid() + 1, 1).name

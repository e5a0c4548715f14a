"""A configuration file that somebody changed is never written over; one that nobody changed follows the releases."""

import pytest

from scripts.tools.installer.conffiles import Decision, decide


@pytest.mark.parametrize(
    ("here", "shipped", "recorded", "wanted"),
    [
        (None, "new", None, Decision.WRITE),
        (None, "new", "old", Decision.REMOVED),
        ("new", "new", "old", Decision.SAME),
        ("old", "new", "old", Decision.REPLACE),
        ("changed", "old", "old", Decision.CHANGED),
        ("changed", "new", "old", Decision.BESIDE),
        ("by hand", "new", None, Decision.BESIDE),
    ],
)
def test_what_happens_to_a_configuration_file(
    here: str | None, shipped: str, recorded: str | None, wanted: Decision
) -> None:
    assert decide(here, shipped, recorded) is wanted

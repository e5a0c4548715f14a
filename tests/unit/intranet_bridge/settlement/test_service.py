"""The settlement as one: what is asked of it is asked of each of its parts."""

from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.service import Settlement


class Standing(Part):
    def __init__(self, what: str) -> None:
        self.what = what

    def standing(self) -> str:
        return self.what


def test_what_stands_still_in_any_part_is_said() -> None:
    assert Settlement([Part(), Standing("")]).standing() == ""
    assert Settlement([Standing("clearing"), Part(), Standing("statements")]).standing() == "clearing; statements"

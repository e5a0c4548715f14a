"""What `bridgectl status` says of commands that a bridge gave itself."""

from typing import Any

from bridgectl.status.observation import Observation
from bridgectl.status.rules.own_commands import own_commands, unrouted
from bridgectl.status.trouble import Level
from bridgectl.status.troubles import RULES
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport, UnroutedReport
from protocol.reports.settlement import OwnCommandsReport

NOW, MINUTE = 1_800_000_000_000, 60_000


def seen(**told: Any) -> Observation:
    kind: Any = BridgeReport
    return Observation(NOW, None, kind.model_construct(role="bridge", own=OwnCommandsReport(**told)), None)


def test_what_does_not_go_on_for_long_is_told() -> None:
    taken, region = own_commands(
        seen(not_taken=1, not_taken_since=NOW - 6 * MINUTE, elsewhere=2, elsewhere_since=NOW - 31 * MINUTE)
    )
    assert (taken.key, taken.level, taken.since) == ("outcomes-not-taken", Level.WARNING, NOW - 6 * MINUTE)
    assert taken.what.startswith("1 outcome of")
    assert (region.key, region.level) == ("region-waiting", Level.WARNING)
    assert region.what == "2 commands wait for another region's bridge"
    assert own_commands in RULES


def test_what_may_yet_go_on_is_not() -> None:
    assert not list(
        own_commands(
            seen(not_taken=9, not_taken_since=NOW - 4 * MINUTE, elsewhere=9, elsewhere_since=NOW - 29 * MINUTE)
        )
    )
    assert not list(own_commands(seen()))
    assert not list(own_commands(Observation(NOW, None, None, None)))


def test_a_region_that_the_front_does_not_lead_to_is_told_as_long_as_it_is_asked_for() -> None:
    kind: Any = FrontReport
    told = UnroutedReport(region="east", count=7, since=NOW - 60 * MINUTE, last=NOW - 14 * MINUTE)
    front = kind.model_construct(role="front", unrouted=(told,))
    [trouble] = unrouted(Observation(NOW, front, None, None))
    assert (trouble.key, trouble.since) == ("region-not-routed", told.since)
    assert "name east in [submissions] regions" in trouble.mend
    [consequence] = own_commands(seen(elsewhere=1, elsewhere_since=NOW - 31 * MINUTE))
    assert trouble.key in consequence.because
    assert not list(unrouted(Observation(NOW + 2 * MINUTE, front, None, None)))
    assert unrouted in RULES

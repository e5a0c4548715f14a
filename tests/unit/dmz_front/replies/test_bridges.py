"""Which bridges are attached, by what they announce."""

from dataclasses import astuple

import pytest

from dmz_front.replies.bridges import Bridges, Capacity, Service
from protocol.maintenance import Pause
from protocol.presence import Availability, Presence
from tests.unit.clock import Clock

UP, PAUSED = Availability.UP, Availability.PAUSED
TTL = 7_000


@pytest.fixture
def bridges(clock: Clock) -> Bridges:
    return Bridges(TTL, clock)


def says(instance: str, time_ms: int = 1, *, leaving: bool = False, **operations: Availability) -> Presence:
    return Presence(instance=instance, time_ms=time_ms, operations=operations, leaving=leaving)


def test_at_first_there_is_none(bridges: Bridges) -> None:
    assert (bridges.service("a"), bridges.attached) == (Service.NO_BRIDGE, 0)


def test_what_one_bridge_serves(bridges: Bridges) -> None:
    bridges.heard(says("one", a=UP, b=PAUSED))
    assert [bridges.service(name) for name in "abc"] == [Service.UP, Service.PAUSED, Service.UNSERVED]


@pytest.mark.parametrize("order", [(UP, PAUSED), (PAUSED, UP)])
def test_one_bridge_that_is_up_is_enough(bridges: Bridges, order: tuple[Availability, Availability]) -> None:
    bridges.heard(says("one", a=order[0]))
    bridges.heard(says("two", a=order[1]))
    assert bridges.service("a") is Service.UP
    assert bridges.attached == 2


def test_the_last_word_counts(bridges: Bridges) -> None:
    bridges.heard(says("one", 1, a=UP))
    bridges.heard(says("one", 2, a=PAUSED))
    assert bridges.service("a") is Service.PAUSED
    bridges.heard(says("one", 1, a=UP))  # overtaken on its way
    assert bridges.service("a") is Service.PAUSED


def test_each_bridge_is_forgotten_after_its_own_silence(bridges: Bridges, clock: Clock) -> None:
    bridges.heard(says("one", a=UP))
    clock.now += 3_000
    bridges.heard(says("two", b=UP))
    clock.now += 3_999
    assert (bridges.attached, bridges.service("a")) == (2, Service.UP)
    clock.now += 1
    assert (bridges.attached, bridges.service("a")) == (1, Service.UNSERVED)
    clock.now += 3_000
    assert (bridges.attached, bridges.service("b")) == (0, Service.NO_BRIDGE)


def test_service_alone_notices_the_silence(bridges: Bridges, clock: Clock) -> None:
    bridges.heard(says("one", a=UP))
    clock.now += TTL
    assert bridges.service("a") is Service.NO_BRIDGE


def test_a_bridge_that_repeats_itself_stays(bridges: Bridges, clock: Clock) -> None:
    for number in range(10):
        bridges.heard(says("one", number, a=UP))
        clock.now += TTL - 1
        assert bridges.service("a") is Service.UP


def test_leaving(bridges: Bridges) -> None:
    bridges.heard(says("one", 1, a=UP))
    bridges.heard(says("two", 1, a=UP))
    bridges.heard(says("one", 2, leaving=True))
    assert (bridges.attached, bridges.service("a")) == (1, Service.UP)
    bridges.heard(says("two", 2, leaving=True))
    assert bridges.service("a") is Service.NO_BRIDGE
    bridges.heard(says("never-seen", 1, leaving=True))
    assert bridges.attached == 0
    bridges.heard(says("two", 1, a=UP))  # overtaken by its leaving
    assert bridges.service("a") is Service.NO_BRIDGE


def test_a_bridge_whose_clock_was_set_back_is_heard_again_after_its_silence(bridges: Bridges, clock: Clock) -> None:
    bridges.heard(says("one", 1_000_000, a=UP))
    clock.now += TTL
    assert bridges.attached == 0
    bridges.heard(says("one", 1, a=UP))
    assert bridges.service("a") is Service.UP


def test_the_capacity_of_several_bridges(bridges: Bridges, clock: Clock) -> None:
    assert bridges.capacity == Capacity(0, 0.0)
    bridges.heard(Presence(instance="one", time_ms=1, operations={}, query_slots=20, query_ms=100))  # 200/s
    assert astuple(bridges.capacity) == (20, pytest.approx(0.1))
    bridges.heard(Presence(instance="two", time_ms=1, operations={}, query_slots=20, query_ms=200))  # 100/s
    assert astuple(bridges.capacity) == (40, pytest.approx(40 / 300))
    bridges.heard(Presence(instance="three", time_ms=1, operations={}, query_slots=10))  # no call yet
    assert astuple(bridges.capacity) == (50, pytest.approx(40 / 300))
    bridges.heard(Presence(instance="old", time_ms=1, operations={}))  # a version that does not say
    assert bridges.capacity.slots == 50
    clock.now += TTL
    bridges.service("a")
    assert bridges.capacity == Capacity(0, 0.0)


# --- wire versions ----------------------------------------------------------------------------------------


def test_the_lowest_version_of_those_who_may_take_the_next_message(bridges: Bridges, clock: Clock) -> None:
    assert bridges.wire_version == 1  # nobody was ever heard of: all read this
    bridges.heard(Presence(instance="new", time_ms=1, operations={}, version=2))
    assert bridges.wire_version == 2
    bridges.heard(Presence(instance="old", time_ms=1, operations={}, version=1))
    assert bridges.wire_version == 1
    clock.now += TTL  # silent is not gone: it may be back before the message is taken
    bridges.heard(Presence(instance="new", time_ms=2, operations={}, version=2))
    assert (bridges.attached, bridges.wire_version) == (1, 1)
    bridges.heard(Presence(instance="old", time_ms=2, operations={}, version=1, leaving=True))
    assert bridges.wire_version == 2


def test_the_version_of_the_last_one_is_remembered_when_it_leaves(bridges: Bridges, clock: Clock) -> None:
    bridges.heard(Presence(instance="new", time_ms=1, operations={}, version=2))
    bridges.heard(Presence(instance="new", time_ms=2, operations={}, version=2, leaving=True))
    clock.now += TTL
    assert (bridges.attached, bridges.wire_version) == (0, 2)
    bridges.heard(Presence(instance="new", time_ms=3, operations={}, version=1))
    assert bridges.wire_version == 1


@pytest.mark.parametrize(("said", "spoken"), [(1, 1), (2, 2), (3, 3), (9, 3), (0, 1), (-5, 1)])
def test_never_more_than_we_speak_and_never_less_than_there_is(clock: Clock, said: int, spoken: int) -> None:
    bridges = Bridges(TTL, clock)
    bridges.heard(Presence(instance="one", time_ms=1, operations={}, version=said))
    assert bridges.wire_version == spoken
    told = Bridges(TTL, clock, version_max=1)
    told.heard(Presence(instance="one", time_ms=1, operations={}, version=said))
    assert told.wire_version == 1


# --- inboxes ----------------------------------------------------------------------------------------------

A, B = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"


def keeps(instance: str, inbox: str, *, shared: bool = False, leaving: bool = False, time_ms: int = 1) -> Presence:
    more = {"inbox": inbox, "inbox_shared": shared}
    return says(instance, time_ms, leaving=leaving, a=UP).model_copy(update=more)


@pytest.mark.parametrize(
    ("bound", "heard", "wrong"),
    [
        ("", [], False),
        (A, [], False),
        ("", [keeps("one", A)], False),
        (A, [keeps("one", A)], False),
        (A, [keeps("one", A), keeps("old", "")], False),
        (A, [keeps("one", A, shared=True), keeps("two", A, shared=True)], False),
        ("", [keeps("one", A), keeps("two", B)], True),
        (A, [keeps("one", A), keeps("two", B)], True),
        (A, [keeps("one", A), keeps("two", B, leaving=True)], False),
        (A, [keeps("two", B)], True),
        (A, [keeps("one", A), keeps("two", A)], True),
        (A, [keeps("one", A, shared=True), keeps("two", A)], True),
    ],
)
def test_bridges_with_different_inboxes_are_a_conflict(
    bridges: Bridges, bound: str, heard: list[Presence], wrong: bool
) -> None:
    if bound:
        bridges.bind(bound)
    for presence in heard:
        bridges.heard(presence)
    assert (bridges.conflict is not None) == wrong


def test_a_conflict_is_over_when_the_other_is_silent(bridges: Bridges, clock: Clock) -> None:
    bridges.bind(A)
    bridges.heard(keeps("two", B))
    clock.now += TTL - 1
    bridges.heard(keeps("one", A))
    bridges.service("a")
    assert bridges.conflict is not None
    assert bridges.conflict.heard == ((A, "one"), (B, "two"))
    clock.now += 1
    bridges.service("a")
    assert bridges.conflict is None


def test_commands_go_out_when_it_is_known_for_which_inbox(bridges: Bridges) -> None:
    called: list[str] = []
    bridges.on_inbox = lambda: called.append(bridges.first_inbox)
    assert not bridges.addressed
    bridges.heard(keeps("one", A))
    assert not bridges.addressed  # not before it is written down
    bridges.bind(A)
    assert bridges.addressed
    bridges.heard(keeps("two", A))
    assert not bridges.addressed  # copies of a file: nothing could tell them apart
    assert called == [A]


def test_a_bridge_that_does_not_say_is_an_older_release(bridges: Bridges) -> None:
    bridges.heard(says("one", a=UP))
    assert bridges.addressed
    assert bridges.conflict is None


def maintained(until: int, *names: str, since: int = 1) -> tuple[Pause, ...]:
    return (Pause(operations=names, since=since, until=until, by="ops"),)


def test_maintenance_at_every_bridge_that_serves_it(bridges: Bridges, clock: Clock) -> None:
    """Its end is told by how long it has to go, so that clocks that are apart do no harm."""
    there = clock.now + 3_600_000  # the bridge's clock
    one = says("one", there, a=PAUSED, b=PAUSED).model_copy(update={"maintenance": maintained(there + 60_000, "a")})
    bridges.heard(one)
    assert [bridges.service(name) for name in "ab"] == [Service.MAINTENANCE, Service.PAUSED]
    clock.now += 1_000
    assert (bridges.maintenance_s("a"), bridges.maintenance_s("b"), bridges.maintained()) == (59.0, None, ["a"])
    bridges.heard(says("two", 1, a=UP))
    assert (bridges.service("a"), bridges.maintained()) == (Service.UP, [])
    bridges.heard(says("two", 2, a=PAUSED))
    assert bridges.service("a") is Service.PAUSED
    bridges.heard(says("one", there + 1, a=UP))
    assert bridges.service("a") is Service.UP


def test_a_front_pauses_by_itself_whatever_bridges_say(bridges: Bridges, clock: Clock) -> None:
    bridges.pause(maintained(clock.now + 5_000, "a"))
    assert (bridges.service("a"), bridges.maintenance_s("a")) == (Service.MAINTENANCE, 5.0)
    bridges.heard(says("one", a=UP))
    assert bridges.service("a") is Service.MAINTENANCE
    bridges.pause(())
    assert bridges.service("a") is Service.UP


def test_one_that_leaves_is_known_while_it_says_so(bridges: Bridges, clock: Clock) -> None:
    bridges.heard(says("one", 1, leaving=True))
    assert [seen.presence.instance for seen in bridges.leaving()] == ["one"]
    clock.now += TTL
    assert bridges.leaving() == bridges.lost() == []

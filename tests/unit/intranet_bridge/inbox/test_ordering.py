"""Ordering: within a key first accepted, first done; operations take turns; sleepers keep their key."""

from copy import copy
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from intranet_bridge.inbox.ordering import Ordering, QueuedCommand
from protocol.lifecycle import State


def command(id: str, key: str = "", operation: str = "a") -> QueuedCommand:
    return QueuedCommand(id, operation, key, State.RECEIVED)


def always(_operation: str) -> bool:
    return True


def test_a_key_is_one_after_another_and_keys_are_side_by_side() -> None:
    ordering = Ordering()
    a1, a2, b1 = command("a1", "a"), command("a2", "a"), command("b1", "b")
    for each in (a1, a2, b1):
        ordering.add(each)
    assert ordering.take(0, always) is a1
    assert ordering.take(0, always) is b1
    assert ordering.take(0, always) is None
    ordering.done(a1)
    assert ordering.take(0, always) is a2


def test_a_sleeper_keeps_its_key_until_it_is_done() -> None:
    ordering = Ordering()
    first, second = command("1", "k"), command("2", "k")
    ordering.add(first)
    ordering.add(second)
    assert ordering.take(0, always) is first
    ordering.reschedule(first, 10)
    assert ordering.wakes_at() == 10
    assert ordering.take(9, always) is None
    assert ordering.take(10, always) is first
    ordering.done(first)
    assert ordering.take(10, always) is second
    ordering.done(second)
    assert len(ordering) == 0


def test_a_paused_operation_stops_no_other_and_operations_take_turns() -> None:
    ordering = Ordering()
    for n in range(3):
        ordering.add(command(f"a{n}", operation="a"))
    ordering.add(command("b0", operation="b"))
    taken = ordering.take(0, lambda operation: operation == "b")
    assert taken is not None
    assert taken.id == "b0"
    ordering.add(command("b1", operation="b"))
    order = [found.id for _ in range(3) if (found := ordering.take(0, always))]
    assert order == ["a0", "b1", "a1"]
    assert len(ordering) == 5


def test_the_same_id_has_one_place() -> None:
    ordering = Ordering()
    ordering.add(command("1", "k"))
    ordering.add(command("1", "k"))
    assert len(ordering) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), st.randoms())
def test_whatever_happens_a_key_is_never_overtaken(script: list[tuple[str, bool]], chance: object) -> None:
    ordering = Ordering()
    waiting: dict[str, list[str]] = {}
    running: list[QueuedCommand] = []
    for n, (key, sleeps) in enumerate(script):
        ordering.add(command(str(n), key))
        waiting.setdefault(key, []).append(str(n))
        taken = ordering.take(n, always)
        if taken is not None:
            assert waiting[taken.key][0] == taken.id
            assert all(other.key != taken.key for other in running)
            if sleeps:
                ordering.reschedule(taken, n + 2)
            else:
                running.append(taken)
        if running and chance.random() < 0.5:  # type: ignore[attr-defined]
            finished = running.pop(0)
            waiting[finished.key].pop(0)
            ordering.done(finished)


# --- predecessors -----------------------------------------------------------------------------------------


def after(id: str, before: str | None, key: str = "k", state: State = State.RECEIVED) -> QueuedCommand:
    return QueuedCommand(id, "a", key, state, after=before)


def taken(ordering: Ordering, now: float = 0) -> str | None:
    command = ordering.take(now, always)
    if command is None:
        return None
    ordering.done(command)
    return command.id


def drained(ordering: Ordering, now: float = 0) -> list[str]:
    ids = []
    while (id := taken(ordering, now)) is not None:
        ids.append(id)
    return ids


def test_what_arrives_late_goes_first() -> None:
    ordering = Ordering()
    for command in (after("3", "2"), after("1", ""), after("2", "1")):
        ordering.add(command)
    assert drained(ordering) == ["1", "2", "3"]
    assert len(ordering) == 0
    assert ordering.blocked == 0


def test_a_predecessor_that_is_not_here_is_asked_about_at_once_and_then_less_and_less() -> None:
    ordering = Ordering(patience_s=1_000)
    ordering.add(after("2", "1"))
    ordering.add(after("3", "1", key="other"))
    assert taken(ordering) is None
    now, asked_at = 0.0, []
    for _ in range(10):
        assert ordering.unresolved(now) == ["1"]
        assert ordering.unresolved(now) == []  # one question at a time
        ordering.resolve(now, ["1"], {"1": False})
        asked_at.append(now)
        due = ordering.unresolved_at()
        assert due is not None
        assert due > now
        now = due
    pauses = [later - before for before, later in pairwise(asked_at)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.1
    assert pauses[-1] == pauses[-2] == 1.0
    assert taken(ordering, now) is None
    ordering.resolve(now, ordering.unresolved(now), {"1": True})
    assert sorted(drained(ordering, now)) == ["2", "3"]
    assert ordering.unresolved(now + 100) == []
    assert ordering.unresolved_at() is None


def test_one_that_never_comes_is_waited_for_with_patience() -> None:
    ordering = Ordering(patience_s=30)
    ordering.add(after("2", "1"))
    ordering.add(after("3", "2"))
    assert ordering.resolve(100, ordering.unresolved(100), {}) == []
    assert ordering.resolve(129, ordering.unresolved(129), {}) == []
    assert taken(ordering, 129) is None
    (out_of_order,) = ordering.resolve(131, ordering.unresolved(131), {})
    assert out_of_order.id == "2"
    ordering.add(after("1", ""))  # now it comes, and what was not begun yet still waits for it
    assert drained(ordering, 131) == ["1", "2", "3"]


def test_one_that_comes_when_its_follower_was_begun_follows() -> None:
    ordering = Ordering(patience_s=0)
    ordering.add(after("2", "1"))
    ordering.resolve(0, ordering.unresolved(0), {})
    second = ordering.take(0, always)
    assert second is not None
    ordering.add(after("1", ""))
    ordering.reschedule(second, 5)
    assert ordering.take(1, always) is None
    assert ordering.take(5, always) is second
    ordering.done(second)
    assert drained(ordering) == ["1"]


def test_patience_begins_anew_when_another_bridge_had_it() -> None:
    ordering = Ordering(patience_s=30)
    ordering.add(after("2", "1"))
    ordering.resolve(0, ordering.unresolved(0), {})
    ordering.resolve(29, ordering.unresolved(29), {"1": False})
    assert ordering.resolve(40, ordering.unresolved(40), {}) == []
    assert taken(ordering, 40) is None


def test_a_place_without_a_predecessor_does_not_wait_behind_one_that_is_blocked() -> None:
    ordering = Ordering()
    ordering.add(after("3", "2"))
    ordering.add(after("1", ""))
    assert taken(ordering) == "1"
    assert taken(ordering) is None


def test_what_was_finished_lately_is_not_asked_about() -> None:
    ordering = Ordering()
    ordering.add(after("1", ""))
    assert taken(ordering) == "1"
    ordering.add(after("2", "1"))
    assert ordering.unresolved(0) == []
    assert taken(ordering) == "2"


def test_version_1_follows_what_arrived_before_it() -> None:
    ordering = Ordering()
    for command in (after("2", "1"), after("old", None), after("1", "")):
        ordering.add(command)
    assert drained(ordering) == ["1", "2", "old"]


def test_version_1_that_another_names_goes_before_it() -> None:
    ordering = Ordering()
    for command in (after("a", None), after("c", "b"), after("b", None)):
        ordering.add(command)
    assert drained(ordering) == ["a", "b", "c"]
    assert ordering.circles == 0


def test_what_was_begun_before_a_restart_waits_for_nobody() -> None:
    ordering = Ordering()
    ordering.add(after("2", "1", state=State.CALLING))
    assert ordering.unresolved(0) == []
    assert taken(ordering) == "2"


def test_a_held_one_tried_again_goes_before_what_still_waits() -> None:
    ordering = Ordering()
    for command in (after("1", ""), after("2", "1"), after("3", "2")):
        ordering.add(command)
    assert taken(ordering) == "1"  # held
    ordering.add(after("1", ""))
    assert drained(ordering) == ["1", "2", "3"]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_circle_is_cut_open(length: int) -> None:
    ordering = Ordering()
    ids = [str(n) for n in range(length)]
    for at, id in enumerate(ids):
        ordering.add(after(id, ids[at - 1]))
    assert sorted(drained(ordering)) == ids
    assert len(ordering) == ordering.blocked == 0


@pytest.mark.timeout(10)
def test_who_comes_after_one_that_names_itself_is_not_looked_for_for_ever() -> None:
    ordering = Ordering()
    for id, before in (("3", "3"), ("2", "1"), ("1", "3")):
        ordering.add(after(id, before))
    assert drained(ordering) == ["3", "1", "2"]


def test_a_predecessor_of_another_key_counts_for_nothing() -> None:
    ordering = Ordering()
    ordering.add(after("2", "1", key="x"))
    assert taken(ordering) is None
    ordering.add(after("1", "", key="y"))
    assert sorted(drained(ordering)) == ["1", "2"]


def test_without_a_key_there_is_no_order() -> None:
    ordering = Ordering()
    ordering.add(after("2", "1", key=""))
    assert taken(ordering) == "2"


class World:
    """Some chains of commands, an inbox, and bridges whose frames come in any order, and which stop at any time."""

    def __init__(self, bridges: int) -> None:
        self.now = 0.0
        self.inbox: dict[str, tuple[int, QueuedCommand, bool]] = {}
        """Id → owner, place, settled; in the order of recording."""
        self.orderings = [Ordering(patience_s=30) for _ in range(bridges)]
        self.done: list[str] = []

    def arrives(self, bridge: int, command: QueuedCommand) -> None:
        if command.id not in self.inbox:
            self.inbox[command.id] = bridge, command, False
            self.orderings[bridge].add(copy(command))

    def restarts(self, bridge: int) -> None:
        self.orderings[bridge] = Ordering(patience_s=30)
        for owner, command, settled in self.inbox.values():
            if owner == bridge and not settled:
                self.orderings[bridge].add(copy(command))

    def works(self, bridge: int) -> bool:
        command = self.orderings[bridge].take(self.now, always)
        if command is None:
            return False
        self.inbox[command.id] = bridge, command, True
        self.orderings[bridge].done(command)
        self.done.append(command.id)
        return True

    def unresolved(self, bridge: int) -> list[QueuedCommand]:
        ids = self.orderings[bridge].unresolved(self.now)
        known = {id: self.inbox[id][2] for id in ids if id in self.inbox}
        return self.orderings[bridge].resolve(self.now, ids, known)


chains = st.lists(st.integers(1, 8), min_size=1, max_size=4)


@given(chains, st.integers(1, 3), st.data())
def test_the_order_of_acceptance_is_kept_whatever_arrives_when_and_where(
    lengths: list[int], bridges: int, data: st.DataObject
) -> None:
    world = World(bridges)
    on_the_way = [
        after(f"{chain}-{at}", f"{chain}-{at - 1}" if at else "", key=f"key{chain}")
        for chain, length in enumerate(lengths)
        for at in range(length)
    ]
    wanted = {f"key{chain}": [f"{chain}-{at}" for at in range(length)] for chain, length in enumerate(lengths)}
    on_the_way = data.draw(st.permutations(on_the_way))
    steps = st.sampled_from(["arrive", "work", "ask", "restart", "again"])
    which = st.integers(0, bridges - 1)
    seen: list[QueuedCommand] = []
    while on_the_way:
        match data.draw(steps):
            case "arrive":
                seen.append(on_the_way.pop())
                world.arrives(data.draw(which), seen[-1])
            case "work":
                world.works(data.draw(which))
            case "ask":
                world.now += 0.5
                assert world.unresolved(data.draw(which)) == [] or world.now > 30
            case "restart":
                world.restarts(data.draw(which))
            case "again" if seen:
                world.arrives(data.draw(which), data.draw(st.sampled_from(seen)))
        assume(world.now < 30)
    for _ in range(200):  # everything is here now: it ends, without anybody's patience
        for bridge in range(bridges):
            assert world.unresolved(bridge) == []
            while world.works(bridge):
                pass
        world.now += 2.0
    assert {key: [id for id in world.done if id.split("-")[0] == key[3:]] for key in wanted} == wanted
    assert [len(ordering) for ordering in world.orderings] == [0] * bridges
    assert [ordering.blocked for ordering in world.orderings] == [0] * bridges


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(-1, 12), st.booleans()), max_size=30), st.data())
def test_whatever_predecessors_are_named_everything_ends(
    script: list[tuple[int, int | None, bool]], data: st.DataObject
) -> None:
    """Circles, forks, itself, another key's, what never comes: nothing waits for ever, nothing is done twice."""
    world = World(1)
    for id, before, other in script:
        named = None if before is None else "" if before < 0 else str(before)
        world.arrives(0, after(str(id), named, key="y" if other else "x"))
        if data.draw(st.booleans()):
            world.works(0)
        if data.draw(st.booleans()):
            world.restarts(0)
    for _ in range(100):
        world.unresolved(0)
        while world.works(0):
            pass
        world.now += 2.0
    assert sorted(world.done) == sorted(world.inbox)
    assert len(world.orderings[0]) == world.orderings[0].blocked == 0

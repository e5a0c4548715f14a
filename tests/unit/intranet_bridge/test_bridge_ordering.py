"""Ordering: first in, first done within a key; operations take turns; sleepers keep their key."""

from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.ordering import Ordering, Place
from protocol.lifecycle import State


def place(id: str, key: str = "", operation: str = "a") -> Place:
    return Place(id, operation, key, State.RECEIVED)


def always(_operation: str) -> bool:
    return True


def test_a_key_is_one_after_another_and_keys_are_side_by_side() -> None:
    ordering = Ordering()
    a1, a2, b1 = place("a1", "a"), place("a2", "a"), place("b1", "b")
    for each in (a1, a2, b1):
        ordering.add(each)
    assert ordering.take(0, always) is a1
    assert ordering.take(0, always) is b1
    assert ordering.take(0, always) is None
    ordering.done(a1)
    assert ordering.take(0, always) is a2


def test_a_sleeper_keeps_its_key_until_it_is_done() -> None:
    ordering = Ordering()
    first, second = place("1", "k"), place("2", "k")
    ordering.add(first)
    ordering.add(second)
    assert ordering.take(0, always) is first
    ordering.again(first, 10)
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
        ordering.add(place(f"a{n}", operation="a"))
    ordering.add(place("b0", operation="b"))
    taken = ordering.take(0, lambda operation: operation == "b")
    assert taken is not None
    assert taken.id == "b0"
    ordering.add(place("b1", operation="b"))
    order = [found.id for _ in range(3) if (found := ordering.take(0, always))]
    assert order == ["a0", "b1", "a1"]
    assert len(ordering) == 5


def test_the_same_id_has_one_place() -> None:
    ordering = Ordering()
    ordering.add(place("1", "k"))
    ordering.add(place("1", "k"))
    assert len(ordering) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), st.randoms())
def test_whatever_happens_a_key_is_never_overtaken(script: list[tuple[str, bool]], chance: object) -> None:
    ordering = Ordering()
    waiting: dict[str, list[str]] = {}
    running: list[Place] = []
    for n, (key, sleeps) in enumerate(script):
        ordering.add(place(str(n), key))
        waiting.setdefault(key, []).append(str(n))
        taken = ordering.take(n, always)
        if taken is not None:
            assert waiting[taken.key][0] == taken.id
            assert all(other.key != taken.key for other in running)
            if sleeps:
                ordering.again(taken, n + 2)
            else:
                running.append(taken)
        if running and chance.random() < 0.5:  # type: ignore[attr-defined]
            finished = running.pop(0)
            waiting[finished.key].pop(0)
            ordering.done(finished)

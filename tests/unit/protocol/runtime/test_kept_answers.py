"""Answers kept in memory: never more bytes than allowed, the least recently used go first."""

from protocol.runtime.kept_answers import OVERHEAD, KeptAnswer, KeptAnswers


def key(number: int, operation: str = "bill-query") -> tuple[str, bytes]:
    return operation, b"%04d" % number


def answer(size: int = 400, until: float = 60.0, *subjects: str) -> KeptAnswer:
    return KeptAnswer(b"x" * size, 0.0, until, frozenset(subjects))


ONE = OVERHEAD + 400 + 4


def test_the_least_recently_used_makes_room() -> None:
    kept = KeptAnswers(3 * ONE)
    for number in range(3):
        assert kept.put(key(number), answer(), 0.0)
    kept.get(key(0))
    kept.put(key(3), answer(), 0.0)
    assert [kept.get(key(number)) is not None for number in range(4)] == [True, False, True, True]
    assert (kept.bytes, kept.evicted) == (3 * ONE, 1)
    assert not kept.put(key(4), answer(3 * ONE), 0.0)
    kept.resize(ONE)
    assert (len(kept), kept.bytes) == (1, ONE)


def test_what_is_over_goes_before_what_is_fresh_and_replacing_costs_nothing() -> None:
    kept = KeptAnswers(100 * ONE)
    kept.put(key(0), answer(until=5.0), 0.0)
    kept.put(key(1), answer(), 0.0)
    kept.put(key(1), answer(), 9.0)
    assert (len(kept), kept.bytes, kept.evicted) == (1, ONE, 0)


def test_forgetting_by_subject_and_operation_leaves_no_trace() -> None:
    kept = KeptAnswers(1 << 20)
    kept.put(key(0), answer(400, 60.0, "A"), 0.0)
    kept.put(key(1), answer(400, 60.0, "A", "B"), 0.0)
    kept.put(key(2, "usage-query"), answer(400, 60.0, "A"), 0.0)
    assert kept.forget("A", {"usage-query"}) == 1
    assert kept.forget("B") == 1
    assert kept.forget("C") == 0
    assert dict(kept.by_operation()).keys() == {"bill-query"}
    assert kept.forget() == 1
    assert (len(kept), kept.bytes, kept._about) == (0, 0, {})

"""The circuit breaker's state machine, with time as a number."""

from intranet_bridge.marketing.binding import BreakerSection
from intranet_bridge.marketing.breaker import Breaker, Circuit


def breaker(**policy: object) -> Breaker:
    values = {"failures": 3, "window": 10, "failure_rate": 0.5, "open_min_s": 1, "open_max_s": 4} | policy
    return Breaker(BreakerSection.model_validate(values))


def test_it_opens_after_failures_in_a_row_and_a_success_forgets_them() -> None:
    one = breaker()
    for good in (False, False, True, False, False):
        assert not one.record(0, good=good)
    assert one.circuit(0) is Circuit.CLOSED
    assert one.record(0, good=False)
    assert one.circuit(0) is Circuit.OPEN
    assert not one.admit(0.9)


def test_it_opens_by_failure_rate_once_the_window_is_full() -> None:
    one = breaker()
    for n in range(9):
        assert not one.record(0, good=n % 2 == 0)
    assert one.record(0, good=False)


def test_one_probe_at_a_time_and_success_closes() -> None:
    one = breaker(failures=1)
    one.record(0, good=False)
    assert one.circuit(1) is Circuit.HALF_OPEN
    assert one.admit(1, call_s=5)
    assert not one.admit(1.1)
    assert one.record(1.2, good=True)
    assert one.circuit(1.2) is Circuit.CLOSED
    assert one.admit(1.2)


def test_failed_probes_double_the_pause_to_its_limit() -> None:
    one = breaker(failures=1)
    one.record(0, good=False)
    now, pauses = 0.0, []
    for _ in range(4):
        now += one.wait_s(now)
        assert one.admit(now)
        one.record(now, good=False)
        pauses.append(one.wait_s(now))
    assert pauses == [2, 4, 4, 4]


def test_a_probe_of_which_nothing_is_heard_is_forgotten() -> None:
    one = breaker(failures=1)
    one.record(0, good=False)
    assert one.admit(1, call_s=5)
    assert not one.admit(5.9)
    assert one.wait_s(2) == 4
    assert one.admit(6)


def test_an_answer_to_a_call_made_before_it_opened_does_not_close_it() -> None:
    one = breaker(failures=1)
    one.record(0, good=False)
    assert not one.record(0.5, good=True)
    assert not one.record(0.5, good=False)
    assert one.wait_s(0.5) == 0.5


def test_slow_counts_as_failed_if_asked() -> None:
    one = breaker(failures=1, slow_s=2)
    assert not one.record(0, good=True, took_s=1.9)
    assert one.record(0, good=True, took_s=2.1)


def whom(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_one_odd_account_opens_nothing_however_often_it_is_asked() -> None:
    one = breaker()
    for now in range(1000):
        assert not one.odd(now, whom(1))
        assert not one.odd(now, whom(2))
    assert one.circuit(1000) is Circuit.CLOSED
    assert one.odd_accounts == 2


def test_most_accounts_odd_open_it() -> None:
    one = breaker()
    assert not one.odd(0, whom(1))
    assert not one.odd(0, whom(2))
    assert one.odd(0, whom(3))
    assert one.circuit(0.5) is Circuit.OPEN


def test_odd_accounts_among_as_many_plain_ones_open_nothing() -> None:
    one = breaker()
    assert not one.watching
    for number in range(100):
        one.odd(0, whom(number))
        if one.watching:  # as who calls it does
            one.plain(whom(1000 + number))
        assert one.circuit(0) is Circuit.CLOSED
        assert len(one._odd) <= 10


def test_an_account_that_is_plain_again_does_not_count() -> None:
    one = breaker()
    for number in (1, 2):
        one.odd(0, whom(number))
        one.plain(whom(number))
    assert not one.odd(0, whom(3))
    assert one.odd_accounts == 1


def test_an_odd_answer_says_nothing_of_failures_in_a_row() -> None:
    one = breaker()
    one.record(0, good=False)
    one.record(0, good=False)
    one.odd(0, whom(1))
    assert one.circuit(0) is Circuit.CLOSED
    assert one.record(0, good=False)


def test_an_odd_accounts_probe_neither_closes_nor_keeps_the_others_out() -> None:
    one = breaker()
    for number in range(3):
        one.odd(0, whom(number))
    for now in (1, 2, 3):
        assert one.admit(now, call_s=60)
        assert not one.odd(now, whom(1))  # known to be odd: no news
        assert one.circuit(now) is Circuit.HALF_OPEN
    assert one.admit(4, call_s=60)
    assert one.odd(4, whom(7))  # one more: it is the interface still
    assert one.wait_s(4) == 2
    assert one.admit(6)
    assert one.record(6, good=True)
    assert one.circuit(6) is Circuit.CLOSED
    assert not one.watching


def test_a_probe_that_was_never_sent_makes_way_for_the_next() -> None:
    one = breaker(failures=1)
    one.record(0, good=False)
    assert one.admit(1, call_s=60)
    one.not_asked()
    assert one.circuit(1) is Circuit.HALF_OPEN
    assert one.admit(1, call_s=60)


def test_suspended_it_admits_nothing_and_learns_nothing_and_stands_as_before_afterwards() -> None:
    one = breaker(failures=1)
    one.suspend(0)
    one.suspend(0)
    assert (one.suspended, one.admit(10**9), one.circuit(10**9)) == (True, False, Circuit.CLOSED)
    assert not one.record(1, good=False)  # of a call begun before
    assert not one.record(1, good=True)
    one.resume(2)
    assert (one.suspended, one.circuit(2), one.admit(2)) == (False, Circuit.CLOSED, True)
    one.resume(2)
    assert one.admit(2)


def test_an_open_circuit_is_probed_after_maintenance() -> None:
    one = breaker(failures=1)
    one.record(0, good=False)
    one.suspend(0)
    assert one.circuit(10**9) is Circuit.OPEN
    one.resume(5)
    assert one.circuit(5) is Circuit.HALF_OPEN
    assert (one.admit(5, 60), one.admit(5, 60)) == (True, False)
    assert one.record(6, good=True)
    assert one.circuit(6) is Circuit.CLOSED


def test_an_administrator_closes_it() -> None:
    one = breaker(failures=1)
    one.record(0, good=False)
    one.close()
    assert (one.circuit(0), one.admit(0)) == (Circuit.CLOSED, True)
    assert one.record(1, good=False)
    one.suspend(1)
    one.close()
    assert not one.admit(1)
    one.resume(1)
    assert one.circuit(1) is Circuit.CLOSED

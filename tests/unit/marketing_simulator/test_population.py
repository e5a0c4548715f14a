"""The generated customers and bills: the same every time, and true to what the README promises."""

from datetime import date
from itertools import pairwise

from scripts.tools.marketing_simulator.months import months_between, shifted
from scripts.tools.marketing_simulator.people import CHECK_DIGITS, CHECK_WEIGHTS
from scripts.tools.marketing_simulator.population import CLOSED, METER_RANGE_KWH, Bill, bills, customer
from scripts.tools.marketing_simulator.tariff import charge_for

TODAY = date(2026, 1, 15)


def bills_of(number: int, seed: int = 1, today: date = TODAY) -> list[Bill]:
    return list(bills(seed, customer(seed, number), today))


def test_months_pass_the_turn_of_a_year() -> None:
    assert shifted(202601, -1) == 202512
    assert shifted(202512, 1) == 202601
    assert shifted(202601, -24) == 202401
    assert months_between(202401, 202512) == 24
    assert months_between(202512, 202511) == 0


def test_the_same_seed_gives_the_same_customers_and_bills() -> None:
    for number in (1, 9, 40, 4321):
        assert customer(7, number) == customer(7, number)
        assert bills_of(number, seed=7) == bills_of(number, seed=7)
    assert customer(7, 100) != customer(8, 100)


def test_a_known_bill_stays_what_it_is() -> None:
    newest = bills_of(4)[-1]
    assert (newest.month, newest.kwh, newest.amount_fen) == (202512, 793, 51312)
    assert customer(1, 4).account == "3210000000004"


def test_a_later_day_does_not_change_the_consumption_of_a_month() -> None:
    now = {bill.month: bill.kwh for bill in bills_of(50)}
    later = {bill.month: bill.kwh for bill in bills_of(50, today=date(2026, 3, 1))}
    assert all(later[month] == now[month] for month in now.keys() & later.keys())


def test_bills_cover_24_months_and_readings_follow_on() -> None:
    for number in range(1, 200):
        account_bills = bills_of(number)
        assert [bill.month for bill in account_bills] == [shifted(202401, i) for i in range(24)]
        for before, after in pairwise(account_bills):
            assert before.end_reading == after.begin_reading
        for bill in account_bills:
            assert (bill.end_reading - bill.begin_reading) % METER_RANGE_KWH == bill.kwh
            assert bill.amount_fen == charge_for(bill.kwh).amount_fen
            assert bill.paid_date is None or bill.paid_date <= TODAY


def test_summer_takes_more_than_spring() -> None:
    used = {bill.month: bill.kwh for number in range(100, 200) for bill in bills_of(number)}
    assert used[202508] > used[202504]


def test_the_first_accounts_are_as_documented() -> None:
    unpaid = {number: sum(bill.paid_date is None for bill in bills_of(number)) for number in range(1, 9)}
    assert unpaid == {1: 0, 2: 1, 3: 3, 4: 0, 5: 0, 6: 0, 7: 0, 8: 6}
    assert all(len(charge_for(bill.kwh).tiers) == 3 for bill in bills_of(4))
    assert all(bill.amount_fen == 0 for bill in bills_of(5))
    assert any(bill.end_reading < bill.begin_reading for bill in bills_of(6))
    assert customer(1, 7).status == CLOSED


def test_most_customers_owe_nothing_and_some_do() -> None:
    owing = sum(customer(1, number).unpaid_months > 0 for number in range(1, 1001))
    assert 50 <= owing <= 120


def test_identity_numbers_have_their_check_digit_and_no_real_area() -> None:
    for number in range(1, 100):
        identity = customer(1, number).person.identity_number
        total = sum(int(digit) * weight for digit, weight in zip(identity, CHECK_WEIGHTS, strict=False))
        assert len(identity) == 18
        assert identity[-1] == CHECK_DIGITS[total % 11]
        assert identity.startswith("990101")


def test_some_people_hold_two_accounts() -> None:
    assert customer(1, 40).person == customer(1, 39).person
    assert customer(1, 40).address != customer(1, 39).address
    assert customer(1, 41).person != customer(1, 40).person

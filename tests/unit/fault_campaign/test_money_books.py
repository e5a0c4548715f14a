"""The books of money: nothing is found where all agree, and each kind of violation where it was made."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scripts.tools.fault_campaign.money_books import (
    Back,
    Books,
    Charged,
    Difference,
    Entry,
    Line,
    MoneyVerdict,
    Order,
    Reservation,
    Written,
    check,
)
from scripts.tools.fault_campaign.reconcile import VIOLATIONS

A, B, C = "PO1", "PO2", "PO3"
"""Two lines with a coupon, one of them refused and given back; one that nobody was notified of; one never paid."""
POWER, WATER = "3210000000901", "3210000000902"


def entries(kind: str, ref: str, **amounts: int) -> list[Entry]:
    return [Entry(kind, ref, account.replace("__", ":"), amount) for account, amount in amounts.items()]


def books() -> Books:
    """A of 3000 and 2000 fen with a coupon of 1000, so 4000 cash; its second line, 1600 of it cash, went back."""
    orders = [
        Order(
            A, "wechat", "completed-with-refunds",
            [Line(1, "power", POWER, 3000, 2400, "written-off"), Line(2, "water", WATER, 2000, 1600, "refunded")],
            1000, "dept", {f"{A}-2-R1": "proven"},
        ),
        Order(B, "wechat", "completed", [Line(1, "power", POWER, 700, 700, "written-off")]),
        Order(C, "alipay", "expired", [Line(1, "power", POWER, 900, 900, "open")]),
    ]  # fmt: skip
    return Books(
        orders,
        [
            Written(f"{A}-1", "wechat", "T1", POWER, 3000, False), Written(f"{B}-1", "wechat", "T3", POWER, 700, False),
            Written("x", "counter", "C1", POWER, 5, False),
        ],
        [Reservation(f"{A}-P1-V1", "CP1001", 1000, "posted")],
        [
            Charged("wechat", "T1", A, 2400), Charged("wechat", "T2", A, 1600), Charged("wechat", "T3", B, 700),
            Charged("wechat", "X1", "", 50, "platform-only"),
        ],
        [Back("wechat", f"{A}-2-R1", "T2", 1600)],
        [
            *entries("paid", A, channel__wechat=4000, promo__dept=1000, order__PO1=-5000),
            *entries("written-off", A, order__PO1=3000, company__power=-3000),
            *entries("refund-due", A, order__PO1=2000, refund__wechat=-1600, promo__dept=-400),
            *entries("refund-proven", A, refund__wechat=1600, channel__wechat=-1600),
            *entries("paid", B, channel__wechat=700, order__PO2=-700),
            *entries("written-off", B, order__PO2=700, company__power=-700),
            *entries("payment", "X1", channel__wechat=50, company__power=-50),
        ],
        [Difference("platform-only", "wechat", "X1")], [Difference("platform-only", "wechat", "T3")],
        [
            Difference("platform-only", "wechat", "X1"), Difference("platform-only", "wechat", "T3"),
            Difference("charged-and-refunded", "wechat", "T2"),
        ],
        known=frozenset({A, B, C}),
    )  # fmt: skip


def kinds(verdict: MoneyVerdict) -> set[str]:
    found = {violation.kind for violation in verdict.violations}
    assert found <= VIOLATIONS.keys()
    return found


def test_good_books() -> None:
    verdict = check(books())
    assert verdict.violations == []
    assert (verdict.orders, verdict.charged, verdict.given_back) == (3, 4700, 1600)
    assert (verdict.written_off, verdict.coupons, verdict.refunds) == (3700, 600, 1)
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert (verdict.planted, verdict.unnotified, verdict.found, verdict.explained) == (1, 1, 2, 1)


def test_a_line_written_off_twice() -> None:
    good = books()
    verdict = check(replace(good, written=[*good.written, Written(f"{A}-1", "wechat", "T1", POWER, 3000, False)]))
    assert (kinds(verdict), verdict.doubled, verdict.lost) == ({"fen-twice"}, 3000, 0)


def test_written_off_twice_and_taken_back_once_is_once() -> None:
    good = books()
    again = Written(f"{A}-1", "wechat", "T1", POWER, 3000, True)
    assert check(replace(good, written=[*good.written, again])).violations == []


def test_given_back_and_written_off() -> None:
    good = books()
    verdict = check(replace(good, written=[*good.written, Written(f"{A}-2", "wechat", "T2", WATER, 2000, False)]))
    assert (kinds(verdict), verdict.doubled) == ({"fen-twice"}, 2000)
    verdict = check(replace(good, back=[*good.back, Back("wechat", f"{B}-1-R1", "T3", 700)]))
    assert verdict.doubled == 700
    assert kinds(verdict) == {"fen-twice", "money-books", "difference-missed"}


def test_a_write_off_of_nobody() -> None:
    good = books()
    verdict = check(replace(good, written=[*good.written, Written("PO9-1", "wechat", "T9", POWER, 1, False)]))
    assert (kinds(verdict), verdict.doubled) == ({"fen-twice"}, 1)


def test_a_fen_is_lost() -> None:
    good = books()
    less = replace(good.written[0], amount=2999)
    verdict = check(replace(good, written=[less, *good.written[1:]]))
    assert (kinds(verdict), verdict.lost, verdict.doubled) == ({"fen-lost"}, 1, 0)
    more = replace(good.charged[0], cash=2401)
    verdict = check(replace(good, charged=[more, *good.charged[1:]]))
    assert (kinds(verdict), verdict.lost) == ({"fen-lost", "money-books"}, 1)


def test_paid_and_nothing_came_of_it() -> None:
    good = books()
    verdict = check(replace(good, charged=[*good.charged, Charged("alipay", "T9", C, 900)]))
    assert (kinds(verdict), verdict.lost) == ({"fen-lost", "money-books"}, 900)


def test_told_written_off_and_it_is_not() -> None:
    good = books()
    verdict = check(replace(good, written=good.written[1:]))
    assert (kinds(verdict), verdict.lost) == ({"fen-lost"}, 3000)


def test_an_account_or_a_transaction_of_another() -> None:
    good = books()
    for wrong in (replace(good.written[0], account=WATER), replace(good.written[0], transaction="T3")):
        assert kinds(check(replace(good, written=[wrong, *good.written[1:]]))) == {"money-books"}


def test_an_order_that_did_not_end() -> None:
    good = books()
    open_ = replace(good.orders[2], state="paying")
    assert kinds(check(replace(good, orders=[*good.orders[:2], open_]))) == {"money-open"}
    assert kinds(check(replace(good, unsettled=["a run of wechat is waiting"]))) == {"money-open"}


@pytest.mark.parametrize(
    "change",
    [
        lambda coupons: [*coupons, Reservation(f"{A}-P1-V2", "CP1002", 1000, "posted")],
        lambda coupons: [*coupons, Reservation(f"{C}-P1-V1", "CP1002", 1000, "posted")],
    ],
)
def test_a_coupon_too_many(change: Callable[[list[Reservation]], list[Reservation]]) -> None:
    good = books()
    verdict = check(replace(good, reservations=change(list(good.reservations))))
    assert (kinds(verdict), verdict.doubled) == ({"fen-twice"}, 1000)


def test_a_coupon_used_twice_or_not_at_all() -> None:
    good = books()
    verdict = check(replace(good, reservations=[replace(good.reservations[0], state="voided")]))
    assert (kinds(verdict), verdict.lost) == ({"fen-lost"}, 1000)
    twice = [*good.reservations, replace(good.reservations[0], name=f"{B}-P1-V1")]
    assert kinds(check(replace(good, reservations=twice))) == {"fen-twice"}


def test_the_ledger_says_otherwise() -> None:
    good = books()
    verdict = check(replace(good, ledger=[one for one in good.ledger if one.kind != "refund-proven"]))
    assert kinds(verdict) == {"money-books"}
    whose = " ".join(violation.what for violation in verdict.violations)
    assert "channel:wechat" in whose
    assert "refund:wechat" in whose
    off = [*good.ledger, Entry("payment", "X1", "company:power", 1)]
    assert kinds(check(replace(good, ledger=off))) == {"money-books"}


def test_an_order_without_its_write_off_in_the_ledger() -> None:
    good = books()
    left = [one for one in good.ledger if not (one.kind == "written-off" and one.ref == B)]
    verdict = check(replace(good, ledger=left))
    assert [violation.what.split(" ")[0] for violation in verdict.violations] == ["company:power", f"order:{B}"]


def test_a_difference_that_was_not_found() -> None:
    good = books()
    verdict = check(replace(good, found=good.found[1:]))
    assert (kinds(verdict), verdict.found, verdict.unexplained) == ({"difference-missed"}, 1, 0)


def test_a_difference_under_another_name() -> None:
    good = books()
    wrong = replace(good.found[0], what="paid-twice")
    verdict = check(replace(good, found=[wrong, *good.found[1:]]))
    assert kinds(verdict) == {"difference-missed", "difference-unexplained"}


def test_a_difference_that_nobody_planted() -> None:
    good = books()
    for more in (Difference("pooled", "wechat", "T1"), good.found[0], good.found[2]):
        verdict = check(replace(good, found=[*good.found, more]))
        assert (kinds(verdict), verdict.unexplained) == ({"difference-unexplained"}, 1)


def test_a_refund_that_was_not_reported() -> None:
    good = books()
    assert kinds(check(replace(good, found=good.found[:2]))) == {"difference-missed"}


def test_what_was_reversed_by_a_statement_counts_as_given_back() -> None:
    good = books()
    order = replace(
        good.orders[1], state="completed-with-refunds", lines=[replace(good.orders[1].lines[0], state="refunded")]
    )
    planted = Difference("refund-not-reversed", "wechat", "T3")
    verdict = check(
        replace(
            good,
            orders=[good.orders[0], order, good.orders[2]],
            written=[good.written[0], replace(good.written[1], reversed=True)],
            back=[*good.back, Back("wechat", "XB1", "T3", 700, "refund-not-reversed")],
            ledger=[
                *good.ledger,
                *entries("reversed", B, company__power=700, order__PO2=-700),
                *entries("refund-due", B, order__PO2=700, refund__wechat=-700),
                *entries("refund-proven", B, refund__wechat=700, channel__wechat=-700),
            ],
            planted=[*good.planted, planted], unnotified=[],
            found=[good.found[0], good.found[2], planted],
        )
    )  # fmt: skip
    assert verdict.violations == []


def test_what_waits_for_a_person_is_not_yet_given_back() -> None:
    good = books()
    planted = Difference("partial-refund", "wechat", "T3")
    verdict = check(
        replace(
            good, back=[*good.back, Back("wechat", "XB1", "T3", 200, "partial-refund")],
            planted=[*good.planted, planted], found=[*good.found, planted],
        )
    )  # fmt: skip
    assert verdict.violations == []


def test_orders_of_nobody_and_orders_that_are_gone() -> None:
    good = books()
    assert kinds(check(replace(good, known=good.known | {"PO9"}))) == {"stranger"}
    assert kinds(check(replace(good, known=good.known - {C}))) == {"lost"}
    assert kinds(check(replace(good, unread=["bridgectl ledger verify: no"]))) == {"money-books"}


def test_another_amount_is_found_as_that_and_its_refund_is_not_reported_again() -> None:
    good = books()
    differs = Difference("amount-differs", "wechat", "T9")
    held = Order("PO9", "wechat", "completed-with-refunds", [Line(1, "power", POWER, 500, 500, "open")])
    paid = replace(
        good, orders=[*good.orders, held], known=good.known | {"PO9"},
        charged=[*good.charged, Charged("wechat", "T9", "PO9", 501)],
        back=[*good.back, Back("wechat", "PO9-0-R1", "T9", 501)],
        ledger=[
            *good.ledger, *entries("paid", "PO9", channel__wechat=501, order__PO9=-501),
            *entries("refund-due", "PO9-0-R1", order__PO9=501, refund__wechat=-501),
            *entries("refund-proven", "PO9-0-R1", refund__wechat=501, channel__wechat=-501),
        ],
        differing=[differs], found=[*good.found, differs],
    )  # fmt: skip
    assert check(paid).violations == []
    assert kinds(check(replace(paid, found=good.found))) == {"difference-missed"}
    assert kinds(check(replace(paid, differing=[]))) == {"difference-missed", "difference-unexplained"}


def test_of_an_order_under_way_a_statement_may_say_so() -> None:
    good = books()
    more = replace(good, found=[*good.found, Difference("lines-incomplete", "wechat", "T1")])
    assert kinds(check(more)) == {"difference-unexplained"}
    verdict = check(replace(more, passing=frozenset({("wechat", "T1")})))
    assert (verdict.violations, verdict.passing, verdict.unexplained) == ([], 1, 0)
    wrong = replace(more, found=[*good.found, Difference("marketing-only", "wechat", "T1")])
    assert kinds(check(replace(wrong, passing=frozenset({("wechat", "T1")})))) == {"difference-unexplained"}

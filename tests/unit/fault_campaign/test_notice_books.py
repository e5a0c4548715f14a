"""The books of pushes and notices: nothing is found where all is well, and each kind of violation where it was made."""

from dataclasses import replace
from typing import Any

import pytest

from scripts.tools.fault_campaign.notice_books import NOTICE_OF, Books, NoticeVerdict, Said, check
from scripts.tools.fault_campaign.receiver import Arrival
from scripts.tools.fault_campaign.reconcile import VIOLATIONS

MINE, OTHER, NOBODYS = "3210000000001", "3210000000002", "3210000000003"
ALL = frozenset(NOTICE_OF.values())
AT = "2026-07-01T08:00:00+08:00"


def said(number: int, kind: str, *accounts: str, outcome: str | None = "accepted") -> Said:
    if kind == "outage-planned":
        data: dict[str, Any] = {"accounts": list(accounts), "outage": f"TD{number}", "begins": AT}
    else:
        data = {"account": accounts[0], "amount_fen": number}
    return Said(number, {"id": f"p{number}", "kind": kind, "at": AT, "data": data}, 2, 1, outcome)


def came(id: str, sequence: int, kind: str, **data: Any) -> Arrival:
    document = {"id": id, "type": kind, "timestamp": AT, "sequence": sequence, "data": {"account": MINE} | data}
    return Arrival(id, document)


def outage(id: str, sequence: int, account: str) -> Arrival:
    more = {"outage": "TD3", "begins": AT, "planned": True, "cancelled": False}
    return came(id, sequence, "outage-notice", account=account, **more)


def books() -> Books:
    """Two bills of one account, an outage of two, something for nobody; one notice was delivered twice."""
    pushes = [
        said(1, "bill-issued", MINE),
        said(2, "bill-issued", MINE, outcome="repeated"),
        said(3, "outage-planned", MINE, OTHER, NOBODYS),
        said(4, "archive-changed", MINE),
        said(5, "bill-issued", OTHER),
        said(6, "bill-issued", NOBODYS),
    ]
    called = [
        came("a", 1, "bill-issued", amount_fen=1), came("a", 1, "bill-issued", amount_fen=1),
        outage("x", 1, OTHER), came("b", 2, "bill-issued", amount_fen=2), outage("c", 3, MINE),
    ]  # fmt: skip
    asked = [came("k", 1, "bill-issued", amount_fen=1), came("l", 2, "bill-issued", amount_fen=2), outage("m", 3, MINE)]
    return Books(
        pushes,
        {("demo", MINE): ALL, ("demo", OTHER): frozenset({"outage-notice"}), ("asking", MINE): ALL},
        frozenset(f"p{number}" for number in range(1, 7)), called, "demo", {"asking": asked, "demo": called[1:]},
    )  # fmt: skip


def kinds(verdict: NoticeVerdict) -> list[str]:
    assert {violation.kind for violation in verdict.violations} <= VIOLATIONS.keys()
    return [violation.kind for violation in verdict.violations]


def test_good_books() -> None:
    verdict = check(books())
    assert verdict.violations == []
    assert (verdict.pushes, verdict.answered, verdict.attempts, verdict.repeated) == (6, 6, 12, 6)
    assert verdict.expected == {"demo": 4, "asking": 3}
    assert (verdict.called, verdict.called_again, verdict.asked) == (4, 1, {"asking": 3, "demo": 4})
    assert (verdict.lost, verdict.doubled, verdict.out_of_order, verdict.wrong) == (0, 0, 0, 0)


@pytest.mark.parametrize("outcome", [None, "id-used", "invalid-push"])
def test_a_push_that_was_not_answered_or_refused(outcome: str | None) -> None:
    good = books()
    pushes = [*good.said[:3], replace(good.said[3], outcome=outcome), *good.said[4:]]
    assert kinds(check(replace(good, said=pushes))) == ["push"]


def test_the_bridge_has_other_pushes_than_were_said() -> None:
    good = books()
    verdict = check(replace(good, taken=(good.taken - {"p6"}) | {"p7"}))
    assert kinds(verdict) == ["push", "push"]


def test_lost() -> None:
    good = books()
    verdict = check(replace(good, called=good.called[:-1]))
    assert (kinds(verdict), verdict.lost) == (["notice-lost"], 1)
    verdict = check(replace(good, asked=dict(good.asked) | {"asking": []}))
    assert (kinds(verdict), verdict.lost) == (["notice-lost"] * 3, 3)


def test_two_notices_of_one_push() -> None:
    good = books()
    verdict = check(replace(good, called=[*good.called, came("d", 4, "bill-issued", amount_fen=2)]))
    assert (kinds(verdict), verdict.doubled, verdict.lost) == (["notice-twice"], 1, 0)


def test_out_of_order() -> None:
    good = books()
    a, again, x, b, c = good.called
    verdict = check(replace(good, called=[a, again, x, c, b]))
    assert (kinds(verdict), verdict.out_of_order) == (["notice-order"], 2)


def test_numbered_in_another_order_than_pushed() -> None:
    good = books()
    swapped = [came("k", 1, "bill-issued", amount_fen=2), came("l", 2, "bill-issued", amount_fen=1)]
    verdict = check(replace(good, asked={"asking": [*swapped, good.asked["asking"][2]]}))
    assert (kinds(verdict), verdict.out_of_order) == (["notice-order"], 1)


def test_a_gap_in_the_numbers() -> None:
    good = books()
    verdict = check(replace(good, called=[*good.called[:-1], outage("c", 4, MINE)]))
    assert kinds(verdict) == ["notice-order"]


def test_nobodys_notice_and_one_that_was_changed() -> None:
    good = books()
    strange = [*good.called, came("z", 1, "bill-issued", account=NOBODYS, amount_fen=6)]
    assert kinds(check(replace(good, called=strange))) == ["notice-wrong"]
    changed = [*good.called, came("a", 1, "bill-issued", amount_fen=9)]
    assert kinds(check(replace(good, called=changed))) == ["notice-wrong"]
    assert kinds(check(replace(good, wrong=["a: its signature is not right"]))) == ["notice-wrong"]


def test_a_page_that_has_one_twice() -> None:
    good = books()
    asked = [*good.asked["asking"], good.asked["asking"][0]]
    verdict = check(replace(good, asked={"asking": asked}))
    assert (kinds(verdict), verdict.doubled) == (["notice-twice"], 1)

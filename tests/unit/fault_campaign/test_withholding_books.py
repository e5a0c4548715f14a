"""What the comparison of withholding's books finds: each way in which money of a bank's file could go wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scripts.tools.fault_campaign.reconcile import VIOLATIONS
from scripts.tools.fault_campaign.withholding_books import (
    BridgeLine,
    Said,
    Settled,
    Told,
    WithholdingBooks,
    WithholdingVerdict,
    check,
)

BATCH, ACCOUNT, OTHER = "SDDL-37101-20261130", "3210000000903", "3210000000906"


def books() -> WithholdingBooks:
    """Charged, refused, left out, charged otherwise, not asked for; and one that waits for another day."""
    return WithholdingBooks(
        [Told(f"D{number}", ACCOUNT, 1000 + number) for number in range(1, 6)],
        [
            Said("D1", BATCH, "charged", 1001, 1001), Said("D2", BATCH, "refused", 1002, 0),
            Said("D3", BATCH, "silent", 1003, 0), Said("D4", BATCH, "differs", 1004, 1050),
            Said("X1", BATCH, "stranger", 0, 1001),
        ],
        [
            BridgeLine("D1", BATCH, "written-off", 1001, "held"), BridgeLine("D2", BATCH, "refused", 0, "released"),
            BridgeLine("D3", BATCH, "unanswered", 0, "held"), BridgeLine("D4", BATCH, "amount-differs", 1050, "held"),
            BridgeLine("X1", BATCH, "unknown-line", 1001, ""),
            BridgeLine("D5", "SDDL-37101-20261207", "waiting", 0, ""),
        ],
        [Settled("D1", ACCOUNT, 1001, False)],
        [("D1", 1001)],
    )  # fmt: skip


def kinds(verdict: WithholdingVerdict) -> set[str]:
    found = {violation.kind for violation in verdict.violations}
    assert found <= VIOLATIONS.keys()
    return found


def lines(good: WithholdingBooks, number: int, **change: object) -> WithholdingBooks:
    changed = [replace(one, **change) if at == number else one for at, one in enumerate(good.lines)]  # type: ignore[arg-type]
    return replace(good, lines=changed)


def test_good_books() -> None:
    verdict = check(books())
    assert verdict.violations == []
    assert (verdict.lines, verdict.charged, verdict.written_off, verdict.in_doubt) == (5, 3052, 1001, 2051)
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.said == {"charged": 1, "refused": 1, "silent": 1, "differs": 1, "stranger": 1}


def test_charged_and_not_written_off() -> None:
    verdict = check(replace(books(), settled=[]))
    assert (kinds(verdict), verdict.lost) == ({"fen-lost"}, 1001)


def test_written_off_twice_or_with_a_fen_too_much() -> None:
    good = books()
    verdict = check(replace(good, settled=[*good.settled, *good.settled]))
    assert (kinds(verdict), verdict.doubled) == ({"fen-twice"}, 1001)
    verdict = check(replace(good, settled=[Settled("D1", ACCOUNT, 1002, False)]))
    assert (kinds(verdict), verdict.doubled) == ({"fen-twice"}, 1)


def test_taken_back_is_not_written_off() -> None:
    good = books()
    assert check(replace(good, settled=[*good.settled, replace(good.settled[0], reversed=True)])).violations == []
    assert kinds(check(replace(good, settled=[replace(good.settled[0], reversed=True)]))) == {"fen-lost"}


@pytest.mark.parametrize("line", ["D2", "D3", "D4", "X1", "D5", "nobody's"])
def test_what_the_bank_did_not_charge_as_asked_is_not_written_off(line: str) -> None:
    good = books()
    verdict = check(replace(good, settled=[*good.settled, Settled(line, ACCOUNT, 7, False)]))
    assert (kinds(verdict), verdict.doubled) == ({"fen-twice"}, 7)


def test_written_off_for_another_account() -> None:
    assert kinds(check(replace(books(), settled=[Settled("D1", OTHER, 1001, False)]))) == {"money-books"}


def test_asked_of_the_bank_twice() -> None:
    good = books()
    again = replace(good.said[0], batch="SDDL-37102-20261130")
    verdict = check(replace(good, said=[*good.said, again]))
    assert "fen-twice" in kinds(verdict)
    assert kinds(check(replace(good, changed=["SDDL_DKKK_37101_20261130.txt"]))) == {"fen-twice"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda good: lines(good, 0, state="unanswered", debited=0), "difference-missed"),
        (lambda good: lines(good, 1, state="unanswered"), "difference-missed"),
        (lambda good: lines(good, 2, state="refused"), "difference-missed"),
        (lambda good: lines(good, 3, state="written-off"), "difference-missed"),
        (lambda good: lines(good, 3, debited=1004), "money-books"),
        (lambda good: lines(good, 1, hold="held"), "money-books"),
        (lambda good: lines(good, 5, state="requested"), "money-books"),
        (lambda good: replace(good, lines=good.lines[1:]), "lost"),
        (lambda good: replace(good, lines=good.lines[:-1]), "lost"),
        (lambda good: replace(good, told=good.told[1:]), "stranger"),
        (lambda good: replace(good, told=[replace(good.told[0], amount=9), *good.told[1:]]), "money-books"),
        (lambda good: replace(good, ledger=[]), "money-books"),
        (lambda good: replace(good, ledger=[("D1", 1002)]), "money-books"),
        (lambda good: replace(good, ledger=[*good.ledger, ("D4", 1050)]), "money-books"),
        (lambda good: replace(good, ledger=[*good.ledger, ("D9", 1)]), "money-books"),
    ],
)
def test_a_book_that_says_otherwise(change: Callable[[WithholdingBooks], WithholdingBooks], kind: str) -> None:
    assert kind in kinds(check(change(books())))

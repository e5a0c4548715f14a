"""A simulated day: its statement is read without a finding, and matching finds what was planted, and nothing else."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from intranet_bridge.settlement.statements import names
from intranet_bridge.settlement.statements.matching import Accepted, Class, Rules, Seen, WriteOff, fee_item, seen
from intranet_bridge.settlement.statements.profiles import Kind as RowKind
from intranet_bridge.settlement.statements.profiles import Status
from intranet_bridge.settlement.statements.rows import Expected, Summary
from protocol.times import CHINA
from scripts.tools.channel_simulator import keys as own
from scripts.tools.channel_simulator.book import FEE, Book, BookError
from scripts.tools.channel_simulator.planting import Kind, Planted, plant, unnotified
from scripts.tools.channel_simulator.statements import statement
from tests.unit.intranet_bridge.settlement.statements.differences import run
from tests.unit.intranet_bridge.settlement.statements.reads import PROFILES, taken

DAY = date(2026, 11, 24)
PROFILE = {"alipay": "alipay-trade", "wechat": "wechat-trade"}
MERCHANT = {"alipay": own.ALIPAY_ACCOUNT, "wechat": own.WECHAT_MERCHANT}
CHANNELS = pytest.mark.parametrize("channel", sorted(PROFILE))


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book.sqlite3")


def a_day(book: Book, channel: str, count: int = 40) -> list[WriteOff]:
    """Payments that were notified and written off, all but the last."""
    written = []
    for number in range(count):
        at = datetime(2026, 11, 24, tzinfo=CHINA) + timedelta(seconds=number * 86_399 // (count - 1))
        order, cash = f"PO20261124{number:06}", 101 + 37 * number
        goods = "电费,阶梯" if number % 3 else '𠮷祥小区"电费"'
        [paid] = book.pay(channel, order, [(order, cash)], at, goods=goods)
        if number < count - 1:
            book.told([paid.transaction])
            written.append(WriteOff(order, paid.transaction, channel, cash, at))
    return written


def said(book: Book, channel: str) -> tuple[Summary, list[Seen]]:
    """What the bridge reads of the day's statement."""
    name, content = statement(book, channel, DAY)
    named = names.said(name, PROFILES[PROFILE[channel]])
    assert (named.day, named.merchant) == (DAY, MERCHANT[channel])
    summary, rows = taken(content, PROFILE[channel], Expected(DAY, merchants=frozenset({MERCHANT[channel]})))
    assert (summary.warnings, summary.dropped) == ((), ())
    return summary, [seen(channel, DAY, row) for row in rows.values()]


def found(book: Book, channel: str, written: list[WriteOff]) -> set[tuple[str, str]]:
    """What matching says of the day, but that it agrees: class and transaction."""
    summary, rows = said(book, channel)
    rules = Rules(DAY + timedelta(days=1), Accepted({channel: [DAY]}))
    items = [item for item in run(rows, written, rules) if item.what is not Class.MATCHED]
    stated, back = (sum(row.gross for row in rows if (row.kind is RowKind.PAY) is pays) for pays in (True, False))
    expected_fee = (FEE * (stated - back) + 500) // 1000
    fees = fee_item(channel, DAY, summary.fee, expected_fee)
    told = {(str(item.what), item.transaction) for item in items}
    assert len(told) == len(items)
    return told | ({(str(fees.what), "")} if fees else set())


def expected(planted: list[Planted]) -> set[tuple[str, str]]:
    return {(str(one.kind), "" if one.kind is Kind.FEE_DIFFERS else one.transaction) for one in planted}


@CHANNELS
def test_a_statement_is_read_without_a_finding(book: Book, channel: str) -> None:
    a_day(book, channel)
    [paid] = book.payments(channel, order="PO20261124000007")
    book.refund(channel, paid.transaction, "R1", paid.cash, datetime(2026, 11, 24, 23, 59, 59, tzinfo=CHINA))
    summary, rows = said(book, channel)
    assert (summary.payments, summary.refunds, len(rows)) == (40, 1, 41)
    assert summary.paid == sum(one.cash for one in book.payments(channel))
    assert summary.refunded == paid.cash
    [refund] = [row for row in rows if row.refund]
    assert (refund.transaction, refund.refund, refund.status) == (paid.transaction, "R1", Status.PROVEN)


@CHANNELS
def test_a_day_without_trade_is_empty(book: Book, channel: str) -> None:
    summary, rows = said(book, channel)
    assert (summary.paid, rows) == (0, [])


@CHANNELS
def test_without_anything_planted_only_what_was_not_notified_is_found(book: Book, channel: str) -> None:
    written = a_day(book, channel)
    [left] = unnotified(book, channel, DAY)
    assert found(book, channel, written) == {("platform-only", left.transaction)}


@pytest.mark.parametrize("seed", range(5))
@CHANNELS
def test_matching_finds_what_was_planted_and_nothing_else(book: Book, channel: str, seed: int) -> None:
    written = a_day(book, channel)
    planted = plant(book, channel, DAY, seed, 20)
    assert len(planted) == 20
    assert {one.kind for one in planted} == set(Kind) - ({Kind.REFUND_PENDING} if channel == "alipay" else set())
    assert found(book, channel, written) == expected([*planted, *unnotified(book, channel, DAY)])


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_is_found_by_itself(book: Book, kind: Kind) -> None:
    written = a_day(book, "wechat")
    planted = plant(book, "wechat", DAY, 7, 1, [kind])
    assert found(book, "wechat", written) == expected([*planted, *unnotified(book, "wechat", DAY)])


def test_a_seed_plants_the_same_again(tmp_path: Path) -> None:
    told = []
    for name in ("one", "two"):
        book = Book(tmp_path / name)
        a_day(book, "alipay")
        told.append((plant(book, "alipay", DAY, 3, 9), statement(book, "alipay", DAY)))
    assert told[0] == told[1]


def test_what_cannot_be_planted(book: Book) -> None:
    with pytest.raises(BookError, match="too few notified payments"):
        plant(book, "wechat", DAY, 1, 1, [Kind.POOLED])
    with pytest.raises(BookError, match="none of these kinds"):
        plant(book, "alipay", DAY, 1, 1, [Kind.REFUND_PENDING])
    with pytest.raises(BookError, match="writes no statements"):
        statement(book, "bank", DAY)

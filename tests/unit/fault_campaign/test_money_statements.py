"""What a statement may say of orders, as the campaign knows it."""

from datetime import date, datetime, timedelta
from pathlib import Path

from protocol.times import CHINA
from scripts.tools.channel_simulator.book import Book
from scripts.tools.fault_campaign.money_statements import refunded_later

DAY = date(2026, 11, 28)
NOON = datetime(2026, 11, 28, 12, tzinfo=CHINA)


def test_a_refund_of_the_day_after_is_not_in_the_payments_statement(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.sqlite3")
    for order in ("same", "later", "kept"):
        book.pay("wechat", order, [(order, 100)], NOON)
    transactions = {one.order: one.transaction for one in book.payments("wechat", day=DAY)}
    book.refund("wechat", transactions["same"], "R1", 100, NOON)
    book.refund("wechat", transactions["later"], "R2", 100, NOON + timedelta(1))
    paid = book.payments("wechat", day=DAY)
    assert len(paid) == 3
    assert refunded_later(paid, book.refunds("wechat")) == {transactions["later"]}

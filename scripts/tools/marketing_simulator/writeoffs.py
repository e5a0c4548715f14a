"""The list of payments of a channel (销账明细), for reconciliation, and the book of all of them for tests."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

MOST_DAYS = 62
LARGEST_PAGE = 1000
OF_DAYS = """
    FROM payment LEFT JOIN reversal ON reversal.payment = payment.id
    WHERE channel = :channel AND (payment.booked_on BETWEEN :first AND :last
        OR reversal.booked_on BETWEEN :first AND :last)
"""
SUMS = f"SELECT count(*), coalesce(sum(amount_fen), 0) {OF_DAYS}"
COLUMNS = """
    payment.id, payment.request_id, kind, channel, serial, line, account, amount_fen, payment.paid_at,
    payment.booked_on, settled, reversed, reversal.booked_on, reversal.refund,
    (SELECT at FROM journal WHERE journal.request_id = payment.request_id)
"""
PAGE = f"SELECT {COLUMNS} {OF_DAYS} ORDER BY payment.id LIMIT :size OFFSET :skipped"
BOOK = f"SELECT {COLUMNS} FROM payment LEFT JOIN reversal ON reversal.payment = payment.id ORDER BY payment.id"  # noqa: S608 - constants


class Writeoffs:
    """The interface of the list."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers."""
        yield Interface("/api/pay/detail", query=self.listed)

    def listed(self, fields: Fields) -> bytes:
        """`/api/pay/detail`: what was booked or reversed from `dateFrom` to `dateTo`, in the order of booking. The
        simulator is one company, whatever `orgNo` calls it.
        """
        channel = fields.text("chnlCode", 32)
        fields.optional_text("orgNo", 32)
        first, last = fields.day("dateFrom"), fields.day("dateTo")
        number, size = fields.whole("pageNo", 1, 10**6, default=1), fields.whole("pageSize", 1, LARGEST_PAGE, 100)
        if not 0 <= (last - first).days < MOST_DAYS:
            raise Refusal(Code.DAY_RANGE)
        days = {"channel": channel, "first": first.isoformat(), "last": last.isoformat()}
        count, total = self._connection.execute(SUMS, days).fetchone()
        page = {**days, "size": size, "skipped": (number - 1) * size}
        return success(
            {
                "chnlCode": channel,
                "dateFrom": days["first"],
                "dateTo": days["last"],
                "pageNo": number,
                "pageSize": size,
                "totCnt": count,
                "totAmt": total,
                "dtlList": [_line(row) for row in self._connection.execute(PAGE, page).fetchall()],
            }
        ).encode()


def book(connection: sqlite3.Connection) -> list[dict[str, object]]:
    """Every payment, for books to be compared."""
    return [
        {
            "payment": f"PY{id:012}",
            "request_id": request_id,
            "kind": "writeoff" if kind == "01" else "prepayment",
            "channel": channel,
            "transaction": serial,
            "line": line,
            "account": account,
            "amount": amount,
            "paid_at": paid_at,
            "booked_on": booked_on,
            "reversed": bool(taken_back),
            "refund": refund,
        }
        for (
            id, request_id, kind, channel, serial, line, account, amount, paid_at, booked_on, _, taken_back, _, refund,
            _,
        ) in connection.execute(BOOK).fetchall()
    ]  # fmt: skip


def _line(row: tuple[Any, ...]) -> dict[str, object]:
    (
        id, request_id, kind, _, serial, line, account, amount, paid_at, booked_on, settled, taken_back, reversed_on, _,
        at,
    ) = row  # fmt: skip
    bills = json.loads(settled)
    return {
        "payNo": f"PY{id:012}",
        "consNo": account,
        "chnlSeq": serial,
        "chnlLine": line,
        "reqId": request_id,
        "payType": kind,
        "payAmt": amount,
        "penaltyAmt": sum(bill["penaltyAmt"] for bill in bills),
        "ymList": [bill["amtYm"] for bill in bills],
        "payTime": paid_at,
        "crtTime": at and at[:19].replace("T", " "),
        "acctDate": booked_on,
        "payStatus": "9" if taken_back else "1",
        "revAmt": amount if taken_back else 0,
        "revDate": reversed_on,
    }

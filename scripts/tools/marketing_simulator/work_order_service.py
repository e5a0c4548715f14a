"""What a customer does with a work order of their own: the list of them, cancelling one, rating one; and feedback.

Cancelling what is cancelled, and giving the same rating again, is answered as the first time.
"""

import sqlite3
from collections.abc import Callable, Iterator

from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, PHONE, REQUEST_ID, Fields, dialled
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success
from scripts.tools.marketing_simulator.stored_orders import StoredOrder, epoch_ms, find, of_account

TABLES = """
CREATE TABLE opinion (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, type TEXT NOT NULL, content TEXT NOT NULL,
    account TEXT, contact_name TEXT, contact_phone TEXT, received_ms INTEGER NOT NULL
);
"""
STATUSES = frozenset({"10", "20", "30", "40"})
OPINION_TYPES = {"1": "服务", "2": "电价水价", "3": "线上渠道", "4": "营业厅", "9": "其他"}
LARGEST_PAGE = 100
CANCEL = "UPDATE work_order SET cancelled_ms = ?, cancel_reason = ? WHERE id = ?"
RATE = "UPDATE work_order SET score = ?, comment = ?, rated_ms = ? WHERE id = ?"
INSERT_OPINION = (
    "INSERT INTO opinion (request_id, type, content, account, contact_name, contact_phone, received_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


class WorkOrderService:
    """The interfaces for what has been created: they read over `connection` and write through `effects`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        effects: EffectWriter,
        queries: Queries,
        clock: Clock,
        *,
        node_seconds: float,
    ) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries
        self._clock = clock
        self._node_seconds = node_seconds

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/wo/list", query=self.list)
        yield Interface("/api/wo/cancel", effect=self.cancel)
        yield Interface("/api/wo/rate", effect=self.rate)
        yield Interface("/api/opinion/create", effect=self.opinion)

    def list(self, fields: Fields) -> bytes:
        """`/api/wo/list`: one page of an account's work orders, the latest first."""
        account = fields.text("consNo", 13, ACCOUNT)
        status = fields.optional_text("woStatus", 2)
        if status is not None and status not in STATUSES:
            raise Refusal(Code.INVALID_FIELD, "woStatus")
        first, last = fields.optional_day("dateFrom"), fields.optional_day("dateTo")
        if first is not None and last is not None and last < first:
            raise Refusal(Code.DAY_RANGE)
        page, size = fields.whole("pageNo", 1, 100_000, 1), fields.whole("pageSize", 1, LARGEST_PAGE, 20)
        self._queries.account(account)
        now = self._clock.now()
        found = [
            (order, told)
            for order in of_account(self._connection, account, first, last)
            if (told := order.status(now, self._node_seconds))[0] == status or status is None
        ]
        data = {
            "consNo": account,
            "pageNo": page,
            "pageSize": size,
            "totCnt": len(found),
            "woList": [
                {
                    "woNo": order.number,
                    "woType": order.kind.code,
                    "woTypeName": order.kind.name,
                    "woStatus": code,
                    "woStatusName": name,
                    "acceptTime": legacy_time(order.accepted),
                }
                for order, (code, name) in found[(page - 1) * size : page * size]
            ],
        }
        return success(data).encode()

    async def cancel(self, fields: Fields) -> Applied:
        """`/api/wo/cancel`: refused once it is finished or past the nodes in which it can be cancelled."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        own = self._own(fields)
        reason = fields.text("cancelReason", 500)

        def perform(connection: sqlite3.Connection) -> str:
            order, now = own(connection), self._clock.now()
            cancelled = order.cancelled
            if cancelled is None:
                if not order.cancellable(now, self._node_seconds):
                    raise Refusal(Code.NOT_CANCELLABLE)
                connection.execute(CANCEL, (epoch_ms(now), reason, order.id))
            data = {"reqId": request_id, "woNo": order.number, "woStatus": "40"}
            return success({**data, "cancelTime": legacy_time(cancelled or now)})

        return await self._effects.apply(request_id, "wo/cancel", perform, once=False)

    async def rate(self, fields: Fields) -> Applied:
        """`/api/wo/rate`: of a finished work order; another rating than it has is refused."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        own = self._own(fields)
        given = fields.whole("score", 1, 5), fields.optional_text("evalCont", 500)

        def perform(connection: sqlite3.Connection) -> str:
            order, now = own(connection), self._clock.now()
            rated = order.rated
            if rated is None:
                if not order.finished(now, self._node_seconds):
                    raise Refusal(Code.NOT_FINISHED)
                connection.execute(RATE, (*given, epoch_ms(now), order.id))
            elif (order.score, order.comment) != given:
                raise Refusal(Code.ALREADY_RATED)
            data = {"reqId": request_id, "woNo": order.number, "score": given[0]}
            return success({**data, "evalTime": legacy_time(rated or now)})

        return await self._effects.apply(request_id, "wo/rate", perform, once=False)

    async def opinion(self, fields: Fields) -> Applied:
        """`/api/opinion/create`: what somebody thinks; neither account nor contact need be told."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        kind = fields.text("opType", 1)
        if kind not in OPINION_TYPES:
            raise Refusal(Code.OPINION_TYPE)
        account = fields.optional_text("consNo", 13, ACCOUNT)
        contact = fields.optional_text("contactName", 64), fields.optional_text("contactTel", 20, PHONE)
        content = fields.text("content", 2000)
        if account is not None:
            self._queries.account(account)

        def perform(connection: sqlite3.Connection) -> str:
            received = self._clock.now()
            row = (request_id, kind, content, account, *contact, epoch_ms(received))
            number = f"YJ{received:%Y%m%d}{connection.execute(INSERT_OPINION, row).lastrowid:010d}"
            return success({"reqId": request_id, "opNo": number, "receiveTime": legacy_time(received)})

        return await self._effects.apply(request_id, "opinion/create", perform, once=False)

    def _own(self, fields: Fields) -> Callable[[sqlite3.Connection], StoredOrder]:
        """Finds the work order that is meant, if what is said about it fits; else there is none, whatever is wrong."""
        number = fields.text("woNo", 20)
        account, phone = fields.optional_text("consNo", 13), fields.optional_text("contactTel", 20, PHONE)
        if account is None and phone is None:
            raise Refusal(Code.INVALID_FIELD, "contactTel")

        def found(connection: sqlite3.Connection) -> StoredOrder:
            order = find(connection, number)
            if (
                order is None
                or (account is not None and account != order.account)
                or (phone is not None and dialled(phone) != dialled(order.contact_phone))
            ):
                raise Refusal(Code.NO_SUCH_WORK_ORDER)
            return order

        return found

"""Work orders (工单): creating one, its progress, and whether a request was applied at all."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, PHONE, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.journal import stored_answer
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success
from scripts.tools.marketing_simulator.stored_orders import TYPES, WorkOrderType, epoch_ms, find, work_order_number

TABLES = """
CREATE TABLE work_order (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, type TEXT NOT NULL, account TEXT,
    contact_name TEXT NOT NULL, contact_phone TEXT NOT NULL, address TEXT NOT NULL, content TEXT NOT NULL,
    capacity TEXT, accepted_ms INTEGER NOT NULL, stays_at INTEGER, cancelled_ms INTEGER, cancel_reason TEXT,
    score INTEGER, comment TEXT, rated_ms INTEGER
);
CREATE INDEX work_order_of_account ON work_order (account);
-- 2026-07-01 09:00 in China: the work order 202607010000000001, there from the start and long finished.
INSERT INTO work_order (request_id, type, contact_name, contact_phone, address, content, accepted_ms)
VALUES ('first', '01', '王芳', '19900000001', '示范路1号', '示范工单', 1782867600000);
-- 2025-11-03 09:30: 202511030000000002, which waits for the customer at its second node and can be cancelled
INSERT INTO work_order (request_id, type, account, contact_name, contact_phone, address, content, accepted_ms, stays_at)
VALUES ('second', '01', '3210000000001', '王芳', '19900000001', '示范路1号', '示范工单', 1762133400000, 1);
-- and 10:00: 202511030000000003, finished, to be rated
INSERT INTO work_order (request_id, type, account, contact_name, contact_phone, address, content, accepted_ms)
VALUES ('third', '07', '3210000000001', '王芳', '19900000001', '示范路1号', '示范工单', 1762135200000);
"""
LARGEST_CAPACITY_KW = 100_000
INSERT = (
    "INSERT INTO work_order (request_id, type, account, contact_name, contact_phone, address, content,"
    " capacity, accepted_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """A requested work order, validated."""

    request_id: str
    kind: WorkOrderType
    account: str | None
    contact_name: str
    contact_phone: str
    address: str
    content: str
    capacity_kw: Decimal | None


class WorkOrders:
    """The work order interfaces: they read over `connection` and write through `effects`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        effects: EffectWriter,
        queries: Queries,
        clock: Clock,
        *,
        node_seconds: float,
        idempotent: bool = False,
    ) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries
        self._clock = clock
        self._node_seconds = node_seconds
        self._idempotent = idempotent

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/wo/create", effect=self.create_once if self._idempotent else self.create)
        yield Interface("/api/wo/createOnce", effect=self.create_once)
        yield Interface("/api/wo/progress", query=self.progress)
        yield Interface("/api/req/status", query=self.request_status)

    async def create(self, fields: Fields) -> Applied:
        """`/api/wo/create`: NOT idempotent, on purpose. A request that comes twice is applied twice."""
        return await self._create(fields, "wo/create", once=False)

    async def create_once(self, fields: Fields) -> Applied:
        """`/api/wo/createOnce`: a known `reqId` gets the stored response and is not applied again."""
        return await self._create(fields, "wo/createOnce", once=True)

    def progress(self, fields: Fields) -> bytes:
        """`/api/wo/progress`: the nodes reached so far."""
        order = find(self._connection, fields.text("woNo", 20))
        if order is None:
            raise Refusal(Code.NO_SUCH_WORK_ORDER)
        now = self._clock.now()
        code, name = order.status(now, self._node_seconds)
        nodes = order.nodes(now, self._node_seconds)
        data = {
            "woNo": order.number,
            "woType": order.kind.code,
            "woTypeName": order.kind.name,
            "woStatus": code,
            "woStatusName": name,
            "curNode": nodes[-1]["nodeName"],
            "nodeList": nodes,
        }
        return success(data).encode()

    def request_status(self, fields: Fields) -> bytes:
        """`/api/req/status`: the response body of this request, byte for byte, or 'not applied'."""
        answer = stored_answer(self._connection, fields.text("reqId", 64, REQUEST_ID))
        if answer is None:
            raise Refusal(Code.REQUEST_NOT_APPLIED)
        return answer.encode()

    async def _create(self, fields: Fields, operation: str, *, once: bool) -> Applied:
        order = self._checked(fields)

        def perform(connection: sqlite3.Connection) -> str:
            return self._insert(connection, order)

        return await self._effects.apply(order.request_id, operation, perform, once=once)

    def _checked(self, fields: Fields) -> WorkOrder:
        request_id = fields.text("reqId", 64, REQUEST_ID)
        kind = TYPES.get(fields.text("woType", 2))
        if kind is None:
            raise Refusal(Code.WORK_ORDER_TYPE)
        account = (
            fields.text("consNo", 13, ACCOUNT) if kind.needs_account else fields.optional_text("consNo", 13, ACCOUNT)
        )
        capacity = fields.optional_number("applyCap")
        if kind.needs_capacity and (capacity is None or not 0 < capacity <= LARGEST_CAPACITY_KW):
            raise Refusal(Code.CAPACITY)
        order = WorkOrder(
            request_id,
            kind,
            account,
            contact_name=fields.text("contactName", 64),
            contact_phone=fields.text("contactTel", 20, PHONE),
            address=fields.text("addr", 256),
            content=fields.text("content", 2000),
            capacity_kw=capacity if kind.needs_capacity else None,
        )
        if account is not None and self._queries.account(account).closed:
            raise Refusal(Code.ACCOUNT_CLOSED)
        return order

    def _insert(self, connection: sqlite3.Connection, order: WorkOrder) -> str:
        accepted = self._clock.now()
        row = (
            order.request_id,
            order.kind.code,
            order.account,
            order.contact_name,
            order.contact_phone,
            order.address,
            order.content,
            None if order.capacity_kw is None else str(order.capacity_kw),
            epoch_ms(accepted),
        )
        order_id = connection.execute(INSERT, row).lastrowid
        assert order_id is not None, "an INSERT into a table with an integer key gives one"
        data = {
            "reqId": order.request_id,
            "woNo": work_order_number(order_id, accepted),
            "woType": order.kind.code,
        }
        return success({**data, "acceptTime": legacy_time(accepted)})

"""Work orders (工单): creating one, its progress, and whether a request was applied at all.

A work order progresses by itself: node number i, counted from 0, is reached i × `node_seconds` after its
acceptance.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from scripts.tools.marketing_simulator.clock import CHINA_STANDARD_TIME, Clock, legacy_time
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, PHONE, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.journal import stored_answer
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

TABLES = """
CREATE TABLE work_order (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, type TEXT NOT NULL, account TEXT,
    contact_name TEXT NOT NULL, contact_phone TEXT NOT NULL, address TEXT NOT NULL, content TEXT NOT NULL,
    capacity TEXT, accepted_ms INTEGER NOT NULL
);
-- 2026-07-01 09:00 in China: the work order 202607010000000001, there from the start and long finished.
INSERT INTO work_order (request_id, type, contact_name, contact_phone, address, content, accepted_ms)
VALUES ('first', '01', '王芳', '19900000001', '示范路1号', '示范工单', 1782867600000);
"""
LARGEST_CAPACITY_KW = 100_000
INSERT = (
    "INSERT INTO work_order (request_id, type, account, contact_name, contact_phone, address, content,"
    " capacity, accepted_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
BY_ID = "SELECT type, accepted_ms FROM work_order WHERE id = ?"

REPAIR_NODES = ("受理", "派工", "到达现场", "故障处理", "恢复供电", "归档")
OPINION_NODES = ("受理", "派发", "调查处理", "回访客户", "归档")
CONNECTION_NODES = ("受理", "现场勘查", "答复供电方案", "竣工检验", "装表接电", "归档")


@dataclass(frozen=True, slots=True)
class WorkOrderType:
    """One type of work order and the fields it requires."""

    code: str
    name: str
    nodes: tuple[str, ...]
    needs_account: bool = False
    needs_capacity: bool = False


TYPES = {
    kind.code: kind
    for kind in (
        WorkOrderType("01", "故障报修", REPAIR_NODES),
        WorkOrderType("02", "投诉", OPINION_NODES),
        WorkOrderType("03", "建议", OPINION_NODES),
        WorkOrderType("04", "窃电举报", OPINION_NODES),
        WorkOrderType("05", "新装", CONNECTION_NODES, needs_capacity=True),
        WorkOrderType("06", "增容/减容", CONNECTION_NODES, needs_account=True, needs_capacity=True),
    )
}


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
        number = fields.text("woNo", 20)
        order_id = int(number[8:]) if number.isascii() and number.isdigit() and len(number) == 18 else -1
        row = self._connection.execute(BY_ID, (order_id,)).fetchone()
        if row is None or work_order_number(order_id, _moment(row[1])) != number:
            raise Refusal(Code.NO_SUCH_WORK_ORDER)
        kind, accepted = TYPES[row[0]], _moment(row[1])
        reached = self._nodes_reached(kind, accepted)
        finished = reached == len(kind.nodes)
        data = {
            "woNo": number,
            "woType": kind.code,
            "woTypeName": kind.name,
            "woStatus": "30" if finished else "20" if reached > 1 else "10",
            "woStatusName": "已归档" if finished else "处理中" if reached > 1 else "已受理",
            "curNode": kind.nodes[reached - 1],
            "nodeList": [
                {
                    "nodeNo": i + 1,
                    "nodeName": kind.nodes[i],
                    "nodeTime": legacy_time(self._node_time(accepted, i)),
                }
                for i in range(reached)
            ],
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
            int(accepted.timestamp() * 1000),
        )
        order_id = connection.execute(INSERT, row).lastrowid
        assert order_id is not None, "an INSERT into a table with an integer key gives one"
        data = {
            "reqId": order.request_id,
            "woNo": work_order_number(order_id, accepted),
            "woType": order.kind.code,
        }
        return success({**data, "acceptTime": legacy_time(accepted)})

    def _nodes_reached(self, kind: WorkOrderType, accepted: datetime) -> int:
        elapsed = (self._clock.now() - accepted).total_seconds()
        return max(1, min(len(kind.nodes), 1 + int(elapsed // self._node_seconds)))

    def _node_time(self, accepted: datetime, index: int) -> datetime:
        return accepted + timedelta(seconds=index * self._node_seconds)


def work_order_number(order_id: int, accepted: datetime) -> str:
    """The number customers see: the day of acceptance and ten digits of the serial number."""
    return f"{accepted:%Y%m%d}{order_id:010d}"


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, CHINA_STANDARD_TIME)

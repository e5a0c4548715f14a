"""Work orders as they are kept, and how far each is at a moment.

A work order progresses by itself: node number i, counted from 0, is reached i × `node_seconds` after its acceptance.
One that waits for somebody (`stays_at`) goes no further than that node; one that is cancelled goes no further at all.
"""

import sqlite3
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from scripts.tools.marketing_simulator.clock import CHINA_STANDARD_TIME, legacy_time

COLUMNS = "id, type, account, contact_phone, accepted_ms, stays_at, cancelled_ms, score, comment, rated_ms"
BY_ID = f"SELECT {COLUMNS} FROM work_order WHERE id = ?"  # noqa: S608 - a constant
OF_ACCOUNT = (
    f"SELECT {COLUMNS} FROM work_order WHERE account = ? AND accepted_ms BETWEEN ? AND ?"  # noqa: S608
    " ORDER BY id DESC"
)
CANCEL_NODE = "撤销"

REPAIR_NODES = ("受理", "派工", "到达现场", "故障处理", "恢复供电", "归档")
METER_NODES = ("受理", "派工", "现场核查", "换表", "归档")
OPINION_NODES = ("受理", "派发", "调查处理", "回访客户", "归档")
INQUIRY_NODES = ("受理", "答复", "归档")
CONNECTION_NODES = ("受理", "现场勘查", "答复供电方案", "竣工检验", "装表接电", "归档")


@dataclass(frozen=True, slots=True)
class WorkOrderType:
    """One type of work order, the fields it requires, and in how many of its first nodes it can be cancelled."""

    code: str
    name: str
    nodes: tuple[str, ...]
    needs_account: bool = False
    needs_capacity: bool = False
    cancellable: int = 2


TYPES = {
    kind.code: kind
    for kind in (
        WorkOrderType("01", "故障报修", REPAIR_NODES),
        WorkOrderType("02", "投诉", OPINION_NODES),
        WorkOrderType("03", "建议", OPINION_NODES),
        WorkOrderType("04", "窃电举报", OPINION_NODES),
        WorkOrderType("05", "新装", CONNECTION_NODES, needs_capacity=True, cancellable=3),
        WorkOrderType("06", "增容/减容", CONNECTION_NODES, needs_account=True, needs_capacity=True, cancellable=3),
        WorkOrderType("07", "计量异常", METER_NODES, needs_account=True),
        WorkOrderType("08", "账单咨询", INQUIRY_NODES, needs_account=True, cancellable=1),
        WorkOrderType("09", "电压/水压/供热质量", REPAIR_NODES, needs_account=True),
        WorkOrderType("10", "水质问题", REPAIR_NODES),
        WorkOrderType("11", "管网漏水", REPAIR_NODES),
        WorkOrderType("12", "业务咨询", INQUIRY_NODES, cancellable=1),
        WorkOrderType("13", "表扬", INQUIRY_NODES, cancellable=1),
    )
}


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """One row."""

    id: int
    kind: WorkOrderType
    account: str | None
    contact_phone: str
    accepted: datetime
    stays_at: int | None
    """The number of the node, counted from 0, that it does not leave."""
    cancelled: datetime | None
    score: int | None
    comment: str | None
    rated: datetime | None

    @property
    def number(self) -> str:
        """The number customers see: the day of acceptance and ten digits of the serial number."""
        return work_order_number(self.id, self.accepted)

    def reached(self, now: datetime, node_seconds: float) -> int:
        """How many of its nodes it has reached by then."""
        elapsed = ((self.cancelled or now) - self.accepted).total_seconds()
        last = len(self.kind.nodes) if self.stays_at is None else self.stays_at + 1
        return max(1, min(last, 1 + int(elapsed // node_seconds)))

    def finished(self, now: datetime, node_seconds: float) -> bool:
        """Whether it is through; what is cancelled never is."""
        return self.cancelled is None and self.reached(now, node_seconds) == len(self.kind.nodes)

    def cancellable(self, now: datetime, node_seconds: float) -> bool:
        """Whether it is still in one of the nodes in which it can be cancelled."""
        return self.cancelled is None and self.reached(now, node_seconds) <= self.kind.cancellable

    def status(self, now: datetime, node_seconds: float) -> tuple[str, str]:
        """Code and name."""
        if self.cancelled is not None:
            return "40", "已撤销"
        if self.finished(now, node_seconds):
            return "30", "已归档"
        return ("20", "处理中") if self.reached(now, node_seconds) > 1 else ("10", "已受理")

    def nodes(self, now: datetime, node_seconds: float) -> list[dict[str, object]]:
        """The nodes reached, as the interfaces tell them."""
        times = [(name, self.accepted + timedelta(seconds=i * node_seconds)) for i, name in enumerate(self.kind.nodes)]
        told = times[: self.reached(now, node_seconds)]
        if self.cancelled is not None:
            told.append((CANCEL_NODE, self.cancelled))
        return [
            {"nodeNo": i, "nodeName": name, "nodeTime": legacy_time(moment)} for i, (name, moment) in enumerate(told, 1)
        ]


def work_order_number(order_id: int, accepted: datetime) -> str:
    """The number customers see: the day of acceptance and ten digits of the serial number."""
    return f"{accepted:%Y%m%d}{order_id:010d}"


def find(connection: sqlite3.Connection, number: str) -> StoredOrder | None:
    """The work order with this number."""
    order_id = int(number[8:]) if number.isascii() and number.isdigit() and len(number) == 18 else -1
    row = connection.execute(BY_ID, (order_id,)).fetchone()
    order = None if row is None else _stored(row)
    return order if order is not None and order.number == number else None


def of_account(
    connection: sqlite3.Connection, account: str, first: date | None, last: date | None
) -> list[StoredOrder]:
    """The work orders of an account that were accepted on these days, the latest first."""
    bounds = (_midnight_ms(first or date(1970, 1, 2)), _midnight_ms((last or date(9999, 12, 30)) + timedelta(1)) - 1)
    return [_stored(row) for row in connection.execute(OF_ACCOUNT, (account, *bounds)).fetchall()]


def moment(epoch_ms: int) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(epoch_ms / 1000, CHINA_STANDARD_TIME)


def epoch_ms(moment: datetime) -> int:
    """A time as it is stored."""
    return int(moment.timestamp() * 1000)


def _midnight_ms(day: date) -> int:
    return epoch_ms(datetime.combine(day, time(), CHINA_STANDARD_TIME))


def _stored(row: tuple[Any, ...]) -> StoredOrder:
    id, kind, account, phone, accepted, stays_at, cancelled, score, comment, rated = row
    return StoredOrder(
        id,
        TYPES[kind],
        account,
        phone,
        moment(accepted),
        stays_at,
        None if cancelled is None else moment(cancelled),
        score,
        comment,
        None if rated is None else moment(rated),
    )

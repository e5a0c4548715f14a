"""Reports of theft (窃电举报): anonymous ones have no contact, and their number is all that progress is asked with.

A number holds eight random digits, so nobody finds another's report by counting. A report goes on as a work order
does: node number i, counted from 0, is reached i × `node_seconds` after it came.
"""

import re
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import timedelta

from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import PHONE, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.files import check_known
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import Code, Refusal, success
from scripts.tools.marketing_simulator.stored_orders import epoch_ms, moment

TABLES = """
CREATE TABLE theft_report (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, number TEXT NOT NULL UNIQUE, address TEXT NOT NULL,
    content TEXT NOT NULL, contact_name TEXT, contact_phone TEXT, reported_ms INTEGER NOT NULL
);
CREATE TABLE theft_report_file (report INTEGER NOT NULL, file TEXT NOT NULL);
-- 2025-11-03 11:00 in China: there from the start and long finished
INSERT INTO theft_report (request_id, number, address, content, reported_ms)
VALUES ('first-report', 'JB2025110300000173104825', '示范路3号', '示范举报', 1762138800000);
"""
INSERT = (
    "INSERT INTO theft_report (request_id, number, address, content, contact_name, contact_phone, reported_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
NEXT_ID = "SELECT coalesce(max(id), 0) + 1 FROM theft_report"
INSERT_FILE = "INSERT INTO theft_report_file VALUES (?, ?)"
BY_NUMBER = "SELECT reported_ms FROM theft_report WHERE number = ?"
NUMBER = re.compile(r"[A-Z0-9]{4,40}")
NODES = ("受理", "现场核查", "处理", "归档")


class TheftReports:
    """The interfaces for reports of theft: they read over `connection` and write through `effects`."""

    def __init__(
        self, connection: sqlite3.Connection, effects: EffectWriter, clock: Clock, *, node_seconds: float
    ) -> None:
        self._connection = connection
        self._effects = effects
        self._clock = clock
        self._node_seconds = node_seconds

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/theft/report", effect=self.report)
        yield Interface("/api/theft/progress", query=self.progress)

    async def report(self, fields: Fields) -> Applied:
        """`/api/theft/report`: with a contact (name and telephone) or without."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        address, content = fields.text("addr", 256), fields.text("content", 2000)
        contact = fields.optional_text("informName", 64), fields.optional_text("informTel", 20, PHONE)
        if (contact[0] is None) is not (contact[1] is None):
            raise Refusal(Code.INVALID_FIELD, "informName" if contact[0] is None else "informTel")
        files = fields.texts("attachIds", 64, 10)

        def perform(connection: sqlite3.Connection) -> str:
            check_known(connection, files)
            reported = self._clock.now()
            (id,) = connection.execute(NEXT_ID).fetchone()
            number = f"JB{reported:%Y%m%d}{id:06d}{secrets.randbelow(10**8):08d}"
            connection.execute(INSERT, (request_id, number, address, content, *contact, epoch_ms(reported)))
            connection.executemany(INSERT_FILE, [(id, file) for file in files])
            return success({"reqId": request_id, "rptNo": number, "rptTime": legacy_time(reported)})

        return await self._effects.apply(request_id, "theft/report", perform, once=False)

    def progress(self, fields: Fields) -> bytes:
        """`/api/theft/progress`: the nodes reached so far; nothing of the place, nothing of the reporter."""
        number = fields.text("rptNo", 40, NUMBER)
        row = self._connection.execute(BY_NUMBER, (number,)).fetchone()
        if row is None:
            raise Refusal(Code.NO_SUCH_REPORT)
        reported = moment(row[0])
        elapsed = (self._clock.now() - reported).total_seconds()
        reached = max(1, min(len(NODES), 1 + int(elapsed // self._node_seconds)))
        code, name = (
            ("30", "已归档") if reached == len(NODES) else ("20", "处理中") if reached > 1 else ("10", "已受理")
        )
        data = {
            "rptNo": number,
            "rptStatus": code,
            "rptStatusName": name,
            "nodeList": [
                {
                    "nodeNo": i + 1,
                    "nodeName": NODES[i],
                    "nodeTime": legacy_time(reported + timedelta(seconds=i * self._node_seconds)),
                }
                for i in range(reached)
            ],
        }
        return success(data).encode()

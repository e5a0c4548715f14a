"""Business expansion (业扩报装): applications, papers handed in later, progress by key nodes, papers needed.

An application is planned to reach node number i, counted from 0, i × `node_seconds` after its acceptance. Past its
first node it goes only when no required paper is missing: it reaches node i that long after the last one came.
"""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, PHONE, REQUEST_ID, Fields, dialled
from scripts.tools.marketing_simulator.files import check_known
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.payment_rows import UNPAID_BILLS
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success
from scripts.tools.marketing_simulator.stored_orders import epoch_ms, moment
from scripts.tools.marketing_simulator.work_orders import LARGEST_CAPACITY_KW

TABLES = """
CREATE TABLE application (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, type TEXT NOT NULL, customer_type TEXT NOT NULL,
    name TEXT NOT NULL, certificate TEXT NOT NULL, contact_name TEXT NOT NULL, contact_phone TEXT NOT NULL,
    account TEXT, address TEXT, capacity TEXT, purpose TEXT, new_customer_type TEXT, new_name TEXT,
    new_certificate TEXT, remark TEXT, accepted_ms INTEGER NOT NULL, complete_ms INTEGER
);
CREATE TABLE application_paper (
    application INTEGER NOT NULL, paper TEXT NOT NULL, PRIMARY KEY (application, paper)
) WITHOUT ROWID;
CREATE TABLE application_supplement (
    id INTEGER PRIMARY KEY AUTOINCREMENT, application INTEGER NOT NULL, request_id TEXT NOT NULL, note TEXT,
    received_ms INTEGER NOT NULL
);
CREATE TABLE application_file (request_id TEXT NOT NULL, application INTEGER NOT NULL, file TEXT NOT NULL);
-- 2025-11-03 09:30 in China: SQ202511030000000001, of a company, which has handed in one of its papers
INSERT INTO application (request_id, type, customer_type, name, certificate, contact_name, contact_phone, address,
    capacity, purpose, accepted_ms)
VALUES ('first-application', '101', '2', '云河市示范商贸有限公司', '9199010110000000XX', '王芳', '19900000001',
    '示范路2号', '80', '2', 1762133400000);
INSERT INTO application_paper VALUES (1, 'B01');
"""
INSERT = (
    "INSERT INTO application (request_id, type, customer_type, name, certificate, contact_name, contact_phone, account,"
    " address, capacity, purpose, new_customer_type, new_name, new_certificate, remark, accepted_ms, complete_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
BY_ID = "SELECT id, type, customer_type, contact_phone, accepted_ms, complete_ms FROM application WHERE id = ?"
PAPERS_OF = "SELECT paper FROM application_paper WHERE application = ?"
INSERT_PAPER = "INSERT OR IGNORE INTO application_paper VALUES (?, ?)"
INSERT_FILE = "INSERT INTO application_file VALUES (?, ?, ?)"
INSERT_SUPPLEMENT = (
    "INSERT INTO application_supplement (application, request_id, note, received_ms) VALUES (?, ?, ?, ?)"
)
COMPLETE = "UPDATE application SET complete_ms = ? WHERE id = ? AND complete_ms IS NULL"

PERSON, COMPANY = "1", "2"
CERTIFICATES = {PERSON: re.compile(r"[0-9]{17}[0-9X]"), COMPANY: re.compile(r"[0-9A-Z]{18}")}
PURPOSES = {"1": "居民生活", "2": "商业", "3": "工业", "4": "农业生产"}
NUMBER = re.compile(r"SQ([0-9]{8})([0-9]{10})")
PAPERS = {
    "A01": "有效身份证明",
    "A02": "用电地址权属证明",
    "B01": "营业执照",
    "B03": "授权委托书",
    "C01": "用电设备清单",
    "D01": "过户协议",
}
NOTES = {"B03": "经办人办理时提供", "D01": "原户主不到场时提供"}

CONNECTION_NODES = ("业务受理", "现场勘查", "答复供电方案", "竣工检验", "装表接电", "归档")
REDUCTION_NODES = ("业务受理", "现场勘查", "现场减容", "归档")
TRANSFER_NODES = ("业务受理", "资料审核", "电费结清", "合同签订", "归档")
CLOSE_NODES = ("业务受理", "现场拆表", "电费结算", "归档")


@dataclass(frozen=True, slots=True)
class Business:
    """One kind of application: its nodes, the fields it requires, and its papers by kind of customer."""

    code: str
    name: str
    nodes: tuple[str, ...]
    required: dict[str, tuple[str, ...]]
    """Customer type → papers that must be there; a type that is missing cannot apply."""
    optional: tuple[str, ...] = ("B03",)
    needs_account: bool = True
    needs_capacity: bool = False
    needs_new_holder: bool = False
    settles: bool = False
    """Refused while a bill is unpaid."""


BUSINESSES = {
    kind.code: kind
    for kind in (
        Business(
            "101",
            "新装",
            CONNECTION_NODES,
            {PERSON: ("A01", "A02"), COMPANY: ("B01", "A02", "C01")},
            needs_account=False,
            needs_capacity=True,
        ),
        Business("102", "增容", CONNECTION_NODES, {PERSON: ("A01",), COMPANY: ("B01", "C01")}, needs_capacity=True),
        Business("103", "减容", REDUCTION_NODES, {COMPANY: ("B01",)}, needs_capacity=True),
        Business(
            "201",
            "过户",
            TRANSFER_NODES,
            {PERSON: ("A01", "A02"), COMPANY: ("B01", "A02")},
            ("B03", "D01"),
            needs_new_holder=True,
            settles=True,
        ),
        Business("202", "销户", CLOSE_NODES, {PERSON: ("A01",), COMPANY: ("B01",)}, settles=True),
    )
}


@dataclass(frozen=True, slots=True)
class StoredApplication:
    """What is needed of a row."""

    id: int
    business: Business
    customer: str
    contact_phone: str
    accepted: datetime
    complete: datetime | None
    """When the last paper that is required came."""
    papers: frozenset[str]

    @property
    def number(self) -> str:
        """The number customers see."""
        return application_number(self.id, self.accepted)

    def reached(self, now: datetime, node_seconds: float) -> int:
        """How many of its nodes it has reached by then."""
        if self.complete is None:
            return 1
        elapsed = (now - self.complete).total_seconds()
        return max(1, min(len(self.business.nodes), 1 + int(elapsed // node_seconds)))

    def finished(self, now: datetime, node_seconds: float) -> bool:
        """Whether it is through."""
        return self.reached(now, node_seconds) == len(self.business.nodes)


class Applications:
    """The interfaces of business expansion: they read over `connection` and write through `effects`."""

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
        yield Interface("/api/app/papers", query=self.papers)
        yield Interface("/api/app/progress", query=self.progress)
        yield Interface("/api/app/create", effect=self.create)
        yield Interface("/api/app/supplement", effect=self.supplement)

    def papers(self, fields: Fields) -> bytes:
        """`/api/app/papers`: what an application of this type needs."""
        business, customer = _business(fields)
        codes = [(code, "1") for code in business.required[customer]] + [(code, "0") for code in business.optional]
        lines = [{**_paper(code), "mustFlag": must, "remark": NOTES.get(code)} for code, must in codes]
        return success({"appType": business.code, "custType": customer, "dataList": lines}).encode()

    def progress(self, fields: Fields) -> bytes:
        """`/api/app/progress`: every node with its planned date and, once it is reached, its own."""
        found = _find(self._connection, fields.text("appNo", 20))
        if found is None:
            raise Refusal(Code.NO_SUCH_APPLICATION)
        now, names = self._clock.now(), found.business.nodes
        reached, missing = found.reached(now, self._node_seconds), _missing(found)
        if missing:
            status, waits = ("10", "待补资料"), "客户补交资料：" + "、".join(PAPERS[code] for code in missing)
        elif found.finished(now, self._node_seconds):
            status, waits = ("30", "已办结"), None
        else:
            status, waits = ("20", "办理中"), names[reached]
        data = {
            "appNo": found.number,
            "appType": found.business.code,
            "appTypeName": found.business.name,
            "appStatus": status[0],
            "appStatusName": status[1],
            "waitFor": waits,
            "lackList": [_paper(code) for code in missing],
            "nodeList": [
                {
                    "nodeNo": i + 1,
                    "nodeName": name,
                    "planDate": self._node_time(found.accepted, i),
                    "doneDate": self._node_time((found.complete if i else None) or found.accepted, i)
                    if i < reached
                    else None,
                }
                for i, name in enumerate(names)
            ],
        }
        return success(data).encode()

    async def create(self, fields: Fields) -> Applied:
        """`/api/app/create`: an application, with what papers there are."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        business, customer = _business(fields)
        papers, files = _papers_given(fields, business, customer), fields.texts("attachIds", 64, 10)
        values = (
            request_id,
            business.code,
            customer,
            *_holder(fields, "custName", "certNo", customer),
            fields.text("linkMan", 64),
            fields.text("linkTel", 20, PHONE),
            self._account(fields, business),
            *self._supply(fields, business),
            *_new_holder(fields, business),
            fields.optional_text("remark", 500),
        )

        def perform(connection: sqlite3.Connection) -> str:
            check_known(connection, files)
            accepted = self._clock.now()
            missing = [code for code in business.required[customer] if code not in papers]
            times = epoch_ms(accepted), None if missing else epoch_ms(accepted)
            id = connection.execute(INSERT, (*values, *times)).lastrowid
            assert id is not None, "an INSERT into a table with an integer key gives one"
            _keep(connection, id, request_id, papers, files)
            data = {"reqId": request_id, "appNo": application_number(id, accepted), "acceptTime": legacy_time(accepted)}
            return success({**data, "lackList": [_paper(code) for code in missing]})

        return await self._effects.apply(request_id, "app/create", perform, once=False)

    async def supplement(self, fields: Fields) -> Applied:
        """`/api/app/supplement`: papers that come later; of another's application there is none."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        number, phone = fields.text("appNo", 20), fields.text("linkTel", 20, PHONE)
        papers, files = fields.texts("dataNos", 20, 20), fields.texts("attachIds", 64, 10)
        note = fields.optional_text("remark", 500)
        if not files and note is None:
            raise Refusal(Code.INVALID_FIELD, "attachIds")

        def perform(connection: sqlite3.Connection) -> str:
            found, now = _find(connection, number), self._clock.now()
            if found is None or dialled(phone) != dialled(found.contact_phone):
                raise Refusal(Code.NO_SUCH_APPLICATION)
            if found.finished(now, self._node_seconds):
                raise Refusal(Code.APPLICATION_FINISHED)
            check_known(connection, files)
            _known(papers, found.business, found.customer)
            connection.execute(INSERT_SUPPLEMENT, (found.id, request_id, note, epoch_ms(now)))
            _keep(connection, found.id, request_id, papers, files)
            missing = [code for code in _missing(found) if code not in papers]
            if not missing:
                connection.execute(COMPLETE, (epoch_ms(now), found.id))
            data = {"reqId": request_id, "appNo": found.number, "receiveTime": legacy_time(now)}
            return success({**data, "lackList": [_paper(code) for code in missing]})

        return await self._effects.apply(request_id, "app/supplement", perform, once=False)

    def _account(self, fields: Fields, business: Business) -> str | None:
        if not business.needs_account:
            return None
        account = fields.text("consNo", 13, ACCOUNT)
        found = self._queries.account(account)
        if found.closed:
            raise Refusal(Code.ACCOUNT_CLOSED)
        unpaid = self._connection.execute(UNPAID_BILLS, (found.number,)).fetchall() if business.settles else ()
        if any(amount > 0 for _, _, amount, _ in unpaid):
            raise Refusal(Code.IN_ARREARS)
        return account

    def _supply(self, fields: Fields, business: Business) -> tuple[str | None, str | None, str | None]:
        """Address, capacity and purpose."""
        capacity = fields.optional_number("applyCap")
        if business.needs_capacity and (capacity is None or not 0 < capacity <= LARGEST_CAPACITY_KW):
            raise Refusal(Code.CAPACITY)
        address = purpose = None
        if not business.needs_account:  # a new connection
            address, purpose = fields.text("elecAddr", 256), fields.text("elecType", 1)
            if purpose not in PURPOSES:
                raise Refusal(Code.INVALID_FIELD, "elecType")
        return address, _written(capacity) if business.needs_capacity else None, purpose

    def _node_time(self, start: datetime, index: int) -> str:
        return legacy_time(start + timedelta(seconds=index * self._node_seconds))


def application_number(application_id: int, accepted: datetime) -> str:
    """`SQ`, the day of acceptance and ten digits of the serial number."""
    return f"SQ{accepted:%Y%m%d}{application_id:010d}"


def _business(fields: Fields) -> tuple[Business, str]:
    business, customer = BUSINESSES.get(fields.text("appType", 3)), fields.text("custType", 1)
    if business is None or customer not in CERTIFICATES:
        raise Refusal(Code.INVALID_FIELD, "appType" if business is None else "custType")
    if customer not in business.required:
        raise Refusal(Code.APPLICATION_NOT_OFFERED)
    return business, customer


def _holder(fields: Fields, name: str, certificate: str, customer: str) -> tuple[str, str]:
    return fields.text(name, 100), fields.text(certificate, 18, CERTIFICATES[customer])


def _new_holder(fields: Fields, business: Business) -> tuple[str | None, str | None, str | None]:
    if not business.needs_new_holder:
        return None, None, None
    customer = fields.text("newCustType", 1)
    if customer not in CERTIFICATES:
        raise Refusal(Code.INVALID_FIELD, "newCustType")
    return customer, *_holder(fields, "newCustName", "newCertNo", customer)


def _papers_given(fields: Fields, business: Business, customer: str) -> tuple[str, ...]:
    papers = fields.texts("dataNos", 20, 20)
    _known(papers, business, customer)
    return papers


def _known(papers: tuple[str, ...], business: Business, customer: str) -> None:
    if not {*papers} <= {*business.required[customer], *business.optional}:
        raise Refusal(Code.NO_SUCH_PAPER)


def _keep(
    connection: sqlite3.Connection, id: int, request_id: str, papers: tuple[str, ...], files: tuple[str, ...]
) -> None:
    connection.executemany(INSERT_PAPER, [(id, paper) for paper in papers])
    connection.executemany(INSERT_FILE, [(request_id, id, file) for file in files])


def _find(connection: sqlite3.Connection, number: str) -> StoredApplication | None:
    written = NUMBER.fullmatch(number)
    row: Any = written and connection.execute(BY_ID, (int(written[2]),)).fetchone()
    if not row:
        return None
    id, kind, customer, phone, accepted, complete = row
    papers = frozenset(paper for (paper,) in connection.execute(PAPERS_OF, (id,)))
    found = StoredApplication(
        id,
        BUSINESSES[kind],
        customer,
        phone,
        moment(accepted),
        None if complete is None else moment(complete),
        papers,
    )
    return found if found.number == number else None


def _missing(found: StoredApplication) -> list[str]:
    return [code for code in found.business.required[found.customer] if code not in found.papers]


def _paper(code: str) -> dict[str, str | None]:
    return {"dataNo": code, "dataName": PAPERS[code]}


def _written(number: Decimal | None) -> str | None:
    return None if number is None else str(number)

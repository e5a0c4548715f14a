"""What the read tables hold, made of what the interfaces answer: the same business, written down beforehand."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from math import cos, pi, radians
from typing import Any, NamedTuple

from scripts.tools.marketing_simulator import public
from scripts.tools.marketing_simulator.applications import BUSINESSES, CERTIFICATES, application_number
from scripts.tools.marketing_simulator.clock import CHINA_STANDARD_TIME, Clock, legacy_time
from scripts.tools.marketing_simulator.faces.gbk import element_name
from scripts.tools.marketing_simulator.faces.sql.store import Change, Row, Rows
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.months import month_of, shifted
from scripts.tools.marketing_simulator.population import BILLED_MONTHS
from scripts.tools.marketing_simulator.responses import Refusal, to_json
from scripts.tools.marketing_simulator.stored_orders import find, moment, work_order_number

DAYS_OF_MONTHS = 3
"""Days are told of the running month and of those before it, so many in all."""
OUTAGES_SINCE_DAYS, OUTAGES_DAYS = 30, 92
DEGREE_M = public.EARTH_RADIUS_M * pi / 180
PAGE = 5

ACCOUNTS = "SELECT account FROM customer ORDER BY account"
ORDERS = "SELECT id, accepted_ms FROM work_order ORDER BY id"
APPLICATIONS = "SELECT id, accepted_ms FROM application ORDER BY id"
REPORTS = "SELECT number FROM theft_report ORDER BY id"
USERS = "SELECT user FROM binding UNION SELECT user FROM real_name"
TOKENS = "SELECT token || ' ' || user FROM match_token"
CHANNEL_PAYMENTS = "SELECT channel, serial, line FROM payment WHERE account = ?"
PAID_REQUESTS = (
    "SELECT request_id FROM journal WHERE operation IN ('pay/writeoff', 'pay/prepay')"
    " AND answer ->> '$.data.payNo' IS NOT NULL"
)
PAYMENT_OF_REQUEST = "SELECT answer ->> '$.data.payNo' FROM journal WHERE request_id = ?"


class Subject(NamedTuple):
    """What a change is about."""

    kind: str
    key: str = ""


PUBLIC = Subject("public")
KEYS = {
    "consNo": "account",
    "woNo": "order",
    "appNo": "application",
    "rptNo": "report",
    "appUser": "user",
}
"""Field of an answer → the kind of thing it names."""


def subjects(answer: bytes) -> Iterator[Subject]:
    """What an answer to a request that changed something is about."""
    data = json.loads(answer).get("data") or {}
    for name, kind in KEYS.items():
        if isinstance(data.get(name), str):
            yield Subject(kind, data[name])
    if "matchToken" in data:
        yield Subject("token", f"{data['matchToken']} {data['appUser']}")
    if "payNo" in data:
        yield Subject("payment", data["reqId"])


class Export(NamedTuple):
    """The rows of a subject."""

    change: Change
    until: datetime | None = None
    """When time changes them; None: only a request does."""


class Exports:
    """Makes the rows, by the interfaces and a connection for reading."""

    def __init__(
        self, offered: Sequence[Interface], reading: sqlite3.Connection, clock: Clock, node_seconds: float
    ) -> None:
        self._queries = {one.path: one.query for one in offered if one.query is not None}
        self._reading, self._clock, self._node_seconds = reading, clock, node_seconds
        self._makers: Mapping[str, Callable[[str], Export]] = {
            "account": self._account,
            "order": self._order,
            "application": self._application,
            "report": self._report,
            "user": self._user,
            "token": self._token,
            "payment": self._payment,
            "public": self._public,
        }

    def all(self) -> Iterator[Subject]:
        """Everything there is."""
        yield PUBLIC
        for kind, statement in (("account", ACCOUNTS), ("report", REPORTS), ("user", USERS), ("token", TOKENS)):
            yield from (Subject(kind, key) for (key,) in self._reading.execute(statement).fetchall())
        for id, accepted in self._reading.execute(ORDERS).fetchall():
            yield Subject("order", work_order_number(id, moment(accepted)))
        for id, accepted in self._reading.execute(APPLICATIONS).fetchall():
            yield Subject("application", application_number(id, moment(accepted)))
        yield from (Subject("payment", id) for (id,) in self._reading.execute(PAID_REQUESTS).fetchall())

    def daily(self) -> Iterator[Subject]:
        """What another business day makes different."""
        yield PUBLIC
        yield from (Subject("account", key) for (key,) in self._reading.execute(ACCOUNTS).fetchall())

    def of(self, subject: Subject) -> Export:
        """Its rows as they are now."""
        return self._makers[subject.kind](subject.key)

    # --- one account's ----------------------------------------------------------------------------------------

    def _account(self, account: str) -> Export:
        own = {"consNo": account}
        ever = {"dateFrom": "2000-01-01", "dateTo": "2099-12-31"}
        today = self._clock.today()
        month = month_of(today)
        bills = self._ask("bill/page", **own, pageSize=BILLED_MONTHS)["billList"]
        owed = self._ask("arrears/query", **own)
        paid = self._ask("pay/list", **own, **ever)["payList"]
        span = {"ymFrom": str(shifted(month, -BILLED_MONTHS)), "ymTo": str(shifted(month, -1))}
        days = [self._ask("pq/day", **own, ym=str(shifted(month, -age))) for age in range(DAYS_OF_MONTHS)]
        price = self._ask("price/explain", **own)
        invoices = self._ask("invoice/list", **own, **span)["invList"]
        rows: dict[str, list[Row]] = {
            "INF_CONS": [_row(self._ask("cust/profile", **own))],
            "INF_BILL": [_row(own, bill, _tiers(bill["lvlList"])) for bill in bills],
            "INF_OWE": [_row(own, line, {"calcDate": owed["calcDate"]}) for line in owed.get("oweList", ())],
            "INF_BAL": [_row(self._ask("balance/query", **own))],
            "INF_INV": [_row(own, one) for one in invoices],
            "INF_INV_MON": [_row(own, {"amtYm": month}, one) for one in invoices for month in one["ymList"]],
            "INF_PAY_FLOW": [_row(own, {"rowNo": i}, line) for i, line in enumerate(paid, 1)],
            "INF_CHNL_PAY": [
                _row(self._ask("pay/state", chnlCode=channel, chnlSeq=serial, chnlLine=line))
                for channel, serial, line in self._reading.execute(CHANNEL_PAYMENTS, (account,)).fetchall()
            ],
            "INF_PQ_MON": [
                _row(own, line, _tiers(line["lvlList"])) for line in self._ask("pq/month", **own, **span)["pqList"]
            ],
            "INF_PQ_DAY_MON": [_row(one) for one in days if one],
            "INF_PQ_DAY": [_row(own, {"ym": one["ym"]}, day) for one in days if one for day in one["dayList"]],
            "INF_PQ_RT": [_row(one) for one in (self._ask("pq/realtime", **own),) if one],
            "INF_PRC": [_row(price)] if price else [],
            "INF_MR": [_row(own, line) for line in self._ask("mr/list", **own, **ever)["mrList"]],
            "INF_POINT": [_row(one) for one in (self._ask("points/query", **own),) if one],
            "INF_OUTAGE_CONS": [_row(own, one) for one in self._outages(consNo=account)],
        }
        begins = [time.fromisoformat(period["bgnTime"]) for period in price.get("prdList", ())]
        ends = [_next(self._clock.now(), begins), self._soon(any(one["invStatus"] == "01" for one in invoices))]
        until = min((end for end in ends if end is not None), default=None)
        return Export(Change("CONS_NO", account, tuple(rows), rows), until)

    def _outages(self, **asked: str) -> list[dict[str, Any]]:
        first = self._clock.today() - timedelta(days=OUTAGES_SINCE_DAYS)
        days = {"dateFrom": str(first), "dateTo": str(first + timedelta(days=OUTAGES_DAYS - 1))}
        found: list[dict[str, Any]] = self._ask("outage/list", **asked, **days)["outageList"]
        return found

    def _payment(self, request_id: str) -> Export:
        row = self._reading.execute(PAYMENT_OF_REQUEST, (request_id,)).fetchone()
        rows: Rows = {"INF_CHNL_PAY_REQ": [{"REQ_ID": request_id, "PAY_NO": row[0]}] if row and row[0] else []}
        return Export(Change("REQ_ID", request_id, tuple(rows), rows))

    # --- what is in work --------------------------------------------------------------------------------------

    def _order(self, number: str) -> Export:
        order, now, rows = find(self._reading, number), self._clock.now(), _empty("INF_WO", "INF_WO_NODE")
        if order is None:
            return Export(Change("WO_NO", number, tuple(rows), rows))
        status, name = order.status(now, self._node_seconds)
        row = {"woNo": number, "consNo": order.account, "woType": order.kind.code, "woStatus": status}
        row |= {"woStatusName": name, "acceptTime": legacy_time(order.accepted)}
        nodes = order.nodes(now, self._node_seconds)
        rows = {"INF_WO": [_row(row)], "INF_WO_NODE": [_row({"woNo": number}, node) for node in nodes]}
        last = len(order.kind.nodes) if order.stays_at is None else order.stays_at + 1
        over = order.cancelled is not None or len(nodes) >= last
        until = None if over else order.accepted + timedelta(seconds=len(nodes) * self._node_seconds)
        return Export(Change("WO_NO", number, tuple(rows), rows), until)

    def _application(self, number: str) -> Export:
        own, rows = {"appNo": number}, _empty("INF_APP", "INF_APP_NODE", "INF_APP_LACK")
        told = self._ask("app/progress", **own)
        if told:
            rows = {
                "INF_APP": [_row(told)],
                "INF_APP_NODE": [_row(own, node) for node in told["nodeList"]],
                "INF_APP_LACK": [_row(own, paper) for paper in told["lackList"]],
            }
        return Export(Change("APP_NO", number, tuple(rows), rows), self._soon(told.get("appStatus") == "20"))

    def _report(self, number: str) -> Export:
        own, rows = {"rptNo": number}, _empty("INF_THEFT", "INF_THEFT_NODE")
        told = self._ask("theft/progress", **own)
        if told:
            rows = {"INF_THEFT": [_row(told)], "INF_THEFT_NODE": [_row(own, node) for node in told["nodeList"]]}
        return Export(Change("RPT_NO", number, tuple(rows), rows), self._soon(told.get("rptStatus") in ("10", "20")))

    # --- users of the apps ------------------------------------------------------------------------------------

    def _user(self, user: str) -> Export:
        own = {"appUser": user}
        name = self._ask("cust/realName", **own)
        rows: dict[str, list[Row]] = {
            "INF_BIND": [_row(own, one) for one in self._ask("cust/bindList", **own)["consList"]],
            "INF_REAL_NAME": [_row(name)] if name["rnFlag"] == "1" else [],
        }
        return Export(Change("APP_USER", user, tuple(rows), rows))

    def _token(self, key: str) -> Export:
        token, _, user = key.partition(" ")
        own = {"matchToken": token, "appUser": user}
        told = self._ask("cust/candidates", **own)
        rows = {"INF_MATCH": [_row(own, {"expTime": told["expTime"]}, one) for one in told["consList"]] if told else []}
        until = datetime.fromisoformat(told["expTime"]).replace(tzinfo=CHINA_STANDARD_TIME) if told else None
        return Export(Change("MATCH_TOKEN", token, tuple(rows), rows), until)

    # --- what anybody may know --------------------------------------------------------------------------------

    def _public(self, _key: str) -> Export:
        outages, today = self._outages(), self._clock.today()
        rows: dict[str, list[Row]] = {
            "INF_DAY": [{"BIZ_DATE": str(today), "OUTAGE_DATE": str(today + timedelta(days=public.DEFAULT_DAYS))}],
            "INF_AREA": [{"AREA_CODE": code, "AREA_NAME": name} for code, name in public.AREAS],
            "INF_TYPE": [
                {"KIND": kind, "TYPE_CODE": code, "TYPE_NAME": name}
                for kind, names in (("news", public.NEWS_CATEGORIES), ("text", public.CATEGORIES))
                for code, name in names.items()
            ],
            "INF_OUTLET": [_row(one, _scale(one["lat"])) for one in self._ask("outlet/list", rowCnt=50)["outletList"]],
            "INF_OUTAGE": [_row(one) for one in outages],
            "INF_OUTAGE_AREA": [
                _row({"outageNo": one["outageNo"]}, area) for one in outages for area in one["areaList"]
            ],
            "INF_NEWS": [
                _row(one, {"rowNo": i}, self._ask("news/get", newsId=one["newsId"]))
                for i, one in enumerate(self._pages("news/list", "newsList"), 1)
            ],
            "INF_FAQ": [_row({"faqNo": i}, one) for i, one in enumerate(self._ask("faq/list")["faqList"], 1)],
            "INF_PLC": [_row(one) for one in self._pages("policy/list", "plcList")],
            "INF_APP_PAPER": list(self._papers()),
            "INF_GIFT": [_row(one) for one in self._gifts()],
        }
        return Export(Change(None, "", tuple(rows), rows))

    def _pages(self, path: str, items: str) -> Iterator[dict[str, Any]]:
        number = 1
        while lines := self._ask(path, pageNo=number, pageSize=PAGE)[items]:
            yield from lines
            number += 1

    def _papers(self) -> Iterator[Row]:
        for business in BUSINESSES:
            for customer in CERTIFICATES:
                own = {"appType": business, "custType": customer}
                for i, line in enumerate(self._ask("app/papers", **own).get("dataList", ()), 1):
                    yield _row(own, {"rowNo": i}, line)

    def _gifts(self) -> list[dict[str, Any]]:
        for (account,) in self._reading.execute(ACCOUNTS).fetchall():
            if told := self._ask("points/query", consNo=account):
                gifts: list[dict[str, Any]] = told["giftList"]
                return gifts
        return []

    def _soon(self, going_on: bool) -> datetime | None:
        return self._clock.now() + timedelta(seconds=min(1.0, self._node_seconds)) if going_on else None

    # --- all --------------------------------------------------------------------------------------------------

    def _ask(self, path: str, **fields: Any) -> dict[str, Any]:
        """The `data` of an interface's answer; empty where it refuses."""
        query = self._queries[f"/api/{path}"]
        try:
            told: dict[str, Any] = json.loads(query(Fields(to_json(fields).encode())))["data"]
        except Refusal:
            return {}
        return told


def _row(*parts: Mapping[str, Any]) -> Row:
    return {_column(name): value for part in parts for name, value in part.items()}


_column = lru_cache(maxsize=None)(element_name)


def _empty(*tables: str) -> dict[str, list[Row]]:
    return {table: [] for table in tables}


def _tiers(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A list of tiers as columns: lvl1Pq ..."""
    return {f"lvl{line['lvl']}{name.capitalize()}": line[name] for line in lines for name in line if name != "lvl"}


def _scale(latitude: float) -> dict[str, float]:
    return {"latM": DEGREE_M, "lngM": DEGREE_M * cos(radians(latitude))}


def _next(now: datetime, begins: Sequence[time]) -> datetime | None:
    """The next moment at one of these times of the day."""
    today = [datetime.combine(now.date(), begin, now.tzinfo) for begin in begins]
    return min((one if one > now else one + timedelta(days=1) for one in today), default=None)

"""What anybody may know (公共信息): outlets, planned and unplanned outages, news, questions, policies. Only reads.

Coordinates are GCJ-02 (国测局坐标系), the datum of public maps in China, and no other is known here: who has a position
of another datum converts it first. Distances are along the great circle, in metres.
"""

import sqlite3
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from math import asin, cos, radians, sin, sqrt
from pathlib import Path

from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.fields import ACCOUNT, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.people import DISTRICTS
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

TABLES = """
CREATE TABLE area (code TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outlet (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, area TEXT NOT NULL, address TEXT NOT NULL, phone TEXT NOT NULL,
    hours TEXT NOT NULL, services TEXT NOT NULL, latitude REAL NOT NULL, longitude REAL NOT NULL
);
CREATE TABLE outage (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, begins TEXT NOT NULL, ends TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE outage_area (
    outage INTEGER NOT NULL, area TEXT NOT NULL, streets TEXT NOT NULL, PRIMARY KEY (outage, area)
) WITHOUT ROWID;
CREATE TABLE news (
    id INTEGER PRIMARY KEY, category TEXT NOT NULL, published_on TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE faq (id INTEGER PRIMARY KEY, category TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL);
CREATE TABLE policy (
    id INTEGER PRIMARY KEY, category TEXT NOT NULL, title TEXT NOT NULL, issuer TEXT NOT NULL, document TEXT NOT NULL,
    issued_on TEXT NOT NULL, in_force_from TEXT NOT NULL, body TEXT NOT NULL
)
"""
INSERT_AREA = "INSERT INTO area VALUES (?, ?)"
INSERT_OUTLET = (
    "INSERT INTO outlet VALUES (NULL, :name, :area, :address, :phone, :hours, :services, :latitude, :longitude)"
)
INSERT_OUTAGE = "INSERT INTO outage VALUES (NULL, ?, ?, ?, ?)"
INSERT_OUTAGE_AREA = "INSERT INTO outage_area VALUES (?, ?, ?)"
INSERT_NEWS = "INSERT INTO news VALUES (NULL, :category, :published_on, :title, :body)"
INSERT_FAQ = "INSERT INTO faq VALUES (NULL, :category, :question, :answer)"
INSERT_POLICY = (
    "INSERT INTO policy VALUES (NULL, :category, :title, :issuer, :document, :issued_on, :in_force_from, :body)"
)
AREA = "SELECT code, name FROM area WHERE code = ?1 OR name = ?1 OR name = ?1 || '区'"
OUTLET_ROWS = (
    "SELECT outlet.id, outlet.name, area.code, area.name, address, phone, hours, services, latitude, longitude"
    " FROM outlet JOIN area ON area.code = outlet.area ORDER BY outlet.id"
)
OUTAGES_OF_DAYS = "SELECT id, type, begins, ends, reason FROM outage WHERE begins < ? AND ends >= ? ORDER BY begins, id"
OUTAGE_AREAS = (
    "SELECT area.code, area.name, streets FROM outage_area JOIN area ON area.code = outage_area.area WHERE outage = ?"
    " ORDER BY area.code"
)
NEWS_COUNT = "SELECT count(*) FROM news WHERE published_on <= ?1 AND (?2 IS NULL OR category = ?2)"
NEWS_PAGE = (
    "SELECT id, category, published_on, title, body FROM news"
    " WHERE published_on <= ?1 AND (?2 IS NULL OR category = ?2)"
    " ORDER BY published_on DESC, id DESC LIMIT ?3 OFFSET ?4"
)
NEWS_BY_ID = "SELECT category, published_on, title, body FROM news WHERE id = ? AND published_on <= ?"
FAQ_ROWS = (
    "SELECT id, category, question, answer FROM faq WHERE (?1 IS NULL OR category = ?1)"
    " AND (?2 IS NULL OR instr(question || answer, ?2)) ORDER BY id"
)
POLICY_ROWS = (
    "SELECT id, category, title, issuer, document, issued_on, in_force_from, body FROM policy"
    " WHERE issued_on <= ?1 AND (?2 IS NULL OR category = ?2) AND (?3 IS NULL OR instr(title || body, ?3))"
    " ORDER BY issued_on DESC, id"
)

TEXTS = Path(__file__).with_name("public.toml")
AREAS = tuple((str(990101 + count), name) for count, name in enumerate(DISTRICTS))
"""Code and name of each district; no place has these codes."""
CATEGORIES = {"01": "电费缴纳", "02": "电价政策", "03": "停电报修", "04": "业务办理"}
"""Of questions and policies."""
NEWS_CATEGORIES = {"01": "新闻", "02": "公告"}
EARTH_RADIUS_M = 6_371_008.8
"""Mean radius, IUGG."""
DEFAULT_DAYS = 30
LONGEST_DAYS = 92
SUMMARY_CHARACTERS = 30


def fill(connection: sqlite3.Connection, today: date) -> None:
    """Write down what is published; outages lie around the business day."""
    texts = tomllib.loads(TEXTS.read_text(encoding="utf-8"))
    for table in ("news", "faq", "policy"):
        for row in texts[table]:
            for name, value in row.items():
                row[name] = value.replace("\n", "\r\n")
    connection.executemany(INSERT_AREA, AREAS)
    connection.executemany(INSERT_OUTLET, [row | {"services": ",".join(row["services"])} for row in texts["outlet"]])
    for row in texts["outage"]:
        day = today + timedelta(days=row["day"])
        begins, ends = f"{day} {row['begin']}:00", f"{day} {row['end']}:00"
        outage = connection.execute(INSERT_OUTAGE, (row["type"], begins, ends, row["reason"])).lastrowid
        areas = [(outage, area, ",".join(streets)) for area, streets in row["areas"].items()]
        connection.executemany(INSERT_OUTAGE_AREA, areas)
    connection.executemany(INSERT_NEWS, texts["news"])
    connection.executemany(INSERT_FAQ, texts["faq"])
    connection.executemany(INSERT_POLICY, texts["policy"])


def distance_m(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> int:
    """Along the great circle between two points of one datum (haversine), in whole metres."""
    north, other_north = radians(latitude), radians(other_latitude)
    half = sin((other_north - north) / 2) ** 2
    half += cos(north) * cos(other_north) * sin(radians(other_longitude - longitude) / 2) ** 2
    return round(2 * EARTH_RADIUS_M * asin(sqrt(half)))


class Public:
    """Reads the database over a read-only connection."""

    def __init__(self, connection: sqlite3.Connection, queries: Queries, clock: Clock) -> None:
        self._connection = connection
        self._queries = queries
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of it."""
        yield Interface("/api/outlet/list", query=self.outlets)
        yield Interface("/api/outage/list", query=self.outages)
        yield Interface("/api/news/list", query=self.news)
        yield Interface("/api/news/get", query=self.news_item)
        yield Interface("/api/faq/list", query=self.faqs)
        yield Interface("/api/policy/list", query=self.policies)

    def outlets(self, fields: Fields) -> bytes:
        """The outlets of `area`, or those around `lat`, `lng` (GCJ-02), the nearest first, within `radius` metres."""
        wanted = fields.optional_text("area", 40)
        area = None if wanted is None else self._area(wanted)[0]
        latitude, longitude = fields.optional_number("lat"), fields.optional_number("lng")
        radius = fields.optional_number("radius")
        if (latitude is None) != (longitude is None):
            raise Refusal(Code.INVALID_FIELD, "lng" if longitude is None else "lat")
        if latitude is not None and not -90 <= latitude <= 90:
            raise Refusal(Code.INVALID_FIELD, "lat")
        if longitude is not None and not -180 <= longitude <= 180:
            raise Refusal(Code.INVALID_FIELD, "lng")
        most = fields.whole("rowCnt", 1, 50, 20)
        found = []
        for id, name, code, area_name, address, phone, hours, services, lat, lng in self._connection.execute(
            OUTLET_ROWS
        ):
            distance = None
            if latitude is not None and longitude is not None:
                distance = distance_m(float(latitude), float(longitude), lat, lng)
            if (area is None or area == code) and (radius is None or distance is None or distance <= radius):
                line = {
                    "outletNo": f"YH{id:04d}",
                    "outletName": name,
                    "areaCode": code,
                    "areaName": area_name,
                    "addr": address,
                    "tel": phone,
                    "bizTime": hours,
                    "bizList": services.split(","),
                    "lat": lat,
                    "lng": lng,
                    "dist": distance,
                }
                found.append((distance or 0, line))
        found.sort(key=lambda one: one[0])
        data = {"coordSys": "GCJ02", "outletCnt": len(found), "outletList": [line for _, line in found[:most]]}
        return success(data).encode()

    def outages(self, fields: Fields) -> bytes:
        """Outages of days `dateFrom` to `dateTo`, by default `DEFAULT_DAYS` from today; of an area or account."""
        account = fields.optional_text("consNo", 13, ACCOUNT)
        wanted = fields.optional_text("area", 40)
        first = fields.optional_day("dateFrom") or self._clock.today()
        last = fields.optional_day("dateTo") or first + timedelta(days=DEFAULT_DAYS)
        if not 0 <= (last - first).days < LONGEST_DAYS:
            raise Refusal(Code.DAY_RANGE, f"1 to {LONGEST_DAYS} days")
        area = None if wanted is None else self._area(wanted)[0]
        address = None if account is None else self._queries.account(account).address
        span = (f"{last + timedelta(days=1)} 00:00:00", f"{first} 00:00:00")
        found = []
        for id, kind, begins, ends, reason in self._connection.execute(OUTAGES_OF_DAYS, span).fetchall():
            areas = self._outage_areas(id)
            if area is not None and all(code != area for code, _, _ in areas):
                continue
            if address is not None and not any(_lies_in(address, name, streets) for _, name, streets in areas):
                continue
            found.append(
                {
                    "outageNo": f"TD{id:06d}",
                    "outageType": kind,
                    "bgnTime": begins,
                    "endTime": ends,
                    "reason": reason,
                    "areaList": [
                        {"areaCode": code, "areaName": name, "streetList": streets} for code, name, streets in areas
                    ],
                }
            )
        return success({"consNo": account, "outageCnt": len(found), "outageList": found}).encode()

    def news(self, fields: Fields) -> bytes:
        """A page of what is published by now, the latest first."""
        page, size = fields.whole("pageNo", 1, 10_000, 1), fields.whole("pageSize", 1, 50, 20)
        which = (self._clock.today().isoformat(), _category(fields, "newsType", NEWS_CATEGORIES))
        [count] = self._connection.execute(NEWS_COUNT, which).fetchone()
        rows = self._connection.execute(NEWS_PAGE, (*which, size, (page - 1) * size)).fetchall()
        data = {
            "pageNo": page,
            "pageSize": size,
            "totCnt": count,
            "newsList": [
                {
                    "newsId": str(id),
                    "newsType": category,
                    "newsTypeName": NEWS_CATEGORIES[category],
                    "pubDate": published,
                    "title": title,
                    "summary": " ".join(body.split())[:SUMMARY_CHARACTERS],
                }
                for id, category, published, title, body in rows
            ],
        }
        return success(data).encode()

    def news_item(self, fields: Fields) -> bytes:
        """One of them, in full."""
        id = fields.text("newsId", 20)
        row = None
        if id.isascii() and id.isdigit() and id == str(int(id)) and len(id) < 19:
            row = self._connection.execute(NEWS_BY_ID, (int(id), self._clock.today().isoformat())).fetchone()
        if row is None:
            raise Refusal(Code.NO_SUCH_NEWS)
        category, published, title, body = row
        data = {
            "newsId": id,
            "newsType": category,
            "newsTypeName": NEWS_CATEGORIES[category],
            "pubDate": published,
            "title": title,
            "content": body,
        }
        return success(data).encode()

    def faqs(self, fields: Fields) -> bytes:
        """Questions and answers of the category `faqType` that hold `keyword`."""
        category = _category(fields, "faqType", CATEGORIES)
        rows = self._connection.execute(FAQ_ROWS, (category, fields.optional_text("keyword", 40))).fetchall()
        data = {
            "faqCnt": len(rows),
            "faqList": [
                {"faqType": kind, "faqTypeName": CATEGORIES[kind], "question": question, "answer": answer}
                for _, kind, question, answer in rows
            ],
        }
        return success(data).encode()

    def policies(self, fields: Fields) -> bytes:
        """A page of the policies of the category `plcType` that hold `keyword`, the latest first, each in full."""
        page, size = fields.whole("pageNo", 1, 10_000, 1), fields.whole("pageSize", 1, 5, 5)
        category = _category(fields, "plcType", CATEGORIES)
        which = (self._clock.today().isoformat(), category, fields.optional_text("keyword", 40))
        rows = self._connection.execute(POLICY_ROWS, which).fetchall()
        data = {
            "totCnt": len(rows),
            "plcList": [
                {
                    "plcNo": f"ZC{id:04d}",
                    "plcType": kind,
                    "plcTypeName": CATEGORIES[kind],
                    "title": title,
                    "issueOrg": issuer,
                    "docNo": document,
                    "issueDate": issued,
                    "effDate": in_force,
                    "content": body,
                }
                for id, kind, title, issuer, document, issued, in_force, body in rows[(page - 1) * size : page * size]
            ],
        }
        return success(data).encode()

    def _area(self, wanted: str) -> tuple[str, str]:
        row = self._connection.execute(AREA, (wanted,)).fetchone()
        if row is None:
            raise Refusal(Code.NO_SUCH_AREA)
        code, name = row
        return code, name

    def _outage_areas(self, outage: int) -> list[tuple[str, str, list[str]]]:
        """Code and name of each area with its streets; none: the whole area."""
        rows = self._connection.execute(OUTAGE_AREAS, (outage,)).fetchall()
        return [(code, name, streets.split(",") if streets else []) for code, name, streets in rows]


def _category(fields: Fields, name: str, known: Mapping[str, str]) -> str | None:
    """A category by its code or its name."""
    wanted = fields.optional_text(name, 40)
    if wanted is None or wanted in known:
        return wanted
    code = next((code for code, title in known.items() if title == wanted), None)
    if code is None:
        raise Refusal(Code.NO_SUCH_CATEGORY)
    return code


def _lies_in(address: str, area: str, streets: list[str]) -> bool:
    return area in address and (not streets or any(street in address for street in streets))

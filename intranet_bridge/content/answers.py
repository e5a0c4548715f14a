"""What callers are told of what is published: pure functions of it, of the question and of the time.

Times of the catalogue are the clocks of China. A category or an area may be asked for by its code or its name.
"""

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from math import asin, cos, radians, sin, sqrt
from typing import TypeVar

from pydantic import BaseModel

from intranet_bridge.content import texts
from intranet_bridge.content.kinds import Faq, Fields, News, OutageBulletin, OutletEntry, PolicyText
from intranet_bridge.marketing import Refused
from intranet_bridge.marketing.expressions.coordinates import gcj02_of_wgs84
from protocol.operations import public
from protocol.times import CHINA
from protocol.values import immutable

_EARTH_M = 6_371_000
_MOST_OUTAGES, _MOST_QUESTIONS = 200, 50


@immutable
class Published:
    """One item, as it is published."""

    number: str
    fields: Fields
    first_at: int
    """When it was published first, epoch ms."""
    plain: str = field(default="", repr=False)
    html: str | None = field(default=None, repr=False)
    """Of its text, if it has one."""


def published(number: str, fields: Fields, first_at: int) -> Published:
    """With its text rendered."""
    markdown = getattr(fields, "body", None) or getattr(fields, "answer", None)
    if markdown is None:
        return Published(number, fields, first_at)
    return Published(number, fields, first_at, texts.plain(markdown), texts.html(markdown))


def local(ms: int) -> str:
    """A time as the catalogue writes it."""
    return datetime.fromtimestamp(ms // 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


Items = Sequence[Published]
F = TypeVar("F", bound=Fields)


def news_list(items: Items, asked: public.NewsListQuery) -> BaseModel | Refused:
    """A page, the latest first."""
    found = [one for one in items if asked.category is None or _of(one, News).category == asked.category]
    if asked.category is not None and not found:
        return Refused(public.NO_SUCH_CATEGORY.code)
    ordered = sorted(found, key=lambda one: (_day(one), one.first_at, one.number), reverse=True)
    page = _page(ordered, asked.page, asked.page_size)
    return public.NewsList(total=len(found), items=tuple(_heading(one) for one in page))


def _heading(one: Published) -> public.NewsHeading:
    it = _of(one, News)
    summary = it.summary or " ".join(one.plain.split())[:80] or None
    return public.NewsHeading(
        news=one.number, title=it.title, published_on=_day(one), category=it.category, summary=summary
    )


def _day(one: Published) -> str:
    return _of(one, News).published_on or local(one.first_at)[:10]


def news_item(items: Items, asked: public.NewsItemQuery) -> BaseModel | Refused:
    """One in full."""
    for one in items:
        if one.number == asked.news:
            it = _of(one, News)
            return public.NewsItem(
                news=one.number, title=it.title, published_on=_day(one), category=it.category,
                body=one.plain, body_html=one.html,
            )  # fmt: skip
    return Refused(public.NO_SUCH_NEWS.code)


def faq(items: Items, asked: public.FaqQuery) -> BaseModel | Refused:
    """Those of a category, with a word, in their order."""
    known = [one for one in items if asked.category is None or _of(one, Faq).category == asked.category]
    if asked.category is not None and not known:
        return Refused(public.NO_SUCH_CATEGORY.code)
    found = [one for one in known if _has(asked.keyword, _of(one, Faq).question, one.plain)]
    ordered = sorted(found, key=lambda one: (_of(one, Faq).position, one.number))[:_MOST_QUESTIONS]
    return public.Questions(
        items=tuple(
            public.Question(
                category=_of(one, Faq).category, question=_of(one, Faq).question, answer=one.plain, answer_html=one.html
            )
            for one in ordered
        )
    )


def policies(items: Items, asked: public.PoliciesQuery) -> BaseModel | Refused:
    """A page, the latest first."""
    known = [one for one in items if asked.category is None or _of(one, PolicyText).category == asked.category]
    if asked.category is not None and not known:
        return Refused(public.NO_SUCH_CATEGORY.code)
    found = [one for one in known if _has(asked.keyword, _of(one, PolicyText).title, one.plain)]
    ordered = sorted(
        found, key=lambda one: (_of(one, PolicyText).issued_on or local(one.first_at)[:10], one.number), reverse=True
    )
    page = _page(ordered, asked.page, asked.page_size)
    return public.Policies(total=len(found), policies=tuple(_policy(one) for one in page))


def _policy(one: Published) -> public.Policy:
    it = _of(one, PolicyText)
    return public.Policy(
        policy=one.number, category=it.category, title=it.title, issuer=it.issuer, document=it.document,
        issued_on=it.issued_on, in_force_from=it.in_force_from, body=one.plain, body_html=one.html,
    )  # fmt: skip


def outlets(items: Items, asked: public.OutletsQuery) -> BaseModel | Refused:
    """Those of an area, or the nearest; positions in GCJ-02, as maps have them."""
    if asked.near is not None:
        here = _gcj02(asked.near.latitude, asked.near.longitude, asked.near.datum)
        far = sorted(((_metres(here, _place(one)), one.number, one) for one in items), key=lambda one: one[:2])
        within = [(metres, one) for metres, _, one in far if asked.within_m is None or metres <= asked.within_m]
        found = [_outlet(one, metres) for metres, one in within]
    else:
        mine = [one for one in items if asked.area in (_of(one, OutletEntry).area, _of(one, OutletEntry).area_name)]
        if not mine:
            return Refused(public.NO_SUCH_AREA.code)
        found = [_outlet(one, None) for one in sorted(mine, key=lambda one: one.number)]
    return public.Outlets(datum="GCJ-02", outlets=tuple(found[: asked.limit]))


def _outlet(one: Published, metres: int | None) -> public.Outlet:
    it = _of(one, OutletEntry)
    latitude, longitude = _place(one)
    return public.Outlet(
        outlet=one.number, name=it.name, area=it.area, area_name=it.area_name, address=it.address, phone=it.phone,
        hours=it.hours, services=it.services, latitude=latitude, longitude=longitude, distance_m=metres,
    )  # fmt: skip


def outages(items: Items, asked: public.OutagesQuery, areas: frozenset[str], now: int) -> BaseModel | Refused:
    """Those of an area and of days, the earliest first; without days those that are not over. `areas`: codes and names
    that are known; empty: nobody knows which there are.
    """
    here = {name for one in items for area in _of(one, OutageBulletin).areas for name in (area.area, area.name)}
    if asked.area is not None and areas and asked.area not in areas | here:
        return Refused(public.NO_SUCH_AREA.code)
    found = [one for one in items if _meets(_of(one, OutageBulletin), asked, now)]
    ordered = sorted(found, key=lambda one: (_of(one, OutageBulletin).begin, one.number))[:_MOST_OUTAGES]
    return public.Outages(notices=tuple(_outage(one) for one in ordered))


def _meets(it: OutageBulletin, asked: public.OutagesQuery, now: int) -> bool:
    if asked.area is not None and all(asked.area not in (one.area, one.name) for one in it.areas):
        return False
    if asked.first_day is None or asked.last_day is None:
        return it.end is None or it.end > local(now)
    return it.begin <= f"{asked.last_day} 23:59:59" and (it.end is None or it.end > f"{asked.first_day} 00:00:00")


def _outage(one: Published) -> public.Outage:
    it = _of(one, OutageBulletin)
    return public.Outage(notice=one.number, kind=it.cause, begin=it.begin, end=it.end, areas=it.areas, reason=it.reason)


def areas_of(items: Items) -> frozenset[str]:
    """The areas that outlets name, by code and by name."""
    names = ((_of(one, OutletEntry).area, _of(one, OutletEntry).area_name) for one in items)
    return frozenset(name for pair in names for name in pair if name)


def _place(one: Published) -> tuple[float, float]:
    it = _of(one, OutletEntry)
    return _gcj02(it.latitude, it.longitude, it.datum)


def _gcj02(latitude: float, longitude: float, datum: str) -> tuple[float, float]:
    if datum == "GCJ-02":
        return latitude, longitude
    latitude, longitude = gcj02_of_wgs84(latitude, longitude)
    return round(latitude, 6), round(longitude, 6)


def _metres(here: tuple[float, float], there: tuple[float, float]) -> int:
    """The great circle's, by the haversine formula."""
    (north, east), (to_north, to_east) = (map(radians, one) for one in (here, there))
    half = sin((to_north - north) / 2) ** 2 + cos(north) * cos(to_north) * sin((to_east - east) / 2) ** 2
    return round(2 * _EARTH_M * asin(min(1.0, sqrt(half))))


def _page(items: Items, page: int, size: int) -> Items:
    return items[(page - 1) * size : page * size]


def _has(keyword: str | None, *said: str) -> bool:
    return keyword is None or any(keyword.casefold() in text.casefold() for text in said)


def _of(one: Published, kind: type[F]) -> F:
    assert isinstance(one.fields, kind)
    return one.fields

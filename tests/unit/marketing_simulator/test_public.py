"""Public information: the nearest first, outages where and when they are, only what is published by today."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.public import Public, distance_m
from tests.unit.marketing_simulator.inside import Inside, asked, refused

CLOUD = {"lat": 30.5132, "lng": 114.4021}  # where the first outlet is


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3", customers=60)
    yield inside
    inside.close()


@pytest.fixture
def public(inside: Inside) -> Public:
    return Public(inside.reading, inside.queries, inside.clock)


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        ((0, 0), (0, 1), 111_195),
        ((0, 0), (0, 180), 20_015_115),
        ((90, 0), (-90, 77), 20_015_115),
        ((31.2, 121.5), (31.2, 121.5), 0),
        ((0, 179.5), (0, -179.5), 111_195),
        ((39.9042, 116.4074), (31.2304, 121.4737), 1_067_311),  # Beijing, Shanghai
    ],
)
def test_a_distance_is_along_the_great_circle(
    one: tuple[float, float], other: tuple[float, float], metres: int
) -> None:
    assert distance_m(*one, *other) == pytest.approx(metres, abs=1)
    assert distance_m(*other, *one) == distance_m(*one, *other)


def test_outlets_of_an_area_by_its_code_its_name_or_short(public: Public) -> None:
    by_code = asked(public.outlets, area="990101")
    assert [one["outletName"] for one in by_code["outletList"]] == ["云河供电营业厅", "学府路营业厅"]
    assert by_code["coordSys"] == "GCJ02"
    assert {one["dist"] for one in by_code["outletList"]} == {None}
    assert asked(public.outlets, area="云河区") == asked(public.outlets, area="云河") == by_code


def test_outlets_around_a_point_come_nearest_first(public: Public) -> None:
    answer = asked(public.outlets, **CLOUD)
    distances = [one["dist"] for one in answer["outletList"]]
    assert distances == sorted(distances)
    assert (distances[0], answer["outletList"][0]["outletName"], len(distances)) == (0, "云河供电营业厅", 8)
    near = asked(public.outlets, **CLOUD, radius=distances[2])
    assert [one["dist"] for one in near["outletList"]] == distances[:3]
    few = asked(public.outlets, **CLOUD, rowCnt=1)
    assert (few["outletCnt"], len(few["outletList"])) == (8, 1)


def test_outages_of_an_area_and_of_days(public: Public) -> None:
    default = asked(public.outages)["outageList"]
    assert [one["bgnTime"][:10] for one in default] == [
        "2026-01-15",
        "2026-01-16",
        "2026-01-18",
        "2026-01-21",
        "2026-01-24",
    ]
    assert {one["outageType"] for one in default} == {"1", "2"}
    past = asked(public.outages, dateFrom="2026-01-12", dateTo="2026-01-12")["outageList"]
    assert [one["bgnTime"] for one in past] == ["2026-01-12 08:00:00"]
    assert asked(public.outages, dateFrom="2026-01-13", dateTo="2026-01-14")["outageList"] == []
    for one in asked(public.outages, area="990104")["outageList"]:
        assert "990104" in [area["areaCode"] for area in one["areaList"]]
    assert asked(public.outages, area="东湖区")["outageCnt"] == 2


def test_outages_of_an_account_are_where_it_lives(inside: Inside, public: Public) -> None:
    span = {"dateFrom": "2026-01-10", "dateTo": "2026-03-10"}
    everywhere = asked(public.outages, **span)["outageList"]
    some = none = 0
    for number in range(1, 61):
        account = f"32100000000{number:02}"
        address = inside.queries.account(account).address
        answer = asked(public.outages, consNo=account, **span)
        assert answer["consNo"] == account
        expected = [
            outage["outageNo"]
            for outage in everywhere
            if any(
                area["areaName"] in address
                and (not area["streetList"] or any(street in address for street in area["streetList"]))
                for area in outage["areaList"]
            )
        ]
        assert [one["outageNo"] for one in answer["outageList"]] == expected
        some += bool(expected)
        none += not expected
    assert some
    assert none


def test_news_are_paged_and_only_what_is_published(inside: Inside, public: Public) -> None:
    first = asked(public.news, pageNo=1, pageSize=3)
    second = asked(public.news, pageNo=2, pageSize=3)
    assert (first["totCnt"], len(first["newsList"]), len(second["newsList"])) == (4, 3, 1)
    days = [one["pubDate"] for one in (*first["newsList"], *second["newsList"])]
    assert days == sorted(days, reverse=True)
    assert asked(public.news, pageNo=3, pageSize=3)["newsList"] == []
    assert {one["newsType"] for one in asked(public.news, newsType="公告")["newsList"]} == {"02"}
    assert refused(asked, public.news_item, newsId="8") == "1062"
    inside.today = date(2026, 8, 1)
    item = asked(public.news_item, newsId="8")
    assert item["title"] == asked(public.news)["newsList"][0]["title"]
    assert "\r\n\r\n" in asked(public.news_item, newsId="6")["content"]
    assert "\n" not in asked(public.news)["newsList"][2]["summary"]


def test_questions_and_policies_by_category_and_word(inside: Inside, public: Public) -> None:
    assert asked(public.faqs)["faqCnt"] == 9
    assert asked(public.faqs, faqType="03") == asked(public.faqs, faqType="停电报修")
    assert [one["faqType"] for one in asked(public.faqs, keyword="停电")["faqList"]] == ["03", "03"]
    assert asked(public.faqs, faqType="01", keyword="停电")["faqList"] == []
    policies = asked(public.policies, pageSize=3)
    assert (policies["totCnt"], len(policies["plcList"])) == (4, 3)
    assert asked(public.policies, pageSize=3, pageNo=2)["plcList"][0]["issueDate"] == "2012-06-20"
    assert [one["docNo"] for one in asked(public.policies, keyword="千分之一")["plcList"]] == ["云供营〔2019〕2号"]
    inside.today = date(2026, 8, 1)
    assert asked(public.policies)["totCnt"] == 5


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("outlets", {"area": "990199"}, "1061"),
        ("outlets", {"lat": 30.5}, "1001"),
        ("outlets", {"lat": 91, "lng": 0}, "1001"),
        ("outlets", {"lat": "x", "lng": 0}, "1001"),
        ("outlets", {"area": "990101", "rowCnt": 51}, "1001"),
        ("outages", {"area": "无"}, "1061"),
        ("outages", {"consNo": "9999999999999"}, "1004"),
        ("outages", {"dateFrom": "2026-01-15", "dateTo": "2026-01-14"}, "1011"),
        ("outages", {"dateFrom": "2026-01-01", "dateTo": "2026-04-03"}, "1011"),
        ("news", {"newsType": "09"}, "1063"),
        ("news", {"pageNo": 0}, "1001"),
        ("news_item", {"newsId": "01"}, "1062"),
        ("news_item", {"newsId": "²"}, "1062"),
        ("news_item", {"newsId": "9" * 19}, "1062"),
        ("faqs", {"faqType": "电"}, "1063"),
        ("policies", {"plcType": "99"}, "1063"),
        ("policies", {"pageSize": 6}, "1001"),
    ],
)
def test_what_is_refused(public: Public, name: str, body: dict[str, Any], code: str) -> None:
    assert refused(asked, getattr(public, name), **body) == code

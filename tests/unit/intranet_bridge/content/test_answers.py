"""What callers are told of what is published."""

from typing import Any

import pytest

from intranet_bridge.content import answers
from intranet_bridge.content.answers import Published
from intranet_bridge.content.kinds import KINDS, fields_of
from intranet_bridge.marketing import Refused
from protocol.operations import CATALOGUE
from tests.unit.intranet_bridge.content.test_kinds import GOOD

JUNE = 1_781_750_000_000
"""2026-06-18, 10:33 in China."""


def item(kind: str, number: str, at: int = JUNE, **changes: Any) -> Published:
    values = {name: value for name, value in (GOOD[kind] | changes).items() if value is not None}
    return answers.published(number, fields_of(KINDS[kind], values), at)


def asked(operation: str, answer: Any, items: list[Published], *more: Any, **body: Any) -> Any:
    entry = CATALOGUE[operation]
    request = entry.requests.validate_python(body)
    found = answer(items, request, *more)
    if isinstance(found, Refused):
        assert found.code in {one.code for one in entry.refusals}
        return found.code
    entry.answer(request, found)
    return found


def test_news_come_the_latest_first_page_by_page() -> None:
    items = [
        item("news", "1", published_on="2026-06-01"), item("news", "2", published_on=None),
        item("news", "3", published_on="2026-06-19", category="新闻"),
    ]  # fmt: skip
    pages = [asked("news-list", answers.news_list, items, page=page, page_size=2) for page in (1, 2, 3)]
    assert [[one.news for one in page.items] for page in pages] == [["3", "2"], ["1"], []]
    assert {page.total for page in pages} == {3}
    assert pages[0].items[1].published_on == "2026-06-18"  # of its publication
    assert pages[0].items[0].summary == "七月起： - 一 - 二"
    assert [one.news for one in asked("news-list", answers.news_list, items, category="新闻").items] == ["3"]
    assert asked("news-list", answers.news_list, items, category="x") == "no-such-category"


def test_one_of_the_news_has_its_text_twice() -> None:
    found = asked("news-item", answers.news_item, [item("news", "6", body="**七月**起")], news="6")
    assert (found.body, found.body_html) == ("七月起", "<p><strong>七月</strong>起</p>")
    assert asked("news-item", answers.news_item, [item("news", "6")], news="7") == "no-such-news"


def test_questions_are_found_by_category_and_word_in_their_order() -> None:
    items = [
        item("faq", "1", position=5),
        item("faq", "2", position=2),
        item("faq", "3", category="电费", answer="Bill"),
    ]
    assert len(asked("faq", answers.faq, items).items) == 3
    found = asked("faq", answers.faq, items, keyword="邻居")
    assert [one.answer for one in found.items] == ["先看邻居家。"] * 2
    assert asked("faq", answers.faq, items, keyword="bILL").items[0].category == "电费"
    assert asked("faq", answers.faq, items, category="停电报修", keyword="bill").items == ()
    assert asked("faq", answers.faq, items, category="x") == "no-such-category"
    many = [item("faq", str(number), position=number) for number in range(60)]
    assert len(asked("faq", answers.faq, many).items) == 50


def test_policies_are_found_by_word_the_latest_first() -> None:
    items = [item("policy", "ZC1"), item("policy", "ZC2", issued_on="2020-01-01", body="峰谷电价")]
    found = asked("policy-texts", answers.policies, items, page_size=1)
    assert (found.total, found.policies[0].policy) == (2, "ZC2")
    assert [one.policy for one in asked("policy-texts", answers.policies, items, keyword="峰谷").policies] == ["ZC2"]


def test_the_nearest_outlet_comes_first_whatever_datum_was_meant() -> None:
    items = [
        item("outlet", "A", latitude=30.6, longitude=114.5),
        item("outlet", "B"),
        item("outlet", "C", datum="WGS-84"),
    ]
    here = {"latitude": 30.5132, "longitude": 114.4021, "datum": "GCJ-02"}
    found = asked("outlets", answers.outlets, items, near=here)
    assert [one.outlet for one in found.outlets] == ["B", "C", "A"]
    assert found.outlets[0].distance_m == 0
    assert 300 < found.outlets[1].distance_m < 800  # the shift between the two
    assert found.outlets[2].distance_m == pytest.approx(13_500, abs=300)
    assert [one.outlet for one in asked("outlets", answers.outlets, items, near=here, within_m=900).outlets] == [
        "B",
        "C",
    ]
    there = asked("outlets", answers.outlets, items, near=here | {"datum": "WGS-84"}, limit=1)
    assert [one.outlet for one in there.outlets] == ["C"]
    assert len(asked("outlets", answers.outlets, items, area="云河区").outlets) == 3
    assert asked("outlets", answers.outlets, items, area="x") == "no-such-area"


def test_outages_are_those_of_the_area_and_the_days() -> None:
    items = [item("outage", "1"), item("outage", "2", begin="2026-07-20 08:00:00", end=None, cause="fault")]
    areas = answers.areas_of([item("outlet", "A")])
    now = JUNE

    def numbers(now: int = now, **body: Any) -> Any:
        found = asked("outage-notices", answers.outages, items, areas, now, **body)
        return found if isinstance(found, str) else [one.notice for one in found.notices]

    assert numbers(area="990104") == numbers(area="新港区") == ["2", "1"]
    assert numbers(area="云河区") == []  # an outlet's: there is such an area
    assert numbers(area="x") == "no-such-area"
    assert numbers(first_day="2026-07-24", last_day="2026-07-24") == ["2", "1"]
    assert numbers(first_day="2026-07-01", last_day="2026-07-19") == []
    assert numbers(first_day="2026-07-25", last_day="2026-07-26") == ["2"]
    over = JUNE + 37 * 86_400_000  # 2026-07-25
    assert numbers(over, area="990104") == ["2"]
    assert asked("outage-notices", answers.outages, items, frozenset(), now, area="x").notices == ()

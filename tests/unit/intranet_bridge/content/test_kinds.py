"""What is written, checked, and read back as it was."""

import json
from typing import Any

import pytest

from intranet_bridge.content.kinds import KINDS, OPERATIONS, Unfit, fields_of, of_texts, texts_of
from intranet_bridge.content.section import ContentSection
from protocol.operations import CATALOGUE

GOOD: dict[str, dict[str, Any]] = {
    "news": {"title": "调整营业时间", "category": "公告", "published_on": "2026-06-18", "body": "七月起：\n- 一\n- 二"},
    "faq": {"question": "停电了怎么办？", "category": "停电报修", "position": 1, "answer": "先看**邻居**家。"},
    "policy": {"title": "阶梯电价", "issuer": "供电公司", "issued_on": "2012-06-20", "body": "一、0.4883元。"},
    "outlet": {
        "name": "云河营业厅", "area": "990101", "area_name": "云河区", "address": "人民路18号",
        "phone": "0990-95598001", "services": ["电费缴纳", "业务咨询"],
        "latitude": 30.5132, "longitude": 114.4021, "datum": "GCJ-02",
    },
    "outage": {
        "cause": "planned", "begin": "2026-07-24 08:00:00", "end": "2026-07-24 18:00:00", "reason": "检修",
        "areas": [{"area": "990104", "name": "北桥区", "streets": ["人民路", "学府路"]},
                  {"area": "990106", "name": "新港区", "streets": []}],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_form_says_what_was_written(name: str) -> None:
    kind = KINDS[name]
    fields = fields_of(kind, GOOD[name])
    assert of_texts(kind, texts_of(kind, GOOD[name])) == GOOD[name]
    assert {entry.name for entry in kind.entries} == set(kind.model.model_fields)
    required = {name for name, one in kind.model.model_fields.items() if one.is_required()}
    assert {entry.name for entry in kind.entries if entry.required} == required
    assert json.loads(fields.model_dump_json(exclude_none=True)).items() >= GOOD[name].items()


@pytest.mark.parametrize(
    ("name", "change", "field", "why"),
    [
        ("news", {"title": None}, "title", ""),
        ("news", {"body": "x" * 10_001}, "body", "at most 10000"),
        ("news", {"body": "***"}, "body", "what is published"),
        ("news", {"body": "&#8203;"}, "body", "what is published"),
        ("news", {"body": "[x](https://a.example/) " * 450}, "body", "at most"),
        ("news", {"published_on": "2026-02-30"}, "published_on", "calendar"),
        ("news", {"colour": "red"}, "colour", "no such field"),
        ("faq", {"answer": "x" * 1_001}, "answer", "at most 1000"),
        ("outlet", {"latitude": 91.0}, "latitude", "less than or equal to 90"),
        ("outlet", {"datum": "BD-09"}, "datum", ""),
        ("outage", {"end": "2026-07-24 07:00:00"}, "", "end must be after begin"),
        ("outage", {"areas": []}, "areas", "at least 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(name: str, change: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(Unfit) as caught:
        fields_of(KINDS[name], GOOD[name] | change)
    (complaint,) = caught.value.complaints
    assert complaint.field == field
    assert why in complaint.why


@pytest.mark.parametrize(
    ("name", "field", "text", "why"),
    [
        ("faq", "position", "1.5", "whole number"),
        ("outlet", "latitude", "30,5", "not a number"),
        ("outlet", "latitude", "nan", "not a number"),
        ("outage", "areas", "990104", "an area is written"),
    ],
)
def test_a_text_that_is_no_value_is_refused(name: str, field: str, text: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        of_texts(KINDS[name], {field: text})


def test_areas_and_times_are_taken_as_people_write_them() -> None:
    found = of_texts(
        KINDS["outage"], {"begin": "2026-07-24T08:00", "areas": "990104 北桥区：人民路，学府路、 新街\n\n"}
    )
    assert found["begin"] == "2026-07-24 08:00:00"
    assert found["areas"] == [{"area": "990104", "name": "北桥区", "streets": ["人民路", "学府路", "新街"]}]


def test_each_public_operation_can_be_answered_and_no_other() -> None:
    assert set(OPERATIONS) == {name for name, one in CATALOGUE.items() if one.scope == "public"}
    assert ContentSection(operations=("faq", "news-list", "news-item")).operations[0] == "faq"
    for names, why in (
        (("bill-query",), "cannot be answered"),
        (("new-list",), "did you mean news-list"),
        (("news-list",), "belong"),
    ):
        with pytest.raises(ValueError, match=why):
            ContentSection(operations=names)

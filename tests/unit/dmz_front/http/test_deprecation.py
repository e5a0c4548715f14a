"""Versions of one operation side by side: the old one says on every answer what to use instead."""

from dataclasses import replace
from datetime import date
from email.utils import parsedate_to_datetime

import httpx
import pytest

from dmz_front.http.deprecation import headers
from protocol.operations import CATALOGUE, Deprecation
from tests.unit.dmz_front.harness import BILL, QUERY, Harness, Say, code_of, problem_of

pytestmark = pytest.mark.anyio

V2 = "bill-query.v2"
PAGE = dict(CATALOGUE[V2].example)
NOTICES = {"deprecation", "sunset", "link"}


def test_the_headers_of_the_rfcs() -> None:
    old = replace(CATALOGUE[QUERY], deprecated=Deprecation(date(2026, 12, 1), date(2027, 12, 1), V2))
    assert headers(old) == [
        (b"deprecation", b"@1796083200"),
        (b"sunset", b"Wed, 01 Dec 2027 00:00:00 GMT"),
        (b"link", b'</v1/bill-query.v2>; rel="successor-version"'),
    ]
    assert parsedate_to_datetime(dict(headers(old))[b"sunset"].decode()).timestamp() == 1827619200
    undecided = headers(replace(old, deprecated=Deprecation(date(2026, 12, 1), None, V2)))
    assert [name for name, _ in undecided] == [b"deprecation", b"link"]
    assert headers(CATALOGUE[V2]) == []


def noticed(answer: httpx.Response) -> bool:
    found = NOTICES & set(answer.headers)
    assert found in (NOTICES, set())
    return bool(found)


async def test_every_answer_of_the_old_version_says_so_and_none_of_the_new(harness: Harness) -> None:
    await harness.start()
    await harness.grant("trial", "bills", sandbox=True)
    harness.bridge.script = lambda _: Say(result=b"{}")
    for answer in (
        await harness.ask(),
        await harness.ask({"account": "x"}),
        await harness.ask(app=None),
        await harness.ask(app="trial"),
        await harness.ask(app="trial", prefer="example=marketing-timeout"),
    ):
        assert noticed(answer), answer.text
    assert not noticed(await harness.call("POST", f"/v1/{V2}", PAGE))
    assert not noticed(await harness.call("POST", f"/v1/{V2}", {}))
    assert not noticed(await harness.order())
    assert [request.attributes.type for request in harness.bridge.taken[:2]] == [QUERY, V2]


async def test_a_field_of_the_old_version_is_refused_with_what_to_use_instead(harness: Harness) -> None:
    await harness.start(bridge=False)
    answer = await harness.call("POST", f"/v1/{V2}", {**BILL, "surprise": 1})
    assert code_of(answer) == (422, "invalid-request")
    told = {error["field"]: error for error in problem_of(answer)["errors"]}
    for name, instead in (("first_month", "limit"), ("last_month", "before")):
        assert told[name]["type"] == "removed_field"
        assert "removed in v2" in told[name]["message"]
        assert f"`{instead}`" in told[name]["message"]
    assert told["surprise"]["type"] == "extra_forbidden"
    other = await harness.call("POST", "/v1/arrears-query", BILL)
    assert {error["type"] for error in problem_of(other)["errors"]} == {"extra_forbidden"}


async def test_the_document_says_it_in_both_languages(harness: Harness) -> None:
    await harness.start(bridge=False)
    for language, words in (("en", ("Deprecated since 2026-12-01", "removed in v2")), ("zh", ("不再推荐", "已取消"))):
        document = (await harness.call("GET", f"/openapi.json?lang={language}", app=None)).json()
        old, new = (document["paths"][f"/v1/{name}"]["post"] for name in (QUERY, V2))
        assert old["deprecated"] is True
        assert "deprecated" not in new
        assert words[0] in old["description"]
        assert V2 in old["description"]
        assert words[1] in new["description"]
        for response in old["responses"].values():
            assert {"Deprecation", "Sunset", "Link"} <= set(response["headers"])
        for response in new["responses"].values():
            assert "Deprecation" not in response["headers"]

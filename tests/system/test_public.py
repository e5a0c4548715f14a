"""Public information crosses: a position of either datum finds the same outlet, lines of a text stay lines."""

from typing import Any

import httpx
import pytest


def asked(http: httpx.Client, operation: str, **body: Any) -> Any:
    answer = http.post(f"/v1/{operation}", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text
    return answer.json()["result"]


def test_a_position_is_converted_to_the_datum_of_the_marketing_system(http: httpx.Client) -> None:
    first = asked(http, "outlets", area="云河区")
    assert first["datum"] == "GCJ-02"
    place = {name: first["outlets"][0][name] for name in ("latitude", "longitude")}
    found = asked(http, "outlets", near=place | {"datum": "GCJ-02"}, limit=1)["outlets"][0]
    assert (found["outlet"], found["distance_m"]) == (first["outlets"][0]["outlet"], 0)
    moved = asked(http, "outlets", near=place | {"datum": "WGS-84"}, limit=1)["outlets"][0]
    assert moved["distance_m"] == pytest.approx(589, abs=2)  # what the two datums differ by there


def test_news_keep_their_lines_and_outages_name_the_account(http: httpx.Client) -> None:
    headings = asked(http, "news-list", category="公告")["items"]
    bodies = [asked(http, "news-item", news=one["news"])["body"] for one in headings]
    assert any("\n\n" in body for body in bodies)
    assert not any("\r" in body for body in bodies)
    account = "3210000000001"
    assert asked(http, "outage-notices", account=account)["account"] == account

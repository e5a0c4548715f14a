"""What a rendered request holds: values as JSON writes them, no character replaced, no header twice."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from intranet_bridge.marketing import MarketingRequest
from intranet_bridge.marketing.expressions.mapping import MappingError
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem, formats
from intranet_bridge.marketing.http.headers import merged
from intranet_bridge.marketing.http.request import RequestTemplate

ASKED = MarketingRequest("01a2-req", None, "")


def rendered(values: dict[str, Any], **binding: Any) -> tuple[bytes, bytes]:
    headers = binding.pop("headers", {})
    plan = HttpBinding.model_validate({"path": "/api", "response": "@"} | binding)
    template = RequestTemplate("http://back.end:8090/base", plan, formats(plan), headers, {})
    head, _, body = template.render(ASKED, values).partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, b"true"), (False, b"false"), (7, b"7"), (-1, b"-1"), (7.5, b"7.5"), (1e22, b"1e22"), (0.1, b"0.1"),
        ("True", b"True"), ("a b&c=d", b"a+b%26c%3Dd"), ("张", b"%E5%BC%A0"), ("", b""),
    ],
)  # fmt: skip
def test_values_in_forms_and_queries_are_as_json_writes_them(value: Any, written: bytes) -> None:
    _, body = rendered({"v": value}, request="{a: v, none: missing}", encoding="form")
    assert body == b"a=" + written
    head, _ = rendered({"v": value}, query="{a: v, none: missing}", method="GET")
    assert head.startswith(b"GET /base/api?a=" + written + b" HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("value", "written"), [(True, b"true"), (7, b"7"), (1e22, b"1e22"), ("a/b 张", b"a%2Fb%20%E5%BC%A0")]
)
def test_values_in_paths_are_as_json_writes_them(value: Any, written: bytes) -> None:
    head, _ = rendered({"v": value}, path="/a/{v}/b", method="GET")
    assert head.startswith(b"GET /base/a/" + written + b"/b HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("value", "kind"), [({"x": 1}, "an object"), ([1], "a list"), ([], "a list"), (float("nan"), "no value")]
)
def test_an_object_or_list_is_an_error_that_names_the_field(value: Any, kind: str) -> None:
    for binding, name in (
        ({"request": "{consNo: v}", "encoding": "form"}, "consNo"),
        ({"query": "{consNo: v}"}, "consNo"),
        ({"path": "/a/{v}"}, r"the path's \{v\}"),
    ):
        with pytest.raises(MappingError, match=f"^{name}: {kind}"):
            rendered({"v": value}, **binding)


@pytest.mark.parametrize("value", [None, "", ".", ".."])
def test_a_part_of_a_path_that_has_no_value_is_named(value: Any) -> None:
    with pytest.raises(MappingError, match=r"the path's \{account\}: no value"):
        rendered({"account": value}, path="/a/{account}")


@pytest.mark.parametrize("text", ["䶮𠮷", "😀", "€", "é", "张三", 'a"\\b'])
@pytest.mark.parametrize("charset", ["gbk", "gb18030", "utf-8"])
def test_json_escapes_what_the_charset_lacks(text: str, charset: str) -> None:
    _, body = rendered({"v": text}, request='{content: v, "名": v}', charset=charset)
    assert json.loads(body.decode(charset)) == {"content": text, "名": text}


def test_a_form_or_query_refuses_what_the_charset_lacks_and_names_the_field() -> None:
    for binding in ({"request": "{content: v}", "encoding": "form"}, {"query": "{content: v}", "method": "GET"}):
        with pytest.raises(MappingError, match=r"^content: a character that gbk does not have"):
            rendered({"v": "a😀"}, charset="gbk", **binding)
        rendered({"v": "a😀"}, charset="gb18030", **binding)
    _, body = rendered({"v": "䶮𠮷"}, request="{content: v}", encoding="form", charset="gb18030")
    assert parse_qs(body.decode(), encoding="gb18030") == {"content": ["䶮𠮷"]}


def test_half_a_surrogate_pair_is_a_mapping_error() -> None:
    for binding in (
        {"request": "{content: v}"}, {"request": "{content: v}", "encoding": "form"}, {"query": "{content: v}"},
        {"path": "/{v}"},
    ):  # fmt: skip
        with pytest.raises(MappingError):
            rendered({"v": "\ud83d"}, **binding)


def test_no_header_is_sent_twice_however_it_is_written() -> None:
    headers = {"content-type": "text/plain", "ACCEPT": "*/*", "host": "virtual", "accept-ENCODING": "gzip", "X-A": "1"}
    head, _ = rendered({"v": 1}, headers=headers, request="{a: v}")
    lines = head.decode().split("\r\n")[1:]
    names = [line.partition(":")[0].lower() for line in lines]
    assert len(names) == len(set(names))
    for name, value in headers.items():
        assert f"{name}: {value}" in lines


def test_the_last_layer_counts() -> None:
    assert merged({"X-A": "1", "B": "2"}, {"x-a": "3"}) == {"x-a": "3", "B": "2"}


def test_identity_is_asked_for() -> None:
    assert b"\r\nAccept-Encoding: identity\r\n" in rendered({}, method="GET")[0]


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "Expect", "Upgrade", "TE",
     "Trailer", "Proxy-Connection", "X-Request-Id", "traceparent"],
)  # fmt: skip
def test_headers_that_frame_a_message_are_refused_at_start(name: str) -> None:
    with pytest.raises(ValidationError, match=f"the header {name} cannot be set: "):
        HttpSystem.model_validate({"url": "http://h", "headers": {name: "x"}})
    with pytest.raises(ValidationError, match=f"the header {name} cannot be set: "):
        HttpSystem.model_validate({"url": "http://h", "authentication": {"header": name, "token_file": "t"}})
    with pytest.raises(ValidationError, match=f"the header {name} cannot be set: "):
        HttpBinding.model_validate({"path": "/", "response": "@", "headers": {name: "x"}})


def test_one_header_in_two_spellings_is_refused_at_start() -> None:
    with pytest.raises(ValidationError, match="X-A and x-a are the same header"):
        HttpSystem.model_validate({"url": "http://h", "headers": {"X-A": "1", "x-a": "2"}})

"""One bad character hides neither the code that decides nor what is wrong with an answer."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.marketing.http.answer import AnswerDecoder, AnswerError, declared
from intranet_bridge.marketing.http.connection import Response

GOOD = '{"rtnCode":"0000","name":"张三€"}'
VALUE = {"rtnCode": "0000", "name": "张三€"}
GBK = GOOD.replace("€", "\x80").encode("gb18030", "surrogateescape").replace("\x80".encode("gb18030"), b"\x80")


def packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)  # tests' names hold it


def read(body: bytes, content_type: str = "", charset: str = "utf-8", forced: str | None = None, **more: Any) -> Any:
    decoder = AnswerDecoder(charset, forced, limit=10_000)
    return decoder.decode(Response(200, body, content_type.encode(), **more))


@pytest.mark.parametrize(
    ("body", "content_type", "charset"),
    [
        (GOOD.encode(), "application/json", "utf-8"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "", "utf-8"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "text/json; charset=gbk", "gbk"),  # the mark wins over both
        (b"\xff\xfe" + GOOD.encode("utf-16-le"), "", "utf-8"),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), "", "gbk"),
        (GOOD.encode("utf-16-le"), "application/json; charset=utf-16", "utf-8"),
        (GBK, "", "gbk"),
        (GBK, "", "gb18030"),
        (GBK, "text/html;charset=GBK", "utf-8"),
        (GBK, 'text/html; x=y; Charset = "gb2312"', "utf-8"),
        (GBK, "text/html; charset=cp936", "utf-8"),
        (GOOD.encode("gb18030"), "text/html; charset=gbk", "utf-8"),  # as GB18030 has the euro
        (GOOD.encode(), "text/html; charset=UTF-8", "gbk"),  # Content-Type wins over the configuration
        (GBK, "text/html; charset=ISO-8859-1", "gbk"),  # a servlet container's default says nothing
        (GOOD.encode(), "text/html; charset=ISO-8859-1", "utf-8"),
        (GBK, "application/json; charset=utf-8", "gbk"),  # not valid as declared, but as configured
        (GOOD.encode(), "", "gbk"),  # not valid as configured
        (GOOD.encode(), "text/html; charset=nonsense", "utf-8"),
        (b"  \r\n" + GOOD.encode() + b"\r\n\0\0", "", "utf-8"),
        (b"\x84\x31\x95\x33" + GBK, "", "gbk"),  # the mark as GB18030 writes it
    ],
)
def test_the_charset_an_answer_is_read_in(body: bytes, content_type: str, charset: str) -> None:
    assert read(body, content_type, charset) == VALUE


def test_a_charset_that_is_forced_wins_over_content_type() -> None:
    body = '{"name":"张三"}'.encode()
    assert read(body, "text/html; charset=gbk", forced="utf-8") == {"name": "张三"}
    assert read(body, "text/html; charset=gbk") != {"name": "张三"}


@pytest.mark.parametrize("label", ["gbk", "GBK", "gb2312", "GB_2312-80", "x-gbk", "chinese", "gb18030", "cp936"])
def test_labels_are_those_of_the_encoding_standard(label: str) -> None:
    assert declared(f"application/json; charset={label}".encode()) == "gb18030"


@pytest.mark.parametrize(
    ("body", "charset", "name"),
    [
        (b'{"rtnCode":"0000","name":"a\tb\nc\x01"}', "utf-8", "a\tb\nc\x01"),
        (b'{"rtnCode":"0000","name":"a\0"}', "utf-8", "a\0"),
        ('{"rtnCode":"0000","name":"张'.encode()[:-1] + b'"}', "utf-8", "�"),
        ('{"rtnCode":"0000","name":"张'.encode("gbk")[:-1] + b'"}', "gbk", "�"),
        (b'{"rtnCode":"0000","name":"\xff\xfe"}', "utf-8", "��"),
        (b'{"rtnCode":"0000","name":"\xff"}', "gbk", "�"),
        (b'{"rtnCode":"0000","name":"\\ud83d"}', "utf-8", "�"),
        (b'{"rtnCode":"0000","name":"\\ud83d\\ude00"}', "utf-8", "😀"),
        (b'{"rtnCode":"0000","name":"\\ude00\\ud83d\t"}', "gbk", "��\t"),
        (b'{"rtnCode":"0000","name":"\xed\xa0\xbd"}', "utf-8", "���"),
        (b'{"rtnCode":"0000","name":NaN}', "utf-8", None),
        (b'{"rtnCode":"0000","name":-Infinity}', "utf-8", None),
        (b'{"rtnCode":"0000","name":1e999,"tab":"\t"}', "utf-8", None),
        (b'{"rtnCode":"0000","name":"x","\\ud800":1}', "utf-8", "x"),
    ],
)
def test_one_bad_character_does_not_hide_the_code(body: bytes, charset: str, name: str | None) -> None:
    value = read(body, charset=charset)
    assert (value["rtnCode"], value["name"]) == ("0000", name)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # can be carried to the caller


@given(st.binary(max_size=12), st.sampled_from(["utf-8", "gbk", "gb18030"]))
def test_no_bytes_within_a_text_hide_a_code_before_it(junk: bytes, charset: str) -> None:
    junk = junk.replace(b'"', b"").replace(b"\\", b"")
    value = read(b'{"rtnCode":"1004","text":"' + junk + b' "}', charset=charset)
    assert value["rtnCode"] == "1004"
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@given(st.binary(max_size=300), st.sampled_from(["", "text/html; charset=gbk", "a/b; charset=utf-16"]),
       st.sampled_from([b"", b"gzip", b"deflate", b"deflate, gzip"]))  # fmt: skip
def test_no_bytes_raise_anything_else(body: bytes, content_type: str, codings: bytes) -> None:
    try:
        value = read(body, content_type, codings=codings)
    except AnswerError:
        return
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\0", "is empty"),
        (b"\n<!DOCTYPE html><p>log in", "is not JSON: it begins with '<' (HTML?)"),
        (
            b'<html><form><input name="u"><INPUT id=p type=password></form>',
            "is not JSON: it begins with '<' (an HTML log-in page)",
        ),
        (b"<?xml version='1.0'?><a/>", "is not JSON: it begins with '<' (XML?)"),
        (b'{"rtnCode":"0000","name":"Zhang', "is not JSON: it ends in the middle"),
        (b'{"rtnCode":"0000",', "is not JSON: it ends in the middle"),
        (b'{"rtnCode":', "is not JSON: it ends in the middle"),
        (b'{"rtnCode":"0000"} Zhang', "is not JSON: extra data at line 1, column 20"),
        (b"Zhang San", "is not JSON: expecting value at line 1, column 1"),
        (b'{"a":\n Zhang}', "is not JSON: expecting value at line 2, column 2"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'["\t",' + b"9" * 5000 + b"]", "holds a number that is too long"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_of_the_content(body: bytes, reason: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(body)
    assert str(caught.value) == f"the answer {reason}"


def test_a_length_counted_in_characters_is_named() -> None:
    with pytest.raises(AnswerError, match="ends in the middle; more bytes follow than its Content-Length says"):
        read(GOOD.encode()[:-5], excess=True)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("body", "codings"),
    [
        (packed(GOOD.encode()), b"gzip"),
        (packed(GOOD.encode()), b"X-GZIP"),
        (packed(GOOD.encode()), b""),  # not said
        (packed(GOOD.encode()) + b"\0" * 8, b"gzip"),
        (packed(GOOD.encode()[:9]) + packed(GOOD.encode()[9:]), b"gzip"),
        (zlib.compress(GOOD.encode()), b"deflate"),
        (raw_deflate(GOOD.encode()), b"deflate"),
        (packed(zlib.compress(GOOD.encode())), b"deflate, gzip"),
        (packed(GOOD.encode()), b"identity,gzip"),
        (GOOD.encode(), b"identity"),
        (GOOD.encode(), b"gzip"),  # said, but not done
    ],
)
def test_content_codings_are_undone(body: bytes, codings: bytes) -> None:
    assert read(body, codings=codings) == VALUE


@pytest.mark.parametrize(
    ("body", "codings", "reason"),
    [
        (packed(b" " * 20_000_000), b"gzip", "longer than answer_limit when unpacked"),
        (zlib.compress(b" " * 20_000_000), b"deflate", "longer than answer_limit when unpacked"),
        (packed(packed(b" " * 20_000_000)), b"gzip, gzip", "longer than answer_limit when unpacked"),
        (packed(b" " * 6_000) * 3, b"gzip", "longer than answer_limit when unpacked"),
        (packed(GOOD.encode())[:-9], b"gzip", "it ends in the middle"),
        (b"\x1f\x8bnonsense", b"gzip", "not what its Content-Encoding says"),
        (b"nonsense", b"deflate", "cannot be unpacked"),
        (b"x", b"br", "not asked for: 'br'"),
        (b"x", b"\xd5\xc5", "not asked for: unknown to us"),
        (b"x", b"gzip,gzip,gzip,gzip", "too many content codings"),
    ],
)
def test_what_cannot_be_unpacked_is_said(body: bytes, codings: bytes, reason: str) -> None:
    with pytest.raises(AnswerError, match=reason):
        read(body, codings=codings)

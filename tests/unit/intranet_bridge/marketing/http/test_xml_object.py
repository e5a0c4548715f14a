"""XML to the value that expressions read, and back: the stated rule, what is refused, what is forgiven."""

from typing import Any

import pytest

from intranet_bridge.marketing.expressions.mapping import MappingError
from intranet_bridge.marketing.http.answer import AnswerDecoder, AnswerError
from intranet_bridge.marketing.http.connection import Response
from intranet_bridge.marketing.http.xml_object import _NO_REFERENCE, DEPTH, XmlError, document_of, object_of

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    ("inner", "members"),
    [
        ("<a>1</a>", {"a": "1"}),
        ("<a> \n 1\t</a>", {"a": "1"}),
        ("<a/>", {"a": None}),
        ("<a> \n </a>", {"a": None}),
        ("<a>1</a><a/><a>3</a>", {"a": ["1", None, "3"]}),
        ("<a><b/></a>", {"a": {"b": None}}),
        ('<a x="1"/>', {"a": {"@x": "1"}}),
        ('<a x=" 1 ">t</a>', {"a": {"@x": " 1 ", "#text": "t"}}),
        ("<a>t<b>1</b>u</a>", {"a": {"b": "1", "#text": "tu"}}),
        ("<a><![CDATA[<b> & ]]></a>", {"a": "<b> &"}),
        ("<a>1<!-- 2 --><?p 3?>4</a>", {"a": "14"}),
        ("<a>&lt;&#24352;&#x5f20;&amp;</a>", {"a": "<张张&"}),
        ('<n:a xmlns:n="urn:x" n:y="2">1</n:a>', {"a": {"@y": "2", "#text": "1"}}),
        ('<a xmlns="urn:x"><b>1</b></a>', {"a": {"b": "1"}}),
        (f'<a {XSI} xsi:nil="true"/>', {"a": None}),
        (f'<a {XSI} xsi:type="x">1</a>', {"a": "1"}),
        ("<名>值</名>", {"名": "值"}),
        ("text", {"#text": "text"}),
        ("<a>A&B</a>", {"a": "A&B"}),
        ("<a>&nbsp;&#0;\x01<![CDATA[&x]]></a>", {"a": "&nbsp;\ufffd\ufffd&x"}),
    ],
)
def test_elements_are_members(inner: str, members: dict[str, Any]) -> None:
    assert object_of(f"<r>{inner}</r>") == {"#root": "r"} | members


def test_the_roots_name_and_attributes_are_members() -> None:
    text = '\ufeff<?xml version="1.0" encoding="GBK"?>\n<s:R xmlns:s="urn:x" code="0"><s:a>1</s:a></s:R>\n'
    assert object_of(text) == {"#root": "R", "@code": "0", "a": "1"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ('{"a":1}', "does not begin with '<'"),
        ("<a><b>", "ends in the middle"),
        ("<a", "ends in the middle"),
        ("<a></b>", "mismatched tag at line 1"),
        ("<a/><b/>", "junk after document element"),
        ("<n:a/>", "unbound prefix"),
        ('<!DOCTYPE a [<!ENTITY x "secret">]><a>&x;</a>', "document type declaration"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type declaration"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type declaration"),
        ("<!DOCTYPE html><html><body>oops</body></html>", "document type declaration"),
        ("<a>" * (DEPTH + 1) + "</a>" * (DEPTH + 1), "nested too deeply"),
    ],
)
def test_what_is_no_value_says_why_and_tells_nothing(text: str, why: str) -> None:
    with pytest.raises(XmlError, match=why) as raised:
        object_of(text)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("begins", ["<![CDATA[", "<!--"])
def test_sections_that_never_end_are_looked_through_once(begins: str) -> None:
    ends = [found.end() for found in _NO_REFERENCE.finditer("<a>&x " + begins * 50)]
    assert ends == [4, len("<a>&x " + begins * 50)], "what begins within a section is no beginning of another"
    with pytest.raises(XmlError):
        object_of("<a>&x " + begins * 50)


def test_as_deep_as_is_allowed() -> None:
    assert object_of("<a>" * DEPTH + "</a>" * DEPTH)["#root"] == "a"


DOCUMENT = "<R><名>张三€</名></R>"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (f'<?xml version="1.0" encoding="GBK"?>{DOCUMENT}'.encode("gb18030"), b""),
        (f'<?xml version="1.0" encoding="gb2312" ?>{DOCUMENT}'.encode("gb18030"), b"text/xml"),
        (f"<?xml version='1.0' encoding='UTF-8'?>{DOCUMENT}".encode(), b""),
        (f'<?xml version="1.0" encoding="UTF-8"?>{DOCUMENT}'.encode("gb18030"), b"text/xml; charset=GBK"),
        (f'<?xml version="1.0" encoding="UTF-8"?>{DOCUMENT}'.encode("gb18030"), b"text/xml; charset=UTF-8"),
        (f'<?xml version="1.0" encoding="UTF-8"?>{DOCUMENT}'.encode("gb18030"), b"text/xml; charset=ISO-8859-1"),
        (f'<?xml version="1.0" encoding="GBK"?>{DOCUMENT}'.encode(), b"text/xml; charset=utf-8"),
        (f'<?xml version="1.0" encoding="big5000"?>{DOCUMENT}'.encode("gb18030"), b""),
        (DOCUMENT.encode("gb18030"), b""),
        (f'<?xml version="1.0" encoding="UTF-16"?>{DOCUMENT}'.encode("utf-16"), b""),
        (b"\xef\xbb\xbf" + f'<?xml version="1.0" encoding="GBK"?>{DOCUMENT}'.encode(), b"text/xml; charset=GBK"),
    ],
)
def test_the_charset_is_found_and_a_wrong_declaration_survived(body: bytes, content_type: bytes) -> None:
    decode = AnswerDecoder("gbk", xml=True).decode
    assert decode(Response(200, body, content_type)) == {"#root": "R", "名": "张三€"}


def test_one_bad_character_hides_nothing() -> None:
    body = '<?xml version="1.0" encoding="GBK"?><R><CODE>0</CODE><N>张'.encode("gbk") + b"\xff</N></R>"
    assert AnswerDecoder("gbk", xml=True).decode(Response(200, body)) == {"#root": "R", "CODE": "0", "N": "张\ufffd"}


@pytest.mark.parametrize("more", [{"flaw": "timeout"}, {"excess": True}])
def test_an_answer_that_is_not_whole_is_none(more: dict[str, Any]) -> None:
    with pytest.raises(AnswerError):
        AnswerDecoder("gbk", xml=True).decode(Response(200, b"<R><a>", **more))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": "1", "b": 7, "c": True, "d": 1e22, "e": None}, "<a>1</a><b>7</b><c>true</c><d>1e22</d>"),
        ({"a": ["1", {"b": "2"}]}, "<a>1</a><a><b>2</b></a>"),
        ({"a": {"@x": 'q"<&\n', "#text": "t"}}, '<a x="q&quot;&lt;&amp;&#10;">t</a>'),
        ({"a": "<![CDATA[&]]>\r\n"}, "<a>&lt;![CDATA[&amp;]]&gt;&#13;\n</a>"),
        ({"a": {"b": None}}, "<a></a>"),
        ({"s:a": "1"}, "<s:a>1</s:a>"),
        ({}, ""),
        ("text", "text"),
    ],
)
def test_a_body_is_written_by_the_reverse_rule(value: Any, written: str) -> None:
    document = document_of(value, "req", "utf-8", omit_nulls=True).decode()
    assert document == f'<?xml version="1.0" encoding="UTF-8"?><req>{written}</req>'


def test_nulls_may_be_empty_elements() -> None:
    assert document_of({"a": None}, "r", "gbk", omit_nulls=False).endswith(b"<r><a></a></r>")


@pytest.mark.parametrize("charset", ["gbk", "gb18030", "utf-8"])
def test_what_the_charset_lacks_is_a_numeric_reference(charset: str) -> None:
    text = "张三 😀 䶮𠮷 <&>\"' \N{COPYRIGHT SIGN}"
    document = document_of({"名": text, "@id": text}, "r", charset, omit_nulls=True)
    assert document.decode(charset)
    assert AnswerDecoder("utf-8", xml=True).decode(Response(200, document)) == {"#root": "r", "@id": text, "名": text}
    if charset == "gbk":
        assert b"&#128512;" in document


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": "x\x00"}, "^a: a character that XML does not have"),
        ({"a": "\ud800"}, "^a: a character that XML does not have"),
        ({"a b": "1"}, "a name that is no name"),
        ({"a": {"><b": "1"}}, "a name that is no name"),
        ({"@x y": "1"}, "a name that is no name"),
        ({"😀": "1"}, "a name that is no name"),
        ({"䶮": "1"}, "a name that gbk cannot write"),
        ({"a": [["1"]]}, "^a: a list in a list"),
        ({"@a": {"b": "1"}}, "^@a: an object"),
        (["1"], "one root"),
    ],
)
def test_what_xml_cannot_say_is_an_error_that_names_the_field(value: Any, why: str) -> None:
    with pytest.raises(MappingError, match=why):
        document_of(value, "req", "gbk", omit_nulls=True)

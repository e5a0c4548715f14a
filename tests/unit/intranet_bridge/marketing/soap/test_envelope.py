"""From an answer's bytes to its envelope and fault: what is refused, what is forgiven."""

import gzip
from typing import Any

import pytest

from intranet_bridge.marketing.http.answer import AnswerError
from intranet_bridge.marketing.http.connection import Response
from intranet_bridge.marketing.soap.envelope import SOAP_11, SOAP_12, EnvelopeDecoder
from intranet_bridge.marketing.soap.faults import SoapFault, fault_of

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SECRET = "13977215846"


def envelope(inner: str, space: str = SOAP_11) -> str:
    return f'<s:Envelope xmlns:s="{space}"><s:Body>{inner}</s:Body></s:Envelope>'


def decoded(body: bytes, content_type: bytes = b"text/xml", charset: str = "utf-8", fixed: str | None = None) -> Any:
    return EnvelopeDecoder(charset, fixed, 100_000).decode(Response(200, body, content_type))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the answer is empty"),
        (b" \r\n\0", "the answer is empty"),
        (b"{}", "the answer is not XML: it does not begin with '<'"),
        (b"<html><body/></html>", "the answer is no SOAP envelope but an HTML page"),
        (b"<a/>", "the answer is no SOAP envelope but something else"),
        (envelope(f"<a>{SECRET}")[:-30].encode(), "the answer is not XML: it is wrong at line 1, column"),
        (envelope("<a>&nope;</a>").encode(), "the answer is not XML: it is wrong at line"),
        (f'<s:Envelope xmlns:s="{SOAP_12}"><s:Header/></s:Envelope>'.encode(), "the answer's envelope has no body"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + envelope("<a>&b;</a>").encode(), "a document type declaration"),
        (
            b"<!-- Envelope --><!DOCTYPE a [<!ENTITY b 'c'>]>" + envelope("<a>&b;</a>").encode(),
            "a document type declaration",
        ),
        (
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + envelope("<a>&b;</a>").encode(),
            "a document type declaration",
        ),
        (envelope("<a>" * 300 + "</a>" * 300).encode(), "the answer is not XML"),
    ],
)
def test_what_is_no_envelope_is_said_without_a_word_of_it(body: bytes, why: str) -> None:
    with pytest.raises(AnswerError, match=why) as caught:
        decoded(body)
    assert SECRET not in str(caught.value)


def test_attachments_are_not_read() -> None:
    with pytest.raises(AnswerError, match="several parts"):
        decoded(envelope("<a/>").encode(), b'multipart/related; type="text/xml"')


def test_a_compression_bomb_is_not_unpacked() -> None:
    body = gzip.compress(envelope("<a>" + " " * 1_000_000 + "</a>").encode())
    with pytest.raises(AnswerError, match="longer than answer_limit"):
        EnvelopeDecoder("utf-8", None, 100_000).decode(Response(200, body, b"text/xml", codings=b"gzip"))


@pytest.mark.parametrize(
    ("declaration", "content_type", "charset", "fixed", "codec"),
    [
        ("", b"text/xml", "utf-8", None, "utf-8"),
        ("", b"text/xml", "gbk", None, "gb18030"),
        ('<?xml version="1.0" encoding="GBK"?>', b"text/xml", "utf-8", None, "gb18030"),
        ('<?xml version="1.0" encoding="GBK"?>', b"text/xml; charset=iso-8859-1", "utf-8", None, "gb18030"),
        ('<?xml version="1.0" encoding="UTF-8"?>', b"text/xml; charset=GBK", "utf-8", None, "gb18030"),
        ('<?xml version="1.0" encoding="GBK"?>', b"text/xml; charset=utf-8", "utf-8", None, "gb18030"),
        ('<?xml version="1.0" encoding="UTF-8"?>', b"text/xml", "utf-8", "gbk", "gb18030"),
        ("\ufeff<?xml version='1.0'?>", b"text/xml; charset=gbk", "utf-8", None, "utf-8"),
        ("\ufeff", b"text/xml", "utf-8", None, "utf-16-le"),
    ],
)
def test_chinese_in_any_charset(
    declaration: str, content_type: bytes, charset: str, fixed: str | None, codec: str
) -> None:
    body = (declaration + envelope("<a>户号不存在</a>")).encode(codec)
    assert decoded(body, content_type, charset, fixed)[0].text == "户号不存在"


def test_characters_that_xml_does_not_have_hide_nothing() -> None:
    body = envelope("<code>0000</code><note>a\x0bb&#x1F;\x00</note>").encode() + b"\0"
    code, note = decoded(body)
    assert (code.text, note.text) == ("0000", "a\ufffdb\ufffd\ufffd")


def fault(text: str) -> SoapFault:
    found = fault_of(decoded(text.encode()))
    assert found is not None
    return found


def test_a_fault_of_1_1_says_what_it_is_the_most_telling_first() -> None:
    found = fault(
        envelope(
            "<s:Fault><faultcode>s:Client.Account</faultcode><faultstring> 户号不存在 </faultstring><detail>"
            '<n:NoSuchAccount xmlns:n="urn:n"><rtnCode>1004</rtnCode></n:NoSuchAccount></detail></s:Fault>'
        )
    )
    assert found.keys == ("rtnCode=1004", "NoSuchAccount", "rtnCode", "Client.Account", "Client", "户号不存在")
    assert (found.text, found.kind, found.turned_away) == ("户号不存在", "Client", False)
    assert found.found({"Client": "a", "rtnCode=1004": "b"}) == "b"
    assert found.found({"Server": "a"}) is None
    assert "1004" not in repr(found)


def test_a_fault_of_1_2_has_subcodes() -> None:
    found = fault(
        envelope(
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>m:Limits</s:Value><s:Subcode>"
            "<s:Value>m:Monthly</s:Value></s:Subcode></s:Subcode></s:Code><s:Reason><s:Text>no</s:Text>"
            "</s:Reason></s:Fault>",
            SOAP_12,
        )
    )
    assert found.keys == ("Monthly", "Limits", "Sender", "no")
    assert (found.kind, found.details) == ("Sender", ())


@pytest.mark.parametrize(
    ("code", "turned_away"),
    [
        ("w:FailedAuthentication", True),
        ("FailedAuthentication", False),
        ("s:MustUnderstand", True),
        ("MustUnderstand", False),
        ("s:Server", False),
    ],
)
def test_a_message_turned_away_as_such(code: str, turned_away: bool) -> None:
    inner = f'<s:Fault xmlns:w="{WSSE}"><faultcode>{code}</faultcode><faultstring/></s:Fault>'
    assert fault(envelope(inner)).turned_away is turned_away


@pytest.mark.parametrize("inner", ["<s:Fault/>", "<s:Fault><s:Code/></s:Fault>", "<s:Fault><faultcode/></s:Fault>"])
def test_a_fault_that_says_nothing_is_one(inner: str) -> None:
    assert fault(envelope(inner)).keys == ()

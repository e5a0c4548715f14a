"""The SOAP face's WSDL and messages, and whom it lets in."""

import base64
import hashlib
import io
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from lxml import etree
from zeep.wsdl import Document

from scripts.tools.marketing_simulator.faces.soap import (
    DIGEST,
    SOAP_11,
    SOAP_12,
    WSSE,
    WSU,
    Call,
    Fault,
    Guard,
    call_of,
    fields_of,
    parsed,
    told,
)
from scripts.tools.marketing_simulator.faces.wsdl import NAMESPACE, PORT_11, PORT_12, SERVICE, operation_name, wsdl
from scripts.tools.marketing_simulator.responses import Code, Refusal, success
from scripts.tools.marketing_simulator.shapes import shapes

NOW = datetime(2026, 7, 15, 1, 0, tzinfo=UTC)
SHAPES = {operation_name(path): shape for path, shape in shapes().items()}


def envelope(body: str, header: str = "", version: str = SOAP_11) -> bytes:
    text = f'<s:Envelope xmlns:s="{version}"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
    return text.encode()


def asked(name: str, inner: str, header: str = "", version: str = SOAP_11) -> Call:
    body = f'<m:{name} xmlns:m="{NAMESPACE}">{inner}</m:{name}>'
    return call_of(parsed(envelope(body, header, version)))


def test_the_wsdl_has_every_operation_at_both_ports() -> None:
    document = Document(io.BytesIO(wsdl(SHAPES.items(), "http://127.0.0.1:1/soap?a=1&b=2").encode()), None)
    ports = document.services[SERVICE].ports
    for port in (PORT_11, PORT_12):
        assert set(ports[port].binding.all()) == set(SHAPES)
        assert ports[port].binding_options["address"] == "http://127.0.0.1:1/soap?a=1&b=2"


@pytest.mark.parametrize(
    ("path", "name"),
    [("/api/bill/query", "billQuery"), ("/api/wo/createOnce", "woCreateOnce"), ("/api/cust/bindList", "custBindList")],
)
def test_operations_are_named_by_their_paths(path: str, name: str) -> None:
    assert operation_name(path) == name


def test_an_answer_is_valid_by_the_schema() -> None:
    line = {"amtYm": "202606", "tPq": 7, "rcvblAmt": 8, "dueDate": "2026-07-25", "overDays": 0, "penaltyAmt": 0}
    data = {"consNo": "1", "consName": "张<三>\r\n", "elecAddr": "a\x01b", "calcDate": "2026-07-15", "oweCnt": 2}
    data |= {"oweAmt": 8, "penaltyAmt": 0, "totAmt": 8, "oweList": [line | {"totAmt": 8}] * 2}
    body = told(success(data).encode(), SOAP_12, "arrearsQuery", SHAPES["arrearsQuery"].answer).body
    assert isinstance(body, bytes)
    response = etree.fromstring(body)[0][0]
    schema = etree.fromstring(wsdl(SHAPES.items(), "http://a/").encode()).find(".//{*}schema")
    etree.XMLSchema(schema).assertValid(etree.ElementTree(response))
    assert response.findtext("return/consName") == "张<三>\r\n"
    assert response.findtext("return/elecAddr") == "a?b"
    assert [one.findtext("totAmt") for one in response.findall("return/oweList")] == ["8", "8"]


def test_a_message_says_what_the_other_faces_do() -> None:
    call = asked("payWriteoff", "<consNo>1</consNo><payAmt>5</payAmt><ymList>202511</ymList><ymList>202512</ymList>")
    shape = SHAPES[call.name].request
    assert fields_of(shape, call.content) == {"consNo": "1", "payAmt": "5", "ymList": ["202511", "202512"]}


@pytest.mark.parametrize("inner", ["<other>1</other>", "<consNo>1</consNo><consNo>2</consNo>"])
def test_what_does_not_fit_the_wsdl_is_a_fault(inner: str) -> None:
    call = asked("arrearsQuery", inner)
    with pytest.raises(Fault, match="does not fit the WSDL"):
        fields_of(SHAPES[call.name].request, call.content)


NIL = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"'


def test_nil_is_absent() -> None:
    assert fields_of(SHAPES["arrearsQuery"].request, asked("arrearsQuery", f"<consNo {NIL}/>").content) == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<a>", "Sender"),
        (b"", "Sender"),
        (b"\xff\xfe", "Sender"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + envelope("&b;"), "Sender"),
        (envelope(""), "Sender"),
        (envelope("<billQuery/>"), "Sender"),
        (envelope("<a/>", version="urn:soap-3"), "VersionMismatch"),
        (envelope("<a/>", '<x xmlns:t="urn:t" s:mustUnderstand="1"/>'), "MustUnderstand"),
    ],
)
def test_what_is_no_message_is_a_fault(body: bytes, code: str) -> None:
    with pytest.raises(Fault) as caught:
        call_of(parsed(body))
    assert caught.value.code == code


def told_fault(refusal: Refusal, version: str) -> tuple[int, Any]:
    response = told(refusal.body(), version, "billQuery", SHAPES["billQuery"].answer)
    assert isinstance(response.body, bytes)
    return response.status, fromstring(response.body)[0][0]


def test_a_refusal_is_the_declared_fault_with_its_code() -> None:
    status, fault = told_fault(Refusal(Code.NO_SUCH_ACCOUNT), SOAP_11)
    assert (status, fault.findtext("faultcode"), fault.findtext("faultstring")) == (500, "soap:Server", "户号不存在")
    assert fault.findtext(f"detail/{{{NAMESPACE}}}MarketingFault/rtnCode") == "1004"
    status, fault = told_fault(Refusal(Code.NO_SUCH_ACCOUNT), SOAP_12)
    assert (status, fault.findtext("{*}Code/{*}Value")) == (500, "soap:Receiver")
    assert fault.findtext(f"{{*}}Detail/{{{NAMESPACE}}}MarketingFault/rtnCode") == "1004"


def test_a_failure_has_no_detail() -> None:
    for version in (SOAP_11, SOAP_12):
        status, fault = told_fault(Refusal(Code.SYSTEM), version)
        assert status == 500
        assert not [one for one in fault.iter() if one.tag.rpartition("}")[2] in ("detail", "Detail", "rtnCode")]
    assert told_fault(Refusal(Code.MALFORMED), SOAP_12)[0] == 400


def security(password: str, *, digest: bool, nonce: bytes = b"n", created: str = "", expires: str = "") -> Element:
    created = created or NOW.isoformat()
    kind = ""
    if digest:
        text = hashlib.sha1(nonce + created.encode() + password.encode()).digest()
        password, kind = base64.b64encode(text).decode(), f' Type="{DIGEST}"'
    until = f"<u:Timestamp><u:Expires>{expires}</u:Expires></u:Timestamp>" if expires else ""
    element: Element = fromstring(
        f'<w:Security xmlns:w="{WSSE}" xmlns:u="{WSU}">{until}<w:UsernameToken><w:Username>dmz</w:Username>'
        f"<w:Password{kind}>{password}</w:Password><w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce>"
        f"<u:Created>{created}</u:Created></w:UsernameToken></w:Security>"
    )
    return element


@pytest.mark.parametrize("digest", [False, True])
def test_who_knows_the_password_is_let_in(digest: bool) -> None:
    guard = Guard("pass", NOW.timestamp)
    guard.check(security("pass", digest=digest))
    with pytest.raises(Fault) as caught:
        guard.check(security("wrong", digest=digest, nonce=b"m"))
    assert caught.value.subcode == "FailedAuthentication"


def test_a_digest_is_taken_once_and_while_it_is_fresh() -> None:
    guard = Guard("pass", NOW.timestamp)
    guard.check(security("pass", digest=True))
    again = security("pass", digest=True)
    old = security("pass", digest=True, nonce=b"o", created="2026-07-15T00:50:00Z")
    over = security("pass", digest=True, nonce=b"p", expires="2026-07-15T00:59:59Z")
    for one in (again, old, over):
        with pytest.raises(Fault) as caught:
            guard.check(one)
        assert caught.value.subcode == "MessageExpired"


def test_no_token_is_no_admission() -> None:
    guard = Guard("pass", NOW.timestamp)
    for one in (None, fromstring(f'<w:Security xmlns:w="{WSSE}"/>')):
        with pytest.raises(Fault):
            guard.check(one)

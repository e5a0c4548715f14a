"""The SOAP adapter: what each answer is taken for, and what is handed over. The HTTP client is tested by itself."""

import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from intranet_bridge.marketing import Absent, Answered, Fault, MarketingRequest, NotApplied, Refused, Rejected, Unknown
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.connection import Connection, Lost, Response
from intranet_bridge.marketing.soap.adapter import ASIDE, SoapAdapter
from intranet_bridge.marketing.soap.binding import SoapBinding, SoapSystem
from intranet_bridge.marketing.soap.check import complaints
from intranet_bridge.marketing.soap.kind import KIND
from intranet_bridge.marketing.soap.system import Bound, OpenSoapSystem, Secrets
from protocol.errors import ConfigurationError
from protocol.operations import CATALOGUE, Operation

pytestmark = pytest.mark.anyio

WSDL = Path(__file__).parents[4] / "support" / "peers" / "soap.wsdl"
ARREARS, ORDER = CATALOGUE["arrears-query"], CATALOGUE["work-order"]
GOOD = "<code>0</code><data><acct>3210000000001</acct><total>7</total></data>"
REFUSAL = {"when": "code != '0'", "code": "code", "detail": "msg", "codes": {"44": "no-such-account"}}
QUERY: dict[str, Any] = {
    "operation": "owed",
    "request": "{acct: account}",
    "response": "data.{account: acct, as_of: asof, total: total, unpaid: bill}",
    "refusal": REFUSAL,
    "faults": {"NoAccount": "no-such-account", "Busy": "not_applied", "Broken": "failure"},
}
COMMAND: dict[str, Any] = {
    "operation": "order",
    "request": "{id: request_id, acct: account, name: contact_name, tel: contact_phone, text: content}",
    "response": "{work_order: no, accepted_at: at}",
    "request_id": "id",
    "inquire": {
        "operation": "status",
        "request": "{id: request_id}",
        "found": "code == '0'",
        "faults": {"Unknown": "not_found", "Broken": "failure"},
    },
}


def envelope(inner: str, version: str = "http://schemas.xmlsoap.org/soap/envelope/") -> bytes:
    return f'<s:Envelope xmlns:s="{version}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


def said(inner: str, name: str = "owed") -> bytes:
    return envelope(f'<{name}Response xmlns="urn:peer">{inner}</{name}Response>')


def fault(code: str, detail: str = "", text: str = "no") -> bytes:
    return envelope(
        f"<s:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring><detail>{detail}</detail></s:Fault>"
    )


class Client(HttpClient):
    """Answers with what it is given, in turn."""

    def __init__(self, *answers: Response | Exception) -> None:
        super().__init__("127.0.0.1", 1)
        self.answers, self.requests = list(answers), list[bytes]()

    async def _connection(self, deadline: float, fresh: bool) -> Connection:
        return Scripted(self)

    def _release(self, connection: Connection) -> None: ...


class Scripted(Connection):
    def __init__(self, client: Client) -> None:
        super().__init__(0)
        self.usable, self._client = True, client

    async def exchange(self, request: bytes, timeout_s: float) -> Response:
        self._client.requests.append(request)
        answer = self._client.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def system(**changes: Any) -> SoapSystem:
    return SoapSystem.model_validate({"adapter": "soap", "wsdl": WSDL, "port": "Port11"} | changes)


def adapter(
    client: HttpClient, of: Operation = ARREARS, section: SoapSystem | None = None, **changes: Any
) -> SoapAdapter:
    opened = OpenSoapSystem("test", section or system())
    binding = SoapBinding.model_validate((QUERY if of is ARREARS else COMMAND) | changes)
    return opened._bound.adapter(of, binding, client, opened._executor)


def asked(operation: Any = ARREARS, **body: Any) -> MarketingRequest:
    order = {"type": "fault-repair", "contact_name": "张三", "contact_phone": "13977215846"}
    order |= {"address": "云河市", "content": "停电 & <暗>"}
    values = {"account": "3210000000001"} | (order if operation is ORDER else {}) | body
    return MarketingRequest("01a2-req", operation.requests.validate_python(values), "00-0af7651916cd43dd-b7ad-01")


def body_of(request: bytes) -> Any:
    return etree.fromstring(request.partition(b"\r\n\r\n")[2])


TECHNICAL, ODD = Fault.INTERFACE, Fault.ANSWER


@pytest.mark.parametrize(
    ("response", "outcome", "whose"),
    [
        (Response(200, said(GOOD)), Answered(b'{"account":"3210000000001","as_of":null,"total":7,"unpaid":[]}'), None),
        (Response(200, said("<code>44</code><msg>x</msg>")), Refused("no-such-account", "x"), None),
        (
            Response(500, fault("s:Client", "<NoAccount/>", "户号不存在")),
            Refused("no-such-account", "户号不存在"),
            None,
        ),
        (Response(200, fault("s:Client", "<a><NoAccount/></a>")), Refused("no-such-account", "no"), None),
        (Response(500, fault("s:Server", "<Busy/>")), NotApplied("declined for the moment", reached=True), None),
        (Response(500, fault("s:Server", "<Broken/>")), Unknown("failure fault"), TECHNICAL),
        (
            Response(500, fault("s:Server", "<stack>13977215846</stack>")),
            Unknown("a SOAP fault that the table does not have (Server)"),
            TECHNICAL,
        ),
        (Response(500, fault("X1")), Unknown("a SOAP fault that the table does not have"), ODD),
        (Response(400, fault("s:Client")), Unknown("a SOAP fault that the table does not have (Client)"), ODD),
        (
            Response(500, fault("s:MustUnderstand")),
            NotApplied("a SOAP fault that the table does not have (MustUnderstand)", reached=False),
            None,
        ),
        (Response(500, said(GOOD)), Unknown("HTTP 500"), TECHNICAL),
        (Response(503, b"<html>"), Unknown("HTTP 503"), TECHNICAL),
        (Response(502, b"", flaw="connection lost"), Unknown("HTTP 502"), TECHNICAL),
        (Response(408, b""), Unknown("HTTP 408"), TECHNICAL),
        (Response(429, b""), NotApplied("HTTP 429", reached=True), None),
        (Response(401, b""), NotApplied("HTTP 401", reached=False), None),
        (Response(302, b""), NotApplied("HTTP 302", reached=False), None),
        (Response(404, b"<html>"), Rejected("HTTP 404"), None),
        (Response(404, said(GOOD)), Rejected("HTTP 404"), None),
        (Response(200, b"<html/>"), Unknown("the answer is no SOAP envelope but an HTML page"), ODD),
        (Response(202, b""), Unknown("the answer is empty"), ODD),
        (Response(200, envelope("")), Unknown("the answer's body is empty"), ODD),
        (
            Response(200, said(GOOD, "order")),
            Unknown("the answer is not this operation's: another element is in its body"),
            ODD,
        ),
        (Response(200, said("<code>44</code>" * 2)), Unknown("an answer without a refusal code"), ODD),
        (Response(200, said(GOOD.replace(">7<", ">x<"))), Unknown("*"), ODD),
        (Response(200, said(GOOD.replace("0001", "0002"))), Unknown("mismatch at account"), Fault.MISMATCH),
    ],
)
async def test_each_answer(response: Response, outcome: Any, whose: Fault | None) -> None:
    found = await adapter(Client(response)).call(asked(), 5)
    if isinstance(outcome, Unknown) and outcome.reason == "*":
        assert isinstance(found, Unknown)
    else:
        assert found == outcome
    if isinstance(found, Unknown):
        assert found.fault is whose
        assert "3210000000001" not in found.reason


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (Response(302, b""), Unknown("HTTP 302: sent to another page, which may be after it was done")),
        (Response(409, b"<html>"), Unknown("HTTP 409 without a refusal code: it may be there already")),
        (Response(401, b""), NotApplied("HTTP 401", reached=False)),
        (Response(404, b"<html>"), Rejected("HTTP 404")),
    ],
)
async def test_a_status_says_of_a_command_what_is_sure(response: Response, outcome: Any) -> None:
    assert await adapter(Client(response), ORDER).call(asked(ORDER), 5) == outcome


async def test_the_envelope_is_typed_and_the_head_is_the_versions() -> None:
    for port, kind in (("Port11", "text/xml; charset=utf-8"), ("Port12", "application/soap+xml; charset=utf-8")):
        client = Client(Response(200, said("<code>1</code>", "order")))
        section = system(port=port, url="http://h:81/a/?b=1", headers={"X-Channel": "DMZ"})
        await adapter(client, ORDER, section).call(asked(ORDER), 5)
        head = client.requests[0].partition(b"\r\n\r\n")[0].decode()
        assert head.startswith("POST /a/?b=1 HTTP/1.1\r\nHost: h:81\r\n")
        assert f"Content-Type: {kind}" in head
        assert ('SOAPAction: "urn:order"' in head) is (port == "Port11")
        assert ('action="urn:order"' in head) is (port == "Port12")
        for line in ("X-Channel: DMZ", "X-Request-Id: 01a2-req", "traceparent: 00-0af7651916cd43dd-b7ad-01"):
            assert f"\r\n{line}" in head
        order = body_of(client.requests[0]).find("{*}Body/{urn:peer}order")
        values = {one.tag.rpartition("}")[2]: one.text for one in order}
        assert list(values) == ["id", "acct", "name", "tel", "text"]
        assert list(values.values()) == ["01a2-req", "3210000000001", "张三", "13977215846", "停电 & <暗>"]


async def test_a_null_is_left_out_where_it_may_be_and_named_where_it_may_not() -> None:
    client = Client(Response(200, said("<code>1</code>", "order")))
    optional = "{id: request_id, acct: trim(''), name: contact_name, tel: contact_phone, text: content}"
    await adapter(client, ORDER, request=optional).call(asked(ORDER), 5)
    assert body_of(client.requests[0]).find(".//{urn:peer}acct") is None
    needed = "{id: request_id, name: contact_name, tel: trim(''), text: content}"
    outcome = await adapter(client, ORDER, request=needed).call(asked(ORDER), 5)
    assert outcome == Rejected("request not mapped: order.tel: no value", asked=False)
    assert isinstance(outcome, Rejected)
    assert not outcome.asked


async def test_a_character_that_gbk_lacks_is_a_reference() -> None:
    client = Client(Response(200, said("<code>1</code>", "order")))
    await adapter(client, ORDER, charset="gbk").call(asked(ORDER, contact_name="张𠮷"), 5)
    body = client.requests[0].partition(b"\r\n\r\n")[2]
    assert "张&#134071;".encode("gbk") in body
    assert b'encoding="gbk"' in body


@pytest.mark.parametrize(("digest", "valid_s"), [(False, None), (True, 60.0)])
async def test_our_token_is_in_the_header_and_never_in_a_repr(
    digest: bool, valid_s: float | None, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("s3crét\n")
    token = {"username": "dmz", "password_file": password, "digest": digest, "valid_s": valid_s}
    section = system(username_token=token, basic={"username": "u", "password_file": password})
    client = Client(*[Response(200, said(GOOD))] * 2)
    one = adapter(client, section=section)
    for _ in range(2):
        await one.call(asked(), 5)
    found = [body_of(request).find("{*}Header/{*}Security/{*}UsernameToken") for request in client.requests]
    assert [token.findtext("{*}Username") for token in found] == ["dmz", "dmz"]
    passwords = [token.findtext("{*}Password") for token in found]
    if digest:
        assert passwords[0] != passwords[1]
        assert "s3crét" not in client.requests[0].decode()
        assert re.fullmatch(r"....-..-..T..:..:..Z", found[0].findtext("{*}Created"))
        assert body_of(client.requests[0]).find(".//{*}Timestamp/{*}Expires") is not None
    else:
        assert passwords == ["s3crét", "s3crét"]
    assert b"\r\nAuthorization: Basic dTpzM2Nyw6l0\r\n" in client.requests[0]
    assert "s3crét" not in repr([one, section, one.__dict__])


async def test_what_became_of_a_command() -> None:
    answers = {
        said("<code>0</code><id>01a2-req</id><no>W001</no><at>2026-07-01 09:30:00</at>", "status"): Answered(
            b'{"work_order":"W001","accepted_at":"2026-07-01 09:30:00"}'
        ),
        said("<code>0</code><id>other</id><no>W1</no>", "status"): Unknown("inquiry: mismatch at request_id"),
        said("<code>9</code>", "status"): Unknown("undecided inquiry"),
        fault("s:Client", "<Unknown/>"): Absent(),
        fault("s:Server", "<Broken/>"): Unknown("inquiry: a SOAP fault that the table does not have (Server)"),
        fault("s:Server"): Unknown("inquiry: a SOAP fault that the table does not have (Server)"),
        b"<html/>": Unknown("inquiry: the answer is no SOAP envelope but an HTML page"),
    }
    for body, finding in answers.items():
        assert await adapter(Client(Response(200, body)), ORDER).inquire(asked(ORDER), 5) == finding
    assert await adapter(Client(Response(503, b"x")), ORDER).inquire(asked(ORDER), 5) == Unknown(
        "inquiry: the answer is not XML: it does not begin with '<'"
    )
    assert await adapter(Client(Lost("timeout")), ORDER).inquire(asked(ORDER), 5) == Unknown("inquiry: timeout")


async def test_a_query_is_repeated_over_a_new_connection_when_the_old_one_was_stale_a_command_never() -> None:
    stale = Lost("connection lost", stale=True)
    assert isinstance(await adapter(Client(stale, Response(200, said(GOOD)))).call(asked(), 5), Answered)
    client = Client(stale, Response(200, said(GOOD)))
    assert await adapter(client, ORDER).call(asked(ORDER), 5) == Unknown("connection lost")
    assert len(client.requests) == 1


async def test_a_repeated_query_has_a_nonce_of_its_own(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("secret")
    token = {"username": "dmz", "password_file": password, "digest": True}
    client = Client(Lost("connection lost", stale=True), Response(200, said(GOOD)))
    assert isinstance(await adapter(client, section=system(username_token=token)).call(asked(), 5), Answered)
    first, second = (body_of(request).findtext(".//{*}Nonce") for request in client.requests)
    assert first != second


async def test_a_long_answer_is_read_aside_within_its_time() -> None:
    bill = "<bill><month>2026-01</month><amount>7</amount><penalty>0</penalty></bill>"
    body = said(GOOD.replace("</data>", bill * (ASIDE // len(bill) + 1) + "</data>"))
    one = adapter(
        Client(Response(200, body), Response(200, body)),
        response="data.{account: acct, total: total, unpaid: bill[:1]}",
    )
    assert isinstance(await one.call(asked(), 5), Answered)
    go_on = threading.Event()
    held = [one._executor.submit(go_on.wait) for _ in range(2)]
    try:
        assert await one.call(asked(), 0.1) == Unknown("timeout", timed_out=True)
    finally:
        go_on.set()
    for each in held:
        each.result()


@pytest.mark.parametrize(
    ("section", "changes", "why"),
    [
        ({"port": None}, {}, "has several ports or none: Port11, Port12. Choose by `port`"),
        ({"port": "Nope"}, {}, "has no port 'Nope' that speaks SOAP; there are: Port11, Port12"),
        ({"service": "Nope"}, {}, "has no service 'Nope' that speaks SOAP; there are: Peer"),
        ({"wsdl": WSDL.with_name("nope.wsdl")}, {}, "cannot be read: No such file"),
        ({"wsdl": Path(__file__)}, {}, "cannot be read as a WSDL"),
        ({}, {"operation": "nope"}, "has no operation 'nope' at this port; there are: order, owed, status"),
        ({}, {"request": "{account: account}"}, "there is no field account in the WSDL's message; there are: acct"),
        ({"tls": {"ca": WSDL}, "url": "https://h/"}, {}, "not a CA certificate|holds no"),
        ({"username_token": {"username": "u", "password_file": WSDL.with_name("nope")}}, {}, "cannot be read"),
    ],
)
def test_what_the_wsdl_does_not_have_is_said_at_start(
    section: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        adapter(Client(), section=system(**section), **changes)


def test_the_wsdls_address_is_used_unless_another_is_set() -> None:
    assert Bound("x", system(), Secrets(system())).address == "http://peer.invalid/soap"


def test_a_fault_table_is_held_against_the_catalogue() -> None:
    binding = SoapBinding.model_validate(QUERY | {"faults": {"X": "no-such-thing"}})
    found = list(complaints(ARREARS, binding))
    assert [(one.setting, one.fatal) for one in found] == [(("faults", "X"), False)]
    with pytest.raises(ValueError, match="faults"):
        SoapBinding.model_validate(QUERY | {"faults": {"X": "Not A Code"}})
    with pytest.raises(ValueError, match="needs not_found, or a fault that says so"):
        SoapBinding.model_validate(COMMAND | {"inquire": COMMAND["inquire"] | {"faults": {}}})


def test_zeep_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("intranet_bridge.marketing.soap.")]:
        if name.rpartition(".")[2] not in ("kind", "binding", "check"):
            monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name == "zeep" or name.startswith("zeep.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "zeep", None)
    with pytest.raises(ConfigurationError, match=r"the adapter soap of \[core\] needs zeep.*dmz-bridge\[soap\]"):
        KIND.open("core", system())

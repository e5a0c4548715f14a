"""The GBK face's forms and documents, and its sessions."""

import json

import pytest

from scripts.tools.marketing_simulator.faces.gbk import (
    Sessions,
    document,
    element_name,
    field_name,
    path_of,
    understood,
)
from scripts.tools.marketing_simulator.responses import Refusal

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("name", ["consNo", "tPq", "idNo2", "rtnCode", "user"])
def test_names_come_back_as_they_were(name: str) -> None:
    assert field_name(element_name(name)) == name
    assert element_name(name).isupper()


def test_a_form_and_a_document_say_the_same() -> None:
    form = "CONS_NO=3210000000001&ADDR=%D4%C6%BA%D3+1&EMPTY="
    document = '<?xml version="1.0" encoding="GBK"?><R><CONS_NO>3210000000001</CONS_NO><ADDR>云河 1</ADDR><EMPTY/></R>'
    asked = {"consNo": "3210000000001", "addr": "云河 1", "empty": ""}
    assert understood(form.encode(), FORM) == understood(document.encode("gbk"), "text/xml") == asked


def test_rows_are_a_list() -> None:
    text = "<R><YM_LIST><ROW>202511</ROW></YM_LIST><A_LIST><ROW><B_C>1</B_C></ROW><ROW/></A_LIST></R>"
    assert understood(text.encode(), "text/xml") == {"ymList": ["202511"], "aList": [{"bC": "1"}, ""]}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<a>", "text/xml"),
        (b"", "text/xml"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "text/xml"),
        ("张".encode(), FORM),
        (b"A", FORM),
        (b"A=%FF%FF", FORM),
    ],
)
def test_what_cannot_be_read_is_malformed(body: bytes, kind: str) -> None:
    with pytest.raises(Refusal, match="9002"):
        understood(body, kind)


def test_an_answer_is_written_in_gbk() -> None:
    answer = {
        "rtnCode": "0000",
        "data": {"custName": "张<三>䶮", "amt": 12, "flag": None, "oweList": [{"a": "1"}, {}]},
    }
    told = document(json.dumps(answer).encode())
    assert told.startswith(b'<?xml version="1.0" encoding="GBK"?>\n<RESPONSE><RTN_CODE>0000</RTN_CODE><DATA>')
    assert "<CUST_NAME>张&lt;三&gt;&#19886;</CUST_NAME><AMT>12</AMT><FLAG/>" in told.decode("gbk")
    assert "<OWE_LIST><ROW><A>1</A></ROW><ROW></ROW></OWE_LIST>" in told.decode("gbk")


def test_sessions_end_and_are_counted() -> None:
    now = 100.0
    sessions = Sessions("pass", 60, lambda: now)
    first = sessions.open("dmz", "pass")
    sessions.check(first)
    for user, password in (("dmz", "wrong"), ("other", "pass")):
        with pytest.raises(Refusal, match="9001"):
            sessions.open(user, password)
    now += 60
    for id in (first, "", "x"):
        with pytest.raises(Refusal, match="9003"):
            sessions.check(id)
    second = sessions.open("dmz", "pass")
    sessions.end_all()
    with pytest.raises(Refusal, match="9003"):
        sessions.check(second)
    assert sessions.state() == {"logins": 2, "failed": 2, "open": 0}


def test_paths() -> None:
    assert path_of("/api/bill/query") == "/gbk/bill/query.do"

"""Who may ask for what. Deny is the default."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmz_front.admission.policy import (
    Preference,
    authenticate,
    authorise,
    check_media_type,
    idempotency_key,
    preference,
    trace_parent,
)
from dmz_front.problems.details import Problem
from protocol.operations import CATALOGUE
from protocol.runtime.applications import Application, key_hash

KEY = b"dmz_wechat_c2VjcmV0"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def application(*scopes: str, networks: tuple[str, ...] = ()) -> Application:
    return Application("wechat", frozenset(scopes), tuple(ip_network(one) for one in networks), 0.0, 0, None)


def known(*scopes: str, networks: tuple[str, ...] = ()) -> dict[bytes, Application]:
    return {key_hash(KEY): application(*scopes, networks=networks)}


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
@pytest.mark.parametrize("space", [b" ", b"  "])
def test_a_known_key(scheme: bytes, space: bytes) -> None:
    assert authenticate({b"authorization": scheme + space + KEY}, known(), "10.0.0.1").name == "wechat"


@pytest.mark.parametrize(
    "value", [b"", KEY, b"Bearer", b"Bearer ", b"Basic " + KEY, b"Bearer " + KEY + b"x", b"Bearer " + KEY[:-1]]
)
def test_anything_else(value: bytes) -> None:
    with pytest.raises(Problem) as caught:
        authenticate({b"authorization": value}, known(), "10.0.0.1")
    assert (caught.value.status, caught.value.code) == (401, "unauthenticated")


def test_no_header_and_no_applications() -> None:
    with pytest.raises(Problem, match="unauthenticated"):
        authenticate({}, known(), "10.0.0.1")
    with pytest.raises(Problem, match="unauthenticated"):
        authenticate({b"authorization": b"Bearer " + KEY}, {}, "10.0.0.1")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("10.1.3.3", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:10.1.3.3", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("testclient", False),
        ("10.1.2.3:80", False),
        ("10.1.2.3, 1.2.3.4", False),
    ],
)
def test_networks(address: str, allowed: bool) -> None:
    applications = known(networks=("10.1.2.0/24", "2001:db8::/32"))
    headers = {b"authorization": b"Bearer " + KEY}
    if allowed:
        authenticate(headers, applications, address)
    else:
        with pytest.raises(Problem, match="forbidden-network"):
            authenticate(headers, applications, address)


@pytest.mark.parametrize(("scopes", "allowed"), [(("bills",), True), (("*",), True), ((), False), (("bill",), False)])
def test_scopes(scopes: tuple[str, ...], allowed: bool) -> None:
    if allowed:
        authorise(application(*scopes), CATALOGUE["bill-query"])
    else:
        with pytest.raises(Problem, match="forbidden-scope"):
            authorise(application(*scopes), CATALOGUE["bill-query"])


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"application/json;charset=UTF-8",
        b"APPLICATION/json ;",
        b"application/json;",
        b"application/json; charset=utf8",
        b'application/json; charset="utf-\\8"',
        b"application/json; version=1; charset=utf-8",
        b'application/json; note="a;charset=gbk"',
        b"application/json;;odata.metadata=minimal",
        b"application/json; charset=",
        b"application/json; charset",
    ],
)
def test_json_is_taken(value: bytes) -> None:
    check_media_type({b"content-type": value})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"content-type": b"application/xml"},
        {b"content-type": b"application/json; charset=utf-16"},
        {b"content-type": b"application/json; charset=utf-8; charset=gbk"},
        {b"content-type": b"application/json, application/json"},
        {b"content-type": b"text/plain; a=application/json"},
        {b"content-type": b"application/json", b"content-encoding": b"identity, gzip"},
        {b"content-type": b"application/json", b"content-encoding": b"gzip"},
    ],
)
def test_other_media_are_not(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Problem, match="unsupported-media-type"):
        check_media_type(headers)


@given(st.binary(max_size=300))
def test_an_idempotency_key_is_visible_ascii_or_refused(value: bytes) -> None:
    visible = 1 <= len(value) <= 255 and all(32 <= byte <= 126 for byte in value) and value[0] != 32
    if visible:
        assert idempotency_key({b"idempotency-key": value}) == value.decode("ascii")
    else:
        with pytest.raises(Problem, match="malformed-header"):
            idempotency_key({b"idempotency-key": value})


def test_no_idempotency_key() -> None:
    with pytest.raises(Problem, match="idempotency-key-missing"):
        idempotency_key({})


@pytest.mark.parametrize(
    ("value", "kept"),
    [(TRACE, TRACE.decode()), (None, ""), (b"", ""), (TRACE.upper(), ""), (TRACE + b"\n", ""), (TRACE[:-1], "")],
)
def test_a_malformed_traceparent_is_dropped(value: bytes | None, kept: str) -> None:
    assert trace_parent({} if value is None else {b"traceparent": value}) == kept


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Preference(3.0)),
        (b"", Preference(3.0)),
        (b"return=minimal", Preference(3.0)),
        (b"wait=10", Preference(10.0, b"wait=10")),
        (b"wait = 10", Preference(10.0, b"wait=10")),
        (b'wait="10"', Preference(10.0, b"wait=10")),
        (b"Wait=10", Preference(10.0, b"wait=10")),
        (b"wait=0", Preference(0.0, b"wait=0")),
        (b"wait=999999999", Preference(30.0, b"wait=30")),
        (b"wait=-1", Preference(3.0)),
        (b"wait=soon", Preference(3.0)),
        (b"respond-async", Preference(0.0, b"respond-async")),
        (b"Respond-Async", Preference(0.0, b"respond-async")),
        (b"respond-async, wait=5", Preference(5.0, b"wait=5")),
        (b"return=minimal, wait=5", Preference(5.0, b"wait=5")),
        (b"wait=5; x=1, wait=6", Preference(5.0, b"wait=5")),
        (b"await=5", Preference(3.0)),
        (b'note="respond-async, wait=5"', Preference(3.0)),
        (b"not-respond-async", Preference(3.0)),
    ],
)
def test_preferences(value: bytes | None, expected: Preference) -> None:
    assert preference({} if value is None else {b"prefer": value}, 3.0, 30.0) == expected

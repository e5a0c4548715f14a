"""Applications and their keys: shown once, stored hashed, taken away at once."""

import base64
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from protocol.credential_kinds import SIGNATURE
from protocol.runtime import applications, credentials
from protocol.runtime.applications import Application, Limits, key_hash, signer
from protocol.runtime.credentials import signing_key
from protocol.runtime.store_engine import engine
from tests.support.signing import pem_of


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = engine(f"sqlite:///{tmp_path / 'front.sqlite3'}")
    applications.METADATA.create_all(database)
    with database.begin() as connection:
        yield connection
    database.dispose()


def test_an_application_comes_back_as_it_was_added(connection: Connection) -> None:
    networks = ["10.0.0.0/8", "2001:db8::/32"]
    key = applications.add(connection, "wechat", ["bills", "a", "bills"], networks=networks, rate=2.5, now_ms=7)
    expected = Application(
        "wechat", frozenset({"a", "bills"}), tuple(ip_network(one) for one in networks), 2.5, 7, None
    )
    assert applications.all_applications(connection) == [expected]
    assert applications.active(connection, 9).by_key == {key_hash(key.encode()): expected}


def test_a_key_says_whose_it_is_and_holds_256_random_bits(connection: Connection) -> None:
    keys = [applications.add(connection, f"app-{number}", ["a"], now_ms=1) for number in range(20)]
    assert len(set(keys)) == 20
    for number, key in enumerate(keys):
        prefix, random = key[: len(f"dmz_app-{number}_")], key[len(f"dmz_app-{number}_") :]
        assert prefix == f"dmz_app-{number}_"
        assert len(base64.urlsafe_b64decode(random + "=")) == 32


def test_the_key_is_stored_nowhere(connection: Connection, tmp_path: Path) -> None:
    key = applications.add(connection, "wechat", ["a"], now_ms=1)
    connection.commit()
    for file in tmp_path.iterdir():
        assert key.encode() not in file.read_bytes()
        assert key.removeprefix("dmz_wechat_").encode() not in file.read_bytes()


@pytest.mark.parametrize("name", ["desk", "landing", "notices", "operator", "relay"])
def test_no_application_has_a_name_under_which_the_front_itself_acts(connection: Connection, name: str) -> None:
    with pytest.raises(ValueError, match=f"the front itself acts as {name}; give the application another name"):
        applications.add(connection, name, ["a"], now_ms=1)
    assert applications.all_applications(connection) == []


def test_revoke_and_a_new_key_for_the_name(connection: Connection) -> None:
    old = applications.add(connection, "wechat", ["a"], now_ms=1)
    with pytest.raises(ValueError, match="there is an application wechat already; revoke it first"):
        applications.add(connection, "wechat", ["a"], now_ms=2)
    assert applications.revoke(connection, "wechat", 3) is True
    assert applications.active(connection, 9).by_key == {}
    assert [one.revoked_at for one in applications.all_applications(connection)] == [3]
    assert applications.revoke(connection, "wechat", 4) is False
    new = applications.add(connection, "wechat", ["b"], now_ms=5)
    assert new != old
    assert list(applications.active(connection, 9).by_key) == [key_hash(new.encode())]
    assert len(applications.all_applications(connection)) == 1


def test_two_keys_are_valid_for_a_while(connection: Connection) -> None:
    old = applications.add(connection, "wechat", ["a"], now_ms=1, sandbox=True)
    new = applications.rotate(connection, "wechat", overlap_ms=100, now_ms=10)
    assert new.startswith("dmz_sandbox_wechat_")
    hashes = {key_hash(old.encode()), key_hash(new.encode())}
    both = applications.active(connection, 109).by_key
    assert set(both) == hashes
    assert len(set(both.values())) == 1
    assert [one.former_until for one in applications.all_applications(connection)] == [110]
    assert list(applications.active(connection, 110).by_key) == [key_hash(new.encode())]
    with pytest.raises(ValueError, match="has two valid keys; end the old one first"):
        applications.rotate(connection, "wechat", overlap_ms=100, now_ms=20)
    assert applications.end_former(connection, "wechat", 20) is True
    assert applications.end_former(connection, "wechat", 20) is False
    assert list(applications.active(connection, 20).by_key) == [key_hash(new.encode())]
    third = applications.rotate(connection, "wechat", overlap_ms=100, now_ms=20)
    assert set(applications.active(connection, 30).by_key) == {key_hash(new.encode()), key_hash(third.encode())}
    assert applications.revoke(connection, "wechat", 30) is True
    assert applications.active(connection, 31).by_key == {}
    for name in ("wechat", "other"):
        with pytest.raises(ValueError, match="there is no active application"):
            applications.rotate(connection, name, overlap_ms=1, now_ms=40)


def test_what_is_as_it_was_is_not_made_anew(connection: Connection) -> None:
    for name in ("wechat", "kiosk", "signs"):
        applications.add(connection, name, ["a"], now_ms=1)
    first = applications.active(connection, 9)
    assert applications.active(connection, 10, first) is first
    assert first.names == {"wechat", "kiosk", "signs"}
    changes: list[Callable[[], object]] = [
        lambda: applications.add(connection, "other", ["a"], now_ms=10),
        lambda: applications.set_limits(connection, "kiosk", 5.0, Limits(accounts=-1)),
        lambda: applications.set_limits(connection, "kiosk", None, Limits(quotas={"*": 7}, accounts=-1)),
        lambda: applications.add_credential(connection, signing_key("signs", KEYS[0]), 10),
        lambda: applications.require(connection, "signs", SIGNATURE, wanted=True),
        lambda: applications.rotate(connection, "wechat", overlap_ms=100, now_ms=10),
        lambda: applications.end_former(connection, "wechat", 11),
        lambda: applications.revoke(connection, "kiosk", 12),
    ]
    before = first
    for change in changes:
        change()
        now = applications.active(connection, 13, before)
        assert now is not before
        assert now == applications.active(connection, 13)
        assert now.by_key != before.by_key
        assert applications.active(connection, 14, now) is now
        before = now


def test_a_key_of_before_ends_by_the_clock_alone_and_is_back_if_that_is_put_back(connection: Connection) -> None:
    applications.add(connection, "wechat", ["a"], now_ms=1)
    applications.rotate(connection, "wechat", overlap_ms=100, now_ms=10)
    both = applications.active(connection, 109)
    one = applications.active(connection, 110, both)
    assert (len(both.by_key), len(one.by_key)) == (2, 1)
    assert len(applications.active(connection, 109, one).by_key) == 2


def test_revoking_nobody(connection: Connection) -> None:
    applications.add(connection, "wechat", ["a"], now_ms=1)
    assert applications.revoke(connection, "other", 3) is False
    assert len(applications.active(connection, 9).by_key) == 1


@pytest.mark.parametrize(
    ("name", "scopes", "networks", "rate", "words"),
    [
        ("WeChat", ["a"], [], 0.0, "is not a name"),
        ("a/b", ["a"], [], 0.0, "is not a name"),
        ("wechat", [], [], 0.0, "at least one scope"),
        ("wechat", ["a"], ["10.0.0.1/8"], 0.0, "host bits"),
        ("wechat", ["a"], ["everywhere"], 0.0, "does not appear to be"),
        ("wechat", ["a"], [], -1.0, "a rate is"),
        ("wechat", ["a"], [], float("nan"), "a rate is"),
        ("wechat", ["a"], [], float("inf"), "a rate is"),
    ],
)
def test_what_is_refused_leaves_nothing(
    connection: Connection, name: str, scopes: list[str], networks: list[str], rate: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        applications.add(connection, name, scopes, networks=networks, rate=rate, now_ms=1)
    assert applications.all_applications(connection) == []


def test_limits_come_back_and_are_changed_one_by_one(connection: Connection) -> None:
    limits = Limits({"bill-query": 2.5}, {"*": 1000, "bill-query": 10}, 50)
    applications.add(connection, "wechat", ["a"], rate=5, limits=limits, now_ms=1)
    applications.add(connection, "kiosk", ["a"], now_ms=1)
    assert [one.limits for one in applications.all_applications(connection)] == [None, limits]
    changed = applications.set_limits(connection, "wechat", None, Limits({"outage-query": 1}, {"bill-query": 0}, -1))
    assert changed == applications.all_applications(connection)[1]
    assert changed.rate == 5
    assert changed.limits == Limits({"bill-query": 2.5, "outage-query": 1}, {"*": 1000}, 50)
    gone = Limits({"bill-query": 0, "outage-query": 0}, {"*": 0}, 0)
    assert applications.set_limits(connection, "wechat", 0, gone).limits is None


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits({"bill-query": -1}), "a rate is"),
        (Limits({"bill-query": float("nan")}), "a rate is"),
        (Limits(quotas={"*": -1}), "a quota is"),
        (Limits(accounts=100_001), "accounts are"),
    ],
)
def test_limits_that_are_none_are_refused(connection: Connection, limits: Limits, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        applications.add(connection, "wechat", ["a"], limits=limits, now_ms=1)
    with pytest.raises(ValueError, match="no active application"):
        applications.set_limits(connection, "wechat", 1, Limits())


KEYS = [pem_of(Ed25519PrivateKey.generate()) for _ in range(3)]


def test_an_application_that_signs_is_known_by_its_keys(connection: Connection) -> None:
    applications.add(connection, "wechat", ["a"], now_ms=1)
    first, second, third = (signing_key("wechat", pem) for pem in KEYS)
    for one in (first, second):
        applications.add_credential(connection, one, 5)
    with pytest.raises(ValueError, match="wechat has 2 already; remove the old one first"):
        applications.add_credential(connection, third, 6)
    with pytest.raises(ValueError, match="wechat has it already"):
        applications.add_credential(connection, first, 6)
    known = applications.active(connection, 9).by_key
    assert {signer(one.id) for one in (first, second)} < known.keys()
    assert dict(known[signer(first.id)].signing_keys)[first.id] == first.public
    assert applications.remove_credential(connection, SIGNATURE, "wechat", first.id) is True
    assert applications.remove_credential(connection, SIGNATURE, "wechat", first.id) is False
    assert signer(first.id) not in applications.active(connection, 9).by_key


def test_the_last_key_of_who_must_sign_stays(connection: Connection) -> None:
    applications.add(connection, "wechat", ["a"], now_ms=1)
    with pytest.raises(ValueError, match="wechat has none; add one first"):
        applications.require(connection, "wechat", SIGNATURE, wanted=True)
    one = signing_key("wechat", KEYS[0])
    applications.add_credential(connection, one, 5)
    applications.require(connection, "wechat", SIGNATURE, wanted=True)
    assert [app.requires for app in applications.all_applications(connection)] == [{SIGNATURE}]
    with pytest.raises(ValueError, match="the last one that wechat has to show"):
        applications.remove_credential(connection, SIGNATURE, "wechat", one.id)
    applications.require(connection, "wechat", SIGNATURE, wanted=False)
    assert applications.remove_credential(connection, SIGNATURE, "wechat", one.id)


def test_who_is_revoked_has_no_keys_left_to_sign_with(connection: Connection) -> None:
    applications.add(connection, "wechat", ["a"], now_ms=1)
    applications.add_credential(connection, signing_key("wechat", KEYS[0]), 5)
    applications.revoke(connection, "wechat", 6)
    assert credentials.of(connection) == []
    with pytest.raises(ValueError, match="no active application wechat"):
        applications.add_credential(connection, signing_key("wechat", KEYS[0]), 7)

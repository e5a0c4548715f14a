"""Certificates that the broker will not take, or that are not for their place, are found in their files."""

import datetime
from pathlib import Path

import pytest

from bridgectl import certificates
from protocol.errors import ConfigurationError
from protocol.link.certificates import date_objections, link_objections, role_objection, server_objections
from protocol.messages import Role

NOW = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> certificates.Pair:
    return certificates.make_authority(now=NOW - 100 * DAY)


def saved(folder: Path, name: str, *pairs: certificates.Pair) -> Path:
    (folder / name).write_bytes(b"".join(pair.certificate_pem() for pair in pairs))
    return folder / name


def objections(folder: Path, ca: certificates.Pair, *shown: certificates.Pair) -> list[str]:
    files = saved(folder, "ca.pem", ca), saved(folder, "own.pem", *shown)
    return [str(one).replace(f"{folder}/", "") for one in link_objections(*files, roles=("bridge",), now=NOW)]


def test_what_is_made_for_the_role_is_good(authority: certificates.Pair, tmp_path: Path) -> None:
    own = certificates.make_leaf(authority, Role.BRIDGE, "bridge-1", now=NOW)
    assert objections(tmp_path, authority, own) == []


def test_the_certificate_of_another_role_is_named(authority: certificates.Pair, tmp_path: Path) -> None:
    front = certificates.make_leaf(authority, Role.FRONT, "front-1", now=NOW)
    said = "own.pem: is the certificate of a front (CN=front-1); here belongs one with OU=bridge"
    assert objections(tmp_path, authority, front) == [said]
    alone = role_objection(tmp_path / "own.pem", ("bridge",))
    assert str(alone).endswith(said)
    assert role_objection(tmp_path / "own.pem", ("front", "bridge")) is None
    assert objections(tmp_path, authority, authority)[0].startswith("own.pem: says OU=(nothing) (CN=dmz-bridge CA ")


@pytest.mark.parametrize(
    ("made", "days", "words"),
    [
        (NOW - 99 * DAY, 90, "own.pem: expired on 2026-11-20 00:00 UTC"),
        (NOW + DAY, 90, "own.pem: is not valid before 2026-11-29 23:55 UTC (is the clock right?)"),
    ],
)
def test_a_certificate_out_of_its_time_is_told(
    authority: certificates.Pair, tmp_path: Path, made: datetime.datetime, days: int, words: str
) -> None:
    own = certificates.make_leaf(authority, Role.BRIDGE, "bridge-1", now=made, days=days)
    assert objections(tmp_path, authority, own) == [words]
    assert [str(one) for one in date_objections(tmp_path / "own.pem", NOW)] == [f"{tmp_path}/{words}"]


def test_a_certificate_of_another_authority_is_told(authority: certificates.Pair, tmp_path: Path) -> None:
    own = certificates.make_leaf(certificates.make_authority(now=NOW), Role.BRIDGE, "bridge-1", now=NOW)
    assert objections(tmp_path, authority, own) == ["own.pem: is not issued by an authority in ca.pem"]


def test_a_leaf_in_the_authority_s_place_is_told(authority: certificates.Pair, tmp_path: Path) -> None:
    own = certificates.make_leaf(authority, Role.BRIDGE, "bridge-1", now=NOW)
    assert objections(tmp_path, own, own)[0] == "ca.pem: is the certificate of no authority (CN=bridge-1)"


def test_an_authority_whose_time_is_over_is_told_unless_another_follows(tmp_path: Path) -> None:
    old = certificates.make_authority(now=NOW - 100 * DAY, days=50)
    new = certificates.make_authority(now=NOW - 10 * DAY)
    own = certificates.make_leaf(new, Role.BRIDGE, "bridge-1", now=NOW)
    assert objections(tmp_path, old, own)[0].startswith("ca.pem: expired on ")
    saved(tmp_path, "both.pem", old, new)
    assert list(link_objections(tmp_path / "both.pem", tmp_path / "own.pem", ("bridge",), NOW)) == []


def test_a_server_needs_a_server_s_certificate(authority: certificates.Pair, tmp_path: Path) -> None:
    client = certificates.make_leaf(authority, Role.FRONT, "front-1", now=NOW)
    server = certificates.make_leaf(authority, Role.BROKER, "broker-1", ["localhost"], now=NOW)
    (said,) = server_objections(saved(tmp_path, "client.pem", client), NOW)
    assert "is not for a server" in str(said)
    assert list(server_objections(saved(tmp_path, "server.pem", server), NOW)) == []
    assert "is not for a client" in "".join(
        str(one) for one in link_objections(tmp_path / "server.pem", tmp_path / "server.pem", ("broker",), NOW)
    )


def test_what_holds_no_certificate_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_text("-----BEGIN CERTIFICATE-----\nMII")
    with pytest.raises(ConfigurationError, match=r"own\.pem: holds no PEM certificate"):
        list(date_objections(tmp_path / "own.pem", NOW))

"""Wire versions: each is read as it was sealed, none passes for another, and what is not spoken is refused."""

from pathlib import Path

import pytest

from bridgectl import keys
from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import EnvelopeError, Malformed, UnknownVersion
from protocol.keyring import Keyring
from protocol.messages import LOWEST_VERSION, WIRE_VERSION, Attributes, Role
from protocol.presence import Presence
from protocol.runtime.keyfiles import load_keyring
from tests.unit.protocol.test_envelope import BODY, NOW, attributes, moment

FIRST = "0199c8a1-7c00-7abc-8def-000000000001"


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keyring, Keyring]:
    directory: Path = tmp_path_factory.mktemp("keys")
    keys.init(directory, now=moment())
    front, bridge = (load_keyring(keys.keyring_path(directory, role), directory / keys.TRUSTED) for role in Role
                     if role in (Role.FRONT, Role.BRIDGE))  # fmt: skip
    return front, bridge


def sealed(ring: Keyring, **changes: object) -> bytes:
    return Sealer(ring, Role.BRIDGE).seal(Kind.REQUEST, attributes(**changes), BODY, now_ms=NOW)


def test_version_2_says_the_predecessor(rings: tuple[Keyring, Keyring]) -> None:
    envelope = sealed(rings[0], version=2, after=FIRST)
    assert envelope[0] == 2
    opened = Opener(rings[1]).open(envelope, now_ms=NOW)
    assert (opened.attributes, opened.payload) == (attributes(version=2, after=FIRST), BODY)


def test_version_1_is_what_it_was(rings: tuple[Keyring, Keyring]) -> None:
    envelope = sealed(rings[0], version=1)
    assert envelope[0] == 1
    length = int.from_bytes(envelope[178:180], "big")
    assert envelope[180 : 180 + length].count(b"\n") == 7  # as the first release draws it
    assert Opener(rings[1]).open(envelope, now_ms=NOW).attributes == attributes()
    with pytest.raises(Malformed, match="predecessor"):
        sealed(rings[0], version=1, after=FIRST)


def test_one_sealer_seals_both_each_with_a_data_key_of_its_own(rings: tuple[Keyring, Keyring]) -> None:
    sealer, opener = Sealer(rings[0], Role.BRIDGE), Opener(rings[1])
    wraps = set()
    for version in (1, 2, 3, 1, 2, 3):
        envelope = sealer.seal(Kind.REQUEST, attributes(version=version), BODY, now_ms=NOW)
        assert opener.open(envelope, now_ms=NOW).attributes.version == version
        wraps.add((version, envelope[2:178]))
    assert len(wraps) == 3


@pytest.mark.parametrize(("said", "claimed"), [(1, 2), (2, 1), (2, 3), (3, 2), (3, 1)])
@pytest.mark.parametrize("known", [False, True])
def test_one_version_does_not_pass_for_another(
    rings: tuple[Keyring, Keyring], said: int, claimed: int, known: bool
) -> None:
    opener, envelope = Opener(rings[1]), sealed(rings[0], version=said)
    if known:
        opener.open(envelope, now_ms=NOW)
    with pytest.raises(EnvelopeError):
        opener.open(bytes([claimed]) + envelope[1:], now_ms=NOW)


def test_what_is_not_spoken_is_refused(rings: tuple[Keyring, Keyring]) -> None:
    envelope = sealed(rings[0], version=2)
    with pytest.raises(UnknownVersion, match="version 2: this program speaks 1 to 1"):
        Opener(rings[1], version_max=1).open(envelope, now_ms=NOW)
    for version in (0, WIRE_VERSION + 1, 255):
        with pytest.raises(UnknownVersion):
            Opener(rings[1]).open(bytes([version]) + envelope[1:], now_ms=NOW)
        with pytest.raises(UnknownVersion):
            sealed(rings[0], version=version)


def test_presence_says_the_latest_version_and_a_later_one_is_understood() -> None:
    assert Presence(instance="b", time_ms=1, operations={}).version == WIRE_VERSION
    payload = b'{"instance":"b","time_ms":1,"operations":{},"version":9,"news":true}'
    assert Presence.from_payload(payload).version == 9
    assert Attributes("i", "b", "presence", NOW).version == LOWEST_VERSION

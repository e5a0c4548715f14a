"""Keys by group of fronts: a signature counts for its group alone, a reply is for the group that asked, and on the way
there from one key for all no message cannot be read.
"""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridgectl import keys
from bridgectl.keys import FRONTS, Whose
from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import ConfigurationError, ForAnother, UnknownKey, WrongGroup
from protocol.keyring import Keyring, PrivateFile, TrustedFile, judged_groups, parse_file
from protocol.messages import Role
from protocol.runtime.keyfiles import load_keyring
from tests.unit.protocol.test_envelope import BODY, NOW, attributes, moment

CITY, LAKE = Whose(Role.FRONT, "city"), Whose(Role.FRONT, "lake")


def ring(directory: Path, whose: Whose | Role) -> Keyring:
    return load_keyring(keys.keyring_path(directory, whose), directory / keys.TRUSTED)


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    keys.init(tmp_path / "keys", now=moment(), groups=("city", "lake"))
    return tmp_path / "keys"


def asked(front: Keyring, version: int = 3) -> bytes:
    return Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, attributes(version=version), BODY, now_ms=NOW)


def replied(bridge: Keyring, group: str, version: int = 3, kind: Kind = Kind.REPLY) -> bytes:
    about = attributes(source="bridge-1", reply_to="", version=version, group=group)
    return Sealer(bridge, Role.FRONT).seal(kind, about, BODY, now_ms=NOW)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_key_tells_which_group_asks_in_every_version(grouped: Path, version: int) -> None:
    bridge = ring(grouped, Role.BRIDGE)
    for whose in (CITY, LAKE):
        opened = Opener(bridge).open(asked(ring(grouped, whose), version), now_ms=NOW)
        assert (opened.attributes.group, opened.payload) == (whose.group, BODY)


def test_a_group_can_speak_for_no_other(grouped: Path) -> None:
    liar = replace(ring(grouped, CITY), group="lake")
    with pytest.raises(WrongGroup, match="lake"):
        Opener(ring(grouped, Role.BRIDGE)).open(asked(liar), now_ms=NOW)
    assert Opener(ring(grouped, Role.BRIDGE)).open(asked(liar, 2), now_ms=NOW).attributes.group == "city"


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.PRESENCE])
def test_only_the_group_it_is_for_reads_it(grouped: Path, kind: Kind, version: int) -> None:
    sealed = replied(ring(grouped, Role.BRIDGE), "city", version, kind)
    assert Opener(ring(grouped, CITY)).open(sealed, now_ms=NOW).payload == BODY
    with pytest.raises(ForAnother):
        Opener(ring(grouped, LAKE)).open(sealed, now_ms=NOW)


def test_what_is_for_a_group_that_is_gone_is_for_nobody(grouped: Path) -> None:
    sealed = replied(ring(grouped, Role.BRIDGE), "gone")
    for whose in (CITY, LAKE):
        with pytest.raises(UnknownKey):
            Opener(ring(grouped, whose)).open(sealed, now_ms=NOW)


def test_each_group_has_a_secret_of_its_own_from_the_beginning_and_keeps_that_of_all_after_a_split(
    grouped: Path, tmp_path: Path
) -> None:
    assert not ring(grouped, CITY).same_secret(ring(grouped, LAKE))
    keys.init(tmp_path / "shared", now=moment())
    before = ring(tmp_path / "shared", Role.FRONT)
    keys.split(tmp_path / "shared", ["city", "lake"], now=moment())
    keys.use_groups(tmp_path / "shared", now=moment())
    assert ring(tmp_path / "shared", CITY).same_secret(before)  # idempotency keys of before are still known


def test_a_split_meets_no_message_that_cannot_be_read(tmp_path: Path) -> None:
    """Whatever mixture of files the hosts have meanwhile: each step is everywhere before the next."""
    where = tmp_path / "keys"
    keys.init(where, now=moment())

    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in where.glob("*[gn]")}

    stages = [files()]
    assert keys.split(where, ["city", "lake"], now=moment(1)) == [CITY, LAKE]
    assert keys.split(where, ["city"], now=moment(1)) == []
    stages.append(files())
    keys.use_groups(where, now=moment(2))
    assert not keys.keyring_path(where, FRONTS).exists()
    stages.append(files())
    assert len(keys.prune(where, older_than_days=8, now=moment(11))) == 2
    stages.append(files())

    def parsed(stage: dict[str, bytes], name: str) -> Keyring:
        return Keyring.parse(stage[name], stage["trusted.json"])

    def of(stage: dict[str, bytes], group: str) -> Keyring:
        own = f"front-{group}.keyring"
        return parsed(stage, own if own in stage else "front.keyring")

    for earlier, later in pairwise(stages):
        fronts = {group: [of(stage, group) for stage in (earlier, later)] for group in ("city", "lake")}
        for bridge in (parsed(earlier, "bridge.keyring"), parsed(later, "bridge.keyring")):
            for group, several in fronts.items():
                for front in several:
                    got = Opener(bridge).open(asked(front, 2), now_ms=NOW).attributes.group
                    # as the bridge does (intranet_bridge/replies.py): the key's group, else the configuration's
                    answered = got or (group if Sealer(bridge, Role.FRONT).knows(group) else "")
                    for reader in several:
                        for version in (2, 3):
                            sealed = replied(bridge, answered, version)
                            assert Opener(reader).open(sealed, now_ms=NOW).payload == BODY
    with pytest.raises(UnknownKey):  # what was pruned is believed no more
        Opener(parsed(stages[-1], "bridge.keyring")).open(asked(parsed(stages[0], "front.keyring")), now_ms=NOW)


def test_a_group_that_comes_later_has_its_keys_at_once(grouped: Path) -> None:
    assert keys.split(grouped, ["city", "hill"], now=moment(1)) == [Whose(Role.FRONT, "hill")]
    hill = ring(grouped, Whose(Role.FRONT, "hill"))
    assert Opener(ring(grouped, Role.BRIDGE)).open(asked(hill), now_ms=NOW).attributes.group == "hill"


def test_the_keys_of_one_group_rotate_alone(grouped: Path) -> None:
    old = asked(ring(grouped, CITY))
    keys.rotate(grouped, CITY, now=moment(1))
    keys.activate(grouped, CITY, now=moment(2))
    bridge = ring(grouped, Role.BRIDGE)
    for envelope in (old, asked(ring(grouped, CITY)), asked(ring(grouped, LAKE))):
        Opener(bridge).open(envelope, now_ms=NOW)
    assert [key.group for key in keys.prune(grouped, older_than_days=0, now=moment(3))] == ["city", "city"]
    with pytest.raises(UnknownKey):
        Opener(ring(grouped, Role.BRIDGE)).open(old, now_ms=NOW)


def test_files_with_groups_say_so_and_those_without_are_as_they_were(grouped: Path, tmp_path: Path) -> None:
    keys.init(tmp_path / "shared", now=moment())
    for name in ("front.keyring", "bridge.keyring", "trusted.json"):
        content = json.loads((tmp_path / "shared" / name).read_text())
        assert content["format"].endswith(" 1")
        assert all("group" not in key for key in content["keys"])
    trusted = json.loads((grouped / "trusted.json").read_text())
    assert trusted["format"] == "dmz-bridge trusted keys 2"
    assert json.loads((grouped / "front-city.keyring").read_text())["format"] == "dmz-bridge keyring 2"
    trusted["format"] = "dmz-bridge trusted keys 1"
    with pytest.raises(ConfigurationError, match="format 1 has no groups"):
        parse_file(TrustedFile, json.dumps(trusted).encode(), "trusted")
    private = json.loads((grouped / "front-city.keyring").read_text()) | {"format": "dmz-bridge keyring 1"}
    with pytest.raises(ConfigurationError, match="format 1 has no groups"):
        parse_file(PrivateFile, json.dumps(private).encode(), "private")


def test_a_key_is_of_one_group_and_each_has_its_pair(grouped: Path) -> None:
    def refused(edit: Any) -> str:
        content = json.loads((grouped / "trusted.json").read_text())
        edit(content["keys"])
        with pytest.raises(ConfigurationError) as error:
            parse_file(TrustedFile, json.dumps(content).encode(), "trusted")
        return str(error.value)

    fronts = [at for at, key in enumerate(json.loads((grouped / "trusted.json").read_text())["keys"]) if "group" in key]
    assert "listed twice" in refused(lambda all: all.append(all[fronts[0]] | {"group": "lake"}))
    assert "the group city must have one active" in refused(lambda all: all.pop(fronts[0]))
    assert "of no group" in refused(lambda all: [key.update(group="x") for key in all if key["role"] == "bridge"])


def test_what_is_wrong_with_the_keys_beside_the_configuration_is_said(grouped: Path, tmp_path: Path) -> None:
    bridge = ring(grouped, Role.BRIDGE)
    assert judged_groups(bridge, ["city", "lake"]) == ([], [])
    (wrong,), _ = judged_groups(bridge, ["city"])
    assert "lake, and there is no [fronts.lake]" in wrong
    (wrong,), _ = judged_groups(bridge, ["city", "lake", "hill"])
    assert "no key in use of the group hill" in wrong
    where = tmp_path / "shared"
    keys.init(where, now=moment())
    assert judged_groups(ring(where, Role.BRIDGE), []) == judged_groups(ring(where, Role.BRIDGE), ["city"]) == ([], [])
    _, (doubt,) = judged_groups(ring(where, Role.BRIDGE), ["city", "lake"])
    assert "city, lake share one key" in doubt
    keys.split(where, ["city", "lake"], now=moment())
    keys.use_groups(where, now=moment())
    wrong_now, (doubt,) = judged_groups(ring(where, Role.BRIDGE), ["city", "lake"])
    assert not wrong_now
    assert "still believed" in doubt

"""Keyrings: what the two files must say, what a keyring can do, and that it tells nobody its secrets."""

import base64
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgectl import keys
from protocol.errors import ConfigurationError
from protocol.keyring import Algorithm, Keyring, KeyState, PrivateFile, key_id, new_key, parse_file
from protocol.messages import Role
from protocol.runtime import keyfiles
from protocol.runtime.keyfiles import load_keyring, read_private

NOW = datetime(2025, 10, 9, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    keys.init(tmp_path / "keys", now=NOW)
    return tmp_path / "keys"


def ring(directory: Path, role: Role = Role.FRONT) -> Keyring:
    return load_keyring(directory / f"{role}.keyring", directory / "trusted.json")


def change(path: Path, edit: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def secrets_of(directory: Path) -> list[str]:
    found = []
    for role in (Role.FRONT, Role.BRIDGE):
        content = json.loads((directory / f"{role}.keyring").read_text())
        found += [key["private"] for key in content["keys"]]
        found += [content["secret"]] if "secret" in content else []
    return found


# --- what a keyring holds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "other"), [(Role.FRONT, Role.BRIDGE), (Role.BRIDGE, Role.FRONT)])
def test_a_keyring_signs_opens_and_trusts(directory: Path, role: Role, other: Role) -> None:
    mine, theirs = ring(directory, role), ring(directory, other)
    assert mine.role is role
    assert mine.senders[theirs.signer[0]][0] is other
    assert theirs.senders[mine.signer[0]][1] == mine.signer[1].public_key()
    assert mine.receivers[other, ""][0] in theirs.openers
    assert mine.receivers[other, ""][0] not in mine.openers


def test_no_repr_shows_a_secret(directory: Path) -> None:
    shown = [repr(ring(directory, role)) for role in (Role.FRONT, Role.BRIDGE)]
    for role in (Role.FRONT, Role.BRIDGE):
        file = parse_file(PrivateFile, (directory / f"{role}.keyring").read_bytes(), "x")
        shown += [repr(file), str(file), *(repr(key) for key in file.keys)]
    for secret in secrets_of(directory):
        raw = base64.urlsafe_b64decode(secret)
        for text in shown:
            assert secret[:8] not in text
            assert repr(raw)[2:10] not in text
            assert raw.hex()[:8] not in text


def test_a_key_id_is_eight_bytes_of_what_the_key_is() -> None:
    public = bytes(range(32))
    ids = {key_id(algorithm, public) for algorithm in Algorithm}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in ids)


def test_new_keys_differ_and_carry_their_ids() -> None:
    made = {new_key(one, KeyState.ACTIVE, NOW, os.urandom(32)).id for one in Algorithm for _ in range(4)}
    assert len(made) == 8


# --- pseudonyms and fingerprints --------------------------------------------------------------------------


@given(st.text(), st.text())
def test_a_pseudonym_is_stable_short_and_its_own(two_fronts: tuple[Keyring, Keyring], one: str, other: str) -> None:
    first, second = two_fronts
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", first.pseudonym(one))
    assert first.pseudonym(one) == second.pseudonym(one)
    assert (first.pseudonym(one) == first.pseudonym(other)) == (one == other)


@pytest.fixture(scope="module")
def two_fronts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keyring, Keyring]:
    where = tmp_path_factory.mktemp("keys")
    keys.init(where, now=NOW)
    return ring(where), ring(where)


def test_pseudonyms_and_fingerprints_are_keyed_and_kept_apart(directory: Path, tmp_path: Path) -> None:
    keys.init(tmp_path / "others", now=NOW)
    mine, others = ring(directory), ring(tmp_path / "others")
    assert mine.pseudonym("3701234567") != others.pseudonym("3701234567")
    assert mine.fingerprint(b"3701234567") != others.fingerprint(b"3701234567")
    assert len(mine.fingerprint(b"")) == 32
    start = base64.urlsafe_b64encode(mine.fingerprint(b"3701234567")[:16]).decode().rstrip("=")
    assert start != mine.pseudonym("3701234567")


def test_pseudonyms_survive_a_rotation(directory: Path) -> None:
    before = ring(directory).pseudonym("3701234567")
    keys.rotate(directory, keys.Whose(Role.FRONT), now=NOW)
    keys.activate(directory, keys.Whose(Role.FRONT), now=NOW)
    assert ring(directory).pseudonym("3701234567") == before


def test_a_bridge_has_no_pseudonyms(directory: Path) -> None:
    bridge = ring(directory, Role.BRIDGE)
    with pytest.raises(ConfigurationError, match="only the front's has"):
        bridge.pseudonym("x")
    with pytest.raises(ConfigurationError, match="only the front's has"):
        bridge.fingerprint(b"x")


# --- files that cannot be used ----------------------------------------------------------------------------


def _swap_ids(content: Any) -> None:
    first, second = content["keys"][:2]
    first["id"], second["id"] = second["id"], first["id"]


DAMAGE: list[tuple[str, Callable[[Any], object], str]] = [
    ("front.keyring", lambda c: c.update(role="admin"), "role"),
    ("front.keyring", lambda c: c.update(role="bridge"), "secret"),
    ("front.keyring", lambda c: c.pop("secret"), "secret"),
    ("front.keyring", lambda c: c.update(secret="AAAA"), "secret"),
    ("front.keyring", lambda c: c.update(format="dmz-bridge keyring 9"), "format"),
    ("front.keyring", lambda c: c.update(surprise=1), "surprise"),
    ("front.keyring", _swap_ids, "damaged"),
    ("front.keyring", lambda c: c["keys"].pop(), "one active x25519"),
    ("front.keyring", lambda c: c["keys"].append(c["keys"][0]), "twice"),
    ("front.keyring", lambda c: c["keys"][0].update(state="next"), "one active ed25519"),
    ("front.keyring", lambda c: c["keys"][0].update(state="readable"), "retired_at"),
    ("front.keyring", lambda c: c["keys"][0].update(created="2025-10-09T00:00:00"), "created"),
    ("front.keyring", lambda c: c["keys"][0].update(private=c["keys"][1]["private"]), "damaged"),
    ("trusted.json", lambda c: c["keys"][0].update(public=c["keys"][1]["public"]), "damaged"),
    ("trusted.json", lambda c: c["keys"].pop(), "bridge must have one active x25519"),
    ("trusted.json", lambda c: c["keys"][0].update(role="broker"), "role"),
    ("trusted.json", lambda c: c.clear(), "keys"),
]


@pytest.mark.parametrize(("name", "edit", "told"), DAMAGE)
def test_a_damaged_file_is_named_and_no_secret_is(
    directory: Path, name: str, edit: Callable[[Any], object], told: str
) -> None:
    hidden = secrets_of(directory)
    change(directory / name, edit)
    with pytest.raises(ConfigurationError, match=told) as caught:
        ring(directory)
    assert str(caught.value).startswith(f"{directory / name}: ")
    assert caught.value.__cause__ is None
    for secret in hidden:
        assert secret[:8] not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1}'])
@pytest.mark.parametrize("name", ["front.keyring", "trusted.json"])
def test_noise_in_a_file_is_a_configuration_error(directory: Path, name: str, content: bytes) -> None:
    (directory / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=name):
        ring(directory)


def test_files_of_different_installations_do_not_go_together(directory: Path, tmp_path: Path) -> None:
    keys.init(tmp_path / "others", now=NOW)
    with pytest.raises(ConfigurationError, match=r"trusted\.json: does not list the front's active key"):
        load_keyring(directory / "front.keyring", tmp_path / "others" / "trusted.json")


def test_new_public_keys_with_an_old_keyring_are_noticed(directory: Path) -> None:
    old = (directory / "bridge.keyring").read_bytes()
    keys.rotate(directory, keys.Whose(Role.BRIDGE), now=NOW)
    keys.activate(directory, keys.Whose(Role.BRIDGE), now=NOW)
    (directory / "bridge.keyring").write_bytes(old)
    with pytest.raises(ConfigurationError, match=r"bridge\.keyring: does not hold key [0-9a-f]{16}"):
        ring(directory, Role.BRIDGE)


# --- permissions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_a_private_file_open_to_others_is_refused(directory: Path, mode: int) -> None:
    (directory / "front.keyring").chmod(mode)
    with pytest.raises(ConfigurationError, match=r"front\.keyring: may be read by others .*chmod 0600"):
        ring(directory)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_public_keys_others_may_change_are_refused(directory: Path, mode: int) -> None:
    (directory / "trusted.json").chmod(mode)
    with pytest.raises(ConfigurationError, match=r"trusted\.json: may be changed by others"):
        ring(directory)


@pytest.mark.parametrize(
    ("me", "owner", "mode", "refused"),
    [
        (1000, 1000, 0o600, False),
        (1000, 1000, 0o400, False),
        (1000, 1000, 0o640, True),
        (1000, 0, 0o640, False),
        (1000, 0, 0o440, False),
        (1000, 0, 0o660, True),
        (1000, 0, 0o644, True),
        (1000, 1001, 0o600, True),
        (0, 1001, 0o600, False),
        (0, 0, 0o640, True),
    ],
)
def test_whose_private_file_is_accepted(
    directory: Path, monkeypatch: pytest.MonkeyPatch, me: int, owner: int, mode: int, refused: bool
) -> None:
    fields = list(map(int, (directory / "front.keyring").stat()))
    fields[0], fields[4] = fields[0] & ~0o777 | mode, owner
    monkeypatch.setattr(os, "geteuid", lambda: me)
    assert (keyfiles.objection(os.stat_result(fields), private=True) is not None) == refused


def test_what_is_missing_or_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"front\.keyring: is not there"):
        read_private(tmp_path / "front.keyring")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_private(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        read_private(tmp_path / "pipe")
    big = tmp_path / "big"
    big.touch(0o600)
    os.truncate(big, 2 << 20)
    with pytest.raises(ConfigurationError, match="too large"):
        read_private(big)

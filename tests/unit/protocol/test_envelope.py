"""The envelope: opens for whom it was sealed, as it was sealed, in time, once; and for nobody and nothing else."""

import dataclasses
import datetime
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgectl import keys
from protocol import envelope as module
from protocol.envelope import DATA_KEY_MS, MAX_AGE_MS, SKEW_MS, Kind, Opener, ReplayGuard, Sealer
from protocol.errors import (
    BadSignature,
    EnvelopeError,
    Expired,
    Malformed,
    Replayed,
    Stale,
    Tampered,
    UnknownKey,
    UnknownVersion,
    WrongKind,
)
from protocol.keyring import Keyring
from protocol.messages import HORIZON_MS, Attributes, Role
from protocol.runtime.keyfiles import load_keyring

NOW = 1_760_000_000_000
DAY = 24 * 3_600_000
REQUEST = Attributes(
    id="0199c8a1-7c00-7abc-8def-0123456789ab",
    source="front-1/wechat",
    type="bill-query",
    time=NOW,
    subject="mA1x9Zk3Qe7Yt2Lw5Vb8Ng",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    deadline=NOW + 5_000,
    reply_to="/queue/bridge.reply.query.front-1",
)
REPLY = Attributes(id=REQUEST.id, source="bridge-1", type="bill-query", time=NOW)
BODY = '{"account":"3701234567","月":"2025-10"}'.encode()

# Where the parts stand, as drawn in the module's docstring.
WRAP, WRAP_END = 2, 178
SENDER_ID, RECEIVER_ID, DATA_KEY, SIGNATURE = 2, 10, 34, 114


def ring(directory: Path, role: Role) -> Keyring:
    return load_keyring(keys.keyring_path(directory, role), directory / keys.TRUSTED)


def moment(days: int = 0) -> datetime.datetime:
    return datetime.datetime(2025, 10, 9, tzinfo=datetime.UTC) + datetime.timedelta(days=days)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    keys.init(made, now=moment())
    return made


@pytest.fixture(scope="module")
def front(directory: Path) -> Keyring:
    return ring(directory, Role.FRONT)


@pytest.fixture(scope="module")
def bridge(directory: Path) -> Keyring:
    return ring(directory, Role.BRIDGE)


@pytest.fixture(scope="module")
def sealed(front: Keyring) -> bytes:
    return Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)


def attributes(**changes: object) -> Attributes:
    return dataclasses.replace(REQUEST, **changes)  # type: ignore[arg-type]


# --- what goes in comes out -------------------------------------------------------------------------------


def test_a_request_opens_as_it_was_sealed(front: Keyring, bridge: Keyring, sealed: bytes) -> None:
    opened = Opener(bridge).open(sealed, now_ms=NOW + 3)
    assert (opened.kind, opened.attributes, opened.payload) == (Kind.REQUEST, REQUEST, BODY)
    assert (opened.sender, opened.sender_key) == (Role.FRONT, front.signer[0].hex())


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.PRESENCE])
def test_the_bridge_answers_and_announces(front: Keyring, bridge: Keyring, kind: Kind) -> None:
    sealed = Sealer(bridge, Role.FRONT).seal(kind, REPLY, b"", now_ms=NOW)
    opened = Opener(front).open(sealed, now_ms=NOW, expect=kind)
    assert (opened.kind, opened.attributes, opened.payload, opened.sender) == (kind, REPLY, b"", Role.BRIDGE)


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=64)


@given(
    id=st.from_regex(r"[0-9A-Za-z._:-]{1,64}", fullmatch=True),
    source=printable,
    type=printable.filter(bool),
    subject=printable,
    deadline=st.integers(0, NOW + HORIZON_MS),
    reply_to=printable,
    body=st.binary(max_size=3_000),
)
def test_all_attributes_and_bodies_pass(front: Keyring, bridge: Keyring, body: bytes, **changes: object) -> None:
    wanted = attributes(**changes)
    opened = Opener(bridge).authentic(Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, wanted, body, now_ms=NOW))
    assert (opened.attributes, opened.payload) == (wanted, body)


def test_two_receivers_with_the_same_keyring_open_the_same_envelope(directory: Path, sealed: bytes) -> None:
    for opener in (Opener(ring(directory, Role.BRIDGE)), Opener(ring(directory, Role.BRIDGE))):
        assert opener.open(sealed, now_ms=NOW).payload == BODY


def test_one_receiver_opens_what_two_senders_sealed(front: Keyring, bridge: Keyring) -> None:
    opener = Opener(bridge)
    for sealer in (Sealer(front, Role.BRIDGE), Sealer(front, Role.BRIDGE)):
        assert opener.open(sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW), now_ms=NOW).payload == BODY


def test_the_body_is_nowhere_in_the_envelope(sealed: bytes) -> None:
    assert b"3701234567" not in sealed
    assert b"bill-query" in sealed


# --- nothing else is accepted -----------------------------------------------------------------------------


def test_every_flipped_bit_is_refused(bridge: Keyring, sealed: bytes) -> None:
    opener = Opener(bridge)
    opener.open(sealed, now_ms=NOW)
    for position in range(len(sealed)):
        for bit in range(8):
            forged = bytearray(sealed)
            forged[position] ^= 1 << bit
            with pytest.raises(EnvelopeError):
                opener.open(bytes(forged), now_ms=NOW)


def test_every_truncation_and_any_addition_is_refused(bridge: Keyring, sealed: bytes) -> None:
    opener = Opener(bridge)
    for length in range(len(sealed)):
        with pytest.raises(EnvelopeError):
            opener.open(sealed[:length], now_ms=NOW)
    with pytest.raises(Tampered):
        opener.open(sealed + b"\0", now_ms=NOW)


@given(noise=st.binary(max_size=1_200), plausible=st.booleans())
def test_noise_is_refused(bridge: Keyring, sealed: bytes, noise: bytes, plausible: bool) -> None:
    with pytest.raises(EnvelopeError):
        Opener(bridge).open(sealed[:WRAP_END] + noise if plausible else noise, now_ms=NOW)


@given(st.data())
def test_a_body_moved_to_another_envelope_is_refused(front: Keyring, bridge: Keyring, data: st.DataObject) -> None:
    sealer = Sealer(front, Role.BRIDGE)
    one = sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    other = sealer.seal(Kind.REQUEST, attributes(id="another"), BODY, now_ms=NOW)
    cut = data.draw(st.integers(1, min(len(one), len(other)) - 1))
    spliced = one[:cut] + other[cut:]
    if spliced not in (one, other):
        with pytest.raises(EnvelopeError):
            Opener(bridge).open(spliced, now_ms=NOW)


def flipped(sealed: bytes, position: int) -> bytes:
    return sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :]


@pytest.mark.parametrize(
    ("position", "error"),
    [
        (0, UnknownVersion),
        (1, Tampered),
        (SENDER_ID, UnknownKey),
        (RECEIVER_ID, UnknownKey),
        (DATA_KEY, BadSignature),
        (SIGNATURE, BadSignature),
        (WRAP_END, Malformed),
        (WRAP_END + 2, Tampered),
        (-1, Tampered),
        (-17, Tampered),
    ],
)
def test_each_part_has_its_own_error(bridge: Keyring, sealed: bytes, position: int, error: type[EnvelopeError]) -> None:
    with pytest.raises(EnvelopeError) as caught:
        Opener(bridge).open(flipped(sealed, position % len(sealed)), now_ms=NOW)
    assert type(caught.value) is error


def test_a_failure_is_not_remembered(bridge: Keyring, sealed: bytes) -> None:
    opener = Opener(bridge)
    with pytest.raises(BadSignature):
        opener.open(flipped(sealed, SIGNATURE), now_ms=NOW)
    assert not opener._keys
    assert opener.open(sealed, now_ms=NOW).payload == BODY


def test_strangers_are_refused(tmp_path: Path, bridge: Keyring, sealed: bytes) -> None:
    keys.init(tmp_path / "strange", now=moment())
    stranger = ring(tmp_path / "strange", Role.FRONT)
    theirs = Sealer(stranger, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    with pytest.raises(UnknownKey, match="not trusted"):
        Opener(bridge).open(theirs, now_ms=NOW)
    with pytest.raises(UnknownKey):
        Opener(ring(tmp_path / "strange", Role.BRIDGE)).open(sealed, now_ms=NOW)


def test_a_stranger_who_signs_in_a_trusted_name_is_refused(tmp_path: Path, front: Keyring, bridge: Keyring) -> None:
    keys.init(tmp_path / "strange", now=moment())
    stranger = ring(tmp_path / "strange", Role.FRONT)
    liar = dataclasses.replace(front, signer=(front.signer[0], stranger.signer[1]))
    with pytest.raises(BadSignature):
        Opener(bridge).open(Sealer(liar, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW), now_ms=NOW)


def test_a_wrap_signed_anew_by_another_trusted_key_does_not_unwrap(front: Keyring, bridge: Keyring) -> None:
    """A trusted sender who takes over someone else's data key, which it cannot read, gains nothing."""
    sealed = Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    identity, private = bridge.signer
    wrap = identity + sealed[RECEIVER_ID:SIGNATURE]
    forged = sealed[:WRAP] + wrap + private.sign(module._SIGN_LABEL + sealed[:1] + wrap) + sealed[WRAP_END:]
    with pytest.raises(Tampered, match="unwrap"):
        Opener(bridge).open(forged, now_ms=NOW)


# --- kinds and roles --------------------------------------------------------------------------------------


def test_a_role_cannot_seal_what_it_may_not_send(front: Keyring, bridge: Keyring) -> None:
    for kind in (Kind.REPLY, Kind.PRESENCE):
        with pytest.raises(WrongKind):
            Sealer(front, Role.BRIDGE).seal(kind, REQUEST, BODY, now_ms=NOW)
    with pytest.raises(WrongKind):
        Sealer(bridge, Role.FRONT).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    for to in (Role.FRONT, Role.OPERATOR):
        with pytest.raises(ValueError, match="nobody"):
            Sealer(front, to)


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.PRESENCE])
def test_a_trusted_front_that_plays_the_bridge_is_refused(
    front: Keyring, bridge: Keyring, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(module.SENDER, kind, Role.FRONT)
        sealed = Sealer(front, Role.BRIDGE).seal(kind, REQUEST, BODY, now_ms=NOW)
    with pytest.raises(WrongKind):
        Opener(bridge).open(sealed, now_ms=NOW)


def test_one_s_own_message_sent_back_is_refused(front: Keyring, sealed: bytes) -> None:
    with pytest.raises(UnknownKey):
        Opener(front).open(sealed, now_ms=NOW)
    to_self = dataclasses.replace(front, receivers={(Role.BRIDGE, ""): front.receivers[Role.FRONT, ""]})
    mirrored = Sealer(to_self, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    with pytest.raises(WrongKind):
        Opener(front).open(mirrored, now_ms=NOW)


def test_an_expected_kind_is_insisted_on(front: Keyring, bridge: Keyring) -> None:
    presence = Sealer(bridge, Role.FRONT).seal(Kind.PRESENCE, REPLY, b"", now_ms=NOW)
    with pytest.raises(WrongKind, match="a presence where a reply belongs"):
        Opener(front).open(presence, now_ms=NOW, expect=Kind.REPLY)


# --- time -------------------------------------------------------------------------------------------------


def test_the_deadline_is_the_last_moment(bridge: Keyring, sealed: bytes) -> None:
    opener = Opener(bridge)
    assert opener.open(sealed, now_ms=REQUEST.deadline).payload == BODY
    with pytest.raises(Expired):
        opener.open(sealed, now_ms=REQUEST.deadline + 1)
    assert opener.authentic(sealed).attributes == REQUEST


def test_a_command_opens_days_later_but_not_after_a_week(front: Keyring, bridge: Keyring) -> None:
    sealed = Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, attributes(deadline=0), BODY, now_ms=NOW)
    assert Opener(bridge).open(sealed, now_ms=NOW + 6 * DAY).payload == BODY
    assert Opener(bridge).open(sealed, now_ms=NOW + MAX_AGE_MS).payload == BODY
    with pytest.raises(Stale, match="old"):
        Opener(bridge).open(sealed, now_ms=NOW + MAX_AGE_MS + 1)
    with pytest.raises(Stale, match="old"):
        Opener(bridge, max_age_ms=1_000).open(sealed, now_ms=NOW + 1_001)


def test_a_message_from_the_future_is_stale(bridge: Keyring, sealed: bytes) -> None:
    assert Opener(bridge).open(sealed, now_ms=NOW - SKEW_MS).payload == BODY
    with pytest.raises(Stale, match="future"):
        Opener(bridge).open(sealed, now_ms=NOW - SKEW_MS - 1)


@pytest.mark.parametrize("time", [NOW - SKEW_MS - 1, NOW + DATA_KEY_MS + SKEW_MS + 1])
def test_a_message_is_dated_within_the_life_of_its_data_key(
    front: Keyring, bridge: Keyring, monkeypatch: pytest.MonkeyPatch, time: int
) -> None:
    """Who once learned a data key cannot use it for ever."""
    sealer = Sealer(front, Role.BRIDGE)
    with pytest.raises(Stale):
        sealer.seal(Kind.REQUEST, attributes(time=time), BODY, now_ms=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(module, "SKEW_MS", 10 * DAY)
        late = sealer.seal(Kind.REQUEST, attributes(time=time, deadline=0), BODY, now_ms=NOW)
    with pytest.raises(Stale, match="data key"):
        Opener(bridge).open(late, now_ms=time)


def test_a_data_key_that_claims_a_longer_life_is_refused(
    front: Keyring, bridge: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "DATA_KEY_MS", DAY)
        sealed = Sealer(front, Role.BRIDGE, lifetime_ms=DAY).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    with pytest.raises(Malformed, match="hour"):
        Opener(bridge).open(sealed, now_ms=NOW)


# --- attributes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "a\nb"},
        {"source": "front-1\n"},
        {"type": "bill\0query"},
        {"subject": "\x1b[31m"},
        {"traceparent": "00\r"},
        {"reply_to": "\x85"},
        {"reply_to": "\ud800"},
        {"reply_to": "x" * 70_000},
        {"deadline": -1},
        {"deadline": 10**25},
        {"deadline": NOW + HORIZON_MS + 1},
        {"id": "i" * 65},
        {"source": "s" * 161},
        {"subject": "s" * 161},
        {"type": "t" * 65},
        {"after": "x" * 65, "version": 2},
    ],
)
def test_attributes_that_cannot_be_told_apart_are_not_sealed(front: Keyring, changes: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, attributes(**changes), BODY, now_ms=NOW)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n" * 7,
        b"a\n" * 8,
        b"i\ns\nt\nx\n\n\n0\n",
        b"i\ns\nt\n1\n\n\n\n",
        b"\xff\ns\nt\n1\n\n\n0\n",
        b"i\n\x07\nt\n1\n\n\n0\n",
    ],
)
def test_a_trusted_sender_s_bad_attributes_are_malformed(
    front: Keyring, bridge: Keyring, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "encoded", lambda *_: text)
        sealed = Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    with pytest.raises(Malformed):
        Opener(bridge).open(sealed, now_ms=NOW)


# --- data keys --------------------------------------------------------------------------------------------


def wrap_of(sealed: bytes) -> bytes:
    return sealed[WRAP:WRAP_END]


def nonce_of(sealed: bytes, text: Attributes = REQUEST) -> bytes:
    length = int.from_bytes(sealed[WRAP_END : WRAP_END + 2], "big")
    return sealed[WRAP_END + 2 + length : WRAP_END + 10 + length]


def test_a_data_key_is_replaced_after_an_hour(front: Keyring, bridge: Keyring) -> None:
    sealer, opener = Sealer(front, Role.BRIDGE), Opener(bridge)

    def at(now: int) -> bytes:
        sealed = sealer.seal(Kind.REQUEST, attributes(time=now, deadline=0), BODY, now_ms=now)
        assert opener.open(sealed, now_ms=now).payload == BODY
        return wrap_of(sealed)

    first = at(NOW)
    assert at(NOW + DATA_KEY_MS - 1) == first
    second = at(NOW + DATA_KEY_MS)
    assert second != first
    assert at(NOW + DATA_KEY_MS - 1_000) == second, "a clock that steps back a little costs no new key"
    assert at(NOW - DAY) not in (first, second)


def test_a_data_key_is_replaced_after_so_many_messages(front: Keyring, bridge: Keyring) -> None:
    sealer, opener = Sealer(front, Role.BRIDGE, messages=3), Opener(bridge)
    sealed = [sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW) for _ in range(7)]
    assert [len({wrap_of(one) for one in sealed[start : start + 3]}) for start in (0, 3)] == [1, 1]
    assert len({wrap_of(one) for one in sealed}) == 3
    assert all(opener.open(one, now_ms=NOW).payload == BODY for one in sealed)


@pytest.mark.parametrize(
    "limits", [{"lifetime_ms": DATA_KEY_MS + 1}, {"lifetime_ms": 0}, {"messages": (1 << 20) + 1}, {"messages": 0}]
)
def test_the_protocol_s_limits_cannot_be_exceeded(front: Keyring, limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at most an hour"):
        Sealer(front, Role.BRIDGE, **limits)


def test_no_nonce_is_used_twice_not_even_by_threads(front: Keyring) -> None:
    sealer = Sealer(front, Role.BRIDGE, messages=100)
    sealed: list[bytes] = []

    def work() -> None:
        for _ in range(400):
            sealed.append(sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(wrap_of(one), nonce_of(one)) for one in sealed}) == len(sealed) == 1_600


def test_a_forked_child_takes_a_data_key_of_its_own(front: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    sealer = Sealer(front, Role.BRIDGE)
    before = sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    assert wrap_of(sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)) != wrap_of(before)


def test_the_opener_remembers_a_bounded_number_of_data_keys(front: Keyring, bridge: Keyring) -> None:
    opener = Opener(bridge, cache=2)
    sealed = [Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW) for _ in range(4)]
    for one in (*sealed, sealed[0], sealed[3]):
        assert opener.open(one, now_ms=NOW).payload == BODY
        assert len(opener._keys) <= 2


# --- rotation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.FRONT, Role.BRIDGE])
def test_rotation_never_meets_a_message_that_cannot_be_read(tmp_path: Path, role: Role) -> None:
    """At each step one side may have the new files and the other still the old ones."""
    where = tmp_path / "keys"
    keys.init(where, now=moment())
    steps: list[Callable[[], object]] = [
        lambda: keys.rotate(where, keys.Whose(role), now=moment(1)),
        lambda: keys.activate(where, keys.Whose(role), now=moment(2)),
        lambda: keys.prune(where, older_than_days=30, now=moment(40)),
    ]
    old = ring(where, Role.FRONT), ring(where, Role.BRIDGE)
    for step in steps:
        step()
        new = ring(where, Role.FRONT), ring(where, Role.BRIDGE)
        for front in (old[0], new[0]):
            for bridge in (old[1], new[1]):
                asked = Sealer(front, Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
                assert Opener(bridge).open(asked, now_ms=NOW).payload == BODY
                answered = Sealer(bridge, Role.FRONT).seal(Kind.REPLY, REPLY, BODY, now_ms=NOW)
                assert Opener(front).open(answered, now_ms=NOW).payload == BODY
        old = new


@pytest.mark.parametrize("role", [Role.FRONT, Role.BRIDGE])
def test_old_keys_read_until_they_are_pruned(tmp_path: Path, role: Role) -> None:
    where = tmp_path / "keys"
    keys.init(where, now=moment())
    sealed = Sealer(ring(where, Role.FRONT), Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    keys.rotate(where, keys.Whose(role), now=moment(1))
    keys.activate(where, keys.Whose(role), now=moment(1))
    assert Opener(ring(where, Role.BRIDGE)).open(sealed, now_ms=NOW).payload == BODY
    renewed = Sealer(ring(where, Role.FRONT), Role.BRIDGE).seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    place = slice(SENDER_ID, SENDER_ID + 8) if role is Role.FRONT else slice(RECEIVER_ID, RECEIVER_ID + 8)
    assert renewed[place] != sealed[place]
    keys.prune(where, older_than_days=8, now=moment(9))
    with pytest.raises(UnknownKey):
        Opener(ring(where, Role.BRIDGE)).open(sealed, now_ms=NOW)
    assert Opener(ring(where, Role.BRIDGE)).open(renewed, now_ms=NOW).payload == BODY


def test_a_process_goes_on_with_another_keyring(tmp_path: Path) -> None:
    where = tmp_path / "keys"
    keys.init(where, now=moment())
    sealer, opener = Sealer(ring(where, Role.FRONT), Role.BRIDGE), Opener(ring(where, Role.BRIDGE))
    before = sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    assert opener.open(before, now_ms=NOW).payload == BODY
    keys.rotate(where, keys.Whose(Role.FRONT), now=moment(1))
    keys.activate(where, keys.Whose(Role.FRONT), now=moment(1))
    opener.use(ring(where, Role.BRIDGE))
    sealer.use(ring(where, Role.FRONT))
    after = sealer.seal(Kind.REQUEST, REQUEST, BODY, now_ms=NOW)
    assert after[SENDER_ID : SENDER_ID + 8] != before[SENDER_ID : SENDER_ID + 8]
    assert opener.open(before, now_ms=NOW).payload == opener.open(after, now_ms=NOW).payload == BODY
    keys.prune(where, older_than_days=8, now=moment(9))
    opener.use(ring(where, Role.BRIDGE))
    with pytest.raises(UnknownKey):  # also what was opened with it before
        opener.open(before, now_ms=NOW)
    with pytest.raises(ValueError, match="nobody to seal to"):
        sealer.use(ring(where, Role.BRIDGE))
    assert ring(where, Role.FRONT).same_secret(ring(where, Role.FRONT))
    keys.init(tmp_path / "others", now=moment())
    assert not ring(where, Role.FRONT).same_secret(ring(tmp_path / "others", Role.FRONT))


# --- replay -----------------------------------------------------------------------------------------------


def test_a_second_arrival_is_a_replay_until_the_deadline() -> None:
    guard = ReplayGuard()
    guard.take(REQUEST, now_ms=NOW)
    with pytest.raises(Replayed):
        guard.take(REQUEST, now_ms=REQUEST.deadline)
    guard.take(attributes(id="other"), now_ms=NOW)
    assert not guard.seen(REQUEST.id, REQUEST.deadline, now_ms=REQUEST.deadline + 1), "Opener calls it Expired"
    assert len(guard) == 0


def test_what_has_no_deadline_is_remembered_for_a_week() -> None:
    guard = ReplayGuard()
    guard.take(attributes(deadline=0), now_ms=NOW)
    with pytest.raises(Replayed):
        guard.take(attributes(deadline=0), now_ms=NOW + MAX_AGE_MS)


def test_the_replay_guard_s_memory_is_bounded() -> None:
    guard = ReplayGuard(capacity=10)
    for number in range(25):
        assert not guard.seen(f"id-{number}", NOW + number, now_ms=NOW)
        assert len(guard) <= 10
    assert guard.forgotten == 15
    assert guard.seen("id-24", NOW + 24, now_ms=NOW)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.integers(0, 3)), max_size=60))
def test_the_replay_guard_agrees_with_a_plain_record(arrivals: list[tuple[int, int, int]]) -> None:
    guard, record, now = ReplayGuard(), dict[int, int](), 0
    for id, life, passed in arrivals:
        now += passed
        taken = record.get(id, -1) >= now
        assert guard.seen(str(id), now + life, now_ms=now) is taken
        if not taken:
            record[id] = now + life


# --- secrets ----------------------------------------------------------------------------------------------


def test_no_repr_shows_a_body_or_a_key(bridge: Keyring, sealed: bytes) -> None:
    opened = Opener(bridge).open(sealed, now_ms=NOW)
    assert "3701234567" not in repr(opened)
    assert REQUEST.id in repr(opened)

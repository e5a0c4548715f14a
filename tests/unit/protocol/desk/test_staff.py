"""Staff of the desk: both factors, each code once, locks that grow."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import Connection

from protocol.desk import staff
from protocol.desk.staff import FIRST_LOCK_MS, FREE_FAILURES, LONGEST_LOCK_MS, STEP_MS
from protocol.runtime.applications import METADATA
from protocol.runtime.store_engine import engine

STEP = 60_000_000
NOW = STEP * STEP_MS + 1


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    store = engine(f"sqlite:///{tmp_path / 'front.sqlite3'}")
    METADATA.create_all(store)
    with store.connect() as connection:
        yield connection
    store.dispose()


def member(connection: Connection) -> staff.Member:
    found = staff.member(connection, "wang")
    assert found is not None
    return found


def code(made: staff.Credentials, step: int) -> str:
    totp = TOTP(base64.b32decode(made.secret), 6, SHA1(), STEP_MS // 1000)
    return totp.generate(step * STEP_MS // 1000).decode()


def test_a_code_is_good_for_its_step_and_those_beside_it_with_the_right_password(connection: Connection) -> None:
    made = staff.add(connection, "wang", ["issue"], NOW)
    wang = member(connection)
    found = {step: staff.step_of(wang, made.password, code(made, step), NOW) for step in range(STEP - 2, STEP + 3)}
    assert found == {STEP - 2: None, STEP - 1: STEP - 1, STEP: STEP, STEP + 1: STEP + 1, STEP + 2: None}
    assert staff.step_of(wang, "another", code(made, STEP), NOW) is None


def test_a_code_is_taken_once_and_none_of_before_it(connection: Connection) -> None:
    made = staff.add(connection, "wang", ["issue"], NOW)
    assert staff.succeeded(connection, "wang", STEP)
    assert not staff.succeeded(connection, "wang", STEP)  # by two log-ins at the same time
    assert not staff.succeeded(connection, "wang", STEP - 1)
    used = member(connection)
    found = [staff.step_of(used, made.password, code(made, step), NOW) for step in (STEP - 1, STEP, STEP + 1)]
    assert found == [None, None, STEP + 1]


def test_who_is_disabled_meanwhile_is_not_let_in(connection: Connection) -> None:
    staff.add(connection, "wang", ["issue"], NOW)
    staff.disable(connection, "wang", NOW + 5)
    assert not staff.succeeded(connection, "wang", STEP)
    assert (member(connection).disabled_at, member(connection).changed_at) == (NOW + 5, NOW + 5)


def test_failures_lock_an_account_for_longer_each_time_until_it_is_entered(connection: Connection) -> None:
    staff.add(connection, "wang", ["issue"], NOW)
    locks = []
    for _ in range(FREE_FAILURES + 2):
        staff.failed(connection, "wang", NOW)
        locks.append(member(connection).locked_until - NOW)
    assert locks == [0] * (FREE_FAILURES - 1) + [FIRST_LOCK_MS, 2 * FIRST_LOCK_MS, 4 * FIRST_LOCK_MS]
    assert staff.locked_ms(10_000) == LONGEST_LOCK_MS
    assert staff.succeeded(connection, "wang", STEP)
    assert (member(connection).failures, member(connection).locked_until) == (0, 0)
    staff.failed(connection, "nobody", NOW)


def test_a_reset_ends_sessions_and_lets_in_again(connection: Connection) -> None:
    made = staff.add(connection, "wang", ["issue"], NOW)
    staff.succeeded(connection, "wang", STEP)
    staff.disable(connection, "wang", NOW)
    anew = staff.reset(connection, "wang", ["lookup"], NOW + 5)
    wang = member(connection)
    assert (wang.roles, wang.changed_at, wang.disabled_at) == (frozenset({"lookup"}), NOW + 5, None)
    assert staff.step_of(wang, anew.password, code(anew, STEP), NOW) == STEP
    assert staff.step_of(wang, made.password, code(made, STEP), NOW) is None

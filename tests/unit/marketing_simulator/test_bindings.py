"""Bindings: proofs that are good for one user, for a while and for one thing; refusals that tell nothing."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.bindings import (
    CODE_LASTS,
    CODE_PAUSE,
    CODE_TRIES,
    CODES_A_DAY,
    TOKEN_LASTS,
    Bindings,
    masked_address,
    masked_name,
    messages,
)
from tests.unit.marketing_simulator.inside import Inside, asked, outcomes, refused

ACCOUNT = "3210000000001"
CONSENT = {"agreeVer": "2026-01", "agreeTime": "2026-01-15 08:59:00"}
MATCH: dict[str, Any] = {
    "reqId": "m-1",
    "appUser": "u-1",
    "certNo": "990101196211080011",
    "mobileNo": "19900000001",
    **CONSENT,
}
CODE: dict[str, Any] = {"reqId": "c-1", "appUser": "u-1", "consNo": ACCOUNT}
BIND: dict[str, Any] = {"reqId": "b-1", "appUser": "u-1", "consNo": ACCOUNT}


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3", customers=80)
    yield inside
    inside.close()


@pytest.fixture
def bindings(inside: Inside) -> Bindings:
    return Bindings(inside.reading, inside.effects, inside.clock)


def one(effect: Any, body: dict[str, Any]) -> Any:
    (outcome,) = outcomes(effect, body)
    return outcome


def sent(inside: Inside, account: str = ACCOUNT) -> list[str]:
    return [str(message["code"]) for message in messages(inside.reading, account)]


def other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_a_match_shows_candidates_masked_and_is_bound_by_its_token(bindings: Bindings) -> None:
    found = one(bindings.match, MATCH)
    assert found["expTime"] == "2026-01-15 09:10:00"
    assert found["consList"] == [{"consNo": ACCOUNT, "consName": "田*", "elecAddr": "云河市新港区滨河路***"}]
    again = asked(bindings.candidates, appUser="u-1", matchToken=found["matchToken"])
    assert again["consList"] == found["consList"]
    bound = one(bindings.bind, BIND | {"matchToken": found["matchToken"]})
    assert (bound["consName"], bound["bindTime"]) == ("田*", "2026-01-15 09:00:00")
    assert [line["consNo"] for line in asked(bindings.bound, appUser="u-1")["consList"]] == [ACCOUNT]
    assert asked(bindings.bound, appUser="u-2")["consList"] == []


def test_a_second_flat_of_the_holder_is_a_candidate_and_a_closed_account_is_not(
    inside: Inside, bindings: Bindings
) -> None:
    def of(account: str) -> Any:
        row = inside.reading.execute("SELECT identity_number, mobile FROM customer WHERE account = ?", (account,))
        identity, mobile = row.fetchone()
        return one(bindings.match, MATCH | {"reqId": account, "certNo": identity, "mobileNo": mobile})

    assert [line["consNo"] for line in of("3210000000040")["consList"]] == ["3210000000039", "3210000000040"]
    assert of("3210000000007") == "1201"


def test_no_such_identity_and_a_wrong_mobile_are_one_answer_and_the_same_work(
    inside: Inside, bindings: Bindings
) -> None:
    attempts = [MATCH | {"certNo": "990101196211080099"}, MATCH | {"mobileNo": "19900000002"}]
    work: list[list[str]] = []
    for attempt in attempts:
        statements: list[str] = []
        writing: sqlite3.Connection = inside.effects._connection
        writing.set_trace_callback(statements.append)
        assert one(bindings.match, attempt) == "1201"
        writing.set_trace_callback(None)
        work.append([statement.partition("=")[0] for statement in statements])
    assert work[0] == work[1]
    plan = inside.reading.execute(
        "EXPLAIN QUERY PLAN SELECT account FROM customer WHERE identity_number = '1' AND mobile = '2' AND status = '1'"
    ).fetchall()
    assert "customer_by_identity (identity_number=? AND mobile=?)" in plan[0][3]


def test_a_token_is_good_for_its_user_and_accounts_for_ten_minutes(inside: Inside, bindings: Bindings) -> None:
    token = {"matchToken": one(bindings.match, MATCH)["matchToken"]}
    wrong = [{"appUser": "u-2"}, {"consNo": "3210000000002"}, {"consNo": "9999999999999"}, {"matchToken": "x" * 32}]
    bodies = [BIND | token | change | {"reqId": f"w-{number}"} for number, change in enumerate(wrong)]
    assert outcomes(bindings.bind, *bodies) == ["1202"] * 4
    assert refused(asked, bindings.candidates, appUser="u-2", **token) == "1202"
    inside.moment += TOKEN_LASTS
    assert one(bindings.bind, BIND | token) == "1202"
    assert one(bindings.bind, BIND) == "1001"
    assert one(bindings.bind, BIND | token | {"verifyCode": "123456"}) == "1001"


def test_a_code_is_sent_to_the_archives_mobile_and_is_for_one_use(inside: Inside, bindings: Bindings) -> None:
    told = one(bindings.send_code, CODE)
    assert (told["mobileMask"], told["expTime"]) == ("199****0001", "2026-01-15 09:05:00")
    [message] = messages(inside.reading, ACCOUNT)
    assert message["mobile"] == "19900000001"
    [code] = sent(inside)
    assert code in str(message["text"])
    assert one(bindings.bind, BIND | {"appUser": "u-2", "verifyCode": code}) == "1203"
    assert one(bindings.bind, BIND | {"verifyCode": code})["consName"] == "田*"
    assert one(bindings.bind, BIND | {"reqId": "b-2", "verifyCode": code}) == "1203"


def test_tries_of_a_code_are_counted_though_they_are_refused(inside: Inside, bindings: Bindings) -> None:
    one(bindings.send_code, CODE)
    [code] = sent(inside)
    wrong = [BIND | {"reqId": f"w-{number}", "verifyCode": other(code)} for number in range(CODE_TRIES)]
    assert outcomes(bindings.bind, *wrong) == ["1203"] * CODE_TRIES
    assert one(bindings.bind, BIND | {"verifyCode": code}) == "1203"
    one(bindings.send_code, CODE | {"reqId": "c-2"})  # a used-up code is replaced at once
    assert len(sent(inside)) == 2
    assert one(bindings.bind, BIND | {"verifyCode": sent(inside)[1]})["consNo"] == ACCOUNT


def test_a_code_expires_and_is_not_sent_too_often(inside: Inside, bindings: Bindings) -> None:
    first = one(bindings.send_code, CODE)
    assert one(bindings.send_code, CODE | {"reqId": "c-2"}) == first | {"reqId": "c-2"}
    assert len(sent(inside)) == 1
    assert inside.applied("c-2") == 0
    inside.moment += CODE_LASTS
    assert one(bindings.bind, BIND | {"verifyCode": sent(inside)[0]}) == "1203"
    for number in range(1, CODES_A_DAY):
        inside.moment += CODE_PAUSE
        assert one(bindings.send_code, CODE | {"reqId": f"d-{number}", "appUser": f"u-{number}"})["consNo"] == ACCOUNT
    inside.moment += CODE_PAUSE
    assert one(bindings.send_code, CODE | {"reqId": "e"}) == "1205"
    inside.moment += timedelta(days=1)
    assert one(bindings.send_code, CODE | {"reqId": "e"})["consNo"] == ACCOUNT
    assert one(bindings.send_code, CODE | {"reqId": "f", "consNo": "9999999999999"}) == "1004"
    assert one(bindings.send_code, CODE | {"reqId": "g", "consNo": "3210000000007"}) == "1005"
    assert one(bindings.bind, BIND | {"consNo": "9999999999999", "verifyCode": "123456"}) == "1203"


def test_binding_and_unbinding_again_are_answered_as_the_first_time(inside: Inside, bindings: Bindings) -> None:
    token = {"matchToken": one(bindings.match, MATCH)["matchToken"]}
    bound = one(bindings.bind, BIND | token)
    inside.moment += timedelta(minutes=1)
    assert one(bindings.bind, BIND | token | {"reqId": "b-2"}) == bound | {"reqId": "b-2"}
    ended = one(bindings.unbind, BIND | {"reqId": "e-1"})
    assert ended["unbindTime"] == "2026-01-15 09:01:00"
    inside.moment += timedelta(minutes=1)
    assert one(bindings.unbind, BIND | {"reqId": "e-2"}) == ended | {"reqId": "e-2"}
    assert (inside.applied("b-2"), inside.applied("e-2")) == (0, 0)
    assert one(bindings.unbind, BIND | {"reqId": "e-3", "appUser": "u-2"}) == "1204"
    assert asked(bindings.bound, appUser="u-1")["consList"] == []


def test_a_name_is_verified_against_the_archive(bindings: Bindings) -> None:
    assert asked(bindings.real_name, appUser="u-1") == {"appUser": "u-1", "rnFlag": "0"}
    claim = {"reqId": "v-1", "appUser": "u-1", "custName": "田娟", "certNo": "990101196211080011", **CONSENT}
    assert one(bindings.verify, claim | {"custName": "田军"}) == "1201"
    assert one(bindings.verify, claim | {"certNo": "990101194511280024"}) == "1201"
    assert one(bindings.verify, claim)["custName"] == "田*"
    known = asked(bindings.real_name, appUser="u-1")
    assert (known["rnFlag"], known["custName"], known["rnTime"]) == ("1", "田*", "2026-01-15 09:00:00")


def test_only_what_is_given_of_a_bound_account_changes(inside: Inside, bindings: Bindings) -> None:
    change = {"reqId": "a-1", "appUser": "u-1", "consNo": ACCOUNT, "mobileNo": "13800000009", **CONSENT}
    assert one(bindings.update, change) == "1204"
    one(bindings.bind, BIND | {"matchToken": one(bindings.match, MATCH)["matchToken"]})
    assert one(bindings.update, change)["updList"] == ["mobileNo"]
    mail = {name: value for name, value in change.items() if name != "mobileNo"}
    assert one(bindings.update, mail | {"reqId": "a-2", "email": "a@example.cn"})["updList"] == ["email"]
    assert one(bindings.update, mail | {"reqId": "a-3", "mailAddr": "人民路1号"})["updList"] == ["mailAddr"]
    assert one(bindings.update, mail | {"reqId": "a-4"}) == "1001"
    contact = inside.reading.execute("SELECT email, mailing_address FROM contact WHERE account = ?", (ACCOUNT,))
    assert contact.fetchone() == ("a@example.cn", "人民路1号")
    assert asked(bindings.profile, consNo=ACCOUNT)["mobileNo"] == "138****0009"
    assert one(bindings.match, MATCH | {"reqId": "m-2"}) == "1201"  # by the old number
    assert one(bindings.match, MATCH | {"reqId": "m-3", "mobileNo": "13800000009"})["consList"]
    consents = inside.reading.execute("SELECT purpose, version, given_at FROM consent ORDER BY id").fetchall()
    assert {purpose for purpose, _, _ in consents} == {"match", "update"}
    assert {given[1:] for given in consents} == {("2026-01", "2026-01-15 08:59:00")}


@pytest.mark.parametrize(("name", "shown"), [("田娟", "田*"), ("欧阳建国", "欧***"), ("田", "*")])
def test_a_name_is_masked(name: str, shown: str) -> None:
    assert masked_name(name) == shown


def test_an_address_is_masked_from_its_number_on() -> None:
    assert masked_address("云河市新港区滨河路149号阳光花园18幢1单元501室") == "云河市新港区滨河路***"

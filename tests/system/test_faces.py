"""The whole catalogue over each kind of interface that the marketing system may have: answered, refused, answered about
something else, and answered by nobody.
"""

import json
import os
import re
import subprocess
import tomllib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from sqlalchemy import Engine, bindparam, create_engine, text

from scripts.tools.testbed.faces import FACES, Face
from scripts.tools.testbed.layout import BIN, ROOT
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.files import png
from tests.support.shipped import ANSWERED_BY_THE_BRIDGE
from tests.support.testbeds import FINAL, LOOPBACK, client, command, eventually, journal, running_testbed

NOBODY = "9999999999999"
ABOUT_NOTHING = {"faq", "news-list", "outlets", "policy-texts"}
"""Public information: the answer says of nothing that it is what was asked for."""
UNREADABLE = {"usage-daily", "work-order-list"}
"""Another month, or state, than was asked for is none at all in their answers: they cannot be read."""
KNOWN_OTHERWISE = {
    "account-bind", "account-code", "account-unbind",
    "invoice-request", "payment-reversal", "payment-writeoff", "prepay", "withholding-cancel", "withholding-sign",
}  # fmt: skip
"""The marketing system knows what these do by more than the request's id: it does it once, whoever asks again."""


@dataclass(frozen=True)
class Documented:
    """An operation as the API's document tells it."""

    name: str
    command: bool
    example: Any
    answers: Any
    """The JSON Schema of a 200."""
    refusals: frozenset[str]

    @classmethod
    def read(cls, http: httpx.Client) -> "list[Documented]":
        document = http.get("/openapi.json").raise_for_status().json()
        named = {one["name"]: one["kind"] for one in http.get("/v1/operations").json()["operations"]}
        found = []
        for name, kind in named.items():
            told = document["paths"][f"/v1/{name}"]["post"]
            answer = told["responses"]["200"]["content"]["application/json"]
            found.append(
                cls(
                    name,
                    kind == "command",
                    told["requestBody"]["content"]["application/json"]["example"],
                    {**answer["schema"], "components": document["components"]},
                    frozenset(answer["examples"]),
                )
            )
        return found

    def ask(self, http: httpx.Client, prefer: str = "wait=20", **changes: Any) -> httpx.Response:
        """The example, changed, as a request of its own."""
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": prefer} if self.command else {}
        return http.post(f"/v1/{self.name}", json=self.example | changes, headers=headers)


def bound(face: Face) -> dict[str, dict[str, Any]]:
    """Operation → its table, in the face's files."""
    files = [tomllib.loads(file.read_text(encoding="utf-8")) for file in (ROOT / face.bindings).glob("*.toml")]
    return {name: table for file in files for name, table in file.get("operations", {}).items()}


@pytest.fixture(scope="module", params=FACES)
def testbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """One whose bridge reaches the marketing system over one face, and asks soon about what it does not know."""
    face = FACES[request.param]
    commands = [name for name, binding in bound(face).items() if "inquire" in binding]
    soon = {f'operations."{name}".settle_s': 0.3 for name in commands}
    if face.tables:  # what is not answered is polled for so long
        soon |= {f'operations."{name}".timeout_s': 2 for name in commands}
    folder = tmp_path_factory.mktemp(request.param)
    with running_testbed(folder, face=face, settings={"intranet_bridge": soon}) as testbed:
        yield testbed


@pytest.fixture(scope="module")
def catalogue(testbed: Testbed) -> list[Documented]:
    """The operations that the face serves: all but those it says it does not."""
    with client(testbed) as http:
        operations = Documented.read(http)
    mine = bound(testbed.face)
    assert {one.name for one in operations} - set(mine) - ANSWERED_BY_THE_BRIDGE == testbed.face.lacks
    return [one for one in operations if one.name in mine]


def asked(http: httpx.Client, operations: list[Documented], **changes: Any) -> dict[str, httpx.Response]:
    """Each operation's example, several at once."""
    with ThreadPoolExecutor(12) as pool:
        answers = pool.map(lambda one: one.ask(http, **changes), operations)
        return {one.name: answer for one, answer in zip(operations, answers, strict=True)}


@contextmanager
def fault(testbed: Testbed, **plan: Any) -> Iterator[None]:
    """The marketing system misbehaves, but for its inquiries."""
    url = f"{testbed.marketing_url}/faults"
    plan |= {"except_paths": ["/api/req/"]}
    httpx.put(url, json=plan, **LOOPBACK).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(url, **LOOPBACK).raise_for_status()


def unlike(answers: dict[str, httpx.Response], holds: Callable[[str, httpx.Response], bool]) -> dict[str, str]:
    """The answers that are not as they should be."""
    return {name: f"{one.status_code} {one.text}" for name, one in answers.items() if not holds(name, one)}


def succeeded(_name: str, answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["status"] == "succeeded"


def refused(answer: httpx.Response, code: str) -> bool:
    body = answer.json()
    return answer.status_code == 200 and body["status"] == "refused" and body["refusal"]["code"] == code


def told(answer: httpx.Response, problem: str) -> bool:
    return (answer.status_code, answer.json().get("code")) == (502, problem)


def not_applied_once(testbed: Testbed, answers: dict[str, httpx.Response]) -> dict[str, int | None]:
    """By the marketing system's own journal: how often each of the commands was applied that was not applied once."""
    entries = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
    applied = {name: entries.get(answer.json()["request_id"]) for name, answer in answers.items()}
    return {name: times for name, times in applied.items() if times != 1 and (times or name not in KNOWN_OTHERWISE)}


def test_every_example_is_answered_as_the_document_says(http: httpx.Client, catalogue: list[Documented]) -> None:
    answers = asked(http, catalogue)
    assert unlike(answers, succeeded) == {}
    wrong = {
        one.name: str(error)
        for one in catalogue
        for error in jsonschema_rs.Draft202012Validator(one.answers).iter_errors(answers[one.name].json())
    }
    assert wrong == {}


def test_no_such_account_is_refused_in_our_words(http: httpx.Client, catalogue: list[Documented]) -> None:
    those = [one for one in catalogue if "no-such-account" in one.refusals and "account" in one.example]
    assert len(those) > 20
    answers = asked(http, those, account=NOBODY)
    assert unlike(answers, lambda _, answer: refused(answer, "no-such-account")) == {}


def test_an_answer_about_something_else_reaches_nobody(
    testbed: Testbed, http: httpx.Client, catalogue: list[Documented]
) -> None:
    if testbed.face.tables:
        pytest.skip("it has a test of its own")
    queries = [one for one in catalogue if not one.command and one.name not in ABOUT_NOTHING]
    commands = [one for one in catalogue if one.command]
    with fault(testbed, mix_up=True):
        answers = asked(http, queries)
        outcomes = asked(http, commands)
    assert (
        unlike(
            answers, lambda name, answer: told(answer, "marketing-failed" if name in UNREADABLE else "answer-mismatch")
        )
        == {}
    )
    # of a command the marketing system is asked, by the request's id, what became of it
    assert unlike(outcomes, succeeded) == {}
    assert not_applied_once(testbed, outcomes) == {}


def test_what_nobody_answers_is_a_problem_or_found_out(
    testbed: Testbed, http: httpx.Client, catalogue: list[Documented]
) -> None:
    if testbed.face.tables:
        pytest.skip("it has a test of its own")
    with fault(testbed, drop=True):
        answers = asked(http, [one for one in catalogue if not one.command])
        outcomes = asked(http, [one for one in catalogue if one.command])
    assert unlike(answers, lambda _, answer: told(answer, "marketing-failed")) == {}
    assert unlike(outcomes, succeeded) == {}
    assert not_applied_once(testbed, outcomes) == {}


def test_a_file_is_handed_over_before_the_command_that_names_it(testbed: Testbed, http: httpx.Client) -> None:
    photo = png()
    place = http.post("/v1/attachments", json=photo.declared()).raise_for_status().headers["location"]
    part = {"Content-Type": "application/partial-upload", "Upload-Offset": "0"}
    http.patch(place, content=photo.content, headers=part).raise_for_status()
    id = place.rpartition("/")[2]
    outcome = command(http, "theft-report", {"place": "人民路3号", "description": "疑似窃电", "attachments": [id]})
    if "attachments" not in bound(testbed.face)["theft-report"]:  # it takes none: refused, never reported without
        assert outcome["refusal"]["code"] == "invalid-attachment"
        return
    assert outcome["status"] == "succeeded", outcome
    files = httpx.get(f"{testbed.marketing_url}/files", **LOOPBACK).json()
    assert [(file["sha256"], file["request_id"]) for file in files] == [(photo.sha256, id)]


@pytest.mark.parametrize("testbed", ["xml"], indirect=True)
def test_one_log_in_serves_all_and_another_when_the_session_has_ended(
    testbed: Testbed, http: httpx.Client, catalogue: list[Documented]
) -> None:
    queries = [one for one in catalogue if not one.command]
    sessions = f"{testbed.marketing_url}/sessions"
    assert unlike(asked(http, queries), succeeded) == {}
    before = httpx.get(sessions, **LOOPBACK).json()
    # the bridge's own probe of an interface in doubt, at most one a minute, has a session of its own
    assert (before["logins"] <= 2, before["failed"]) == (True, 0)
    httpx.delete(sessions, **LOOPBACK).raise_for_status()
    assert unlike(asked(http, queries), succeeded) == {}
    after = httpx.get(sessions, **LOOPBACK).json()
    assert (1 <= after["logins"] - before["logins"] <= 2, after["failed"]) == (True, 0)


IN_TABLES = ("feedback", "prepay", "work-order")
"""Commands by a request table each."""
REQUEST_TABLES = ("INF_REQ", "INF_PAY_REQ", "INF_WO_REQ")
ANSWERED = "SELECT REQ_ID FROM {} WHERE STATUS <> '0'"
AGAIN = "UPDATE {} SET STATUS = '0' WHERE REQ_ID IN :ids"


def left_open(catalogue: list[Documented], http: httpx.Client) -> dict[str, str]:
    """Commands whose outcome the caller is not told soon, by the ids of their requests."""
    ids = {}
    for one in catalogue:
        if one.name in IN_TABLES:
            other = {"transaction": uuid.uuid4().hex} if one.name == "prepay" else {}
            answer = one.ask(http, "respond-async", **other)
            assert answer.status_code == 202, answer.text
            ids[one.name] = answer.json()["request_id"]
    return ids


def found_out(testbed: Testbed, http: httpx.Client, ids: dict[str, str]) -> None:
    """Each of them succeeds after all, and was applied once."""
    left = dict(ids)

    def all_over() -> bool:
        for name, id in ids.items():
            if name in left and http.get(f"/v1/requests/{id}").json()["status"] == "succeeded":
                del left[name]
        return not left

    eventually(all_over, 60, f"the outcome of {left}")
    assert {name: journal(testbed, id)[0]["applied"] for name, id in ids.items()} == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("testbed", ["sql"], indirect=True)
def test_a_wrong_answer_in_a_request_table_reaches_nobody_and_may_be_mended(
    testbed: Testbed, http: httpx.Client, catalogue: list[Documented]
) -> None:
    _, url = testbed.face.options(testbed.folder / "data")
    tables = create_engine(url)
    with fault(testbed, mix_up=True):
        ids = left_open(catalogue, http)
        eventually(lambda: len(answered(tables, ids)) == len(ids), 60, "an answer in every row")
    eventually(lambda: mismatched(testbed) >= set(ids.values()), 60, "the bridge's reading of them")
    assert {http.get(f"/v1/requests/{id}").json()["status"] for id in ids.values()}.isdisjoint(FINAL)
    with tables.begin() as connection:  # the marketing system's keepers have it answered again
        for table in REQUEST_TABLES:
            again = text(AGAIN.format(table)).bindparams(bindparam("ids", expanding=True))
            connection.execute(again, {"ids": list(ids.values())})
    tables.dispose()
    found_out(testbed, http, ids)


def mismatched(testbed: Testbed) -> set[str]:
    """The requests whose answers the bridge read and did not believe."""
    lines = map(json.loads, (testbed.logs / "bridge.log").read_text().splitlines())
    return {line["request_id"] for line in lines if line["event"] == "answer-mismatch"}


def answered(tables: Engine, ids: dict[str, str]) -> set[str]:
    """Which of the requests have an answer in their row."""
    with tables.connect() as connection:
        rows = [row[0] for table in REQUEST_TABLES for row in connection.execute(text(ANSWERED.format(table)))]
    return set(rows) & set(ids.values())


@pytest.mark.parametrize("testbed", ["sql"], indirect=True)
def test_applied_by_a_marketing_system_that_died_before_it_wrote_the_answer(
    testbed: Testbed, http: httpx.Client, catalogue: list[Documented]
) -> None:
    with fault(testbed, drop=True):
        ids = left_open(catalogue, http)
        eventually(lambda: all(journal(testbed, id) for id in ids.values()), 60, "every effect")
    testbed.kill("marketing")
    testbed.start("marketing")
    found_out(testbed, http, ids)


_EXAMPLE = re.compile(r"<!-- example: \S+\.toml -->\n```toml\n(.*?)```", re.DOTALL)


def test_the_page_about_it_binds_a_query_and_a_command_in_less_than_30_lines(testbed: Testbed, tmp_path: Path) -> None:
    """As an integrator would: the page's lines in place of the bindings, then `intranet-bridge try`."""
    name = next(name for name, face in FACES.items() if face is testbed.face)
    page = ROOT / "docs" / "adapters" / f"{name}.md"
    text = _EXAMPLE.findall(page.read_text(encoding="utf-8"))[0]
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith("#")]) < 30
    data = testbed.folder / "data"
    installed = testbed.face.settings(testbed.marketing_url, data)
    own = {key: value for key, value in installed.items() if key != "marketing"}  # that of the main file goes below
    (tmp_path / "example.toml").write_text(with_values(text, own))
    main = (testbed.config / "intranet_bridge.toml").read_text()
    config = tmp_path / "intranet_bridge.toml"
    config.write_text(with_values(main, {"include": ["example.toml"], "marketing": None, "systems": None}))

    def bridge(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [str(BIN / "intranet-bridge"), *arguments, "--config", str(config)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    with client(testbed) as http:
        commands = {one.name for one in Documented.read(http) if one.command}
    operations = tomllib.loads(text)["operations"]
    assert len(commands & operations.keys()) > 0 < len(operations.keys() - commands)
    for operation in operations.keys() - commands:
        assert "schema: it fits" in bridge("try", operation)
    for operation in commands & operations.keys():
        id = str(uuid.uuid4())
        assert "schema: it fits" in bridge("try", operation, "--request-id", id, "--really")
        assert journal(testbed, id)[0]["applied"] == 1
        assert "inquire.found: true" in bridge("try", operation, "--request-id", id, "--inquiry")

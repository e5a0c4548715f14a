"""The SOAP adapter against servers that are not ours: Metro, the reference implementation of JAX-WS, in SOAP 1.1 and
1.2; Axis 1.4, rpc/encoded, which old systems still run.

WSDL, schema, messages and faults are each framework's own, made of the classes in soap_peers/.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from intranet_bridge.marketing import Absent, Answered, Fault, MarketingRequest, NotApplied, Refused, Unknown
from intranet_bridge.marketing.kinds import kind
from protocol.operations import CATALOGUE, Operation
from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import free_port
from tests.interop.suite import Unavailable, do

pytestmark = pytest.mark.anyio

SOURCES = Path(__file__).parent / "soap_peers"
CACHE = ROOT / "var" / "interop" / "soap-peers"
PASSWORD = "peer-密码-5512907734"
ARREARS, FEEDBACK = CATALOGUE["arrears-query"], CATALOGUE["feedback"]
BINDINGS: dict[str, dict[str, Any]] = {
    ARREARS.name: {
        "operation": "owed",
        "request": "{account: account}",
        "response": """return.{account: account, total: fen(total),
            unpaid: bill[*].{month: month(month), amount: fen(amount), penalty: fen(penalty) || `0`}}""",
        "faults": {"NoSuchAccount": "no-such-account"},
    },
    FEEDBACK.name: {
        "operation": "receive",
        "request": "{requestId: request_id, content: content}",
        "response": "return.{feedback: join('', ['F-000', text(number)]), received_at: local(receivedAt, '+08:00')}",
        "request_id": "return.requestId",
        "inquire": {
            "operation": "status",
            "request": "{requestId: request_id}",
            "found": "return.requestId != ''",
            "faults": {"UnknownRequest": "not_found"},
        },
    },
}


def libraries(name: str) -> str:
    """The class path of a framework, downloaded once and checked. Raises Unavailable."""
    for command in ("mvn", "javac", "java"):
        if which(command) is None:
            raise Unavailable(f"{command} is not installed")
    lines = [line.split() for line in (SOURCES / name / "jars.sha256").read_text().splitlines()]
    wanted = {file: digest for digest, file in lines}
    cache = CACHE / name
    if {file.name for file in cache.glob("*.jar")} != set(wanted):
        pom = SOURCES / name / "pom.xml"
        do("mvn", "-q", "-B", "-C", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={cache}")
    there = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in cache.glob("*.jar")}
    assert there == wanted
    return f"{cache}/*"


@contextlib.contextmanager
def running(name: str, classes: Path) -> Iterator[str]:
    """The address of a peer; skips the test where it cannot be had."""
    try:
        path = libraries(name)
        do("javac", "-encoding", "UTF-8", "-cp", path, "-d", classes, *(SOURCES / name).glob("*.java"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    for file in (SOURCES / name).glob("*.wsdd"):
        shutil.copy(file, classes)
    port = free_port()
    command = ["java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", f"{classes}:{path}", "Billing", str(port)]
    with (classes / "log").open("wb") as log:
        peer = subprocess.Popen(
            command,
            cwd=classes,
            env={**os.environ, "PEER_PASSWORD": PASSWORD, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert peer.stdin is not None
        assert peer.stdout is not None
        try:
            assert peer.stdout.readline() == b"ready\n", (classes / "log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            peer.stdin.close()
            peer.wait(20)
            peer.stdout.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where Metro runs."""
    with running("metro", tmp_path_factory.mktemp("metro")) as address:
        yield address


@pytest.fixture(params=["11", "12"])
def version(request: pytest.FixtureRequest) -> str:
    told: str = request.param
    return told


class Bound:
    """The adapters of one system."""

    def __init__(self, url: str, folder: Path, bindings: dict[str, dict[str, Any]], **more: Any) -> None:
        """`more`: further settings of the system."""
        self.wsdl, self._bindings = folder / "billing.wsdl", bindings
        self._kind = kind("soap")
        section = {"adapter": "soap", "wsdl": self.wsdl, "fetch": {"url": url}, **more}
        self.system = self._kind.open("billing", self._kind.system.model_validate(section))

    def adapter(self, operation: Operation) -> Any:
        """Of an operation."""
        return self.system.adapter(operation, self._kind.binding.model_validate(self._bindings[operation.name]))


def metro(address: str, version: str, folder: Path, password: str = PASSWORD) -> Bound:
    """Its endpoint of a SOAP version."""
    file = folder / "password"
    file.touch(mode=0o600)
    file.write_text(password, encoding="utf-8")
    token = {"username": "dmz", "password_file": file, "digest": True}
    return Bound(f"{address}/billing{version}?wsdl", folder, BINDINGS, username_token=token)


@pytest.fixture
async def bound(address: str, version: str, tmp_path: Path) -> AsyncIterator[Bound]:
    bound = metro(address, version, tmp_path)
    yield bound
    await bound.system.close()


def asked(operation: Operation, **body: Any) -> MarketingRequest:
    return MarketingRequest(str(uuid.uuid4()), operation.requests.validate_python(body), "")


async def test_its_wsdl_is_fetched_with_the_schema_that_it_imports(bound: Bound) -> None:
    assert {file.name for file in bound.wsdl.parent.glob("billing*")} > {"billing.wsdl"}


async def test_a_query_is_answered_with_typed_amounts(bound: Bound) -> None:
    told = await bound.adapter(ARREARS).call(asked(ARREARS, account="3210000000001"), 10)
    assert isinstance(told, Answered)
    for part in (b'"total":1235', b'"month":"2026-06","amount":1230,"penalty":5'):
        assert part in told.result
    none = await bound.adapter(ARREARS).call(asked(ARREARS, account="7770000000001"), 10)
    assert isinstance(none, Answered)
    assert b'"penalty":0' in none.result


async def test_a_declared_exception_is_a_refusal_by_its_name(bound: Bound) -> None:
    told = await bound.adapter(ARREARS).call(asked(ARREARS, account="9990000000001"), 10)
    assert told == Refused("no-such-account", "户号不存在")


async def test_an_exception_that_nobody_declared_is_unknown(bound: Bound) -> None:
    told = await bound.adapter(ARREARS).call(asked(ARREARS, account="8880000000001"), 10)
    assert isinstance(told, Unknown)
    assert told.fault is Fault.INTERFACE
    assert "database" not in told.reason


async def test_another_accounts_answer_is_never_passed_on(bound: Bound) -> None:
    told = await bound.adapter(ARREARS).call(asked(ARREARS, account="6660000000001"), 10)
    assert told == Unknown("mismatch at account", fault=Fault.MISMATCH)


async def test_what_became_of_a_command_is_found_out(bound: Bound) -> None:
    adapter = bound.adapter(FEEDBACK)
    done = asked(FEEDBACK, category="other", content="电子发票 <&> 䶮")
    answered = Answered(b'{"feedback":"F-00041","received_at":"2026-07-15 09:00:00"}')
    assert await adapter.inquire(done, 10) == Absent()
    assert await adapter.call(done, 10) == answered
    broken = asked(FEEDBACK, category="other", content="break")
    assert isinstance(await adapter.call(broken, 10), Unknown)  # applied, and then something threw
    assert await adapter.inquire(broken, 10) == answered


async def test_a_wrong_password_is_known_not_to_have_done_anything(address: str, version: str, tmp_path: Path) -> None:
    bound = metro(address, version, tmp_path, "another")
    try:
        request = asked(FEEDBACK, category="other", content="x")
        told = await bound.adapter(FEEDBACK).call(request, 10)
        assert isinstance(told, NotApplied)
        assert told.denied
    finally:
        await bound.system.close()


AXIS: dict[str, dict[str, Any]] = {
    ARREARS.name: {
        "operation": "owed",
        "request": "{in0: account}",
        "response": """owedReturn.{account: account, total: fen(total),
            unpaid: bills[*].{month: month(month), amount: fen(amount), penalty: `0`}}""",
        "faults": {"NoSuchAccount": "no-such-account"},
    },
    FEEDBACK.name: {
        "operation": "receive",
        "request": "{in0: request_id, in1: content}",
        "response": "receiveReturn.{feedback: join('', ['F-00', text(number)]), received_at: 'now'}",
        "request_id": "(receiveReturn || statusReturn).requestId",
        "inquire": {
            "operation": "status",
            "request": "{in0: request_id}",
            "found": "statusReturn.requestId != ''",
            "not_found": "statusReturn == `null`",
            "response": "statusReturn.{feedback: join('', ['F-00', text(number)]), received_at: 'now'}",
        },
    },
}


async def test_axis_is_spoken_to_in_its_old_style(tmp_path: Path) -> None:
    with running("axis", tmp_path) as address:
        bound = Bound(f"{address}/axis/services/Billing?wsdl", tmp_path, AXIS)
        try:
            arrears, feedback = bound.adapter(ARREARS), bound.adapter(FEEDBACK)
            told = await arrears.call(asked(ARREARS, account="3210000000001"), 10)
            assert isinstance(told, Answered)
            assert told.result.count(b'{"month":"2026-06","amount":1230,"penalty":0}') == 2
            assert isinstance(await arrears.call(asked(ARREARS, account="9990000000001"), 10), Refused)
            assert isinstance(await arrears.call(asked(ARREARS, account="8880000000001"), 10), Unknown)
            done, broken = (asked(FEEDBACK, category="other", content=content) for content in ("张三 <&> 䶮", "break"))
            assert await feedback.inquire(done, 10) == Absent()
            answered = Answered(b'{"feedback":"F-008","received_at":"now"}')  # as many characters as were sent
            assert await feedback.call(done, 10) == answered
            assert await feedback.inquire(done, 10) == answered
            assert isinstance(await feedback.call(broken, 10), Unknown)
            assert isinstance(await feedback.inquire(broken, 10), Answered)
        finally:
            await bound.system.close()

"""What a SOAP call costs: our adapter, and zeep's own client, in turn against the same peer.

The peer is the marketing simulator, in a process of its own; both sides send a UsernameToken with a digest, over a kept
connection, one call after the other. zeep's client stops at the objects that it reads from the answer; the adapter's
figure includes the mappings, the judgement and the catalogue's check of the result.
"""

import asyncio
import gc
import statistics
import time
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from requests import Session
from zeep import Client
from zeep.transports import Transport
from zeep.wsse.username import UsernameToken

from intranet_bridge.marketing import Adapter, Answered, MarketingRequest
from intranet_bridge.marketing.kinds import kind
from protocol.operations import CATALOGUE
from scripts.tools.testbed.layout import ROOT, Ports
from scripts.tools.testbed.testbed import Testbed

ROUNDS = 9
BINDINGS = ROOT / "config" / "examples" / "soap"
BUSY = "3210000000004"
"""High consumption: every bill has three tiers."""
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "arrears": ("arrears-query", {"account": BUSY}, "arrearsQuery", {"consNo": BUSY}),
    "24 bills": (
        "bill-query",
        {"account": BUSY, "first_month": "2024-07", "last_month": "2026-06"},
        "billQuery",
        {"consNo": BUSY, "ymFrom": "202407", "ymTo": "202606"},
    ),
}


def run(folder: Path, seconds: float) -> list[dict[str, object]]:
    """One row per case and client: CPU milliseconds a call, the median, least and greatest of ROUNDS rounds."""
    testbed = Testbed(folder, Ports(), customers=200)
    try:
        testbed.set_up()
        testbed.start("marketing")
        return measured(testbed.marketing_url, folder / "data" / "marketing.token", folder, seconds)
    finally:
        testbed.stop()


def measured(url: str, password_file: Path, folder: Path, seconds: float) -> list[dict[str, object]]:
    """See above; `seconds` is the length of all rounds of one case and client together."""
    wsdl = f"{url}/soap/MarketingService?wsdl"
    section = {
        "adapter": "soap", "wsdl": folder / "bench.wsdl", "port": "MarketingServiceSoap11", "fetch": {"url": wsdl},
        "username_token": {"username": "dmz", "password_file": password_file, "digest": True},
    }  # fmt: skip
    soap = kind("soap")
    system = soap.open("bench", soap.system.model_validate(section))
    session = Session()
    session.trust_env = False
    token = UsernameToken("dmz", password_file.read_text().strip(), use_digest=True, zulu_timestamp=True)
    port = Client(wsdl, wsse=token, transport=Transport(session=session)).bind(
        "MarketingService", "MarketingServiceSoap11"
    )
    rows: list[dict[str, object]] = []
    with asyncio.Runner() as runner, session:
        try:
            for case, (name, body, operation, fields) in CASES.items():
                adapter = system.adapter(CATALOGUE[name], soap.binding.model_validate(_bound(name)))
                asked = MarketingRequest("bench", CATALOGUE[name].requests.validate_python(body), "")

                calls = {
                    "adapter": partial(_ours, runner, adapter, asked),
                    "zeep": partial(_theirs, port[operation], fields),
                }
                rows += compared(case, calls, seconds)
        finally:
            runner.run(system.close())
    return rows


def _ours(runner: asyncio.Runner, adapter: Adapter, asked: MarketingRequest, times: int) -> None:
    async def call() -> None:
        for _ in range(times):
            outcome = await adapter.call(asked, 10)
            assert isinstance(outcome, Answered), outcome

    runner.run(call())


def _theirs(call: Callable[..., object], fields: dict[str, Any], times: int) -> None:
    for _ in range(times):
        call(**fields)


def compared(case: str, calls: Mapping[str, Callable[[int], None]], seconds: float) -> list[dict[str, object]]:
    """Rows of calls that are told how often, round by round in turn."""
    times = {name: max(10, round(seconds / ROUNDS / _pace(call))) for name, call in calls.items()}
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            gc.collect()
            begun = time.process_time_ns()
            call(times[name])
            rounds[name].append((time.process_time_ns() - begun) / times[name] / 1_000_000)
    return [
        {
            "case": case,
            "client": name,
            "median_ms": round(statistics.median(each), 3),
            "least_ms": round(min(each), 3),
            "greatest_ms": round(max(each), 3),
        }
        for name, each in rounds.items()
    ]


def _pace(call: Callable[[int], None]) -> float:
    """Seconds a call, connection and caches warm."""
    call(20)
    begun = time.monotonic()
    call(20)
    return (time.monotonic() - begun) / 20


def _bound(name: str) -> dict[str, Any]:
    for file in BINDINGS.glob("*.toml"):
        table: dict[str, Any] | None = tomllib.loads(file.read_text(encoding="utf-8")).get("operations", {}).get(name)
        if table is not None:
            return table
    raise LookupError(name)

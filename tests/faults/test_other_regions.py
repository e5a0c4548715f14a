"""Payments across two regions: a line at home, a line of a company behind another region's bridge, one payment.

Each region has a bridge, a front, a marketing system and keys of its own; the broker is one. What is configured between
them is read from docs/how-to/other-regions.md as it stands. Whatever is away or killed meanwhile, each line is written
off once, where its company is, and the books agree with both marketing systems to the fen.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import tomllib
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import ended
from scripts.tools.testbed.region import Region
from scripts.tools.testbed.testbed import Testbed
from tests.support.clocks import Clock
from tests.support.testbeds import LOOPBACK, PATIENT, client, contents, ctl, done_as_told, eventually, journal, status

PAGE = ROOT / "docs" / "how-to" / "other-regions.md"
ARM = "DMZ_BRIDGE_TEST_CRASH_AT"
CHANNEL_KEY = b"the key of a channel, of the tests"
PAID_AT = "2026-07-15T09:30:00+08:00"
"""On the marketing systems' business day: the penalties are as they were told."""
QUICK: dict[str, dict[str, Any]] = {
    "dmz_front": {
        "delivery.resend_after_s": 1.5, "delivery.sweep_s": 0.5, "delivery.presence_ttl_s": 3, "log.level": "debug",
        "link.reconnect_max_s": 0.5,
    },
    "intranet_bridge": {
        "presence_interval_s": 0.3, "commands.sweep_s": 0.5, "commands.retry_min_s": 0.1, "log.level": "debug",
        "link.reconnect_max_s": 0.5, "settlement.resend_after_s": 1,
    },
}  # fmt: skip
"""Patience shortened so that recovery is quick to see; the promises do not depend on it."""


def page() -> dict[str, dict[str, Any]]:
    """The page's configuration, by what each block's first line says that it is."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return {block.strip().partition("\n")[0].lstrip("# "): tomllib.loads(block) for block in blocks}


def settings(role: str, of: str, keys: Path, **more: Any) -> dict[str, Any]:
    """What the page has an administrator write there, with the trusted.json where it is here."""
    [(table, values)] = page()[f"{role}.toml, {of}"].items()
    for peer in values.get("peers", {}).values():
        assert Path(peer["trusted"]).name.endswith("-trusted.json")
        peer["trusted"] = str(keys)
    return {**QUICK[role], **{f"{table}.{name}": value for name, value in values.items()}, **more}


@dataclass
class Both:
    """Two regions, and the customers of the first."""

    home: Testbed
    east: Region
    http: httpx.Client
    bills: list[tuple[str, str, int]] = field(default_factory=list)
    """Account, month, amount: open in both regions, whose customers are the same; each is used once."""

    def bill(self, company: str) -> dict[str, Any]:
        """A line: a bill of a company."""
        account, month, amount = self.bills.pop()
        return {"company": company, "account": account, "bills": [month], "amount": amount}

    def same_bills(self) -> list[dict[str, Any]]:
        """Lines of both companies that are alike in all else."""
        one = self.bill("power")
        return [one, one | {"company": "water"}]

    def asked(self, operation: str, body: dict[str, Any], http: httpx.Client | None = None) -> Any:
        """As a careful application does: the same key again until there is an outcome."""
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=5"}

        def outcome() -> Any:
            with contextlib.suppress(httpx.TransportError):
                answer = (http or self.http).post(f"/v1/{operation}", json=body, headers=headers)
                assert answer.status_code in (200, 202, 409, 503), answer.text
                said = answer.json()
                return said if said.get("status") in ("succeeded", "refused") else None
            return None

        told = eventually(outcome, 60, operation)
        return told.get("result", told.get("refusal"))

    def order(self, *lines: dict[str, Any]) -> str:
        """An order that may be paid now."""
        made = self.asked("payment-order-create", {"channel": "simulated", "lines": lines})
        assert made.get("state") == "reserved", made
        number: str = made["order"]
        assert self.asked("payment-order-pay", {"order": number})["state"] == "paying"
        return number

    def proven(self, content: dict[str, Any]) -> str:
        """What the channel's notification means."""
        body = json.dumps(content).encode()
        signature = hmac.new(CHANNEL_KEY, body, hashlib.sha256).hexdigest()
        meant: str = self.asked(
            "payment-confirm",
            {
                "channel": "simulated", "headers": [{"name": "Signature", "value": signature}],
                "body": base64.b64encode(body).decode(),
            },
        )["meant"]  # fmt: skip
        return meant

    def pay(self, number: str) -> str:
        """The customer pays. The transaction's number."""
        transaction = f"S{uuid.uuid4().hex}"
        paid = {"order": number, "transaction": transaction, "paid_at": PAID_AT}
        cash = eventually(lambda: self.standing(number))["cash"]
        assert self.proven(paid | {"amount_fen": cash}) in ("paid", "repeated")
        return transaction

    def give_back(self, number: str) -> dict[str, Any]:
        """The one refund that is asked for, done and proven. What was asked for."""
        refunds = eventually(lambda: (self.standing(number) or {}).get("refunds"), what="the refund")
        assert len(refunds) == 1, refunds
        proof = {"refund": refunds[0]["refund"], "transaction": "R" + number, "refunded_at": PAID_AT}
        assert self.proven(proof | {"amount_fen": refunds[0]["cash"]}) == "refund-proven"
        told: dict[str, Any] = refunds[0]
        return told

    def standing(self, number: str) -> dict[str, Any] | None:
        """What is told of an order, if it can be told."""
        with contextlib.suppress(httpx.TransportError):
            answer = self.http.post("/v1/payment-order", json={"order": number})
            if answer.status_code == 200:
                told: dict[str, Any] = answer.json()["result"]
                return told
        return None

    def ends(self, number: str, *lines: str, state: str = "completed") -> dict[str, Any]:
        """The order, once it is in that state. Its lines are then in theirs."""
        told: dict[str, Any] = eventually(
            lambda: (found := self.standing(number)) and found["state"] == state and found, 60, f"{number} {state}"
        )
        assert [line["state"] for line in told["lines"]] == list(lines or ["written-off"] * len(told["lines"]))
        return told

    def once(self, number: str) -> None:
        """Its first line was done at home, its second in the east, each once."""
        for region, line in ((self.home, 1), (self.east, 2)):
            done = {one["request_id"]: one["applied"] for one in journal(region)}
            assert [(id, times) for id, times in done.items() if id.startswith(number)] == [(f"{number}-{line}", 1)]


@pytest.fixture
def both(installed: Both) -> Both:
    """All of it runs, and nothing is armed: a case that failed fails alone."""
    for file in installed.home.folder.parent.glob("*.armed"):
        file.unlink()
    for region in (installed.home, installed.east):
        region.start()
    return installed


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("regions")
    key = folder / "channel.key"
    key.touch(mode=0o600)
    key.write_bytes(CHANNEL_KEY)
    keys = {name: folder / name / "keys" / "trusted.json" for name in ("home", "east")}
    at_home = settings("intranet_bridge", "home", keys["east"])
    at_home["settlement.payments"] = {"channels": {"simulated": {"plugin": "simulated", "key": str(key)}}}
    at_home["settlement.companies"] |= {"power": {}}

    def armed(name: str) -> dict[str, dict[str, str]]:
        return {part: {ARM: f"file:{folder}/{name}-{part}.armed"} for part in ("front", "bridge")}

    home = Testbed(
        folder / "home", customers=200, environment=armed("home"),
        settings={"intranet_bridge": at_home, "dmz_front": settings("dmz_front", "front-1", folder)},
    )  # fmt: skip
    east = Region(
        folder / "east", of=home, name="east", customers=200, environment=armed("east"),
        settings={
            "intranet_bridge": settings("intranet_bridge", "east", keys["home"]),
            "dmz_front": settings("dmz_front", "front-2", folder),
        },
    )  # fmt: skip
    try:
        home.set_up()
        east.set_up()
        home.start("broker")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda region: region.start("marketing", "bridge", "front"), (home, east)))
        with client(home) as http:
            both = Both(home, east, http)
            both.bills = owed(both)
            yield both
    finally:
        east.stop()
        home.stop()


def owed(both: Both) -> list[tuple[str, str, int]]:
    """Bills that are open in both regions, asked for by one query each 25 accounts."""
    found: dict[str, set[tuple[str, str, int]]] = {"power": set(), "water": set()}
    for first in (2, 8, 10, 35, 60, 85, 110, 135):
        accounts = [f"32100000{number:05}" for number in range(first, first + (1 if first < 10 else 25))]
        asked = [{"company": company, "account": account} for company in found for account in accounts]

        def answered(asked: list[dict[str, str]] = asked) -> dict[str, Any]:
            """Also by the other region, of whose bridge this front has to hear first."""
            answer = both.http.post("/v1/combined-bill", json={"accounts": asked}, headers=PATIENT)
            told: dict[str, Any] = answer.raise_for_status().json()["result"]
            return told if {one["code"] for one in told["unanswered"]} <= {"account-closed"} else {}

        for one in eventually(answered, what="both companies' bills")["owed"]:
            found[one["company"]] |= {
                (one["account"], bill["bill"], bill["amount"] + bill["penalty"]) for bill in one["bills"]
            }
    assert found["power"] == found["water"]
    return sorted((bill for bill in found["power"] if bill[2]), reverse=True)


def test_both_lines_are_written_off_each_where_its_company_is(both: Both) -> None:
    """Of one account number, and bills alike: who has which is told by the company alone."""
    bills, prepayments = both.same_bills(), [
        {"company": company, "account": "3210000000001", "amount": 1200} for company in ("power", "water")
    ]  # fmt: skip
    for lines in (bills, prepayments):
        number = both.order(*lines)
        both.pay(number)
        both.ends(number)
        both.once(number)


def test_a_line_that_is_refused_there_is_refunded_alone(both: Both) -> None:
    lines = both.same_bills()
    number = both.order(*lines)
    with client(both.east) as counter:  # meanwhile it is paid in the east, by who knows nothing of orders
        paid = {
            "account": lines[1]["account"], "amount": lines[1]["amount"], "months": lines[1]["bills"],
            "channel": "counter", "transaction": uuid.uuid4().hex, "paid_at": PAID_AT, "booked_on": PAID_AT[:10],
        }  # fmt: skip
        assert "payment" in both.asked("payment-writeoff", paid, counter)
    transaction = both.pay(number)
    back = both.give_back(number)
    assert (back["line"], back["cash"], back["transaction"]) == (2, lines[1]["amount"], transaction)
    order = both.ends(number, "written-off", "refunded", state="completed-with-refunds")
    assert order["lines"][1]["code"] == "bill-not-open"
    assert [one["request_id"] for one in journal(both.east) if one["request_id"].startswith(number)] == []


def test_a_line_is_taken_back_there_and_refunded(both: Both) -> None:
    lines = both.same_bills()
    number = both.order(*lines)
    both.pay(number)
    both.ends(number)
    both.asked("refund-request", {"order": number, "line": 2})
    assert both.give_back(number)["cash"] == lines[1]["amount"]
    both.ends(number, "written-off", "refunded", state="completed-with-refunds")
    [reversed] = [one for one in journal(both.east) if one["request_id"] == f"{number}-2-X"]
    assert reversed["applied"] == 1


def test_the_other_bridge_is_away_while_the_order_is_paid(both: Both, tmp_path: Path) -> None:
    both.east.stop("bridge")
    lines = both.same_bills()
    number = both.order(*lines)  # what is owed there cannot be seen: its company's write-off says
    both.pay(number)
    waits = f"{number}-2"

    def at_home() -> bool:
        listed = json.loads(ctl(both.home, "requests", "list", "--state", "sent", "--json").stdout)
        return [one["id"] for one in listed] == [waits]

    eventually(at_home, what="its line being with the broker")
    found = eventually(lambda: (told := both.standing(number)) and told["lines"][0]["state"] == "written-off" and told)
    assert (found["state"], found["lines"][1]["state"]) == ("writing-off", "open")
    asked = {"accounts": [{"company": "water", "account": lines[1]["account"]}]}
    [missing] = both.http.post("/v1/combined-bill", json=asked).raise_for_status().json()["result"]["unanswered"]
    assert missing["code"] == "unavailable"

    later = Clock(tmp_path, timedelta(minutes=31).total_seconds())  # of who looks
    told = ctl(both.home, "status", "--json", "--timeout", "30", **later.environment)
    assert told.returncode in (1, 2), told.stderr
    [trouble] = [one for one in json.loads(told.stdout)["troubles"] if one["key"] == "region-waiting"]
    assert trouble["what"] == "1 command waits for another region's bridge"
    assert_sealed(both, lines[1]["account"], waits)

    both.east.start("bridge")
    both.ends(number)
    both.once(number)


def assert_sealed(both: Both, account: str, readable: str) -> None:
    """Neither the broker's store, nor a front's database, nor a log has the account; the line's id is there."""
    folders = (both.home.folder, both.east.folder)
    files = (file for folder in folders for file in folder.rglob("*"))
    public = list(contents(file for file in files if not file.name.startswith(("marketing", "bridge.sqlite3"))))
    assert any("broker" in file.parts and readable.encode() in content for file, content in public)
    forms = {account.encode(), account.encode("utf-16-be"), base64.b64encode(account.encode())[:-4]}
    assert [file for file, content in public if any(form in content for form in forms)] == []


def test_a_region_that_the_front_was_not_told_of(both: Both) -> None:
    """Step 5 of the page is forgotten: who looks after the front is told, and nothing is lost meanwhile."""
    file = both.home.config / "dmz_front.toml"
    right = file.read_text(encoding="utf-8")
    wrong, count = re.subn(r'regions = \["east"\]', 'regions = ["north"]', right)
    assert count == 1
    file.write_text(wrong, encoding="utf-8")
    try:
        both.home.stop("front")
        both.home.start("front")
        number = both.order(*both.same_bills())
        both.pay(number)
        trouble = eventually(
            lambda: next((one for one in status(both.home)[1] if one["key"] == "region-not-routed"), None), what="why"
        )
        assert trouble["what"] == "the bridge has this front route to east, which submissions.regions does not name"
        assert "name east in [submissions] regions of dmz_front.toml" in trouble["mend"]
    finally:
        file.write_text(right, encoding="utf-8")
    done_as_told(both.home, trouble, "systemctl restart dmz-front")
    both.ends(number)
    both.once(number)
    assert not [one for one in status(both.home)[1] if one["key"] in ("region-not-routed", "dead-letters")]


def test_a_company_that_nobody_serves(both: Both) -> None:
    lines = [{"company": company, "account": "3210000000001", "amount": 1200} for company in ("power", "heat")]
    refused = both.asked("payment-order-create", {"channel": "simulated", "lines": lines})
    assert refused["code"] == "no-such-company"


Where = tuple[str, str, str]
"""Region, part, and the point at which it is killed; `{order}` is the order's number."""
HOME_BRIDGE, EAST_BRIDGE = ("home", "bridge"), ("east", "bridge")
KILLS: list[tuple[Where, ...]] = [
    ((*HOME_BRIDGE, "bridge.order-committed:id={order}"), (*EAST_BRIDGE, "bridge.received-committed")),
    ((*EAST_BRIDGE, "bridge.called:id={order}-2"), (*HOME_BRIDGE, "bridge.peer-told-uncommitted:id={order}-2")),
    (("home", "front", "front.submission-sent"), ("east", "front", "front.submission-delivered")),
    ((*EAST_BRIDGE, "bridge.finished-committed:id={order}-2"), (*HOME_BRIDGE, "bridge.peer-told-committed")),
]
RARE_KILLS: list[tuple[Where, ...]] = [
    ((*HOME_BRIDGE, "bridge.proof-committed:id={order}"), (*EAST_BRIDGE, "bridge.received-uncommitted")),
    (("home", "front", "front.submission-delivered"), ("east", "front", "front.submission-sent")),
    ((*EAST_BRIDGE, "bridge.calling-committed:id={order}-2"), (*HOME_BRIDGE, "bridge.taken-uncommitted:id={order}-2")),
    ((*EAST_BRIDGE, "outbox.written"), (*HOME_BRIDGE, "bridge.taken-committed")),
]


@pytest.mark.parametrize(
    "kills",
    [*KILLS, *(pytest.param(one, marks=pytest.mark.rare) for one in RARE_KILLS)],
    ids=lambda kills: "+".join(f"{region}-{point.partition(':')[0]}" for region, _, point in kills),
)
def test_both_are_killed_in_the_middle(both: Both, kills: tuple[Where, ...]) -> None:
    """Nothing is lost and nothing done twice: the customer's application, too, does no more than ask again."""
    lines = both.same_bills()
    number = both.order(*lines)
    left: dict[Path, tuple[Testbed, str, int]] = {}
    for name, part, point in kills:
        region = both.home if name == "home" else both.east
        file = region.folder.parent / f"{name}-{part}.armed"
        file.with_suffix(".new").write_text(point.format(order=number))
        file.with_suffix(".new").replace(file)
        left[file] = region, part, region.pids[part]

    def died() -> Path | None:
        return next((file for file, (region, part, _) in left.items() if not region.running(part)), None)

    with ThreadPoolExecutor(1) as pool:
        paid = pool.submit(both.pay, number)
        while left:
            file = eventually(died, 60, f"a death, of {[file.name for file in left]}")
            region, part, pid = left.pop(file)
            assert ended[pid] == -9
            file.unlink()
            region.start(part)
        paid.result(120)
    both.ends(number)
    both.once(number)


def taken(region: Testbed) -> int:
    """What the marketing system of a region says that it was paid over our channel and was not taken back, in fen."""
    token = (region.folder / "data" / "marketing.token").read_text().strip()
    today = datetime.now(UTC).date()
    asked = {
        "chnlCode": "simulated", "dateFrom": str(today - timedelta(2)), "dateTo": str(today + timedelta(2)),
        "pageSize": 1000,
    }  # fmt: skip
    answer = httpx.post(
        f"{region.marketing_url}/api/pay/detail", json=asked, headers={"X-Access-Token": token}, **LOOPBACK,
    )  # fmt: skip
    found = answer.raise_for_status().json()["data"]
    assert found["totCnt"] == len(found["dtlList"])
    return sum(one["payAmt"] for one in found["dtlList"] if one["payStatus"] == "1")


def test_the_books_are_whole_and_agree_with_both_marketing_systems(both: Both) -> None:
    """After all that was done before, whatever it was: each company is owed what its marketing system has booked."""
    for region in (both.home, both.east):
        verified = ctl(region, "ledger", "verify", "--json")
        assert verified.returncode == 0, verified.stdout
    balances = json.loads(ctl(both.home, "ledger", "balance", "--json").stdout)["accounts"]
    books = {one["account"]: one["fen"] for one in balances}
    assert sum(books.values()) == 0
    assert (-books["company:power"], -books["company:water"]) == (taken(both.home), taken(both.east))
    assert set(books) == {"company:power", "company:water", "channel:simulated"}  # of every order: nothing is left
    assert json.loads(ctl(both.east, "ledger", "balance", "--json").stdout)["accounts"] == []
    for region in (both.home, both.east):
        assert {entry["applied"] for entry in journal(region)} == {1}

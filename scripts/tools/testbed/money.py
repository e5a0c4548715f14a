"""A morning at the utility: yesterday evening's payments, the night's statements, and what the accountant does of them.

Yesterday evening customers pay: one of them bills of three companies by one payment, with a coupon; a company refuses
its line, which is refunded. Then the platforms' statements come by SFTP. They were not told to us in everything, and
something happened at a platform of which the books know nothing: that is planted, and must be found, all of it and
nothing else. At last a bank collects two bills by file: what it charges is written off, what it refuses is free again.
Platforms, their keys and their book are the channel simulator's; everything else is the product.
"""

import json
import os
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any, TypeVar

from protocol.times import CHINA
from scripts.tools.channel_simulator import bank, notifying, planting
from scripts.tools.channel_simulator import keys as of_channels
from scripts.tools.channel_simulator.book import Book, Payment
from scripts.tools.channel_simulator.keys import made_or_loaded
from scripts.tools.channel_simulator.planting import Kind
from scripts.tools.channel_simulator.sending import post
from scripts.tools.channel_simulator.statements import statement
from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.processes import TestbedError
from scripts.tools.testbed.sftp import SftpServer
from scripts.tools.testbed.steps import check, curl, marketing, say
from scripts.tools.testbed.testbed import Testbed

COMPANIES = ("power", "water", "gas")
PATIENCE_S = 90.0
COUPON, COUPON_FEN = "CP0001", 1000
"""In the simulator's promotion service."""
_WECHAT = r"1900000001_ALL_[0-9]{8}\.csv"
_ALIPAY = r"[0-9]{20}_[0-9]{8}\.csv\.zip"
_REDKKK = r"SDDL_REDKKK_[0-9]{5}_[0-9]{8}\.txt"
ARRANGEMENT = "bank-a"
T = TypeVar("T")


def settings(folder: Path, server: SftpServer) -> dict[str, dict[str, Any]]:
    """What the demo adds to the shipped configuration files."""
    keys = folder / "channels"
    front: dict[str, Any] = {
        "channels": {
            "wechat": {"form": "wechat-v3", "application": "channels"},
            "alipay": {"form": "alipay-rsa2", "application": "channels"},
        },
        "files.enabled": True,
        "files.servers": {"platforms": server.settings()},
        "files.sources": {
            "statements": {
                "server": "platforms", "folder": "/out", "archive": "/out/archive",
                "profiles": {"wechat": _WECHAT, "alipay": _ALIPAY, "redkkk": _REDKKK}, "complete": "steady",
                "steady_s": 1, "poll_s": 1,
            }
        },
        "files.targets": {"bank": {"server": "platforms", "folder": "/in"}},
    }  # fmt: skip
    bridge: dict[str, Any] = {
        "files.enabled": True,
        "files.profiles": {"wechat": {"names": _WECHAT}, "alipay": {"names": _ALIPAY}, "redkkk": {"names": _REDKKK}},
        "files.targets": {"bank": "front-1"},
        "settlement.companies": {name: {} for name in COMPANIES},
        "settlement.payments": {
            "channels": {
                "wechat": {
                    "plugin": "wechat-v3", "platform_keys": {of_channels.WECHAT_SERIAL: str(keys / "wechat.pub.pem")},
                    "api_v3_key": str(keys / of_channels.API_V3), "merchants": [of_channels.WECHAT_MERCHANT],
                },
                "alipay": {
                    "plugin": "alipay-rsa2", "public_keys": [str(keys / "alipay.pub.pem")],
                    "app_ids": [of_channels.ALIPAY_APPLICATION], "merchants": [of_channels.ALIPAY_SELLER],
                },
            }
        },
        "settlement.statements": {
            "files": {
                "wechat": {
                    "profile": "wechat-trade", "company": "power", "merchants": [of_channels.WECHAT_MERCHANT],
                    "fee_rate": "0.006",
                },
                "alipay": {
                    "profile": "alipay-trade", "company": "power", "merchants": [of_channels.ALIPAY_ACCOUNT],
                },
            }
        },
        "settlement.withholding": {
            ARRANGEMENT: {
                "org": "SDDL", "unit": "37101", "bank": "013", "company": "power", "days": [_another_day()],
                "seal_at": "00:00", "target": "bank", "request_profile": "dkkk", "answer_profile": "redkkk",
            }
        },
        "settlement.clearing": {
            "channels": {
                "wechat": {"statements": ["wechat"], "company": "power"},
                "alipay": {"statements": ["alipay"], "company": "power"},
            }
        },
    }  # fmt: skip
    return {"dmz_front": front, "intranet_bridge": bridge}


def tour(testbed: Testbed, server: SftpServer) -> None:
    """All of it; every figure is checked."""
    morning = Morning(testbed, server)
    morning.combined_payment()
    morning.further_payments()
    morning.night()
    morning.reconciliation()
    morning.decisions()
    morning.clearing()
    morning.withholding()
    morning.books()
    morning.desk()


def yesterday() -> date:
    """The day that everything happened on, and the marketing system's business day: penalties are counted to it."""
    return datetime.now(CHINA).date() - timedelta(1)


def _another_day() -> int:
    """A day of the month that is neither today nor tomorrow: batches of it wait."""
    return min((datetime.now(CHINA).date() + timedelta(7)).day, 28)


class Morning:
    """What one part of the story leaves for the next."""

    def __init__(self, testbed: Testbed, server: SftpServer) -> None:
        self._testbed, self._server = testbed, server
        folder = testbed.folder / "channels"
        self._keys, self._book = made_or_loaded(folder), Book(folder / "book.sqlite3")
        self._day = yesterday()
        self._evening = datetime.combine(self._day, clock(19, 30), CHINA)
        self._open: list[dict[str, Any]] = []
        self._orders: dict[str, str] = {}
        self._planted: list[planting.Planted] = []
        self._gave_back = ""

    # --- yesterday evening -----------------------------------------------------------------------------------

    def combined_payment(self) -> None:
        """Bills of three companies, a coupon, a line that is refused and refunded."""
        say("what three companies are owed: one query, whoever has the bills")
        for first in range(3, 253, 50):
            self._open += self._owed(range(first, first + 50))
        print(f"{len(self._open)} of 250 accounts owe something\n")
        lines = [self._take(company) for company in COMPANIES]

        say("an order of three lines and a coupon of ten yuan: the coupon is reserved before it can be paid")
        part = {"id": COUPON, "kind": "coupon", "funder": "marketing-dept", "amount": COUPON_FEN}
        number, order = self._created("wechat", lines, parts=[part], payer="demo-user")
        whole = sum(line["amount"] for line in lines)
        check("its cash", order["cash"] == whole - COUPON_FEN)

        say("meanwhile the gas company's bill is paid at its counter")
        gas = lines[2]
        self._at_the_counter(gas)

        say("the payer pays at WeChat Pay, which notifies the front twice; a forged notification comes first")
        parts = [(line["number"], line["cash"]) for line in order["lines"]]
        paid = self._book.pay("wechat", number, parts, self._evening)
        forged = notifying.of_payment(self._keys, paid, datetime.now(CHINA), notifying.Forgery.CHANGED)
        status, said = post(self._url("wechat"), forged)
        print(f"forged: {status} {said.decode()}")
        check("the forged one is refused", status == 400)
        for _ in range(2):
            self._notify(paid)
        order = self._until(number, lambda told: bool(told["refunds"]))
        states = {line["company"]: (line["state"], line.get("code", "")) for line in order["lines"]}
        print(f"{json.dumps(states)}\n", flush=True)
        check("two are written off", [states[name][0] for name in COMPANIES[:2]] == ["written-off", "written-off"])

        say("the gas company refused its line: its cash is refunded at WeChat Pay, and the proof of that comes in")
        [refund] = order["refunds"]
        self._gave_back = refund["transaction"]
        at = self._evening + timedelta(minutes=20)
        back = self._book.refund("wechat", refund["transaction"], refund["refund"], refund["cash"], at)
        of = next(one for one in paid if one.transaction == refund["transaction"])
        proof = notifying.of_refund(self._keys, back, of, datetime.now(CHINA))
        status, _ = post(self._url("wechat"), proof)
        check("the refund is proven", status == 200)
        order = self._until(number, lambda told: told["state"] == "completed-with-refunds")
        print(f"order {number}: {order['state']}, {_yuan(refund['cash'])} yuan refunded\n", flush=True)
        check("the books of the order are closed", self._balance(f"order:{number}") == 0)

    def further_payments(self) -> None:
        """Simple orders; one is paid, and nobody is told."""
        say("other customers pay: three by WeChat Pay, two by Alipay; of one of them the notification is lost")
        for name, channel in (
            ("refunded", "wechat"), ("other", "wechat"), ("unnotified", "wechat"), ("a", "alipay"), ("b", "alipay"),
        ):  # fmt: skip
            number, order = self._created(channel, [self._take(None)], quiet=True)
            paid = self._book.pay(channel, number, [(number, order["cash"])], self._evening + timedelta(minutes=30))
            self._orders[name] = number
            if name == "unnotified":
                continue
            self._notify(paid)
            self._until(number, lambda told: told["state"] == "completed")
        print(f"{len(self._orders)} orders, {len(self._orders) - 1} of them completed\n", flush=True)

    # --- the night -------------------------------------------------------------------------------------------

    def night(self) -> None:
        """Statements, with what nobody told us."""
        say("night: a clerk of WeChat Pay's desk gives one customer all back; of another payment an amount is wrong")
        kinds = (Kind.REFUND_NOT_REVERSED, Kind.AMOUNT_DIFFERS)
        planted = planting.plant(self._book, "wechat", self._day, 1, 2, kinds)
        self._planted = [*planted, *planting.unnotified(self._book, "wechat", self._day)]
        for one in self._planted:
            print(f"planted: {one.kind} {one.transaction} {_yuan(one.amount)}")
        print()
        say("the platforms lay their statements on their SFTP server; the relay fetches them, sealed to the intranet")
        for channel in ("wechat", "alipay"):
            self._laid(*statement(self._book, channel, self._day))

    def reconciliation(self) -> None:
        """Both statements are read, compared and acted upon."""
        runs = _eventually(self._runs, "both statements to be settled")
        self._shown("settle", "files", "--day", self._day.isoformat())
        self._shown("settle", "runs")
        check("two runs", len(runs) == 2)
        say("every planted difference is found, and nothing else")
        items = self._items()
        self._shown("settle", "items")
        found = sorted((one["what"], one["transaction"]) for one in items)
        planted = [(one.kind.value, one.transaction) for one in self._planted]
        planted.append((Kind.CHARGED_AND_REFUNDED.value, self._gave_back))  # of which nothing is left to do
        check(f"what is found is what was planted: {found}, {sorted(planted)}", found == sorted(planted))
        states = {one["what"]: one["state"] for one in items}
        check("the lost payment is written off", states["platform-only"] == "done")
        check("what was given back is reversed", states["refund-not-reversed"] == "done")
        check("the wrong amount waits for a person", states["amount-differs"] == "held")
        self._until(self._orders["unnotified"], lambda told: told["state"] == "completed")

    def decisions(self) -> None:
        """The accountant says what becomes of what is held."""
        say("the accountant resolves what is held")
        [held] = [one for one in self._items() if one["state"] == "held"]
        self._shown("settle", "show", held["id"])
        self._ctl("settle", "resolve", held["id"], "--note", "WeChat Pay corrects it in its next statement")
        [one] = [one for one in self._items() if one["id"] == held["id"]]
        check("it is resolved", one["state"] == "resolved")

    # --- clearing, books -------------------------------------------------------------------------------------

    def clearing(self) -> None:
        """What each company is owed of yesterday."""
        say("clearing: what each company is owed of yesterday, by channel")
        day = self._day.isoformat()

        def sheets() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = self._told("clearing", "list", "--from", day, "--to", day, "--json")["sheets"]
            return found if {one["channel"] for one in found} == {"wechat", "alipay"} else []

        found = _eventually(sheets, "the clearing sheets")
        self._shown("clearing", "list", "--from", day, "--to", day)
        rows = [one for channel in ("wechat", "alipay") for one in self._book.payments(channel, day=self._day)]
        back = [one for channel in ("wechat", "alipay") for one in self._book.refunds(channel, day=self._day)]
        parts = [
            part
            for one in found
            if one["company"] in COMPANIES
            for part in self._told("clearing", "show", one["id"], "--json")["parts"]
        ]
        cleared = _sum(parts, "gross") - _sum(parts, "refunds")
        kept = sum(one.stated for one in rows) - sum(one.cash for one in back)
        held = sum(one.amount for one in self._planted if one.kind is Kind.AMOUNT_DIFFERS)
        print(
            f"the platforms took {_yuan(kept)} yuan, less what they gave back; {_yuan(held)} of it is held\n",
            flush=True,
        )
        # a line that was refused is in no sheet: it was taken and given back
        check("the rest is cleared", cleared == kept - held)
        owed = -sum(self._balance(f"company:{name}") for name in COMPANIES)
        check("with the coupon's share, as the books have it", cleared + _sum(parts, "promotions") == owed)

    def withholding(self) -> None:
        """A file of bills goes to a bank, and its answer is judged."""
        say("two customers have signed that their bank pays: their bills are lines of its next batch")
        lines = [self._withheld(f"6222020000000000{number}") for number in (123, 131)]
        charged, refused = lines
        say("the bank asks for an extra batch: it is checked, its bills are frozen, and it is sealed once")
        self._shown("withholding", "seal", ARRANGEMENT, "--note", "asked for by the bank's letter of today")
        today = datetime.now(CHINA).date()
        batch, name = f"SDDL-37101-{today:%Y%m%d}", f"SDDL_DKKK_37101_{today:%Y%m%d}.txt"
        file = self._server.served / "in" / name
        _eventually(file.exists, "the request at the bank's place")
        request = file.read_bytes()
        print(f"the bank has {name}:\n{request.decode('gb18030')}", flush=True)
        asked = [row.partition("|")[0] for row in request.decode("gb18030").splitlines()[1:]]
        check("its lines", asked == [one["line"] for one in lines])
        check("one batch a day", "there is one a day" in self._no("withholding", "seal", ARRANGEMENT))

        say("the bank charges one, refuses the other, and lays its answer down")
        self._laid(*bank.answer(name, request, today, {refused["line"]: "余额不足"}))
        found = _eventually(lambda: self._judged(batch), "the bank's answer to take effect")
        self._shown("withholding", "show", batch)
        self._shown("withholding", "lines", "--batch", batch)
        one, other = found[charged["line"]], found[refused["line"]]
        check("what was charged is written off", (one["state"], one["debited"]) == ("written-off", charged["amount"]))
        check(
            "what was refused is free", (other["state"], other["debited"], other["hold"]) == ("refused", 0, "released")
        )
        again = today + timedelta(3)
        print(f"{refused['line']} is asked for again on {again}\n", flush=True)
        check("it waits for its retry", other["retry_on"] == again.isoformat())
        did = {id: marketing(self._testbed, f"/journal?request_id={id}") for id in found}
        check("the marketing system wrote off one", [one["applied"] for one in did[charged["line"]]] == [1])
        check("and not the other", did[refused["line"]] == [])
        check("the bank owes what it took", self._balance("channel:withholding") == charged["amount"])

    def books(self) -> None:
        """The ledger balances."""
        say("the books")
        self._shown("ledger", "balance")
        self._shown("ledger", "verify")
        for name, number in self._orders.items():
            check(f"the books of order {name} are closed", self._balance(f"order:{number}") == 0)
        promotions = marketing(self._testbed, "/books/promotions")
        posted = [one for one in promotions if one["promotion"] == COUPON]
        check("the coupon is used once", [one["state"] for one in posted] == ["posted"])

    # --- what it is made of ----------------------------------------------------------------------------------

    def _owed(self, numbers: range) -> list[dict[str, Any]]:
        accounts = [{"company": COMPANIES[number % 3], "account": f"32100000{number:05}"} for number in numbers]
        status, told = curl(self._testbed, "/v1/combined-bill", {"accounts": accounts}, quiet=True, Prefer="wait=20")
        check("what they owe", status == 200)
        return [
            {
                "company": one["company"], "account": one["account"], "bills": [bill["bill"]],
                "amount": bill["amount"] + bill["penalty"],
            }
            for one in told["result"]["owed"]
            for bill in one["bills"][-1:]
            if bill["amount"] > 1_500
        ]  # fmt: skip

    def _take(self, company: str | None) -> dict[str, Any]:
        for at, line in enumerate(self._open):
            if company in (None, line["company"]):
                return self._open.pop(at)
        raise TestbedError(f"the demo finds no open bill of {company or 'any company'}")

    def _created(
        self, channel: str, lines: Sequence[dict[str, Any]], quiet: bool = False, **more: Any
    ) -> tuple[str, dict[str, Any]]:
        key = f"demo-{time.time_ns()}"
        body = {"channel": channel, "lines": list(lines), **more}
        status, told = curl(
            self._testbed, "/v1/payment-order-create", body, quiet=quiet, Idempotency_Key=key, Prefer="wait=10"
        )
        check("the order is created", status == 200 and told["status"] == "succeeded")
        number = told["result"]["order"]
        if told["result"]["state"] != "reserved":  # a coupon's reservation may take longer than its caller is kept
            self._until(number, lambda order: order["state"] == "reserved")
        status, told = curl(
            self._testbed, "/v1/payment-order-pay", {"order": number}, quiet=quiet, Idempotency_Key=f"{key}-pay",
            Prefer="wait=10",
        )  # fmt: skip
        check("it can be paid", status == 200 and told["result"]["state"] == "paying")
        return number, told["result"]

    def _at_the_counter(self, line: dict[str, Any]) -> None:
        body = {
            "account": line["account"], "amount": line["amount"], "months": line["bills"], "channel": "counter",
            "transaction": f"C{time.time_ns()}", "paid_at": self._evening.isoformat(timespec="seconds"),
            "booked_on": self._day.isoformat(),
        }  # fmt: skip
        key = f"demo-{time.time_ns()}"
        status, told = curl(
            self._testbed, "/v1/payment-writeoff", body, quiet=True, Idempotency_Key=key, Prefer="wait=10"
        )
        check("it is paid at the counter", status == 200 and told["status"] == "succeeded")

    def _withheld(self, bank_account: str) -> dict[str, Any]:
        """An account signs, and a bill of it becomes a line."""
        owed, key = self._take("power"), f"demo-{time.time_ns()}"
        terms = {"account": owed["account"], "bank": "icbc", "bank_account": bank_account, "holder": "示范户主"}
        status, told = curl(
            self._testbed, "/v1/withholding-sign", terms, quiet=True, Idempotency_Key=f"{key}-sign", Prefer="wait=10"
        )
        check("it is signed", status == 200 and told["status"] == "succeeded")
        bill = {"account": owed["account"], "agreement": told["result"]["agreement"], "month": owed["bills"][0]}
        status, told = curl(self._testbed, "/v1/withholding-charge", bill, Idempotency_Key=key, Prefer="wait=10")
        check("it is a line", status == 200 and told["status"] == "succeeded")
        line = told["result"]
        return {"line": line["line"], "amount": line["amount"] + line["penalty"]}

    def _judged(self, batch: str) -> dict[str, dict[str, Any]] | None:
        told = self._told("withholding", "lines", "--batch", batch, "--json")
        settled = all(one["state"] in ("written-off", "refused") and one["hold"] != "releasing" for one in told)
        return {one["id"]: one for one in told} if told and settled else None

    def _laid(self, name: str, content: bytes) -> None:
        """A platform lays a file on its server, under another name until it is whole."""
        out = self._server.served / "out"
        (out / f".{name}").write_bytes(content)
        (out / f".{name}").rename(out / name)
        print(f"{name}: {len(content)} bytes")

    def _url(self, channel: str) -> str:
        return f"{self._testbed.front_url}/channels/{channel}/notifications"

    def _notify(self, paid: Sequence[Payment]) -> None:
        told = notifying.of_payment(self._keys, paid, datetime.now(CHINA))
        status, said = post(self._url(paid[0].channel), told)
        print(f"{paid[0].channel} notifies: {status} {said.decode()}", flush=True)
        check("the channel is acknowledged", notifying.acknowledged(paid[0].channel, status, said))
        self._book.told([one.transaction for one in paid])

    def desk(self) -> None:
        """Where people see all that: who settles proposes, who approves is somebody else."""
        say("the accountant's desk, on the bridge's host alone: one who settles, and one who approves")
        for name, role in (("wang", "settle"), ("li", "approve")):
            self._shown("desk", "staff", "add", name, "--role", role, "--side", "bridge")
        address = f"http://127.0.0.1:{self._testbed.settings['intranet_bridge']['desk.port']}/"
        with urllib.request.urlopen(address, timeout=10) as answer:
            check(f"{address} asks who is there", 'name="password"' in answer.read().decode())
        print(f"{address} (the code is of an authenticator with that secret)", flush=True)

    def _until(self, number: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            _, told = curl(self._testbed, "/v1/payment-order", {"order": number}, quiet=True)
            result: dict[str, Any] | None = told.get("result")  # none of a query that had no answer in time
            return result if result and holds(result) else None

        return _eventually(look, f"order {number}")

    def _runs(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self._told("settle", "runs", "--json")
        ended = [one for one in told if one["state"] == "done"]
        return ended if len(ended) == 2 and not [one for one in self._items() if one["state"] == "acting"] else []

    def _items(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self._told("settle", "items", "--json")
        return told

    def _balance(self, account: str) -> int:
        told = self._told("ledger", "balance", "--json")
        return sum(one["fen"] for one in told["accounts"] if one["account"] == account)

    def _shown(self, *words: str) -> None:
        print(f"$ ./scripts/ctl {shlex.join(words)}", flush=True)
        print(self._ctl(*words), flush=True)

    def _told(self, *words: str) -> Any:
        return json.loads(self._ctl(*words))

    def _no(self, *words: str) -> str:
        """What bridgectl says that it refuses; shown."""
        done = self._ran(words)
        print(f"$ ./scripts/ctl {shlex.join(words)}\n{done.stderr}", flush=True)
        return done.stderr if done.returncode else ""

    def _ran(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"BRIDGECTL_CONFIG": str(self._testbed.config / "bridgectl.toml")}
        return subprocess.run(
            [str(BIN / "bridgectl"), *words], env=environment, text=True, capture_output=True, check=False
        )

    def _ctl(self, *words: str) -> str:
        """What bridgectl says, also where it says by its status that somebody is to decide something."""
        done = self._ran(words)
        if done.returncode not in (0, 1):
            raise TestbedError(f"bridgectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout


def _eventually(look: Callable[[], T | None], what: str) -> T:
    end = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise TestbedError(f"waited {PATIENCE_S:.0f} s in vain for {what}")
        time.sleep(0.2)


def _sum(parts: Sequence[dict[str, Any]], name: str) -> int:
    return sum(part[name] for part in parts)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"

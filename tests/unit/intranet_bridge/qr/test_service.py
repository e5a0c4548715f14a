"""Codes from issue to scan, and sheets to ZIPs, on a real database; the marketing system is scripted."""

import asyncio
import base64
import contextlib
import csv
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.marketing import (
    Answered,
    AttachedFile,
    Fault,
    MarketingRequest,
    NotApplied,
    Outcome,
    Refused,
    Unknown,
)
from intranet_bridge.qr import batches
from intranet_bridge.qr.service import Offer, Qr, masked
from intranet_bridge.settings import QrSection
from intranet_bridge.store import MIGRATIONS
from protocol.errors import BridgeError, ConfigurationError
from protocol.operations import CATALOGUE
from protocol.qr import parsed_keys
from protocol.runtime.control import Peer
from protocol.runtime.store import Store
from protocol.suites import Suite

SAMPLES = Path(__file__).parents[3] / "data" / "qr"
ACCOUNT = "3210000000003"
ROOT = Peer(os.getuid(), 1)
DAY_MS = 86_400_000


class Calls:
    """The marketing system: an account's answer, or that it exists."""

    def __init__(self) -> None:
        self.says: dict[str, Outcome] = {"3210000000007": Refused("account-closed")}
        self.down = False
        self.tried = 0
        self.asked: list[str] = []

    def admit(self, operation: str) -> bool:
        self.tried += 1
        return not self.down

    async def admitted(self, times: int) -> None:
        """Wait until it was asked so often more."""
        end = self.tried + times
        while True:
            if self.tried >= end:
                return
            await asyncio.sleep(0.001)

    def release(self, operation: str) -> None:
        pass

    async def call(self, operation: str, asked: MarketingRequest) -> Outcome:
        self.asked.append(asked.body.account)
        return self.says.get(asked.body.account, Answered(b"{}"))


class World:
    """One bridge's QR codes."""

    def __init__(self, folder: Path, url: str = "", **changes: Any) -> None:
        self.now, self.folder, self.calls = 1_790_000_000_000, folder, Calls()
        self.keys = folder / "qr.keys"
        if not self.keys.exists():
            self.write("1 " + base64.urlsafe_b64encode(b"k" * 32).decode() + " active\n")
        self.values: dict[str, Any] = {
            "base": "https://pay.example.cn/q/", "utility": "power-yunhe", "keys": self.keys,
            "pages": {"bill": "https://pay.example.cn/bill"}, "account_digits": 13,
            "check_accounts": "realtime-charge-query", **changes,
        }  # fmt: skip
        self.store = Store(url or f"sqlite:///{folder / 'bridge.sqlite3'}", MIGRATIONS.prepare)
        self.qr = Qr(
            self.offer(), store=self.store, calls=lambda: self.calls,  # type: ignore[arg-type, return-value]
            allowed=lambda: True, name="bridge-1", clock=lambda: self.now,
        )  # fmt: skip

    def write(self, text: str) -> None:
        self.keys.write_text(text)
        self.keys.chmod(0o600)

    def offer(self) -> Offer:
        return Offer(QrSection.model_validate(self.values))

    async def ask(self, operation: str, id: str = "", source: str = "front-1/desk", **body: Any) -> Any:
        entry = CATALOGUE[operation]
        files: tuple[AttachedFile, ...] = ()
        if sheet := body.pop("content", None):
            files = (attached(sheet),)
            body["sheet"] = "01a2b3c4-0000-7000-8000-000000000001"
        asked = MarketingRequest(
            id or f"id-{os.urandom(8).hex()}", entry.requests.validate_python(body), attachments=files, source=source
        )
        answer = await self.qr.handlers()[operation](asked)
        if isinstance(answer, Refused):
            assert answer.code in {refusal.code for refusal in entry.refusals}, answer.code
            return answer
        assert not isinstance(answer, NotApplied)
        entry.answer(asked.body, answer)
        return answer

    async def left(self, batch: str, stage: str) -> None:
        while True:
            if (await self.ask("qr-batch-state", batch=batch)).state != stage:
                return
            await asyncio.sleep(0.02)

    async def done(self, batch: str, source: str = "front-1/desk") -> Any:
        while True:
            state = await self.ask("qr-batch-state", batch=batch, source=source)
            if state.state in ("done", "refused"):
                return state
            await asyncio.sleep(0.02)


def attached(data: bytes) -> AttachedFile:
    async def read() -> bytes:
        return data

    async def remember(reference: str) -> None:
        pass

    return AttachedFile("x", "x", len(data), hashlib.sha256(data).hexdigest(), None, read, remember)


def played(folder: Path, act: Callable[[World], Awaitable[None]], *, work: bool = False, **changes: Any) -> None:
    async def play() -> None:
        world = World(folder, **changes)
        await world.store.start()
        try:
            if work:
                await world.qr.start()
            await act(world)
        finally:
            await world.qr.close()
            await world.store.close()

    asyncio.run(play())


async def scanned(world: World, url: str) -> Any:
    return await world.ask("qr-resolve", code=url.removeprefix("https://pay.example.cn/q/"))


def test_a_code_leads_to_its_page_and_its_ticket_is_good_once(tmp_path: Path, database_url: str) -> None:
    async def act(world: World) -> None:
        issued = await world.ask("qr-issue", account=ACCOUNT, by="王")
        assert issued.url == f"https://pay.example.cn/q/1-{ACCOUNT}-HQV5GA0GVGWX"  # the specification's vector
        assert (issued.host, issued.generation, issued.png) == ("pay.example.cn", 1, None)
        found = await scanned(world, issued.url)
        assert (found.page, found.location) == ("bill", "https://pay.example.cn/bill")
        redeemed = await world.ask("qr-ticket", "request-1", ticket=found.ticket)
        assert (redeemed.account, redeemed.masked) == (ACCOUNT, "321*******003")
        assert (await world.ask("qr-ticket", "request-1", ticket=found.ticket)) == redeemed  # the same request again
        assert await world.ask("qr-ticket", "request-2", ticket=found.ticket) == Refused("no-such-ticket")
        late = await scanned(world, issued.url)
        world.now += 301_000
        assert await world.ask("qr-ticket", ticket=late.ticket) == Refused("no-such-ticket")

    played(tmp_path, act, url=database_url)


def test_with_another_suite_new_codes_are_signed_by_a_key_of_it_and_printed_ones_stay_good(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        printed = (await world.ask("qr-issue", account=ACCOUNT)).url
        section = world.offer().section
        with pytest.raises(ConfigurationError, match="new codes are signed by 1, of suite aes"):
            Offer(section, Suite.SM)
        world.write(parsed_keys(world.keys.read_text()).added("2", Suite.SM).text())
        world.qr.use(Offer(section, Suite.SM))
        new = (await world.ask("qr-issue", account="3210000000004")).url
        assert "/2-" in new
        for url in (printed, new):
            assert (await scanned(world, url)).page == "bill"

    played(tmp_path, act)


def test_what_is_forged_unknown_or_of_a_retired_key_is_refused_alike(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        issued = await world.ask("qr-issue", account=ACCOUNT)
        other = Offer(world.offer().section)
        refused = Refused("no-such-code")
        neighbour = issued.url.replace(ACCOUNT, "3210000000004")
        assert await scanned(world, neighbour) == refused  # walking
        assert await scanned(world, issued.url[:-1] + "0") == refused  # forging
        assert await scanned(world, other.url("3210000000004", 1)) == refused  # right, and never issued
        assert await scanned(world, issued.url.replace("/1-", "/2-")) == refused
        world.write(parsed_keys(world.keys.read_text()).added("2").text())
        world.qr.use(world.offer())
        assert (await scanned(world, issued.url)).page == "bill"
        second = await world.ask("qr-issue", account=ACCOUNT)
        assert second.kid == "2"
        world.write(parsed_keys(world.keys.read_text()).retired("1").text())
        world.qr.use(world.offer())
        assert await scanned(world, issued.url) == refused
        assert (await scanned(world, second.url)).page == "bill"
        record = await world.ask("qr-lookup", account=ACCOUNT)
        assert sorted((one.kid, one.good) for one in record.codes) == [("1", False), ("2", True)]

    played(tmp_path, act)


def test_a_revoked_code_is_good_for_a_while_or_not_at_all(tmp_path: Path, database_url: str) -> None:
    async def act(world: World) -> None:
        assert await world.ask("qr-revoke", account=ACCOUNT) == Refused("no-such-code")
        first = await world.ask("qr-issue", account=ACCOUNT)
        revoked = await world.ask("qr-revoke", "revocation-1", account=ACCOUNT)
        assert revoked.generation == 2
        assert await world.ask("qr-revoke", "revocation-1", account=ACCOUNT) == revoked  # the same request again
        second = await world.ask("qr-issue", account=ACCOUNT)
        assert second.url != first.url
        assert (await scanned(world, first.url)).page == (await scanned(world, second.url)).page == "bill"
        world.now += 90 * DAY_MS
        assert await scanned(world, first.url) == Refused("no-such-code")
        assert (await scanned(world, second.url)).page == "bill"
        await world.ask("qr-revoke", account=ACCOUNT, now=True)
        assert await scanned(world, second.url) == Refused("no-such-code")

    played(tmp_path, act, url=database_url)


def test_an_account_is_checked_before_its_code_is_issued(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        assert await world.ask("qr-issue", account="3210000000007") == Refused("account-closed")
        world.calls.says["3210000000008"] = Refused("no-such-account")
        assert await world.ask("qr-issue", account="3210000000008") == Refused("no-such-account")
        assert (await world.ask("qr-issue", account="Z05396-0")).code == "invalid-field"
        world.calls.says[ACCOUNT] = Unknown("no answer")
        assert await world.ask("qr-issue", account=ACCOUNT) == Refused("account-not-checked")
        world.calls.down = True
        assert await world.ask("qr-issue", account="3210000000001") == Refused("account-not-checked")
        assert (await world.ask("qr-lookup", account=ACCOUNT)).generation == 0

    played(tmp_path, act)


def test_the_sample_sheet_becomes_four_pictures_and_a_table(tmp_path: Path, database_url: str) -> None:
    expected = json.loads((SAMPLES / "qr_accounts.expected.json").read_text())

    async def act(world: World) -> None:
        sheet = (SAMPLES / "qr_accounts.xlsx").read_bytes()
        batch = (await world.ask("qr-batch", "batch-1", content=sheet, by="王")).batch
        assert (await world.ask("qr-batch", "batch-1", content=sheet, by="王")).batch == batch
        state = await world.done(batch)
        assert (state.state, state.rows, state.done) == ("done", 14, 14)
        data = b""
        for part in range(state.parts):
            data += base64.b64decode((await world.ask("qr-batch-part", batch=batch, part=part)).data)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (state.length, state.sha256)
        archive = zipfile.ZipFile(io.BytesIO(data))
        assert [name for name in archive.namelist() if name.endswith(".png")] == expected["png_files_account_digits_13"]
        text = archive.read("result.csv").decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["row"]: row["result"] for row in rows} == expected["account_digits_13"]
        single = await world.ask("qr-issue", account=ACCOUNT, image=True)
        assert base64.b64decode(single.png) == archive.read(f"{ACCOUNT}.png")
        record = await world.ask("qr-lookup", account=ACCOUNT)
        assert {(one.batch, one.by) for one in record.codes} == {("batch-1", "desk:王"), ("", "desk")}
        # nobody else's, no further part, and after a week nothing but the record
        assert await world.ask("qr-batch-state", batch=batch, source="front-1/wechat") == Refused("no-such-batch")
        assert await world.ask("qr-batch-part", batch=batch, part=state.parts) == Refused("no-such-batch")
        world.now += 8 * DAY_MS
        await world.qr.forget()
        assert await world.ask("qr-batch-state", batch=batch) == Refused("no-such-batch")
        assert (await world.ask("qr-lookup", account=ACCOUNT)).generation == 1

    played(tmp_path, act, work=True, url=database_url)


def test_a_sheet_that_is_none_is_refused_whole(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        batch = (await world.ask("qr-batch", content=(SAMPLES / "qr_accounts_renamed.xlsx").read_bytes())).batch
        state = await world.done(batch)
        assert (state.state, state.refused, state.rows) == ("refused", "not-xlsx", 0)

    played(tmp_path, act, work=True)


def test_a_batch_waits_for_the_marketing_system_and_gives_one_account_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_RETRY_S", 0.001)

    async def act(world: World) -> None:
        world.calls.down = True
        world.calls.says["0310000000001"] = Unknown("unreadable", fault=Fault.ANSWER)
        batch = (await world.ask("qr-batch", content=(SAMPLES / "qr_wps.xlsx").read_bytes())).batch
        await world.calls.admitted(50)  # the circuit is open all the while: no row loses its code by that
        assert (await world.ask("qr-batch-state", batch=batch)).done == 0
        world.calls.down = False
        state = await world.done(batch)
        assert {one.verdict: one.rows for one in state.verdicts} == {"ok": 2, "not-checked": 1}
        assert world.calls.asked.count("0310000000001") == 5

    played(tmp_path, act, work=True)


def test_an_interface_that_fails_for_one_account_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_RETRY_S", 0.001)

    async def act(world: World) -> None:
        slow = world.calls.says
        for account in ("3210000000001", "0310000000001", "3210000000003"):
            slow[account] = Unknown("no answer in time", timed_out=True)
        batch = (await world.ask("qr-batch", content=(SAMPLES / "qr_wps.xlsx").read_bytes())).batch
        await world.calls.admitted(50)  # it fails for everybody: it waits
        assert (await world.ask("qr-batch-state", batch=batch)).done == 0
        del slow["3210000000001"], slow["3210000000003"]
        await world.calls.admitted(20)
        assert (await world.ask("qr-batch-state", batch=batch)).done == 2
        world.now += 3_600_001
        state = await world.done(batch)
        assert {one.verdict: one.rows for one in state.verdicts} == {"ok": 2, "not-checked": 1}

    played(tmp_path, act, work=True)


def test_a_killed_bridge_goes_on_and_makes_the_same_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped after each step in turn; the ZIP is that of a bridge which was never stopped."""
    monkeypatch.setattr(batches, "CHUNK", 1)
    digests = []
    for name, stops in (("whole", 0), ("killed", 1)):
        folder = tmp_path / name
        folder.mkdir()

        async def begin(world: World) -> None:
            await world.ask("qr-batch", "batch-1", content=(SAMPLES / "qr_accounts.xlsx").read_bytes())

        played(folder, begin)
        while True:
            seen: list[Any] = []

            async def step(world: World) -> None:
                while await world.qr._batches._step():
                    if stops:  # noqa: B023
                        break
                seen.append(await world.ask("qr-batch-state", batch="batch-1"))  # noqa: B023

            played(folder, step)
            if seen[0].state == "done":
                break
        digests.append(seen[0].sha256)
    assert digests[0] == digests[1]


def test_a_bridge_that_packs_too_long_leaves_the_zip_of_the_one_that_took_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(world: World) -> None:
        slow, fill = world.qr._batches, batches.Batches._fill
        other = batches.Batches(
            store=world.store, name="bridge-2", making=world.qr._making, drawing=lambda: world.qr._many,
            allowed=lambda: True, clock=lambda: world.now,
        )  # fmt: skip

        async def filled(of: batches.Batches, batch: batches.Batch, archive: zipfile.ZipFile) -> None:
            if of is slow and world.now < overtaken:
                world.now = overtaken
                assert await other._step()
            await fill(of, batch, archive)

        overtaken = world.now + batches.CLAIM_MS + 1
        monkeypatch.setattr(batches.Batches, "_fill", filled)
        await world.ask("qr-batch", "batch-1", content=(SAMPLES / "qr_accounts.xlsx").read_bytes())
        with contextlib.suppress(batches._NotNow):
            while await slow._step():
                pass
        told = await world.ask("qr-batch-state", batch="batch-1")
        parts = [await world.ask("qr-batch-part", batch="batch-1", part=part) for part in range(told.parts)]
        data = b"".join(base64.b64decode(part.data) for part in parts)
        assert (told.state, told.length, told.sha256) == ("done", len(data), hashlib.sha256(data).hexdigest())
        assert sum(name.endswith(".png") for name in zipfile.ZipFile(io.BytesIO(data)).namelist()) == 4

    played(tmp_path, act)


def test_administrators_of_the_host_have_the_same(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        async def told(question: str, **more: Any) -> Mapping[str, Any]:
            answer: Mapping[str, Any] = await world.qr.answers()[question](more, ROOT)
            return answer

        made = await told("qr-issue", account=ACCOUNT)
        assert base64.b64decode(made["png"]).startswith(b"\x89PNG")
        assert (await told("qr-lookup", account=ACCOUNT))["codes"][0]["by"].startswith("bridgectl:")
        sheet = (SAMPLES / "qr_wps.xlsx").read_bytes()
        for at in (0, 10_000):
            part = sheet[at : at + 10_000] if at == 0 else sheet[at:]
            await told("qr-sheet", offset=at, data=base64.b64encode(part).decode())
        with pytest.raises(BridgeError, match="another sheet"):
            await told("qr-sheet", offset=5, data="")
        batch = (await told("qr-batch"))["batch"]
        while True:
            if (state := await told("qr-batch-state", batch=batch))["state"] == "done":
                break
            await asyncio.sleep(0.02)
        data = base64.b64decode((await told("qr-batch-part", batch=batch, part=0))["data"])
        assert len(zipfile.ZipFile(io.BytesIO(data)).namelist()) == 4
        assert state["verdicts"] == [{"verdict": "ok", "rows": 3}]
        await told("qr-revoke", account=ACCOUNT, now=True)
        assert await scanned(world, made["url"]) == Refused("no-such-code")
        with pytest.raises(BridgeError, match="account:"):
            await told("qr-issue", account="../x")
        assert {name for name, *_ in world.qr.samples()} == {
            "intranet_bridge_qr_codes_total", "intranet_bridge_qr_rows_total"
        }  # fmt: skip

    played(tmp_path, act, work=True)


def test_without_a_section_nothing_is_offered(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        world.qr.use(None)
        assert await world.ask("qr-issue", account=ACCOUNT) == Refused("qr-not-offered")
        assert await world.ask("qr-resolve", code=f"1-{ACCOUNT}-HQV5GA0GVGWX") == Refused("qr-not-offered")
        with pytest.raises(BridgeError, match="no QR codes are offered"):
            await world.qr.answers()["qr-issue"]({"account": ACCOUNT}, ROOT)

    played(tmp_path, act)


def test_keys_that_cannot_be_used_say_why_and_where(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keys.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 0600"):
        world.offer()
    world.write(parsed_keys(world.keys.read_text()).retired("1").text())
    with pytest.raises(ConfigurationError, match="no active key"):
        world.offer()
    world.keys.unlink()
    with pytest.raises(ConfigurationError, match="bridgectl qr keys --add"):
        world.offer()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": "http://pay.example.cn/q/"}, "https"),
        ({"base": "https://pay.example.cn/q"}, "end in a slash"),
        ({"pages": {"news": "https://x.example.cn/"}}, "bill is not one of pages"),
        ({"pixels_per_module": 3}, "too small"),
        ({"check_accounts": "work-order"}, "must name a query"),
        ({"check_accounts": "bill-query"}, "cannot be asked with an account alone"),
        ({"account_pattern": "["}, "not a regular expression"),
    ],
)
def test_settings_that_cannot_be_used_say_why(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        World(tmp_path, **changes)


def test_a_masked_account_shows_less_than_half() -> None:
    for account in ("1234", "54114172", "Z05396-0", ACCOUNT, "1" * 20):
        assert len(masked(account)) == len(account)
        assert masked(account).count("*") * 2 >= len(account)

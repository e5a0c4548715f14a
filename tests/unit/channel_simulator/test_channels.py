"""The simulated channels: what they sign is believed by the bridge's own code, what they forge is not."""

import json
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from intranet_bridge.settlement.payments.evidence import (
    AlipayRsa2,
    Evidence,
    EvidenceInvalid,
    NoPayment,
    Notification,
    PaymentProof,
    RefundProof,
    Simulated,
    WechatV3,
)
from protocol.times import CHINA
from scripts.tools.channel_simulator import keys as own
from scripts.tools.channel_simulator import notifying
from scripts.tools.channel_simulator.book import Book, BookError, RefundStatus
from scripts.tools.channel_simulator.command_line import main
from scripts.tools.channel_simulator.keys import Keys, made_or_loaded
from scripts.tools.channel_simulator.notifying import Forgery

AT = datetime(2026, 11, 24, 12, 30, tzinfo=CHINA)
NOW = AT + timedelta(seconds=2)
CHANNELS = ("wechat", "alipay", "bank")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("channels")


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    return made_or_loaded(folder)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book.sqlite3")


def evidence(keys: Keys) -> dict[str, Evidence]:
    """What a bridge makes of the public halves and the shared secrets."""
    return {
        "wechat": WechatV3({own.WECHAT_SERIAL: keys.wechat.public_key()}, keys.api_v3, {own.WECHAT_MERCHANT}),
        "alipay": AlipayRsa2([keys.alipay.public_key()], {own.ALIPAY_APPLICATION}, {own.ALIPAY_SELLER}),
        "bank": Simulated(keys.simulated),
    }


def proof(keys: Keys, channel: str, told: notifying.Notification) -> Any:
    return evidence(keys)[channel].verify(Notification(told.body, told.headers))


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_was_paid_is_believed(keys: Keys, book: Book, channel: str) -> None:
    [paid] = book.pay(channel, "PO1", [("PO1", 18667)], AT)
    said = proof(keys, channel, notifying.of_payment(keys, [paid], NOW))
    assert isinstance(said, PaymentProof)
    assert (said.order, said.cash, said.paid_at) == ("PO1", 18667, AT)
    assert said.payments[0].transaction == paid.transaction


def test_a_combined_payment_is_one_notification(keys: Keys, book: Book) -> None:
    parts = book.pay("wechat", "PO1", [("PO1-1", 11522), ("PO1-2", 6336)], AT)
    said = proof(keys, "wechat", notifying.of_payment(keys, parts, NOW))
    assert [(one.transaction, one.reference, one.cash) for one in said.payments] == [
        (part.transaction, part.reference, part.cash) for part in parts
    ]
    with pytest.raises(BookError, match="combines no orders"):
        notifying.of_payment(keys, book.pay("alipay", "PO2", [("PO2-1", 1), ("PO2-2", 2)], AT), NOW)


@pytest.mark.parametrize("forgery", list(Forgery))
@pytest.mark.parametrize("channel", CHANNELS)
def test_what_is_forged_is_not(keys: Keys, book: Book, channel: str, forgery: Forgery) -> None:
    told = notifying.of_payment(keys, book.pay(channel, "PO1", [("PO1", 100)], AT), NOW, forgery)
    with pytest.raises(EvidenceInvalid):
        proof(keys, channel, told)


def test_refunds_are_told_as_each_channel_does(keys: Keys, book: Book) -> None:
    [wechat] = book.pay("wechat", "PO1", [("PO1", 5000)], AT)
    refund = book.refund("wechat", wechat.transaction, "PO1-1-R1", 2000, AT)
    said = proof(keys, "wechat", notifying.of_refund(keys, refund, wechat, NOW))
    assert said == RefundProof("PO1-1-R1", wechat.transaction, 2000, AT)
    [alipay] = book.pay("alipay", "PO2", [("PO2", 5000)], AT)
    refund = book.refund("alipay", alipay.transaction, "PO2-1-R1", 2000, AT)
    assert isinstance(proof(keys, "alipay", notifying.of_refund(keys, refund, alipay, NOW)), NoPayment)
    pending = book.refund("wechat", wechat.transaction, "PO1-1-R2", 1, AT, status=RefundStatus.PROCESSING)
    with pytest.raises(BookError, match="not paid out"):
        notifying.of_refund(keys, pending, wechat, NOW)


def test_one_number_refunds_once_and_no_more_than_was_paid(book: Book) -> None:
    [paid] = book.pay("wechat", "PO1", [("PO1", 100)], AT)
    first = book.refund("wechat", paid.transaction, "R1", 60, AT)
    assert book.refund("wechat", paid.transaction, "R1", 60, AT + timedelta(hours=1)) == first
    with pytest.raises(BookError, match="another one"):
        book.refund("wechat", paid.transaction, "R1", 61, AT)
    with pytest.raises(BookError, match="60 went back: not 41 more"):
        book.refund("wechat", paid.transaction, "R2", 41, AT)
    with pytest.raises(BookError, match="no transaction"):
        book.refund("wechat", "42", "R3", 1, AT)
    assert [one.number for one in book.refunds("wechat")] == ["R1"]


def test_the_keys_stay_and_only_their_owner_reads_them(folder: Path, keys: Keys) -> None:
    again = made_or_loaded(folder)
    assert again.wechat.private_numbers() == keys.wechat.private_numbers()
    assert (again.api_v3, again.simulated) == (keys.api_v3, keys.simulated)
    assert len(keys.api_v3) == 32
    private = [file for file in folder.iterdir() if ".pub." not in file.name]
    assert {file.stat().st_mode & 0o777 for file in private} == {0o600}
    assert "api_v3" not in repr(keys)


def test_which_answers_count() -> None:
    assert notifying.acknowledged("wechat", 204, b"")
    assert not notifying.acknowledged("wechat", 400, b'{"code":"SUCCESS"}')
    assert notifying.acknowledged("alipay", 200, b"success")
    assert not notifying.acknowledged("alipay", 200, b"success\n")


class _Notified(BaseHTTPRequestHandler):
    taken: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_the_command_line_from_payment_to_statement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def done(*arguments: str) -> Any:
        assert main(["--folder", str(tmp_path / "c"), *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    _Notified.taken.clear()
    server = HTTPServer(("127.0.0.1", 0), _Notified)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert "wechat.pub.pem" in done("keys")["files"]
        when = ("--at", "2026-11-24T12:30:00+08:00")
        [first, second] = done("pay", "wechat", "PO1", "PO1-1=100", "PO1-2=50", *when)
        assert (first["cash"], second["reference"]) == (100, "PO1-2")
        url = f"http://127.0.0.1:{server.server_port}/channels/wechat/notifications"
        answers = done("notify", "wechat", "PO1", url, "--times", "2")
        assert [answer["acknowledged"] for answer in answers] == [True, True]
        assert _Notified.taken[0] == _Notified.taken[1]
        done("refund", "wechat", first["transaction"], "R1", "100", *when)
        assert done("plant", "wechat", "2026-11-24", "--count", "1", "--kind", "platform-only")[0]["amount"] > 100
        told = done("statement", "wechat", "2026-11-24", "--into", str(tmp_path))
        assert (tmp_path / "1900000001_ALL_20261124.csv").stat().st_size == told["bytes"]
        assert [one["notified"] for one in done("book", "wechat")["payments"]] == [True, True, False]
    finally:
        server.shutdown()
        server.server_close()
    assert main(["--folder", str(tmp_path / "c"), "notify", "wechat", "PO9", url]) == 1
    assert capsys.readouterr().err == "channel_simulator: nothing was paid for PO9\n"


def test_it_starts_as_a_directory(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, str(ROOT / "scripts/tools/channel_simulator"), "--folder", str(tmp_path), "book", "wechat"],
        capture_output=True, check=True, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert json.loads(told.stdout) == {"payments": [], "refunds": []}


def test_a_day_is_the_platforms(book: Book) -> None:
    [paid] = book.pay("wechat", "PO1", [("PO1", 100)], datetime(2026, 11, 23, 16, 0, tzinfo=UTC))
    assert paid.day == date(2026, 11, 24)
    assert book.payments("wechat", day=date(2026, 11, 23)) == []

"""Notices from a push to an application that fails at times, while bridge and front are killed on the way: none is
lost, none is another one the second time, and those of an account come in their order.
"""

import base64
import contextlib
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.tls import self_signed
from tests.support.testbeds import ACCOUNTS, client, command, ctl, eventually, running_testbed, work_order

SECRETS = [b"first-secret-of-the-test!!!!", b"second-secret-of-the-test!!!"]
MINE = ACCOUNTS[:4]
CONSENT = {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}


@dataclass
class Receiver:
    """An application's HTTPS server: turns away the first attempt of every third callback."""

    folder: Path
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What was accepted, in the order of arrival."""
    wrong: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    attempts: int = 0
    port: int = 0

    @contextlib.contextmanager
    def running(self) -> Iterator["Receiver"]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.take({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "receiver.pem", self.folder / "receiver.key")
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        id, at = headers["webhook-id"], headers["webhook-timestamp"]
        signed = f"{id}.{at}.".encode() + body
        expected = [f"v1,{base64.b64encode(hmac.digest(secret, signed, 'sha256')).decode()}" for secret in SECRETS]
        if headers["webhook-signature"].split(" ") != expected or abs(int(at) - time.time()) > 300:
            self.wrong.append(id)
        self.attempts += 1
        if self.attempts % 3 == 0 and id not in self.seen:
            self.seen.add(id)
            return 503
        self.seen.add(id)
        self.got.append((id, json.loads(body)))
        return 204

    def of(self, account: str) -> list[int]:
        """Sequences of an account's notices, each as it came first."""
        found: list[int] = []
        for _, one in self.got:
            if one["data"].get("account") == account and one["sequence"] not in found:
                found.append(one["sequence"])
        return found


def push(testbed: Testbed, id: str, account: str) -> int:
    """As the marketing system's: the same id again until it is taken."""
    data = {"account": account, "month": "2026-06", "amount_fen": 1000}
    asked = {"ask": "publish-notice", "kind": "bill-issued", "at": "2026-07-01T08:00:00+08:00", "data": data}

    def taken() -> list[int]:
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(10)
            channel.connect(str(testbed.folder / "bridge.sock"))
            channel.sendall(json.dumps(asked | {"push_id": id}).encode() + b"\n")
            answer = json.loads(channel.makefile("rb").readline())
            return [answer["answer"]["applications"]] if "answer" in answer else []
        return []

    count: int = eventually(taken, 60, f"push {id}")[0]
    return count


def test_notices_reach_an_application_once_and_in_order_through_kills_of_both_sides(tmp_path: Path) -> None:
    self_signed(tmp_path / "receiver.pem", tmp_path / "receiver.key")
    for number, secret in enumerate(SECRETS):
        file = tmp_path / f"{number}.secret"
        file.write_text("whsec_" + base64.b64encode(secret).decode())
        file.chmod(0o600)
    with Receiver(tmp_path).running() as receiver:
        front = {
            "callbacks.hook.application": "demo", "callbacks.hook.url": f"https://127.0.0.1:{receiver.port}/hook",
            "callbacks.hook.secrets": [str(tmp_path / "0.secret"), str(tmp_path / "1.secret")],
            "callbacks.hook.ca": str(tmp_path / "receiver.pem"), "callbacks.hook.networks": ["127.0.0.0/8"],
            "notices.retry_min_s": 0.1, "notices.retry_max_s": 1,
        }  # fmt: skip
        settings = {"dmz_front": front, "intranet_bridge": {"notices.resend_after_s": 1}}
        with running_testbed(tmp_path / "bed", settings=settings) as testbed:
            assert testbed.app_key.split("_")[1] == "demo"
            with client(testbed) as http:
                for account in MINE:
                    body = {"account": account, "kinds": ["bill-issued"], "consent": CONSENT}
                    told = command(http, "notice-subscribe", body)
                    assert [one["kind"] for one in told["result"]["subscriptions"]] == ["bill-issued"]
            total = 0
            for number in range(15):
                for account in MINE:
                    push(testbed, f"push-{number}-{MINE.index(account)}", account)
                    push(
                        testbed, f"push-{number}-{MINE.index(account)}", account
                    )  # the marketing system repeats itself
                    total += 1
                if number == 4:
                    testbed.kill("bridge")
                    testbed.start("bridge")
                if number == 8:
                    testbed.kill("front")
                if number == 11:
                    testbed.start("front")
            assert push(testbed, "for-nobody", ACCOUNTS[9]) == 0
            wanted = list(range(1, 16))
            eventually(lambda: all(receiver.of(account) == wanted for account in MINE), 120, "all, in order")
            assert receiver.wrong == []
            assert len({id for id, _ in receiver.got}) == total
            assert receiver.attempts > total  # some were turned away

            with client(testbed) as http:
                page = http.get("/v1/notices", params={"limit": 200}).raise_for_status().json()
                assert len({one["id"] for one in page["notices"]}) == len(page["notices"]) == total
                for account in MINE:
                    assert [n["sequence"] for n in page["notices"] if n["data"]["account"] == account] == wanted
                headers = {"Idempotency-Key": "order-1", "Callback": "hook", "Prefer": "wait=10"}
                id = http.post("/v1/work-order", json=work_order(), headers=headers).json()["request_id"]
                document = http.get("/asyncapi.json").raise_for_status().json()
                assert document["asyncapi"] == "3.0.0"
            [outcome] = eventually(lambda: [one for of, one in receiver.got if of.startswith(id)], 60, "the outcome")
            assert outcome["data"]["status"] == "succeeded"

            def delivered() -> list[Any]:  # written down after the receiver's answer
                listed = ctl(testbed, "notices", "list", "--state", "delivered", "--json")
                assert listed.returncode == 0, listed.stderr
                found: list[Any] = json.loads(listed.stdout)
                return found

            eventually(lambda: len(delivered()) == total + 1, what="the record of every delivery")
            for side in ("front", "bridge"):
                content = b"".join(file.read_bytes() for file in (testbed.folder / "data").glob(f"{side}.sqlite3*"))
                assert not [account for account in MINE if account.encode() in content], side

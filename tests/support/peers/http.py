"""A marketing system that speaks JSON over HTTP: threads with sockets, in the standard library's HTTP."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from intranet_bridge.contract import COMMAND, DETAIL, OTHER, QUERY, REFUSED, Behaviour, Peer, owed, registered
from scripts.tools.testbed.processes import free_port
from tests.support.peers.books import Books

_TOKEN = "contract-token-5512907734"
HANG_S = 60.0
_REFUSAL = {"when": "code != '0'", "code": "code", "detail": "msg", "codes": {"44": REFUSED}}
_COMMON = {"refusal": _REFUSAL, "not_applied": "code == '77'"}


class HttpPeer(Peer):
    """See `Peer`. Subclasses may say the same in another form."""

    secrets = (_TOKEN,)

    def __init__(self, folder: Path) -> None:
        token = folder / "peer.token"
        token.touch(mode=0o600)
        token.write_text(_TOKEN)
        self.books = Books()
        self.port = free_port()  # it is let go of and taken again
        self.start()
        self.system = {
            "adapter": "http",
            "url": f"http://127.0.0.1:{self.port}",
            "authentication": {"header": "X-Peer-Token", "token_file": str(token)},
        }
        self.bindings = {
            QUERY.name: {
                **_COMMON,
                "path": "/owed",
                "request": "{acct: account}",
                "response": "data.{account: acct, total: total, unpaid: bills}",
            },
            COMMAND.name: {
                **_COMMON,
                "path": "/order",
                "request": "{id: request_id, acct: account, name: contact_name, tel: contact_phone, text: content}",
                "response": "data.{work_order: no, accepted_at: at}",
                "request_id": "data.id",
                "inquire": {
                    "path": "/status",
                    "request": "{id: request_id}",
                    "found": "code == '0'",
                    "not_found": "code == '40'",
                },
            },
        }

    def behave(self, behaviour: Behaviour) -> None:
        self.books.behave(behaviour)

    def applied(self, request_id: str) -> int:
        return self.books.applied(request_id)

    def received(self) -> int:
        return self.books.received()

    def start(self) -> None:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                peer.take(self, body)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def __init__(self) -> None:
                self.open: set[socket.socket] = set()
                super().__init__(("127.0.0.1", peer.port), Handler)

            def process_request(self, request: Any, client_address: Any) -> None:
                self.open.add(request)
                super().process_request(request, client_address)

            def shutdown_request(self, request: Any) -> None:
                self.open.discard(request)
                super().shutdown_request(request)

            def handle_error(self, request: Any, client_address: Any) -> None: ...

        self._server = Server()
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in list(self._server.open):
            cut(connection)

    def saved(self) -> bytes:
        return json.dumps(self.answer("/owed", {"acct": "7305518264093"})).encode()

    def take(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """A request as it came."""
        if handler.headers["X-Peer-Token"] != _TOKEN:
            handler.send_error(401)
            return
        self.serve(handler, json.loads(body))

    def serve(self, handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        """One request: applied, answered, or not, as it is to be."""
        behaviour, changed = self.books.receive()
        applies = behaviour in APPLYING and handler.path == "/order"
        if applies:
            self.books.apply(asked["id"])
        if behaviour in (Behaviour.SILENT, Behaviour.SILENT_APPLIED):
            changed.wait(HANG_S)
        if behaviour in (Behaviour.DROP, Behaviour.DROP_APPLIED):
            cut(handler.connection)
            return
        status = 200
        match behaviour:
            case Behaviour.REFUSE:
                body = b'{"code": "44", "msg": "%b"}' % DETAIL.encode()
            case Behaviour.BUSY:
                body = b'{"code": "77"}'
            case Behaviour.FAIL:
                status, body = 500, b"oops"
            case Behaviour.GARBAGE:
                body = b'{"code": "0", "data": {"acct": 7305518264093, "total": [], "no'
            case Behaviour.ANOTHER:
                asked = {**asked, "acct": OTHER, "id": OTHER}
                body = json.dumps({"code": "0", "data": self.data(handler.path, asked)}).encode()
            case _:
                body = json.dumps(self.answer(handler.path, asked), ensure_ascii=False).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """As it should be."""
        if path == "/status" and not self.books.applied(asked["id"]):
            return {"code": "40"}
        return {"code": "0", "data": self.data(path, asked)}

    def data(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What is asked for, in this system's names."""
        if path == "/owed":
            found = owed(asked["acct"])
            return {"acct": found["account"], "total": found["total"], "bills": found["unpaid"]}
        order = registered(asked["id"])
        return {"id": asked["id"], "no": order["work_order"], "at": order["accepted_at"]}


APPLYING = frozenset(
    {
        Behaviour.ANSWER, Behaviour.GARBAGE, Behaviour.ANOTHER, Behaviour.SILENT_APPLIED, Behaviour.DROP_APPLIED,
    }
)  # fmt: skip


def cut(connection: socket.socket) -> None:
    """Lose a connection."""
    with suppress(OSError):  # it is gone already
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def http_peer(folder: Path) -> Iterator[Peer]:
    """JSON, a secret header."""
    peer = HttpPeer(folder)
    try:
        yield peer
    finally:
        peer.books.changed.set()
        peer.stop()

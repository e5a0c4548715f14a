"""As little STOMP as shows what a broker allows: a raw TLS socket, so that hostile things can be said. Imports
nothing of the product.
"""

import socket
import ssl
from pathlib import Path

from scripts.tools.testbed.testbed import Testbed

Reply = tuple[str, dict[str, str], bytes]
PATIENCE_S = 60.0
"""How long the broker may take to answer, on a busy machine and disk."""


class Stomp:
    """As little STOMP as shows what the broker allows."""

    def __init__(self, testbed: Testbed, certs: Path | None, role: str, trust: Path | None = None) -> None:
        context = ssl.create_default_context(cafile=str(trust or testbed.certs / "ca.pem"))
        if certs is not None:
            context.load_cert_chain(certs / f"{role}.pem", certs / f"{role}.key")
        plain = socket.create_connection(("127.0.0.1", testbed.ports.broker), timeout=PATIENCE_S)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.buffer = b""

    def send(self, command: str, body: bytes = b"", **headers: str) -> None:
        if body:
            headers["content_length"] = str(len(body))
        lines = "".join(f"{name.replace('_', '-')}:{value}\n" for name, value in headers.items())
        self.socket.sendall(f"{command}\n{lines}\n".encode() + body + b"\0")

    def receive(self) -> Reply | None:
        """The next frame; None when the broker hung up."""
        while True:
            self.buffer = self.buffer.lstrip(b"\n")  # heart-beats
            head, found, rest = self.buffer.partition(b"\n\n")
            if found:
                command, *lines = head.decode().split("\n")
                headers = dict(line.split(":", 1) for line in lines)
                size = int(headers["content-length"]) if "content-length" in headers else rest.find(b"\0")
                if 0 <= size < len(rest):
                    self.buffer = rest[size + 1 :]
                    return command, headers, rest[:size]
            try:
                more = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not more:
                return None
            self.buffer += more

    def connect(self) -> Reply | None:
        self.send("CONNECT", accept_version="1.2", host="localhost", heart_beat="0,0")
        return self.receive()


def connected(testbed: Testbed, role: str) -> Stomp:
    stomp = Stomp(testbed, testbed.certs, role)
    answer = stomp.connect()
    assert answer is not None
    assert answer[0] == "CONNECTED"
    return stomp


def browsed(testbed: Testbed, queue: str) -> list[tuple[dict[str, str], bytes]]:
    """Header and body of every message of a queue, as who may read it sees them; they stay there."""
    stomp = connected(testbed, reader_of(queue))
    stomp.send("SUBSCRIBE", id="1", destination=f"/queue/{queue}", browser="true", ack="auto")
    found = []
    while (frame := stomp.receive()) is not None:
        _, headers, body = frame
        if headers.get("browser") == "end":
            break
        found.append((headers, body))
    stomp.socket.close()
    return found


def reader_of(queue: str) -> str:
    """The role whose certificate may read a queue (the testbed's `front.pem` is front-1's)."""
    if queue.startswith("DLQ."):
        return "operator"
    return "front" if queue.startswith("bridge.reply.") else "bridge"


def put(testbed: Testbed, role: str, queue: str, *bodies: bytes, **headers: str) -> None:
    """Send these bodies with a role's certificate; returns when the broker has them."""
    stomp = connected(testbed, role)
    for number, body in enumerate(bodies):
        stomp.send("SEND", body, destination=f"/queue/{queue}", receipt=str(number), **headers)
        answer = stomp.receive()
        assert answer is not None
        assert answer[0] == "RECEIPT", answer
    stomp.socket.close()

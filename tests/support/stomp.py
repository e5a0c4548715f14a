"""As little STOMP as shows what a broker allows: a raw TLS socket, so that hostile things can be said. Imports
nothing of the product.
"""

import socket
import ssl
from pathlib import Path

from scripts.stand.stand import Stand

Reply = tuple[str, dict[str, str], bytes]


class Stomp:
    """As little STOMP as shows what the broker allows."""

    def __init__(self, stand: Stand, certs: Path | None, role: str, trust: Path | None = None) -> None:
        context = ssl.create_default_context(cafile=str(trust or stand.certs / "ca.pem"))
        if certs is not None:
            context.load_cert_chain(certs / f"{role}.pem", certs / f"{role}.key")
        plain = socket.create_connection(("127.0.0.1", stand.ports.broker), timeout=5)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.buffer = b""

    def send(self, command: str, body: bytes = b"", **headers: str) -> None:
        if body:
            headers["content_length"] = str(len(body))
        lines = "".join(f"{name.replace('_', '-')}:{value}\n" for name, value in headers.items())
        self.socket.sendall(f"{command}\n{lines}\n".encode() + body + b"\0")

    def receive(self) -> Reply | None:
        """The next frame; None when the broker hung up. Raises TimeoutError when nothing comes."""
        while b"\n\n" not in self.buffer.lstrip(b"\n"):
            if not self._more():
                return None
        head, _, rest = self.buffer.lstrip(b"\n").partition(b"\n\n")
        command, *lines = head.decode().split("\n")
        headers = dict(line.split(":", 1) for line in lines)
        length = int(headers.get("content-length", -1))
        while (len(rest) <= length) if length >= 0 else (b"\0" not in rest):
            if not self._more():
                return None
            rest = self.buffer.lstrip(b"\n").partition(b"\n\n")[2]
        end = length if length >= 0 else rest.index(b"\0")
        self.buffer = rest[end + 1 :]
        return command, headers, rest[:end]

    def _more(self) -> bool:
        try:
            more = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return False
        self.buffer += more
        return bool(more)

    def connect(self) -> Reply | None:
        self.send("CONNECT", accept_version="1.2", host="localhost", heart_beat="0,0")
        return self.receive()


def connected(stand: Stand, role: str) -> Stomp:
    stomp = Stomp(stand, stand.certs, role)
    answer = stomp.connect()
    assert answer is not None
    assert answer[0] == "CONNECTED"
    return stomp

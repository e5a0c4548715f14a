"""What a database's peer puts before its server: a cable that is cut, or goes dead, at a statement of its own."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread

from intranet_bridge.contract import Behaviour
from scripts.tools.testbed.processes import free_port
from tests.support.peers.books import Books
from tests.support.peers.http import HANG_S, cut


class Cable:
    """A port of the loopback that leads to a server. A message that names `marker` is a request."""

    def __init__(self, books: Books, upstream: Callable[[], socket.socket], marker: bytes) -> None:
        self._books, self._upstream, self._marker = books, upstream, marker
        self._ends: set[socket.socket] = set()
        self._lock = Lock()
        self.port = free_port()  # it is let go of and taken again

    def start(self) -> None:
        """Let connections in."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Let nobody in, and lose every connection."""
        with self._lock:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            ends, self._ends = self._ends, set()
        for end in ends:
            cut(end)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = self._upstream()
                with self._lock:
                    self._ends |= {client, server}
                wire = _Wire(self._books, client, server, self._marker)
                for carry in (wire.requests, wire.answers):
                    Thread(target=self._carry, args=(carry, client, server), daemon=True).start()

    def _carry(self, carry: Callable[[], None], *ends: socket.socket) -> None:
        with suppress(OSError):
            carry()
        for end in ends:
            cut(end)
        with self._lock:
            self._ends -= set(ends)


class _Wire:
    """One connection."""

    def __init__(self, books: Books, client: socket.socket, server: socket.socket, marker: bytes) -> None:
        self._books, self._client, self._server, self._marker = books, client, server, marker
        self._behaviour, self._changed = Behaviour.ANSWER, books.changed
        self._committed = False

    def requests(self) -> None:
        while data := self._client.recv(65536):
            if self._marker in data:
                self._behaviour, self._changed = self._books.receive()
                if self._behaviour is Behaviour.DROP:
                    return
                if self._behaviour is Behaviour.SILENT:
                    self._changed.wait(HANG_S)  # then it goes on, late
            self._committed = b"COMMIT" in data
            self._server.sendall(data)

    def answers(self) -> None:
        while data := self._server.recv(65536):
            if self._committed and self._behaviour is Behaviour.DROP_APPLIED:
                return
            if self._committed and self._behaviour is Behaviour.SILENT_APPLIED:
                self._changed.wait(HANG_S)
            self._client.sendall(data)

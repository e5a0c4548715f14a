"""What came to a service manager."""

import socket


def heard(listener: socket.socket) -> list[str]:
    """The datagrams since the last time, oldest first; of a socket that does not block."""
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found

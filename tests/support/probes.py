"""Trying to get in: connection attempts of every kind, made by the thread of the namespace they are called in."""

import contextlib
import errno
import select
import socket
import struct
import time
from collections.abc import Iterable

Target = tuple[str, int]
"""Address and port; an IPv6 address may have a scope, `fe80::1%eth1`."""


def listen(ports: Iterable[int], kind: socket.SocketKind = socket.SOCK_STREAM) -> dict[int, socket.socket]:
    """Sockets that accept on all addresses, IPv4 and IPv6 (the kernel completes connections nobody accepts)."""
    listeners = {}
    for port in ports:
        one = socket.socket(socket.AF_INET6, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.bind(("::", port))
        if kind == socket.SOCK_STREAM:
            one.listen(256)
        listeners[port] = one
    return listeners


def knock(targets: list[Target], seconds: float, source: Target | None = None) -> dict[Target, str]:
    """Try to connect to all at once; what came of each: `open`, or the name of an error, or `silent`."""
    results: dict[Target, str] = {}
    waiting: dict[int, tuple[socket.socket, Target]] = {}
    poll = select.poll()
    for target in targets:
        family, _, _, _, address = socket.getaddrinfo(*target, type=socket.SOCK_STREAM)[0]
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setblocking(False)
        if source is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(source)
        number = one.connect_ex(address)
        if number not in (0, errno.EINPROGRESS):
            results[target] = errno.errorcode[number]
            one.close()
            continue
        waiting[one.fileno()] = one, target
        poll.register(one, select.POLLOUT)
    end = time.monotonic() + seconds
    # what has come is seen, though the machine stood still until the time was over
    while waiting and (ready := poll.poll(max(0.0, end - time.monotonic()) * 1000)):
        for descriptor, _ in ready:
            one, target = waiting.pop(descriptor)
            number = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            results[target] = errno.errorcode[number] if number else "open"
            poll.unregister(one)
            one.close()
    for one, target in waiting.values():
        results[target] = "silent"
        one.close()
    return results


def opened(source: Target, target: Target) -> socket.socket:
    """A connection from an address and port of our choice. Raises OSError."""
    one = socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.settimeout(5)
    one.bind(source)
    one.connect(target)
    return one


def throw(targets: list[Target], payload: bytes = b"anyone there?") -> None:
    """Send a datagram to each; a local rule that forbids it is no error here."""
    for target in targets:
        family, kind, _, _, address = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as one, contextlib.suppress(PermissionError):
            one.sendto(payload, address)


def caught(listener: socket.socket, seconds: float) -> bool:
    """Whether a datagram comes."""
    listener.settimeout(seconds)
    try:
        return bool(listener.recv(2048))
    except TimeoutError:
        return False


def pinged(address: str, seconds: float) -> bool:
    """Whether an ICMP echo request is answered."""
    header = struct.pack("!BBHHH", 8, 0, 0, 4711, 1)
    total = sum(struct.unpack("!4H", header))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as one:
        with contextlib.suppress(PermissionError):
            one.sendto(struct.pack("!BBHHH", 8, 0, ~total & 0xFFFF, 4711, 1), (address, 0))
        end = time.monotonic() + seconds
        while True:
            one.settimeout(max(0.01, end - time.monotonic()))  # as above
            try:
                packet, sender = one.recvfrom(2048)
            except TimeoutError:
                break
            if sender[0] == address and packet[20] == 0:
                return True
    return False

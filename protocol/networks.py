"""Clients' addresses: in which networks one is, and what it counts as where requests are counted by address."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_IPV6_PREFIX = 64


def within(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether it is in one of these; not if it is no address: a Unix socket, or what a proxy has been told."""
    found = _read(address)
    return found is not None and any(found in network for network in networks)


@lru_cache(10_000)  # each request asks: 3 µs of IPv4, 11 µs of IPv6
def counts_as(address: str) -> str:
    """Itself; of IPv6 its /64, of which a single customer has all. Of what is no address, its beginning."""
    found = _read(address)
    if found is None:
        return address[:64]
    return str(found) if found.version == 4 else str(IPv6Network((int(found), _IPV6_PREFIX), strict=False))


def is_loopback(host: str) -> bool:
    """Whether what listens there is reached from this host alone; not of a name, which may lead anywhere."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_every(host: str) -> bool:
    """Whether it stands for every interface of a host."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def _read(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return None
    # a socket that listens on :: shows IPv4 callers as ::ffff:a.b.c.d
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found

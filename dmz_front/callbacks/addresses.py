"""Where callbacks may go: to configured addresses alone, and never into a network that nobody allowed.

A name is resolved by the connector that connects, and what it resolves to is judged right there: an address that was
good a moment ago is not asked for again (DNS rebinding). Of a name with several addresses those that are refused are
left out; with none left nothing is connected to.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_NAT64 = ip_network("64:ff9b::/96")
_6TO4 = ip_network("2002::/16")
_OF_A_SITE = tuple(ip_network(one) for one in ("64:ff9b:1::/48", "fec0::/10", "::/96"))
"""What `is_global` of some Python releases takes for public: the site's own NAT64 (RFC 8215), its own addresses as they
once were (RFC 3879), IPv4 in IPv6 as it once was (RFC 4291 section 2.5.5.1).
"""


class Refused(OSError):
    """The address is in a network that callbacks may not go to."""


def refusal(address: str, allowed: Sequence[Network]) -> str | None:
    """Why a callback may not go to this IP address; None if it may."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if any(found in network for network in allowed):
        return None
    for one in (found, *_within(found)):
        if not one.is_global or one.is_multicast or any(one in network for network in _OF_A_SITE):
            return f"{found} is not an address of the public internet, and no network of the callback's allows it"
    return None


def _within(address: IPv4Address | IPv6Address) -> Iterable[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFF_FFFF)
        if address in _6TO4 and address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo


def literal(host: str) -> bool:
    """Whether a URL's host is an IP address, which is not resolved."""
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True

"""In which networks a client's address is, and what it counts as."""

from ipaddress import ip_network

import pytest

from protocol.networks import counts_as, within

NETWORKS = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8:7::1", True),
        ("11.1.2.3", False),
        ("2001:db9::1", False),
        ("", False),
        ("10.1.2.3:443", False),
    ],
)
def test_in_which_networks_an_address_is(address: str, inside: bool) -> None:
    assert within(address, NETWORKS) is inside


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("x" * 100, "x" * 64),
    ],
)
def test_what_an_address_counts_as(address: str, counted: str) -> None:
    assert counts_as(address) == counted

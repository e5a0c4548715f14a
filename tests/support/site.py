"""A utility's site in network namespaces: intranet, DMZ, an application outside; the shipped rule files between them.

      lan ──eth0 intranet eth1 ════ the cable ════ eth1 dmz eth0──eth0 apps
      198.51.100.30    198.51.100.20            192.0.2.10  203.0.113.10   203.0.113.5

Addresses and names of devices are those of the definitions in config/nftables/, so that the files are loaded as they
are, to the byte.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.testbed.layout import Place, Ports
from scripts.tools.testbed.testbed import Testbed
from tests.support.namespaces import ROOT, Namespace, joined

RULES = ROOT / "config" / "nftables"
WIRE = "eth1"
INTRANET4, INTRANET6 = "198.51.100.20", "2001:db8:1::20"
DMZ4, DMZ6 = "192.0.2.10", "2001:db8:d::10"
LAN4 = "198.51.100.30"
FRONT4, APPS4 = "203.0.113.10", "203.0.113.5"
BROKER_PORT, MARKETING_PORT, METRICS_PORT = 61616, 8090, 9102


@dataclass
class Site:
    """Four hosts. The DMZ's host has a route to the whole intranet, and the bridge's host would forward."""

    lan: Namespace
    intranet: Namespace
    dmz: Namespace
    apps: Namespace

    def addresses(self) -> None:
        """Give both ends of the cable their addresses, and the routes, as a host's network service does."""
        for host, mine4, mine6, theirs4, theirs6 in (
            (self.intranet, INTRANET4, INTRANET6, DMZ4, DMZ6),
            (self.dmz, DMZ4, DMZ6, INTRANET4, INTRANET6),
        ):
            host.run("ip", "address", "add", mine4, "peer", theirs4, "dev", WIRE)
            host.run("ip", "-6", "address", "add", mine6, "peer", theirs6, "dev", WIRE, "nodad")
        self.dmz.run("ip", "route", "add", "198.51.100.0/24", "via", INTRANET4)

    def load_rules(self) -> None:
        """Load the shipped files, each on its host."""
        self.intranet.run("nft", "-f", str(RULES / "intranet-bridge.nft"))
        self.dmz.run("nft", "-f", str(RULES / "dmz-front.nft"))

    @contextlib.contextmanager
    def without_rules(self, *hosts: Namespace) -> Iterator[None]:
        """While it lasts, these hosts have no rules."""
        for host in hosts:
            host.run("nft", "delete", "table", "inet", "dmz_bridge")
        try:
            yield
        finally:
            self.load_rules()

    def counter(self, host: Namespace, name: str) -> int:
        """Packets a named counter of the shipped rules has seen since they were loaded."""
        words = host.run("nft", "list", "counter", "inet", "dmz_bridge", name).split()
        return int(words[words.index("packets") + 1])


@contextlib.contextmanager
def built() -> Iterator[Site]:
    """A site with its cables plugged and its rules loaded; gone without a trace afterwards."""
    with (
        Namespace("lan") as lan,
        Namespace("intranet") as intranet,
        Namespace("dmz") as dmz,
        Namespace("apps") as apps,
    ):
        site = Site(lan, intranet, dmz, apps)
        joined(lan, "eth0", intranet, "eth0")
        joined(dmz, "eth0", apps, "eth0")
        joined(intranet, WIRE, dmz, WIRE)
        for host, address in ((lan, LAN4), (intranet, INTRANET4), (dmz, FRONT4), (apps, APPS4)):
            host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        site.addresses()
        lan.run("ip", "route", "add", f"{DMZ4}/32", "via", INTRANET4)
        intranet.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        site.load_rules()
        yield site


def make_testbed(site: Site, folder: Path) -> Testbed:
    """The product on the site, not started: broker and front in the DMZ, bridge and marketing on the intranet.

    Everything as shipped; only the bridge's metrics port, which a testbed turns off, is on as in an installation.
    """
    return Testbed(
        folder,
        Ports(front=8080, broker=BROKER_PORT, marketing=MARKETING_PORT, metrics=9101),
        settings={"intranet_bridge": {"metrics.port": METRICS_PORT}},
        customers=200,
        places={
            "broker": Place(site.dmz.prefix, DMZ4),
            "front": Place(site.dmz.prefix, FRONT4),
            "bridge": Place(site.intranet.prefix, INTRANET4),
            "marketing": Place(site.intranet.prefix, INTRANET4),
            "metrics": Place(site.dmz.prefix, "127.0.0.1"),
        },
    )

"""What goes over a wire, taken with tcpdump before any rule is asked, and read back as packets."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.testbed.processes import run, start, stop, wait_until
from tests.support.namespaces import Namespace


@dataclass(frozen=True)
class Packet:
    """One IP packet. Ports are 0, flags empty, where there are none."""

    source: str
    source_port: int
    target: str
    target_port: int
    flags: str
    """TCP's, as tcpdump writes them: `S`, `S.`, `.`, `P.`, `F.`, `R`; empty if it is not TCP."""
    text: str

    @property
    def opens(self) -> bool:
        """Whether it begins a TCP connection."""
        return "S" in self.flags and "." not in self.flags


class Capture:
    """Filled when `capturing` is over."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []


_LINE = re.compile(r"(?:IP6?) (\S+) > (\S+): (?:Flags \[([^\]]*)\])?")


def _endpoint(text: str, ported: bool) -> tuple[str, int]:
    address, dot, port = text.rpartition(".")
    return (address, int(port)) if ported and dot and port.isdigit() else (text, 0)


def packet(line: str) -> Packet | None:
    """Read a line of `tcpdump -nn -t`; None for ARP, neighbour discovery and multicast housekeeping."""
    found = _LINE.match(line)
    if found is None or "ICMP6, neighbor" in line or "multicast listener" in line or "router solicitation" in line:
        return None
    ported = "ICMP" not in line and "HBH" not in line
    source, source_port = _endpoint(found[1], ported)
    target, target_port = _endpoint(found[2], ported)
    return Packet(source, source_port, target, target_port, found[3] or "", line)


@contextlib.contextmanager
def capturing(host: Namespace, device: str, folder: Path, name: str) -> Iterator[Capture]:
    """Take everything that passes a device while it lasts."""
    file, log = folder / f"{name}.pcap", folder / f"{name}.log"
    command = [*host.prefix, "tcpdump", "-i", device, "-nn", "-s", "160", "--immediate-mode", "-U", "-Z", "root"]
    pid = start([*command, "-w", str(file)], log)
    capture = Capture()
    try:
        wait_until(lambda: "listening on" in log.read_text(), 60, "tcpdump", pid, log)
        yield capture
    finally:
        stop(pid)
    lines = run(["tcpdump", "-nn", "-t", "-r", str(file)]).splitlines()
    capture.packets = [one for line in lines if (one := packet(line))]

"""Hosts made of network namespaces, joined by cables that can be pulled, filtered and made bad. Linux, root.

A namespace is private to the test that made it: no address, device or rule of it is seen by the machine outside.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from scripts.tools.testbed.processes import run, start, stop, wait_until
from tests.support.reaper import afterwards

Result = TypeVar("Result")

ROOT = Path(__file__).resolve().parents[2]
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


def enter(name: str) -> None:
    """Move the calling thread into a namespace: the sockets it opens from now on belong there."""
    with Path("/run/netns", name).open("rb") as file:
        if _libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns {name}: {os.strerror(number)}")


class Namespace:
    """One host. Its name is unique on the machine; `with` removes it with all its devices and rules."""

    def __init__(self, role: str) -> None:
        self.name = f"one-way-{os.getpid()}-{next(_numbers)}-{role}"

    def __enter__(self) -> "Namespace":
        afterwards("ip", "netns", "del", self.name)
        run(["ip", "netns", "add", self.name])
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(self.name,))
        try:
            self.run("ip", "link", "set", "lo", "up")
            # Addresses are given by hand, at once usable, and kept when a device goes down.
            for setting in ("accept_dad=0", "keep_addr_on_down=1", "accept_ra=0"):
                for which in ("all", "default"):
                    self.run("sysctl", "-qw", f"net.ipv6.conf.{which}.{setting}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        run(["ip", "netns", "del", self.name])

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command is preceded by to run here."""
        return ("ip", "netns", "exec", self.name)

    def run(self, *command: str) -> str:
        """Run a command here to its end; its standard output. Raises TestbedError with what it said."""
        return run([*self.prefix, *command])

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function on a thread that is here, one call at a time."""
        return self._thread.submit(function, *arguments).result()

    def rules(self, text: str) -> None:
        """Load nftables rules."""
        subprocess.run([*self.prefix, "nft", "-f", "-"], input=text, text=True, check=True)


def joined(one: Namespace, device: str, other: Namespace, other_device: str) -> None:
    """Join two hosts by a veth pair, up at both ends, without addresses."""
    run(
        [
            "ip",
            "link",
            "add",
            device,
            "netns",
            one.name,
            "type",
            "veth",
            "peer",
            "name",
            other_device,
            "netns",
            other.name,
        ]
    )
    one.run("ip", "link", "set", device, "up")
    other.run("ip", "link", "set", other_device, "up")


@contextlib.contextmanager
def silence(*hosts: tuple[Namespace, str]) -> Iterator[None]:
    """While it lasts, what arrives at these devices vanishes: no reset, no error, the carrier stays."""
    for host, device in hosts:
        host.rules(
            "table netdev silence {\n chain ingress {\n"
            f"  type filter hook ingress device {device} priority -500; policy drop;\n }}\n}}\n"
        )
    try:
        yield
    finally:
        for host, _ in hosts:
            host.run("nft", "delete", "table", "netdev", "silence")


def kernel_has_netem(host: Namespace) -> bool:
    """Whether `tc netem` can be had (it is a module, and not every kernel was built with it)."""
    try:
        host.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
    except Exception:
        return False
    host.run("tc", "qdisc", "del", "dev", "lo", "root")
    return True


@contextlib.contextmanager
def bad_cable(
    one: Namespace, other: Namespace, device: str, *, delay_ms: int, jitter_ms: int, loss_percent: float, log: Path
) -> Iterator[None]:
    """Join two hosts, by devices of the same name at both ends, over a cable that delays and loses frames.

    Each way: `delay_ms` ± `jitter_ms`, evenly spread (so frames overtake each other), `loss_percent` lost.
    """
    words = [str(delay_ms), str(jitter_ms), str(loss_percent)]
    for host in (one, other):
        host.run("ip", "tuntap", "add", device, "mode", "tap")
        host.run("ip", "link", "set", device, "up")
    pid = start([sys.executable, str(ROOT / "tests/support/bad_cable.py"), one.name, other.name, device, *words], log)
    try:
        wait_until(lambda: "ready" in log.read_text(), 60, "the bad cable", pid, log)
        yield
    finally:
        stop(pid)
        for host in (one, other):
            host.run("ip", "link", "del", device)


def why_not() -> str:
    """Why namespaces cannot be made on this machine; empty if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    missing = [tool for tool in ("ip", "nft", "tc", "ss", "tcpdump", "curl", "sysctl") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} missing; ./scripts/test installs them"
    try:
        with Namespace("probe") as probe:
            probe.rules(
                "table inet probe {\n chain input { type filter hook input priority 0; ct state new accept; }\n}\n"
            )
    except Exception as error:
        return f"this machine makes no network namespaces with nftables: {error}"
    return ""

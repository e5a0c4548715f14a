"""Who listens where on this host, from /proc (proc(5), `/proc/net/tcp` and the others)."""

import contextlib
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from pathlib import Path

from bridgectl.doctor.finding import Finding, Status
from bridgectl.language import tr, trn

_TABLES = ("tcp", "tcp6", "udp", "udp6")
_ESTABLISHED, _UNCONNECTED, _LISTEN = "01", "07", "0A"


@dataclass(frozen=True, slots=True)
class Process:
    """A process as far as it is known."""

    pid: int
    name: str
    """The program: a script's own name, not its interpreter's."""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Socket:
    """One line of a table of /proc/net."""

    protocol: str
    address: IPv4Address | IPv6Address
    port: int
    peer: IPv4Address | IPv6Address
    state: str
    inode: int

    @property
    def waits(self) -> bool:
        """Whether anyone may send to it: a TCP listener, or a UDP socket without a peer."""
        if self.protocol == "tcp":
            return self.state == _LISTEN
        return self.state == _UNCONNECTED and int(self.peer) == 0

    def __str__(self) -> str:
        address = _plain(self.address)
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{self.protocol} {host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits, and whose it is if that can be seen."""

    socket: Socket
    process: Process | None

    @property
    def reachable(self) -> bool:
        """Whether it waits on anything but loopback."""
        return not _plain(self.socket.address).is_loopback

    @property
    def whose(self) -> str:
        """For people."""
        if self.process is None:
            return tr("a process not visible here")
        return tr("{process}, pid {pid}", process=self.process.name, pid=self.process.pid)


def parsed(table: str, protocol: str) -> Iterator[Socket]:
    """The sockets of a table's text. Addresses stand in it as the machine's words, hence in its byte order."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9:
            address, port = _address(fields[1])
            peer, _ = _address(fields[2])
            yield Socket(protocol, address, port, peer, fields[3], int(fields[9]))


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address that an IPv6 socket wears as `::ffff:…`, as itself."""
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _address(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    digits, _, port = text.partition(":")
    data = b"".join(int(digits[place : place + 8], 16).to_bytes(4, sys.byteorder) for place in range(0, len(digits), 8))
    return (IPv4Address(data) if len(data) == 4 else IPv6Address(data)), int(port, 16)


# --- judgements -------------------------------------------------------------------------------------------


def judge_bridge_host(
    listeners: Iterable[Listener],
    program: str,
    expected: Collection[int],
    all_visible: bool,
    pushes: Collection[int] = (),
    desk: Collection[int] = (),
) -> list[Finding]:
    """Nothing of the bridge may be reachable but the port of `pushes`, which asks callers for certificates, and that of
    its desk, both of which the DMZ must not reach; whatever else is, the operator should know of.
    """
    findings = []
    for one in _distinct(listeners):
        if one.process is not None and one.process.name == program and one.socket.port in pushes:
            whose = tr("{whose} listens, for the marketing system's pushes", whose=one.whose)
            findings.append(Finding("listeners", str(one.socket), Status.OK, whose))
        elif one.process is not None and one.process.name == program and one.socket.port in desk:
            whose = tr("{whose} listens, for the desk's staff", whose=one.whose)
            findings.append(Finding("listeners", str(one.socket), Status.OK, whose))
        elif one.process is not None and one.process.name == program:
            action = tr(
                "it must listen on loopback alone, or for pushes as configured: stop it, see how it was started"
            )
            findings.append(
                Finding("listeners", str(one.socket), Status.FAIL, tr("{whose} listens", whose=one.whose), action)
            )
        elif one.socket.port not in expected:
            findings.append(
                Finding(
                    "listeners",
                    str(one.socket),
                    Status.WARN,
                    tr("{whose} listens", whose=one.whose),
                    _foreign(one, all_visible),
                )
            )
    return findings or [Finding("listeners", program, Status.OK, tr("nothing unexpected listens beyond loopback"))]


def judge_front_host(
    listeners: Iterable[Listener], program: str, expected: Collection[int], all_visible: bool
) -> list[Finding]:
    """`expected`: the front's HTTP port, the broker's, and what the operator named."""
    findings = [
        Finding(
            "listeners",
            str(one.socket),
            Status.WARN,
            tr("{whose} listens", whose=one.whose),
            _foreign(one, all_visible),
        )
        for one in _distinct(listeners)
        if one.socket.port not in expected
    ]
    return findings or [Finding("listeners", program, Status.OK, tr("nothing unexpected listens beyond loopback"))]


def judge_processes(program: str, count: int, all_visible: bool) -> Finding:
    """Whether the daemon runs here; `count` of its processes were seen."""
    if count:
        return Finding(
            "process",
            program,
            Status.OK,
            trn("runs ({count} process)", "runs ({count} processes)", count),
        )
    if not all_visible:
        return Finding(
            "process", program, Status.WARN, tr("not seen, but others' processes are hidden"), tr("run as root")
        )
    return Finding(
        "process", program, Status.FAIL, tr("does not run with this configuration"), f"systemctl start {program}"
    )


def _foreign(one: Listener, all_visible: bool) -> str:
    if one.process is None and not all_visible:
        return tr("run as root to see whose it is")
    return tr("end it, bind it to loopback, or name {port} in [doctor] expected_listeners", port=one.socket.port)


def _distinct(listeners: Iterable[Listener]) -> list[Listener]:
    found = {(one.socket.protocol, one.socket.address, one.socket.port): one for one in listeners if one.reachable}
    return sorted(found.values(), key=lambda one: (one.socket.protocol, one.socket.port, str(one.socket.address)))


# --- looking ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Host:
    """The sockets and processes of this host, as far as we may see them."""

    listeners: tuple[Listener, ...]
    processes: tuple[Process, ...]
    broker_peers: tuple[str, ...]
    """Addresses beyond this host that are connected to the broker's port."""
    all_visible: bool
    """Whether we may see everyone's processes."""

    def running(self, program: str, configuration: Path) -> list[Process]:
        """The processes of a daemon that run on this configuration file."""
        return [one for one in self.processes if one.name == program and _runs_on(one, configuration)]


def look(daemons: Mapping[str, Path], broker_ports: Collection[int], proc: Path = Path("/proc")) -> Host:
    """What there is now. `daemons`: program → configuration; they are looked at in their own network namespace, too."""
    processes, owners = _processes(proc)
    sockets = {one.inode: one for one in _sockets(proc / "net")}
    for process in processes:
        if process.name in daemons and _runs_on(process, daemons[process.name]):
            for one in _sockets(proc / str(process.pid) / "net"):
                if owners.get(one.inode) is process:
                    sockets[one.inode] = one
    listeners = tuple(Listener(one, owners.get(one.inode)) for one in sockets.values() if one.waits)
    here = {_plain(one.address) for one in sockets.values()}
    peers = {
        str(_plain(one.peer))
        for one in sockets.values()
        if one.protocol == "tcp"
        and one.state == _ESTABLISHED
        and one.port in broker_ports
        and _plain(one.peer) not in here
    }
    return Host(listeners, tuple(processes), tuple(sorted(peers)), os.geteuid() == 0)


def _sockets(net: Path) -> Iterator[Socket]:
    for table in _TABLES:
        try:
            text = (net / table).read_text()
        except OSError:  # a kernel without IPv6, a process that is gone
            continue
        yield from parsed(text, table.removesuffix("6"))


def _processes(proc: Path) -> tuple[list[Process], dict[int, Process]]:
    """All processes, and the owner of each socket inode that we may see."""
    processes: list[Process] = []
    owners: dict[int, Process] = {}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                continue  # a zombie: it ended, and only its parent has not looked yet
            arguments = tuple(filter(None, (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")))
            process = Process(int(folder.name), _name(arguments, (folder / "comm").read_text().strip()), arguments)
        except OSError:  # gone
            continue
        processes.append(process)
        owners |= dict.fromkeys(_inodes(folder / "fd"), process)
    return processes, owners


def _inodes(descriptors: Path) -> Iterator[int]:
    """The sockets among a process's open files."""
    with contextlib.suppress(OSError):  # it is gone, or not ours to see
        for descriptor in descriptors.iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                link = descriptor.readlink().name
                if link.startswith("socket:["):
                    yield int(link[8:-1])


def _name(arguments: tuple[str, ...], command: str) -> str:
    """A Python script's or module's own name; else what the kernel calls the process."""
    if arguments and Path(arguments[0]).name.startswith("python"):
        for before, argument in pairwise(arguments):
            if before == "-m":
                package, _, module = argument.partition(".")
                # `-m intranet_bridge.qr.drawing` is a child of the bridge, and not the bridge
                return argument if "." in module else package.replace("_", "-")
            if not argument.startswith("-"):
                return Path(argument).name.removesuffix(".py")
    return command


def _runs_on(process: Process, configuration: Path) -> bool:
    arguments = process.arguments
    for place, argument in enumerate(arguments):
        given = arguments[place + 1] if argument == "--config" and place + 1 < len(arguments) else ""
        given = given or (argument.removeprefix("--config=") if argument.startswith("--config=") else "")
        if given:
            try:
                return os.path.realpath(Path(f"/proc/{process.pid}/cwd").readlink() / given) == os.path.realpath(
                    configuration
                )
            except OSError:
                return False
    return True  # its default place, which is where ours was found

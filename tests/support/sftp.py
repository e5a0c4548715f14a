"""A real SFTP server for tests: OpenSSH's, with a host key of its own; it lets in this user by one key."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.tools.testbed.processes import free_port

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)
SFTP_SERVER = next(
    (path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server") if Path(path).exists()), None
)


@dataclass
class SftpServer:
    """A server and what a client needs."""

    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    folder: Path
    """What is at `/...` of the server: it shows the host's own paths."""

    def settings(self) -> dict[str, object]:
        """The `[files.servers.NAME]` of it."""
        return {
            "host": self.host, "port": self.port, "user": self.user, "key": str(self.key),
            "known_hosts": str(self.known_hosts),
        }  # fmt: skip


def new_key(path: Path) -> Path:
    """A key pair at `path` and `path.pub`."""
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def pin(known_hosts: Path, port: int, host_key: Path) -> None:
    """Write the file that pins a server's key."""
    kind, public = host_key.with_name(host_key.name + ".pub").read_text().split()[:2]
    known_hosts.write_text(f"[127.0.0.1]:{port} {kind} {public}\n")


@contextmanager
def openssh(folder: Path, port: int = 0, host_key: Path | None = None) -> Iterator[SftpServer]:
    """OpenSSH's server on a port of its own, run by this user; skips where there is none."""
    if SSHD is None or SFTP_SERVER is None or shutil.which("ssh-keygen") is None:
        pytest.skip("there is no OpenSSH server here")
    port = port or free_port()
    served = folder / "served"
    for each in ("out", "out/archive", "in"):
        (served / each).mkdir(parents=True, exist_ok=True)
    host_key = host_key or new_key(folder / "host_key")
    client = folder / "client_key"
    if not client.exists():
        new_key(client)
    shutil.copy(client.with_name("client_key.pub"), folder / "authorized_keys")
    configuration = folder / "sshd_config"
    configuration.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {host_key}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin prohibit-password\nSubsystem sftp {SFTP_SERVER}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as the package's service makes it
    known_hosts = folder / "known_hosts"
    if not known_hosts.exists():
        pin(known_hosts, port, host_key)
    with (folder / "sshd.log").open("ab") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(configuration)], stderr=log, stdout=log)
    try:
        _until_listening(process, port)
        yield SftpServer("127.0.0.1", port, getpass.getuser(), client, known_hosts, served)
    finally:
        process.terminate()
        process.wait(60)


def _until_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("the SFTP server does not listen")

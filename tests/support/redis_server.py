"""A real Redis server for tests: its own folder and port on loopback, a password, nothing kept on disk.

Of Debian's package `redis-tools` alone, which holds the program under another name, and starts no service.
"""

import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

from scripts.tools.testbed.processes import free_port


class Unavailable(Exception):
    """No Redis or Valkey server can be had here."""


class RedisServer:
    """One private server, started and stopped at will on the same port."""

    def __init__(self, folder: Path, *, more: tuple[str, ...] = ()) -> None:
        """`more`: lines of its configuration for TLS, which it speaks alone then."""
        found = shutil.which("valkey-server") or shutil.which("redis-server") or shutil.which("redis-check-rdb")
        if found is None:
            raise Unavailable("no Redis server is installed; ./scripts/test installs Debian's package `redis-tools`")
        self._program, self._folder, self._more = found, folder, more
        self.password = secrets.token_urlsafe(16)
        self.password_file = folder / "redis.password"
        self.password_file.touch(0o600)
        self.password_file.write_text(self.password)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it listens."""
        configuration = self._folder / "redis.conf"
        lines = ["bind 127.0.0.1", 'save ""', "daemonize no", f"dir {self._folder}", f"requirepass {self.password}"]
        lines += ["port 0", f"tls-port {self.port}", *self._more] if self._more else [f"port {self.port}"]
        configuration.write_text("\n".join(lines) + "\n")
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", str(configuration)], executable=self._program, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self._folder / "redis.log").read_text())

    def stop(self) -> None:
        """At once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

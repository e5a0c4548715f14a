"""A platform's SFTP server for demonstrations, within the process that shows it: one user, one key, one folder."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import asyncssh

from scripts.tools.testbed.processes import TestbedError

USER = "utility"


class SftpServer:
    """Serves `folder/served` on a port of loopback."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for its keys, made if they are not there, and what it serves: `out`, `out/archive` and `in`."""
        self._folder, self.served = folder, folder / "served"
        for name in ("out/archive", "in"):
            (self.served / name).mkdir(parents=True, exist_ok=True)
        for name in ("host_key", "client_key"):
            if not (folder / name).exists():
                key = asyncssh.generate_private_key("ssh-ed25519")
                key.write_private_key(str(folder / name))
                key.write_public_key(str(folder / f"{name}.pub"))
                (folder / name).chmod(0o600)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="sftp", daemon=True)
        self._listening, self._failed = threading.Event(), ""

    def start(self) -> None:
        """Raises TestbedError if it cannot listen."""
        self._thread.start()
        self._listening.wait(30)
        if self._failed or not self.port:
            raise TestbedError(f"the SFTP server does not start: {self._failed or 'no answer'}")
        kind, public = (self._folder / "host_key.pub").read_text().split()[:2]
        (self._folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {public}\n")

    def stop(self) -> None:
        """Its connections end too."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def settings(self) -> dict[str, Any]:
        """A `[files.servers.NAME]` of the front's configuration."""
        return {
            "host": "127.0.0.1", "port": self.port, "user": USER, "key": str(self._folder / "client_key"),
            "known_hosts": str(self._folder / "known_hosts"),
        }  # fmt: skip

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            listener = self._loop.run_until_complete(
                asyncssh.listen(
                    "127.0.0.1", 0, server_host_keys=[str(self._folder / "host_key")], sftp_factory=self._session,
                    authorized_client_keys=str(self._folder / "client_key.pub"),
                )
            )  # fmt: skip
            self.port = listener.get_port()
        except (OSError, asyncssh.Error) as error:
            self._failed = str(error)
            return
        finally:
            self._listening.set()
        self._loop.run_forever()
        listener.close()

    def _session(self, channel: "asyncssh.SSHServerChannel[bytes]") -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(self.served).encode())

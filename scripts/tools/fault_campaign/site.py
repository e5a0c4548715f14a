"""The installation under test: a testbed whose every connection goes through a proxy, and whose daemons have a small
disk and a clock of their own where the machine allows it.
"""

import contextlib
import os
import secrets
import shutil
import sqlite3
import struct
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from protocol.times import CHINA
from scripts.tools.channel_simulator.keys import made_or_loaded
from scripts.tools.fault_campaign.faults import CLOCK, DISK
from scripts.tools.fault_campaign.receiver import CALLBACK_TIMEOUT_S, Receiver
from scripts.tools.testbed import money as of_money
from scripts.tools.testbed.layout import Ports
from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.proxy import Proxy
from scripts.tools.testbed.sftp import SftpServer
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values

DAEMONS = ("front", "bridge")
BALLAST = "ballast"
SECOND = "bridge-2"
"""A bridge with an inbox of its own, which an installation must not have."""
HOOKED, ASKING = "demo", "asking"
"""The applications that get notices: one is called back, both may ask."""
PUSH_PATH = "/v1/pushes"
BY_CLOCK, BY_PERSON, LATER = "bank-1", "bank-2", ("bank-3", "bank-4", "bank-5", "bank-6")
"""Arrangements of withholding: the batch of one waits for its time of the day, of the others for a person alone."""
_ANSWERS = r"SDDL_REDK(?:KK)?_[0-9]{5}_[0-9]{8}\.txt"
_STARTS_S = 25
"""About so long it takes until the load begins."""
EXPIRES_S = 60
"""So long after it was made an order that is not paid has expired: some are paid after that."""
RETRY_MINUTES = 0.25
"""Until a comparison to which the marketing system gave no answer is begun again: faults here last seconds."""
ARM = "DMZ_BRIDGE_TEST_CRASH_AT"
CLOCK_SOURCE = Path(__file__).with_name("clock.c")


@dataclass
class Site:
    """A testbed with proxies, disks, clocks and an application's receiver that faults can be injected into."""

    folder: Path
    disk_mb: int
    seed: int = 1
    money: bool = False
    """Whether orders are paid here, statements come from the channels, and banks collect bills."""
    seconds: float = 0.0
    """How long the load lasts."""
    testbed: Testbed = field(init=False)
    proxies: dict[str, Proxy] = field(init=False)
    receiver: Receiver = field(init=False)
    _platforms: SftpServer | None = field(init=False, default=None)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    """Of the applications that get notices."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """What this machine does not provide, and why."""
    _mounted: list[Path] = field(default_factory=list)

    async def set_up(self, settings: dict[str, dict[str, Any]]) -> None:
        """Proxies, disks, clocks, certificates, configuration. `settings` changes the shipped configuration."""
        ports = Ports().chosen()
        push_port, callback_port = free_port(), free_port()
        if self.money:
            settings = _merged(settings, self._with_money())
        self.receiver = Receiver(self.folder / "receiver", self.seed)
        await self.receiver.start(callback_port)
        self.proxies = {
            "callers-front": Proxy("127.0.0.1", ports.front),
            "front-broker": Proxy("localhost", ports.broker),
            "bridge-broker": Proxy("localhost", ports.broker),
            "bridge-marketing": Proxy("127.0.0.1", ports.marketing),
            "marketing-pushes": Proxy("127.0.0.1", push_port),
            "front-callbacks": Proxy("127.0.0.1", callback_port),
        }
        for proxy in self.proxies.values():
            await proxy.start(free_port())
        front_file, bridge_file = str(self.database("front")), str(self.database("bridge"))
        front: dict[str, Any] = {
            "link.brokers": [f"localhost:{self.proxies['front-broker'].port}"],
            "store.file": front_file,
        }
        bridge = {
            "link.brokers": [f"localhost:{self.proxies['bridge-broker'].port}"],
            "store.file": bridge_file,
            "marketing.url": f"http://127.0.0.1:{self.proxies['bridge-marketing'].port}",
            "pushes.port": push_port,
            "pushes.token_file": str(self.push_token),
            "notices.resend_after_s": 3,
        }
        hook: dict[str, Any] = {
            "application": HOOKED,
            "url": f"https://127.0.0.1:{self.proxies['front-callbacks'].port}/notices",
            "secrets": [str(self.receiver.secret_file)],
            "ca": str(self.receiver.certificate),
            "networks": ["127.0.0.0/8"],
            "rate": 1000,
            "outstanding": 32,
            "timeout_s": CALLBACK_TIMEOUT_S,
        }
        front |= {f"callbacks.hook.{name}": value for name, value in hook.items()}
        front |= {"notices.retry_min_s": 0.2, "notices.retry_max_s": 5}
        self.testbed = Testbed(
            self.folder,
            ports,
            settings={
                "dmz_front": settings.get("dmz_front", {}) | front,
                "intranet_bridge": settings.get("intranet_bridge", {}) | bridge,
                "bridgectl": {"front_store.file": front_file},
            },
            customers=2000 if self.money else 900,
            environment=self._environment(),
            twins=(SECOND,),
        )
        if self.money:
            self.testbed.today = of_money.yesterday().isoformat()
        for daemon in DAEMONS:
            self._mount(self.database(daemon).parent)
        self.push_token.touch(mode=0o600)
        self.push_token.write_text(secrets.token_urlsafe(24))
        self.testbed.set_up()
        file = self.testbed.config / f"{SECOND}.toml"
        text = file.read_text().replace(bridge_file, str(self.folder / "data" / "second.sqlite3"))
        file.write_text(with_values(text, {"pushes.port": 0}))  # that of the first
        self.keys = {HOOKED: self.testbed.app_key}
        self.keys[ASKING] = self.testbed.ctl("apps", "add", ASKING, "--scope", "*").strip()

    def _with_money(self) -> dict[str, dict[str, Any]]:
        """The platforms' server and the channels' keys are there when the daemons start."""
        self._platforms = SftpServer(self.folder / "platforms")
        self._platforms.start()
        made_or_loaded(self.channels)
        settings = of_money.settings(self.folder, self._platforms)
        for channel in settings["dmz_front"]["channels"].values():
            channel |= {"notifications_a_minute": 10_000}  # all channels and forgers have one address here
        settings["intranet_bridge"]["settlement.payments"] |= {"expires_s": EXPIRES_S}
        front, bridge = settings["dmz_front"], settings["intranet_bridge"]
        front["files.sources"]["statements"]["profiles"]["redkkk"] = _ANSWERS
        bridge["files.profiles"]["redkkk"] = {"names": _ANSWERS}
        bridge["settlement.withholding"] = self._withholding(bridge["settlement.withholding"][of_money.ARRANGEMENT])
        bridge["settlement.clearing"] |= {"two_people_above": 10**12}
        # nobody is here to approve a run: what it may do is what the books must then say
        settings["intranet_bridge"]["settlement.statements"] |= {
            "brake_actions": 1_000_000,
            "brake_yuan": 1_000_000_000,
            "retry_minutes": RETRY_MINUTES,
        }
        return settings

    def _withholding(self, shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
        at = datetime.now(CHINA) + timedelta(seconds=_STARTS_S + self.seconds / 2 + 60)
        today = at.date() == datetime.now(CHINA).date()
        seal_at = {BY_CLOCK: f"{at:%H:%M}"} if today else {}
        return {
            name: shown | {"unit": unit_of(name), "company": company_of(name), "seal_at": seal_at.get(name, "00:00")}
            for name in self.arrangements
        }

    @property
    def arrangements(self) -> tuple[str, ...]:
        """Of withholding, by name."""
        return (BY_CLOCK, BY_PERSON, *LATER)

    @property
    def requests(self) -> Path:
        """Where requests to banks come to."""
        assert self._platforms is not None
        return self._platforms.served / "in"

    @property
    def channels(self) -> Path:
        """The channels' keys and their book."""
        return self.folder / "channels"

    @property
    def statements(self) -> Path:
        """Where the platforms lay their statements."""
        assert self._platforms is not None
        return self._platforms.served / "out"

    def database(self, daemon: str) -> Path:
        """The SQLite file of a daemon."""
        return self.folder / f"disk-{daemon}" / f"{daemon}.sqlite3"

    def rows(self, daemon: str, query: str) -> list[Any]:
        """What a daemon's database holds, whether the daemon runs or not. Blocks. Raises sqlite3.Error."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database(daemon)}?mode=ro", uri=True, timeout=5)) as file:
            return file.execute(query).fetchall()

    @property
    def push_token(self) -> Path:
        """The file of the token that the marketing system shows when it pushes."""
        return self.folder / "pushes.token"

    def armed_file(self, daemon: str) -> Path:
        """The file that says at which point a daemon kills itself (protocol/runtime/crash_points.py)."""
        return self.folder / f"{daemon}.armed"

    def clock_file(self, daemon: str) -> Path:
        """The file from which clock.c reads the offset of a daemon's clock."""
        return self.folder / f"clock-{daemon}"

    @property
    def url(self) -> str:
        """Where callers reach the front."""
        return f"http://127.0.0.1:{self.proxies['callers-front'].port}"

    async def take_down(self) -> None:
        """Stop every process and connection, and unmount; the folder's content stays."""
        if hasattr(self, "testbed"):
            with contextlib.suppress(OSError):
                self.testbed.stop()
        if hasattr(self, "proxies"):
            for proxy in self.proxies.values():
                with contextlib.suppress(AttributeError):  # it never listened
                    await proxy.close()
        if hasattr(self, "receiver"):
            with contextlib.suppress(AttributeError):
                await self.receiver.close()
        if self._platforms is not None:
            self._platforms.stop()
        self._unmount()

    def keep(self, place: Path) -> None:
        """Copy the logs and the databases (which hold only sealed bodies) to a folder, made anew."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, mode=0o700)
        sources = [*self.folder.glob("log/*"), *self.folder.glob("disk-*/*"), *self.folder.glob("broker/**/*.log")]
        books = [*self.folder.glob("data/marketing.sqlite3*"), *self.folder.glob("channels/book.sqlite3*")]
        for file in [*sources, *books]:
            if file.is_file() and file.name != BALLAST and file.suffix != ".token":
                shutil.copy2(file, place / file.name)

    def _mount(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() != 0:
            self.unavailable[DISK] = "only root may mount one"
            return
        command = ["mount", "-t", "tmpfs", "-o", f"size={self.disk_mb}m,mode=0700", "dmz-bridge-campaign", str(place)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            self.unavailable[DISK] = f"mount: {done.stderr.strip()}"
        else:
            self._mounted.append(place)

    def _unmount(self) -> None:
        for place in self._mounted:
            if subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode:
                subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
        self._mounted.clear()

    def _environment(self) -> dict[str, dict[str, str]]:
        clocks = self._clocks()
        return {daemon: {ARM: f"file:{self.armed_file(daemon)}"} | clocks.get(daemon, {}) for daemon in DAEMONS}

    def _clocks(self) -> dict[str, dict[str, str]]:
        compiler = shutil.which("cc")
        if compiler is None:
            self.unavailable[CLOCK] = "there is no C compiler (Debian packages gcc and libc6-dev)"
            return {}
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        library = self.folder / "clock.so"
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(CLOCK_SOURCE), "-ldl"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            self.unavailable[CLOCK] = f"clock.c does not compile: {done.stderr.strip()[-200:]}"
            return {}
        for daemon in DAEMONS:
            self.clock_file(daemon).write_bytes(bytes(8))
        return {
            daemon: {"LD_PRELOAD": str(library), "CAMPAIGN_CLOCK": str(self.clock_file(daemon))} for daemon in DAEMONS
        }

    def set_clock(self, daemon: str, seconds: float) -> None:
        """Set a daemon's wall clock off by so many seconds, from now on."""
        with self.clock_file(daemon).open("r+b") as file:  # in place: the daemon has this very file mapped
            file.write(struct.pack("q", int(seconds * 1e9)))


def unit_of(arrangement: str) -> str:
    """The bank's number of an arrangement, in the names of its files."""
    return f"3710{arrangement.removeprefix('bank-')}"


def company_of(arrangement: str) -> str:
    """Whose bills it collects."""
    return of_money.COMPANIES[int(arrangement.removeprefix("bank-")) % len(of_money.COMPANIES)]


def _merged(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: one.get(name, {}) | other.get(name, {}) for name in one.keys() | other.keys()}


def fill(folder: Path) -> None:
    """Fill a small file system with the file BALLAST."""
    free = shutil.disk_usage(folder).free
    with (folder / BALLAST).open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, free)
        with contextlib.suppress(OSError):
            file.seek(0, os.SEEK_END)
            while True:
                file.write(bytes(4096))

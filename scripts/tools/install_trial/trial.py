"""The trial: bundle, install on both hosts, carry the secrets as is printed, cross, upgrade under load, roll back."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.tools.bundler.bundle import Bundle
from scripts.tools.install_trial.hosts import WITH_US, Host, eventually, joined
from scripts.tools.install_trial.releases import bundles
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.source import SOURCE

DMZ, INTRANET = "192.0.2.10", "198.51.100.20"
BROKER = f"{DMZ}:61616"
SERVICES = "DMZ_BRIDGE_SERVICES=supervisor"
FRONT = "http://127.0.0.1:8080"
MARKETING = "http://127.0.0.1:8090"


class Trial:
    """One run, in a folder of its own. Every method raises InstallError if the product does not keep what it says."""

    def __init__(self, folder: Path, dmz: Host, intranet: Host, say: Callable[[str], None]) -> None:
        self.folder, self.dmz, self.intranet, self.say = folder, dmz, intranet, say
        self.headers = folder / "headers"
        self.headers.touch(mode=0o600)
        self.marketing: subprocess.Popen[bytes] | None = None

    # --- installing -----------------------------------------------------------------------------------------

    def carry(self, bundle: Bundle, *hosts: Host) -> None:
        """A bundle comes to a host on a medium, and is unpacked there."""
        for host in hosts:
            shutil.copy(bundle.path, host.tree / "root")
            host.shell(f"tar -xf {bundle.path.name} && rm {bundle.path.name}")

    def install(self, bundle: Bundle, *, shared: bool) -> None:
        """Front and broker on one host, the bridge on the other, by the steps that the scripts print.

        `shared`: the second host finds the release as the first has made it, which saves the time to make it again.
        """
        script = f"{SERVICES} dmz-bridge-{bundle.release}/scripts/install"
        said = self.dmz.shell(f"{script} --role broker --broker {BROKER}")
        front = self.dmz.shell(f"{script} --role front")
        make, carry = printed(said, "bridgectl"), printed(said, "umask")
        for line in (*make, *printed(said, "scripts/install"), *printed(front, "scripts/install"), *carry):
            self.dmz.shell(f"export {SERVICES}; {line}")
        if shared:
            shutil.copytree(self.dmz.tree / "opt/dmz-bridge/releases", self.intranet.tree / "opt/dmz-bridge/releases",
                            symlinks=True, copy_function=os.link)  # fmt: skip
        bridge = self.intranet.shell(f"{script} --role bridge --broker {BROKER}")
        shutil.copy(self.dmz.tree / "root/bridge-secrets.tar", self.intranet.tree / "root")  # the administrator's walk
        self.start_marketing()
        for line in printed(bridge, "bridge-secrets", "scripts/install"):
            self.intranet.shell(f"export {SERVICES}; {line}")
        for host, units in ((self.dmz, ("dmz-bridge-broker", "dmz-front")), (self.intranet, ("intranet-bridge",))):
            for unit in units:
                pid_file = f"/run/dmz-bridge-supervisor/{unit}.service.pid"
                if host.run("test", "-e", pid_file, check=False).returncode != 0:
                    raise InstallError(f"{unit} was not started on {host.name}")
        self._no_secret_of_the_other_side()
        key = self.dmz.shell("bridgectl apps add trial --scope '*'").strip().splitlines()[-1]
        self.headers.write_text(f"Authorization: Bearer {key}\n")

    def _no_secret_of_the_other_side(self) -> None:
        """No key crossed but what belongs there."""
        private = ("*.key", "*.keyring", "*.p12", "*.password")
        names = " -o ".join(f"-name '{one}'" for one in private)
        hosts = (self.dmz, self.intranet)
        found = {host.name: set(host.shell(f"cd /etc/dmz-bridge; find . {names}").split()) for host in hosts}
        wanted = {
            "dmz": {"./certs/front.key", "./certs/monitor.key", "./keys/front.keyring", "./certs/broker.p12",
                    "./certs/truststore.p12", "./certs/broker.p12.password"},
            "intranet": {"./certs/bridge.key", "./certs/monitor.key", "./keys/bridge.keyring"},
        }  # fmt: skip
        if found != wanted:
            raise InstallError(f"keys are not where they belong: {found}")

    def start_marketing(self) -> None:
        """The marketing system, on the intranet's host, and its access token where the bridge looks for it."""
        data = self.folder / "marketing"
        data.mkdir()
        simulator = str(SOURCE / "scripts" / "tools" / "marketing_simulator")
        command = [*WITH_US, *self.intranet.prefix(files=False), sys.executable, simulator,
                   "--port", "8090", "--database", str(data / "db"), "--token-file", str(data / "token"),
                   "--customers", "200", "--seed", "1", "--today", "2026-07-15"]  # fmt: skip
        with (data / "log").open("wb") as log:
            self.marketing = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        eventually(30, "the marketing system", lambda: self.asked(self.intranet, f"{MARKETING}/health") is not None)
        shutil.copy(data / "token", self.intranet.tree / "root/token")
        self.intranet.shell("install -m 0640 -g intranet-bridge token /etc/dmz-bridge/marketing.token && rm token")

    def take_over(self, before: Bundle, after: Bundle) -> None:
        """Make the next release ready in the DMZ of the files of the one before: the packages are the same.

        It saves the short form the time that making it anew takes; an upgrade that finds it there goes on from it.
        """
        releases = self.dmz.tree / "opt/dmz-bridge/releases"
        old, new = releases / before.release, releases / after.release
        shutil.copytree(old, new, symlinks=True, copy_function=os.link)
        for file in (new / "pyvenv.cfg", *(new / "bin").iterdir()):
            if file.is_file() and not file.is_symlink():
                content, mode = file.read_bytes(), file.stat().st_mode
                file.unlink()  # the link, not the old release's file
                file.write_bytes(content.replace(before.release.encode(), after.release.encode()))
                file.chmod(mode)
        wheels, python = (
            f"/root/dmz-bridge-{after.release}/wheels",
            f"/opt/dmz-bridge/releases/{after.release}/bin/python",
        )
        pip = f"PYTHONPATH=$(echo {wheels}/pip-*.whl) {python} -m pip install --quiet --no-index --no-deps"
        self.dmz.shell(f"{pip} --force-reinstall {wheels}/dmz_bridge-*.whl")

    # --- crossing -------------------------------------------------------------------------------------------

    def asked(self, host: Host, url: str, body: str = "") -> Any:
        """What a host answers one of its own programs; None if it does not."""
        command = [*host.prefix(files=False), "curl", "-fsS", "--max-time", "10", url, "-H", f"@{self.headers}"]
        if body:
            command += ["-H", "Content-Type: application/json", "-d", body]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            return json.loads(done.stdout) if done.returncode == 0 else None
        except ValueError:
            return done.stdout

    def cross(self) -> None:
        """A query goes over and its answer comes back."""
        answer: Any = None

        def answered() -> bool:
            nonlocal answer
            answer = self.asked(self.dmz, f"{FRONT}/v1/arrears-query", '{"account": "3210000000003"}')
            return bool(answer)

        eventually(30, "an answer", answered)
        if answer["status"] != "succeeded":
            raise InstallError(f"the query was answered {answer}")

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Orders while it lasts; then every accepted one must have been applied, once, and none besides."""
        before = set(self.journal())
        command = [*WITH_US, *self.dmz.prefix(files=False), sys.executable, "-m", "scripts.tools.install_trial.load"]
        process = subprocess.Popen(
            [*command, "--url", FRONT, "--headers", str(self.headers)], cwd=SOURCE, stdout=subprocess.PIPE, text=True
        )
        try:
            eventually(20, "orders that are carried out", lambda: len(self.journal()) > len(before))
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            out = process.communicate(timeout=90)[0]
        told = json.loads(out)
        ended, applied = told["ended"], self.journal()
        states = {state: list(ended.values()).count(state) for state in set(ended.values())}
        mine = {one: times for one, times in applied.items() if one not in before}
        if states.keys() != {"succeeded"} or mine.keys() != ended.keys() or set(mine.values()) != {1}:
            lost, more = set(ended) - set(mine), set(mine) - set(ended)
            raise InstallError(
                f"orders: {states}, {len(lost)} lost, {len(more)} of nobody, applied {set(mine.values())}"
            )
        refused = {str(status) if status != "0" else "nobody answered": n for status, n in told["refusals"].items()}
        self.say(f"{len(ended)} orders accepted meanwhile, each applied once; tried again: {refused or 'none'}")

    def journal(self) -> dict[str, int]:
        """Request id → how often the marketing system applied it."""
        return {one["request_id"]: one["applied"] for one in self.asked(self.intranet, f"{MARKETING}/journal") or []}

    # --- upgrading ------------------------------------------------------------------------------------------

    def upgrade(self, bundle: Bundle, host: Host, *options: str) -> subprocess.CompletedProcess[str]:
        """Run its upgrade there."""
        return host.run("env", SERVICES, f"dmz-bridge-{bundle.release}/scripts/upgrade", *options, check=False)

    def release(self, host: Host) -> str:
        """Which one is in use there."""
        return host.shell("basename $(readlink /opt/dmz-bridge/current)").strip()

    def revision(self) -> str:
        """Of the front's database."""
        query = (
            "import sqlite3; print(*sqlite3.connect('file:/var/lib/dmz-bridge/front.sqlite3?mode=ro', uri=True)"
            ".execute('select version_num from alembic_version_front').fetchone())"
        )
        return self.dmz.run("python3", "-c", query).stdout.strip()

    def upgraded(self, bundle: Bundle, *hosts: Host) -> None:
        """Each host is upgraded while callers go on."""
        for host in hosts:
            began = time.monotonic()
            with self.load():
                done = self.upgrade(bundle, host)
                if done.returncode != 0 or self.release(host) != bundle.release:
                    raise InstallError(f"the upgrade of {host.name} failed:\n{done.stdout[-3000:]}{done.stderr}")
                self.cross()
            self.say(f"{host.name} upgraded to {bundle.release} in {time.monotonic() - began:.1f} s, under load")

    def rolled_back(self, broken: Bundle, good: str) -> None:
        """An upgrade to a release that is never well ends where it began; what that release accepted is not lost."""
        revision = self.revision()
        with self.load():
            done = self.upgrade(broken, self.dmz, "--patience", "2")
            self.cross()
        if done.returncode != 1 or "broken on purpose" not in done.stdout + done.stderr:
            raise InstallError(f"the broken release was not found out:\n{done.stdout[-3000:]}{done.stderr}")
        if (self.release(self.dmz), self.revision()) != (good, revision):
            raise InstallError(f"not as before: {self.release(self.dmz)}, revision {self.revision()}")
        self.say(f"found out and gone back on: {done.stderr.strip().splitlines()[-1].removeprefix('error: ')}")

    def uninstall(self) -> None:
        """Programs go, data and configuration stay; with --purge they go too."""
        script = f"{SERVICES} /opt/dmz-bridge/current/share/dmz-bridge/scripts/uninstall"
        self.intranet.shell(f"{script} && test -e /var/lib/dmz-bridge/bridge.sqlite3 && test -e /etc/dmz-bridge/certs")
        if self.intranet.run("test", "-e", "/opt/dmz-bridge", check=False).returncode == 0:
            raise InstallError("/opt/dmz-bridge is still there")
        self.dmz.shell(f"{script} --purge && ! test -e /etc/dmz-bridge && ! test -e /var/lib/dmz-bridge")

    def close(self) -> None:
        """End the marketing system; the hosts end themselves."""
        if self.marketing is not None:
            self.marketing.terminate()
            self.marketing.wait()


def printed(said: str, *words: str) -> list[str]:
    """The commands among what a script has printed, with any of these words in them, in their order."""
    lines = [line.partition("$ ")[2] for line in said.splitlines() if line.startswith("  $ ")]
    return [line for line in lines if any(word in line for word in words)]


def run(folder: Path, *, short: bool = False, say: Callable[[str], None] = print) -> None:
    """All of it, or (`short`) without the upgrades that succeed, and with one release made for both hosts.

    Raises InstallError.
    """
    began = time.monotonic()

    def told(text: str) -> None:
        say(f"{time.monotonic() - began:6.1f} s  {text}")

    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    made = bundles(folder / "bundles", python, platform.machine())
    first = made["first"]()
    told(f"bundle made, {first.bytes / 1e6:.1f} MB: {first.wheels} wheels, {first.jars} jars")
    with Host("dmz", folder / "dmz") as dmz, Host("intranet", folder / "intranet") as intranet:
        joined(dmz, DMZ, intranet, INTRANET)
        trial = Trial(folder, dmz, intranet, told)
        try:
            trial.carry(first, dmz, intranet)
            trial.install(first, shared=short)
            told("broker and front installed on one host, the bridge on the other, without any other network")
            trial.cross()
            told("a query has crossed")
            good = first
            if not short:
                good = made["second"]()
                trial.carry(good, dmz, intranet)
                trial.upgraded(good, intranet, dmz)
            broken = made["broken"]()
            trial.carry(broken, dmz)
            if short:
                trial.take_over(first, broken)
            trial.rolled_back(broken, good.release)
            if not short:
                trial.uninstall()
                told("uninstalled")
        finally:
            trial.close()

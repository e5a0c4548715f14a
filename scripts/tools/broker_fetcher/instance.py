"""Starting a broker, querying its status and stopping it: only ever the process of its instance."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.broker_fetcher.console import BrokerError, say
from scripts.tools.broker_fetcher.home import Home
from scripts.tools.broker_fetcher.java import java
from scripts.tools.broker_fetcher.locks import lock
from scripts.tools.broker_fetcher.paths import ARCHIVE
from scripts.tools.broker_fetcher.ports import port_taken, speaks_tls

MAIN_CLASS = "org.apache.activemq.console.Main"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
# In ActiveMQ's log:
STANDBY = "is locked by another server"  # another broker has the store
LEFT_OUT = ("Corrupt journal records found", "Some journal files are missing")  # it starts without them
GAP = (
    "Could not locate data file",
    "Detected missing",
    "Detected corrupt",
    "Failed to recover data",
)  # it does not start


@dataclass(frozen=True)
class Status:
    """What is known about an instance."""

    running: bool
    pid: int | None
    version: str | None
    host: str | None
    port: int | None
    accepting: bool


def start(home: Home, instance: Path, certs: Path, conf: Path, host: str, port: int, memory: int, data: Path) -> Status:
    """Start a broker and return when it accepts TLS or stands by. Raises BrokerError if it does neither."""
    for name in ("broker.p12", "truststore.p12", "broker.p12.password"):
        if not (certs / name).is_file():
            raise BrokerError(f"{certs / name} is missing; `bridgectl certs init` makes it")
    data.mkdir(parents=True, exist_ok=True)
    if not os.access(data, os.W_OK):  # to the broker this looks like a locked store, and it would wait
        raise BrokerError(f"{data} cannot be written: is its disk read-only?")
    instance.mkdir(parents=True, exist_ok=True)
    with lock(instance / "start.lock"):
        now = status(instance)
        if now.running:
            raise BrokerError(f"the broker of {instance} runs already: pid {now.pid}, port {now.port}")
        if port_taken(host, port):
            raise BrokerError(f"port {port} of {host} is in use by another program; choose one with --port")
        log = instance / "broker.log"
        begin = log.stat().st_size if log.exists() else 0
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    java_command(home, instance, certs, conf, host, port, memory, data),
                    cwd=instance,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except FileNotFoundError:
            raise BrokerError(f"there is no {java()}; `scripts/broker fetch` installs Java") from None
        facts = {"pid": process.pid, "version": home.version, "kind": home.kind, "host": host, "port": port}
        (instance / "broker.json").write_text(json.dumps(facts))
        (instance / "broker.pid").write_text(f"{process.pid}\n")
        try:
            wait_until_started(process, host, port, log, begin, data)
        except BaseException:
            process.kill()
            process.wait()
            forget(instance)
            raise
    return status(instance)


def java_command(
    home: Home, instance: Path, certs: Path, conf: Path, host: str, port: int, memory: int, data: Path
) -> list[str]:
    """The command line of the Java process."""
    free = shutil.disk_usage(data).free
    store = min(4 << 30, free // 2)  # ActiveMQ warns when its limit is more than the disk has
    return [
        java(),
        f"-Xmx{memory}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Xshare:auto",
        *([f"-XX:SharedArchiveFile={ARCHIVE}"] if home.kind == "maven" and ARCHIVE.exists() else []),
        "-Djava.awt.headless=true",
        f"-Ddmz.instance={instance}",
        f"-Ddmz.certs={certs}",
        f"-Ddmz.data={data}",
        f"-Ddmz.host={host}",
        f"-Ddmz.port={port}",
        f"-Ddmz.store={store}",
        f"-Ddmz.temp={min(512 << 20, free // 8)}",
        f"-Djava.security.auth.login.config={conf / 'login.config'}",
        f"-Dlog4j2.configurationFile={conf / 'log4j2.properties'}",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss,SSS",
        "-Dactivemq.idgenerator.localport=0",  # else it opens a port of its own for a moment
        f"-Dactivemq.home={instance}",
        f"-Dactivemq.base={instance}",
        f"-Dactivemq.conf={conf}",
        f"-Dactivemq.data={data}",
        "-cp",
        ":".join(home.class_path),
        MAIN_CLASS,
        "start",
        f"xbean:file:{conf / 'activemq.xml'}",
    ]


def wait_until_started(
    process: subprocess.Popen[bytes], host: str, port: int, log: Path, begin: int, data: Path
) -> None:
    """Return when it accepts TLS, or stands by because another broker has the store."""
    end = time.monotonic() + START_SECONDS
    while True:
        accepting = speaks_tls(host, port)
        with log.open("rb") as file:
            file.seek(begin)
            text = file.read().decode(errors="replace")
        ended = process.poll() is not None
        if accepting:
            if any(sign in text for sign in LEFT_OUT):
                say(f"parts of the journal are rotten or missing; it starts without them, {log} says what they held")
            return
        if STANDBY in text and not ended:
            return
        if ended or time.monotonic() > end:
            why = "ended" if ended else f"does not answer after {START_SECONDS:.0f} s"
            reasons = re.findall(r"^.*(?:ERROR|Caused by|Exception|FATAL).*$", text, re.M)
            advice = journal_advice(data) if any(sign in text for sign in GAP) else []
            raise BrokerError(f"the broker {why}; see {log}\n" + "\n".join((reasons[-3:] or [text[-500:]]) + advice))
        time.sleep(0.05)


def journal_advice(data: Path) -> list[str]:
    """What to do about a journal the broker does not start on."""
    journal = data / "kahadb"
    return [
        f"A journal file in {journal} is gone or cannot be read. Put it back. If there is none to put back,",
        f"move {journal / 'db.data'} away and start again: the index is made anew from the files that are there.",
        "Commands and replies that were in the lost one are sent again; dead letters are not.",
    ]


def stop(instance: Path) -> bool:
    """True if a broker was running. Ends only this instance's own process."""
    pid = own_pid(instance)
    if pid is None:
        forget(instance)
        return False
    for signal_, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if own_pid(instance) is None:
                forget(instance)
                return True
            time.sleep(0.05)
        say(f"pid {pid} did not end within {seconds:.0f} s of {signal_.name}")
    raise BrokerError(f"pid {pid} does not end")


def status(instance: Path) -> Status:
    """Whether the instance runs, and whether it accepts TLS."""
    try:
        facts = json.loads((instance / "broker.json").read_text())
    except (OSError, ValueError):
        facts = {}
    pid = own_pid(instance)
    host, port = facts.get("host"), facts.get("port")
    accepting = pid is not None and host is not None and port is not None and speaks_tls(host, port)
    return Status(pid is not None, pid, facts.get("version"), host, port, accepting)


def own_pid(instance: Path) -> int | None:
    """The running broker's pid, or None. After a crash the pid file may name another process, so
    the process must have this very instance in its command line."""
    try:
        pid = int((instance / "broker.pid").read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, ValueError, IndexError):
        return None
    if state == "Z" or f"-Ddmz.instance={instance}".encode() not in arguments:
        return None
    return pid


def forget(instance: Path) -> None:
    """Remove the files that name the process."""
    (instance / "broker.pid").unlink(missing_ok=True)
    (instance / "broker.json").unlink(missing_ok=True)

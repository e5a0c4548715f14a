"""The link alone: round trips through a real broker over mutual TLS: client → request queue → echo → reply queue →
client, each end a process of its own.

    python scripts/tools/benchmark/link.py HOST PORT CERTS_DIR SECONDS

prints one JSON object per row; `run` returns them. Three variants send the same 400 bytes:

- `ours`: protocol.link on uvloop, one message an envelope, every message with a receipt
- `ours, batched`: the same with `Lane` at both ends
- `stomp.py`: its own transport (threads), as its documentation shows, without receipts: less work for the broker
"""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from protocol.frames import unpack  # noqa: E402
from protocol.link.lane import Lane  # noqa: E402
from protocol.link.port import Delivery, Outgoing, Subscription  # noqa: E402
from protocol.link.session import StompLink  # noqa: E402
from protocol.link.settings import LinkSettings  # noqa: E402
from protocol.link.tls import client_context  # noqa: E402

BODY = b"x" * 400
PREFETCH = 200
WARM_UP = 2.0
"""Seconds before measuring: the broker's just-in-time compiler, the queues' creation."""

ROWS = [
    ("ours", 1, False),
    ("ours", 64, False),
    ("ours", 64, True),
    ("ours, batched", 1, False),
    ("ours, batched", 64, False),
    ("ours, batched", 64, True),
    ("stomp.py", 1, False),
    ("stomp.py", 64, False),
    ("stomp.py", 64, True),
]

Handler = Callable[[bytes], None]
Send = Callable[[str, bytes], Any]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listener_pid(port: int) -> int:
    """The process listening on a TCP port of this machine."""
    import psutil  # type: ignore[import-untyped]

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return int(process.pid)
    raise LookupError(f"nothing listens on port {port}")


# --- one end: a client that sends again on each reply, or the echo --------------------------------------------


class Job:
    """What an end does with each body it receives."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.count = 0
        self.source, self.target = (
            (task["requests"], task["replies"]) if task["end"] == "echo" else (task["replies"], task["requests"])
        )

    def began(self, send: Send) -> None:
        """Connected and subscribed."""
        if self.task["end"] == "client":
            for _ in range(self.task["outstanding"]):
                send(self.target, BODY)
        else:
            print("ready", flush=True)

    def received(self, body: bytes, send: Send) -> None:
        """Handle a message: echo it, or count it as a reply and send the next."""
        self.count += 1
        send(self.target, body)

    def measure(self, sleep_done: float) -> None:
        """Print the client's result; `sleep_done` is the seconds that passed since `snapshot`."""
        ends = self._cpu()
        count = self.count - self._count
        used = {name: (ends[name] - self._before[name]) / count * 1000 for name in ends}
        row = {"round_trips_per_second": round(count / sleep_done, 1)}
        row |= {f"{name}_cpu_seconds_per_1000": round(value, 4) for name, value in used.items()}
        print(json.dumps(row), flush=True)

    def snapshot(self) -> None:
        """Start measuring."""
        self._count, self._before = self.count, self._cpu()

    def _cpu(self) -> dict[str, float]:
        pids = {"client": os.getpid(), "echo": self.task["echo_pid"], "broker": self.task["broker_pid"]}
        return {name: cpu_seconds(pid) for name, pid in pids.items()}


async def ours(job: Job) -> None:
    """protocol.link, with or without batching."""
    task, certs = job.task, Path(job.task["certs"])
    role = "bridge" if task["end"] == "echo" else "front"
    link = StompLink(
        LinkSettings(
            brokers=((task["host"], task["port"]),),
            ssl=client_context(certs / "ca.pem", certs / f"{role}.pem", certs / f"{role}.key"),
            client_name=role,
        )
    )
    batched, persistent = task["variant"] == "ours, batched", task["persistent"]
    lane = Lane(link, persistent=persistent)

    def send(destination: str, body: bytes) -> None:
        if batched:
            lane.post(destination, body)
        else:
            link.send(Outgoing(destination, body, persistent))

    def handler(delivery: Delivery) -> None:
        for body in unpack(delivery.body) if batched else (delivery.body,):
            job.received(body, send)
        link.ack(delivery)

    link.subscribe(Subscription(job.source, handler, prefetch=PREFETCH))
    await link.start()
    await link.ready()
    job.began(send)
    if task["end"] == "echo":
        await asyncio.Event().wait()
    await asyncio.sleep(WARM_UP)
    began = time.perf_counter()
    job.snapshot()
    await asyncio.sleep(task["seconds"])
    job.measure(time.perf_counter() - began)


def stomp_py(job: Job) -> None:
    """stomp.py's own transport and threads."""
    import stomp

    task, certs = job.task, Path(job.task["certs"])
    role = "bridge" if task["end"] == "echo" else "front"
    address = (task["host"], task["port"])
    connection = stomp.Connection12([address], auto_decode=False)
    connection.set_ssl(
        for_hosts=[address],
        ca_certs=str(certs / "ca.pem"),
        cert_file=str(certs / f"{role}.pem"),
        key_file=str(certs / f"{role}.key"),
        ssl_version=ssl.PROTOCOL_TLS_CLIENT,
    )
    headers = {"persistent": "true"} if task["persistent"] else {}

    def send(destination: str, body: bytes) -> None:
        connection.send(destination, body, headers=dict(headers))

    class Listener(stomp.ConnectionListener):  # type: ignore[misc]  # stomp.py is untyped
        def on_message(self, frame: Any) -> None:
            job.received(frame.body, send)
            connection.ack(frame.headers["ack"])

    connection.set_listener("", Listener())
    connection.connect(wait=True)
    prefetch = {"activemq.prefetchSize": str(PREFETCH)}
    connection.subscribe(job.source, "1", ack="client-individual", headers=prefetch)
    job.began(send)
    if task["end"] == "echo":
        threading.Event().wait()
    time.sleep(WARM_UP)
    began = time.perf_counter()
    job.snapshot()
    time.sleep(task["seconds"])
    job.measure(time.perf_counter() - began)


def main_of_an_end(task: dict[str, Any]) -> None:
    """The main program of a client or echo process."""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if task["variant"] == "stomp.py":
        stomp_py(Job(task))
    else:
        import uvloop

        uvloop.run(ours(Job(task)))
    os._exit(0)  # stomp.py's threads would go on


# --- the whole -------------------------------------------------------------------------------------------------


def run(
    broker_host: str, port: int, certs_dir: str | Path, seconds: float, broker_pid: int | None = None
) -> list[dict[str, Any]]:
    """Measure every row for `seconds`, against the broker at `broker_host`:`port` (on this machine)."""
    task: dict[str, Any] = {
        "host": broker_host,
        "port": port,
        "certs": str(certs_dir),
        "seconds": seconds,
        "broker_pid": broker_pid or listener_pid(port),
    }
    return [one_row(task, *row) for row in ROWS]


def one_row(task: dict[str, Any], variant: str, outstanding: int, persistent: bool) -> dict[str, Any]:
    """Start echo and client, wait for the client's result."""
    kind, name = "command" if persistent else "query", f"bench-{uuid.uuid4().hex[:8]}"
    task = task | {
        "variant": variant,
        "outstanding": outstanding,
        "persistent": persistent,
        "requests": f"/queue/bridge.{kind}.{name}",
        "replies": f"/queue/bridge.reply.{kind}.front-1",
    }
    echo = _end(task | {"end": "echo"})
    try:
        assert echo.stdout is not None
        echo.stdout.readline()
        client = _end(task | {"end": "client", "echo_pid": echo.pid})
        out, err = client.communicate(timeout=task["seconds"] + WARM_UP + 30)
        if client.returncode:
            raise RuntimeError(f"{variant}: {err[-2000:]}")
        measured: dict[str, Any] = json.loads(out)
        return {"client": variant, "outstanding": outstanding, "persistent": persistent} | measured
    finally:
        echo.kill()
        echo.communicate()


def _end(task: dict[str, Any]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(task)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main_of_an_end(json.loads(sys.argv[1]))
    host_, port_, certs_, seconds_ = sys.argv[1:5]
    for result in run(host_, int(port_), certs_, float(seconds_)):
        print(json.dumps(result))

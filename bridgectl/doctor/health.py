"""How the running parts say they are: the front's readiness, the broker's statistics, the bridge's metrics."""

import asyncio
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.parser import text_string_to_metric_families

from bridgectl.brokers import NoBroker, connected
from bridgectl.doctor.finding import Finding, Status
from bridgectl.doctor.installation import HttpPart
from bridgectl.language import tr
from bridgectl.queues import QueueHealth, ask, health
from protocol import destinations
from protocol.errors import BridgeError
from protocol.link.tls import explain
from protocol.runtime.clock import wall_clock
from protocol.runtime.settings import LinkSection, MetricsSection

OLD_S = 60.0
"""A message that waits longer than this waits too long, whatever its kind."""


# --- judgements -------------------------------------------------------------------------------------------


def judge_readiness(url: str, status: int | None, parts: Mapping[str, str], error: str = "") -> Finding:
    """From the answer of /readyz: its status (None: there was none) and what it says of each part."""
    if status == 200:
        return Finding("ready", url, Status.OK, tr("the front is ready"))
    wrong = ", ".join(f"{name}: {what}" for name, what in parts.items() if what != "ok")
    if status is None:
        return Finding(
            "ready", url, Status.FAIL, tr("does not answer: {error}", error=error), "systemctl status dmz-front"
        )
    return Finding(
        "ready",
        url,
        Status.FAIL,
        wrong or tr("HTTP status {status}", status=status),
        tr("see what it names, and the front's log"),
    )


def judge_http(http: HttpPart) -> Finding | None:
    """A front that others reach without TLS; None if there is nothing to say."""
    if http.certificate is not None or http.host in ("127.0.0.1", "::1", "localhost"):
        return None
    action = tr("set [http] certificate and key, or bind it to loopback behind a gateway that speaks TLS")
    return Finding(
        "http", f"{http.host}:{http.port}", Status.WARN, tr("application keys cross the network in clear"), action
    )


def judge_queues(queues: Sequence[QueueHealth], region: str) -> Iterator[Finding]:
    """Consumers, ages and dead letters."""
    requests = {one(region).removeprefix("/queue/") for one in (destinations.queries, destinations.commands)}
    problems = 0
    for queue in queues:
        if queue.dead_letters:
            problems += 1
            action = tr("bridgectl dlq list says why; then bridgectl dlq redrive, or purge")
            yield Finding(
                "dead-letters",
                queue.name,
                Status.WARN,
                tr("{dead_letters} dead letters", dead_letters=queue.dead_letters),
                action,
            )
        if queue.name in requests and not queue.consumers:
            problems += 1
            action = tr("see that intranet-bridge runs and is connected")
            yield Finding("queue", queue.name, Status.FAIL, tr("no bridge takes from it"), action)
        elif queue.oldest_s is not None and queue.oldest_s > OLD_S:
            problems += 1
            action = tr("see that its consumer works: bridgectl queues --watch")
            yield Finding(
                "queue",
                queue.name,
                Status.WARN,
                tr("the oldest message waits for {oldest_s:.0f} s", oldest_s=queue.oldest_s),
                action,
            )
    if not problems:
        yield Finding(
            "queue", region, Status.OK, tr("{queues} queues; nothing waits long, no dead letters", queues=len(queues))
        )


# --- looking ----------------------------------------------------------------------------------------------


def readiness(http: HttpPart, timeout_s: float) -> Finding:
    """Ask the front on this host."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)  # noqa: S104 - the wildcard, to be replaced
    where = f"[{host}]" if ":" in host else host
    url = f"http{'s' if http.certificate else ''}://{where}:{http.port}/readyz"
    if http.client_ca is not None:
        return Finding(
            "ready", url, Status.SKIP, tr("only who shows an application's certificate may ask"), tr("curl it with one")
        )
    context: ssl.SSLContext | None = None
    if http.certificate is not None:
        # It is our own file and our own host: the certificate itself is what is trusted, not a name.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cafile=str(http.certificate))
        except OSError as error:
            return judge_readiness(url, None, {}, f"{http.certificate}: {explain(error)}")
    try:
        status, body = _get(url, timeout_s, context)
    except OSError as error:
        return judge_readiness(url, None, {}, _why(error))
    try:
        parts = json.loads(body)
    except ValueError:
        parts = {}
    return judge_readiness(url, status, _texts(parts))


def _texts(parts: object) -> dict[str, str]:
    found = parts.get("checks") if isinstance(parts, dict) else {}
    return {str(name): str(what) for name, what in found.items()} if isinstance(found, dict) else {}


def metric(section: MetricsSection, name: str, label: str, timeout_s: float) -> dict[str, float] | str:
    """Label value → number, of one metric on a daemon's loopback port; or why it cannot be had."""
    if section.port == 0:
        return tr("its metrics are turned off")
    try:
        _, body = _get(f"http://{section.host}:{section.port}/metrics", timeout_s)
    except OSError as error:
        return tr("its metrics do not answer: {why}", why=_why(error))
    return {
        sample.labels[label]: sample.value
        for family in text_string_to_metric_families(body.decode(errors="replace"))
        for sample in family.samples
        if sample.name == name and label in sample.labels
    }


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", error)  # urllib's own wraps the reason; ssl's is a word
    return explain(reason if isinstance(reason, BaseException) else error)


def _get(url: str, timeout_s: float, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    """Status and body, without proxies. Raises OSError."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=timeout_s) as answer:
            return answer.status, answer.read(1 << 20)
    except urllib.error.HTTPError as error:
        return error.code, error.read(1 << 20)


async def _statistics(section: LinkSection, timeout_s: float) -> list[QueueHealth]:
    async with connected(section, "bridgectl-doctor", timeout_s) as link:
        return health(await ask(link, f"doctor-{os.getpid()}", timeout_s), wall_clock())


def statistics(section: LinkSection, region: str, timeout_s: float) -> Iterator[Finding]:
    """The broker's statistics plugin, with the monitor's certificate."""
    where = ", ".join(section.brokers)
    try:
        queues = asyncio.run(_statistics(section, timeout_s))
    except NoBroker as error:
        seen = tr("no statistics: {error}", error=error.why)
        yield Finding("statistics", where, Status.FAIL, seen, tr("see the findings about the broker"))
        return
    except BridgeError as error:
        seen = tr("no statistics: {error}", error=error)
        action = tr(
            "see that the certificate in bridgectl.toml is a monitor's or an operator's, and activemq/README.md"
        )
        yield Finding("statistics", where, Status.FAIL, seen, action)
        return
    yield Finding(
        "statistics", where, Status.OK, tr("the monitor's certificate sees {queues} queues", queues=len(queues))
    )
    yield from judge_queues(queues, region)

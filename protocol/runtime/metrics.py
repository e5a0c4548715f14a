"""Counts for Prometheus, served on a loopback port of their own."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from protocol.errors import ConfigurationError
from protocol.link.port import Link
from protocol.runtime.settings import MetricsSection

Sample = tuple[str, str, dict[str, str], float]
"""Metric name (a counter's ends in `_total`), help, labels, value."""


class Samples(Collector):
    """Publishes plain numbers that the program keeps anyway: the hot path only adds to an integer."""

    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Called by the client library at each scrape."""
        families: dict[str, Metric] = {}
        for name, text, labels, value in self._read():
            if name not in families:
                kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                families[name] = kind(name, text, labels=list(labels))
            families[name].add_metric(list(labels.values()), value)  # type: ignore[attr-defined]
        return families.values()


def serve(section: MetricsSection, read: Callable[[], Iterable[Sample]]) -> Callable[[], None]:
    """Publish `read()` on the section's port. Returns the function that stops it.

    Raises ConfigurationError when the port is taken.
    """
    if section.port == 0:
        return lambda: None
    collector = Samples(read)
    server: WSGIServer
    try:
        server, thread = start_http_server(section.port, addr=section.host)
    except OSError as error:
        raise ConfigurationError(f"metrics port {section.host}:{section.port}: {error.strerror}") from error
    REGISTRY.register(collector)

    def stop() -> None:
        REGISTRY.unregister(collector)
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


class Latency:
    """A histogram cheap enough for the hot path: powers of two of a tenth of a millisecond."""

    __slots__ = ("buckets", "count", "total_s")

    def __init__(self) -> None:
        self.buckets = [0] * 24
        self.count = 0
        self.total_s = 0.0

    def since(self, started: float) -> None:
        """Add the time since `started` (time.perf_counter())."""
        seconds = time.perf_counter() - started
        self.total_s += seconds
        self.count += 1
        self.buckets[min(23, int(seconds * 10_000).bit_length())] += 1

    def samples(self, prefix: str, labels: Mapping[str, str]) -> Iterator[Sample]:
        """The histogram, under names that begin with `prefix`."""
        yield f"{prefix}_seconds_total", "Time spent, marketing call included", dict(labels), self.total_s
        yield f"{prefix}_timed_total", "How many times", dict(labels), self.count
        below = 0
        for power, number in enumerate(self.buckets):
            below += number
            bound = {**labels, "le": f"{2**power / 10_000:g}"}
            yield f"{prefix}_latency_bucket_total", "Done within `le` seconds", bound, below


def of_links(prefix: str, links: Mapping[str, Link]) -> Iterator[Sample]:
    """What the links count, under names that begin with `prefix`."""
    for name, link in links.items():
        yield f"{prefix}_connected", "1 if connected", {"link": name}, float(link.connected)
        counters = getattr(link, "counters", None)  # both links count, but it is not part of the port
        for item in fields(counters) if counters is not None else ():
            number = getattr(counters, item.name)
            yield f"{prefix}_{item.name}_total", "See protocol/link/settings.py", {"link": name}, number

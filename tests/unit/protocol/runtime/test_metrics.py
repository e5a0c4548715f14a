"""Plain numbers for Prometheus."""

import re
import socket
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from bridgectl.certificate_files import init
from protocol.errors import ConfigurationError
from protocol.messages import Role
from protocol.runtime import metrics
from protocol.runtime.metrics import Latency, Sample, Samples
from protocol.runtime.settings import MetricsSection
from scripts.tools.testbed.processes import free_port


def samples() -> Iterable[Sample]:
    yield "dmz_answers_total", "Answers", {"operation": "a", "status": "200"}, 3
    yield "dmz_backlog", "Waiting", {}, 7
    yield "dmz_answers_total", "Answers", {"operation": "b", "status": "422"}, 1.5


def test_samples_become_families() -> None:
    registry = CollectorRegistry()
    registry.register(Samples(samples))
    text = generate_latest(registry).decode()
    assert text.count("# TYPE dmz_answers_total counter") == 1
    assert "# TYPE dmz_backlog gauge" in text
    assert 'dmz_answers_total{operation="a",status="200"} 3.0' in text
    assert 'dmz_answers_total{operation="b",status="422"} 1.5' in text
    assert "dmz_backlog 7.0" in text


def test_served_until_stopped() -> None:
    section = MetricsSection(port=free_port())
    stop = metrics.serve(section, samples)
    url = f"http://127.0.0.1:{section.port}/metrics"
    try:
        assert b"dmz_backlog 7.0" in urllib.request.urlopen(url, timeout=60).read()
    finally:
        stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=60)
    assert "dmz_backlog" not in generate_latest(REGISTRY).decode()


def test_port_0_serves_nothing() -> None:
    metrics.serve(MetricsSection(), samples)()
    assert "dmz_backlog" not in generate_latest(REGISTRY).decode()


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"metrics port 127\.0\.0\.1:{port}: Address already in use"):
            metrics.serve(MetricsSection(port=port), samples)
    assert "dmz_backlog" not in generate_latest(REGISTRY).decode()


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.000_05, 0), (0.000_15, 1), (0.000_25, 2), (0.001_5, 4), (1.0, 14), (1e6, 23)],
)
def test_latency(monkeypatch: pytest.MonkeyPatch, seconds: float, bucket: int) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: 5.0 + seconds)
    latency = Latency()
    latency.since(5.0)
    assert (latency.count, latency.buckets.index(1), sum(latency.buckets)) == (1, bucket, 1)
    assert latency.total_s == pytest.approx(seconds)


def test_a_latency_is_published_as_a_histogram(monkeypatch: pytest.MonkeyPatch) -> None:
    latency = Latency()
    for seconds in (0.00005, 0.0003, 0.0003, 5000.0):
        monkeypatch.setattr(time, "perf_counter", lambda seconds=seconds: seconds)
        latency.since(0.0)
    registry = CollectorRegistry()
    registry.register(Samples(lambda: [("dmz_seconds", "How long", {"kind": "query"}, latency)]))
    text = generate_latest(registry).decode()
    assert "# TYPE dmz_seconds histogram" in text
    found = dict(re.findall(r'dmz_seconds_bucket{kind="query",le="([^"]+)"} ([\d.]+)', text))
    assert (found["0.0001"], found["0.0002"], found["0.0004"], found["+Inf"]) == ("1.0", "1.0", "3.0", "4.0")
    assert 'dmz_seconds_count{kind="query"} 4.0' in text
    assert 'dmz_seconds_sum{kind="query"} 5000.00065' in text


def test_when_certificates_end(tmp_path: Path) -> None:
    files = init(tmp_path, {Role.FRONT: ["front-1"]}, [], days=30)
    own = next(file for file in files if file.name == "front.pem")
    found = metrics.of_certificates("dmz_front", [("broker", own), ("http", tmp_path / "none.pem"), ("other", None)])
    ends = {labels["use"]: value for name, _, labels, value in found}
    assert ends["http"] == 0
    assert ends["broker"] == pytest.approx(time.time() + 30 * 86400, abs=2 * 86400)
    assert set(ends) == {"broker", "http"}

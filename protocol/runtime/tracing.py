"""Traces by OpenTelemetry, if `[tracing] endpoint` is set: exported by OTLP over HTTP, in batches, by the SDK's thread.

Nothing of OpenTelemetry is imported, and no part of a request's way is another, while it is not set. The trace's
context crosses the boundary where a caller's `traceparent` always does: in the envelope's attributes
(protocol/README.md).
"""

import asyncio
import importlib.metadata
import logging
import time
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from protocol.errors import ConfigurationError
from protocol.link.tls import outward_context
from protocol.runtime.settings import BaseUrl, FilePath, Section, all_or_none

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

EXPORT_S = 5.0
"""For one batch to be taken by the collector, and at the end for what is left."""
_QUIET_S = 60.0


class TracingSection(Section):
    """Where traces go. No endpoint: nowhere, and at no cost."""

    endpoint: BaseUrl | None = None
    """An OTLP/HTTP collector on this side of the boundary: `http://127.0.0.1:4318/v1/traces`."""
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of requests traced whose caller says nothing of it; a caller's `traceparent` decides for its own."""
    ca: FilePath | None = None
    """For https; default: the system's authorities."""
    certificate: FilePath | None = None
    key: FilePath | None = None
    """the certificate's private key, PEM, unencrypted"""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        all_or_none(self, "certificate", "key")
        return self


class Tracing:
    """One daemon's tracer, until it is closed."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self.tracer: Tracer = provider.get_tracer("dmz-bridge")

    async def close(self) -> None:
        """Export what is left, for a few seconds at most."""
        await asyncio.to_thread(self._provider.shutdown)


def opened(section: TracingSection, program: str, instance: str) -> Tracing | None:
    """The tracer of a daemon; None without an endpoint. Raises ConfigurationError if the extra is not installed,
    or a TLS file cannot be used."""
    if section.endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError as error:
        raise ConfigurationError(
            f"tracing.endpoint needs an extra: pip install 'dmz-bridge[otel]' ({error})"
        ) from error
    if section.ca or section.certificate:  # the exporter would say what is wrong with them at the first trace
        outward_context(section.ca, section.certificate, section.key)
    ca, certificate, key = (str(file) if file else None for file in (section.ca, section.certificate, section.key))
    exporter = OTLPSpanExporter(
        endpoint=section.endpoint, timeout=EXPORT_S, certificate_file=ca, client_certificate_file=certificate,
        client_key_file=key,
    )  # fmt: skip
    resource = Resource(
        {
            "service.name": program,
            "service.instance.id": instance,
            "service.version": importlib.metadata.version("dmz-bridge"),
        }
    )
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(section.ratio), resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000, export_timeout_millis=5000))
    _quiet()
    return Tracing(provider)


def _quiet() -> None:
    """A collector that is away is said once a minute, in one line: the SDK would say it for each batch."""
    for name in ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal"):
        logger = logging.getLogger(name)
        if not any(isinstance(one, _OnceAMinute) for one in logger.filters):
            logger.addFilter(_OnceAMinute())


class _OnceAMinute(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said."""
        now = time.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + _QUIET_S
        record.exc_info = record.exc_text = None
        return True

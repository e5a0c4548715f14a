"""The bridge's traced parts: attempts, refusals and failures as spans, on a bridge in memory."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest import mock

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from intranet_bridge import app
from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Outcome, Refused
from intranet_bridge.traced import Traced
from protocol.destinations import commands
from protocol.runtime.tracing import Tracing
from tests.unit.intranet_bridge.harness import BILL_BODY, DONE, Marketing, Stage, scene, until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def started(stage: Stage) -> InMemorySpanExporter:
    """A bridge that is traced, and where its spans go."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traced = Traced(Tracing(provider), commands("main"))
    with mock.patch.object(app, "Bridge", partial(app.Bridge, traced=traced)):
        await stage.start()
    return exporter


class Remembering(Marketing):
    """A marketing system that remembers what it was asked with."""

    def __init__(self, default: Outcome) -> None:
        super().__init__(default)
        self.asked: list[MarketingRequest] = []

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        self.asked.append(asked)
        return await super().call(asked, timeout_s)


def named(exporter: InMemorySpanExporter, name: str) -> Sequence[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.parent is not None
    return f"{span.context.span_id:016x}", f"{span.parent.span_id:016x}"


def outcome(span: ReadableSpan) -> tuple[Any, str]:
    return (span.attributes or {})["dmz_bridge.outcome"], span.status.status_code.name


@scene
async def test_each_attempt_at_a_command_is_a_span(stage: Stage) -> None:
    stage.marketing["work-order"] = marketing = Remembering(Answered(DONE))
    marketing.script = [NotApplied("connect: refused", reached=False)]
    exporter = await started(stage)
    id = await stage.command(traceparent=PARENT)
    await stage.reply(id)
    await stage.until_replied(id)
    await until(lambda: named(exporter, "send bridge.reply.command.front-1"))
    tried = named(exporter, "process bridge.command.main")
    called = named(exporter, "call work-order")
    (replied,) = named(exporter, "send bridge.reply.command.front-1")
    assert [ids(span)[1] for span in tried] == [PARENT.split("-")[2]] * 2
    assert [ids(call)[1] for call in called] == [ids(span)[0] for span in tried]
    assert [outcome(call) for call in called] == [("NotApplied", "ERROR"), ("Answered", "UNSET")]
    assert ids(replied)[1] == ids(tried[1])[0]
    # the marketing system and the reply are given the spans they are under
    assert [asked.traceparent.split("-")[2] for asked in marketing.asked] == [ids(call)[0] for call in called]
    assert (await stage.reply(id)).attributes.traceparent.split("-")[2] == ids(replied)[0]


@scene
async def test_a_refusal_is_an_answer_and_no_error(stage: Stage) -> None:
    stage.marketing["bill-query"].default = Refused("no-such-account", "张伟")
    exporter = await started(stage)
    id, envelope = stage.envelope("bill-query", body=BILL_BODY, traceparent=PARENT)
    await stage.ask(envelope)
    await stage.reply(id)
    await until(lambda: named(exporter, "process bridge.query.main"))
    (called,) = named(exporter, "call bill-query")
    assert outcome(called) == ("Refused", "UNSET")
    (replied,) = named(exporter, "send bridge.reply.query.front-1")
    assert outcome(replied) == ("refused", "UNSET")
    assert "张伟" not in "".join(span.to_json() for span in exporter.get_finished_spans())

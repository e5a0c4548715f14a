"""The numbers Prometheus reads. All are kept as plain integers by the parts themselves."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from intranet_bridge.adapters import Fault
from intranet_bridge.adapters.breaker import Circuit
from protocol.link.port import Link
from protocol.runtime.metrics import Latency, Reading

if TYPE_CHECKING:
    from intranet_bridge.app import Bridge

_CIRCUIT = {Circuit.CLOSED: 0, Circuit.HALF_OPEN: 1, Circuit.OPEN: 2}


def readings(bridge: "Bridge") -> Iterator[Reading]:
    """One bridge's numbers."""
    now = time.monotonic()
    # dict() copies at once: this runs on the metrics server's thread while the loop adds to the counters
    for kind, counter in (("query", bridge.queries.outcomes), ("command", bridge.workers.outcomes)):
        for (operation, outcome), number in dict(counter).items():
            labels = {"kind": kind, "operation": operation, "outcome": outcome}
            yield "bridge_requests_total", "Requests by outcome", labels, number
    for (operation, step), number in dict(bridge.workers.steps).items():
        labels = {"operation": operation, "step": step}
        yield "bridge_command_steps_total", "Retries, repeats, inquiries", labels, number
    yield "bridge_commands_set_aside_total", "Held: the bridge died of them", {}, bridge.workers.set_aside
    for reason, number in dict(bridge.quarantined.by_reason).items():
        yield "bridge_quarantined_total", "Envelopes sent to the dead letters", {"reason": reason}, number
    for reason, number in dict(bridge.queries.dropped).items():
        yield "bridge_queries_dropped_total", "Queries nobody waited for", {"reason": reason}, number
    for front, seconds in bridge.queries.skews.seconds(bridge.clock()).items():
        text = "Seconds a front's clock is ahead of ours (negative: behind)"
        yield "bridge_clock_skew_seconds", text, {"front": front}, seconds
    yield "bridge_inbox_conflict", "1: bridges keep different inboxes", {}, float(bridge.conflict.there)
    text = "Frames of commands for another inbox, not taken"
    yield "bridge_misaddressed_total", text, {}, bridge.command_intake.misaddressed
    for state, number in dict(bridge.inbox.by_state).items():
        yield "bridge_inbox_rows", "Rows of the inbox by state", {"state": state}, number
    for (operation, code), number in dict(bridge.workers.held).items():
        labels = {"operation": operation, "code": code}
        yield "bridge_commands_held_total", "Commands held for an operator", labels, number
    for operation, health in bridge.health.items():
        circuit = _CIRCUIT[health.breaker.circuit(now)]
        yield "bridge_circuit", "0 closed, 1 half open, 2 open", {"operation": operation}, circuit
        mismatches = health.failures[Fault.MISMATCH]
        text = "Answers about something else than was asked; not passed on"
        yield "bridge_answer_mismatches_total", text, {"operation": operation}, mismatches
        for fault in (Fault.INTERFACE, Fault.ANSWER):
            labels = {"operation": operation, "fault": fault}
            yield "bridge_interface_failures_total", "Calls without a usable answer", labels, health.failures[fault]
    yield "bridge_queries_in_flight", "Queries being asked", {}, bridge.queries.in_flight
    yield "bridge_queries_waiting", "Queries without a slot", {}, bridge.query_intake.waiting
    yield "bridge_query_call_seconds", "Mean of the latest calls", {}, bridge.queries.service_s
    yield "bridge_commands_in_flight", "Commands being worked on", {}, bridge.workers.in_flight
    yield "bridge_commands_unfinished", "Commands without an outcome", {}, len(bridge.ordering)
    yield "bridge_commands_blocked", "Wait for a predecessor that is not here", {}, bridge.ordering.blocked
    gone_on = bridge.predecessors.gone_on
    yield "bridge_commands_out_of_order_total", "Went on: the predecessor never came", {}, gone_on
    yield "bridge_commands_circles_total", "Circles of predecessors cut open", {}, bridge.ordering.circles
    yield "bridge_commands_again_total", "Commands that arrived once more", {}, bridge.command_intake.again
    yield "bridge_replies_in_hand", "Command replies without a receipt", {}, bridge.outbox.in_hand
    yield "bridge_query_replies_not_sent_total", "Link down or full", {}, bridge.replies.not_sent
    yield "bridge_store_commits_total", "Transactions", {}, bridge.store.commits
    yield "bridge_marketing_connections", "Open", {}, bridge.client.open
    yield "bridge_marketing_connections_made_total", "Made", {}, bridge.client.made
    if bridge.housekeeping.certificate_expires_s is not None:
        expires = bridge.housekeeping.certificate_expires_s
        yield "bridge_certificate_expires_seconds", "Epoch seconds", {}, expires
    yield from _latency("query", bridge.queries.latency)
    yield from _latency("command", bridge.workers.latency)
    yield from _links(bridge.links)


def _latency(kind: str, latency: Latency) -> Iterator[Reading]:
    labels = {"kind": kind}
    yield "bridge_seconds_total", "Time spent, marketing call included", labels, latency.total_s
    yield "bridge_timed_total", "How many times", labels, latency.count
    below = 0
    for power, number in enumerate(latency.buckets):
        below += number
        bound = {"kind": kind, "le": f"{2**power / 10_000:g}"}
        yield "bridge_latency_bucket_total", "Done within `le` seconds", bound, below


def _links(links: Mapping[str, Link]) -> Iterator[Reading]:
    for name, link in links.items():
        yield "bridge_link_connected", "1 if connected", {"link": name}, float(link.connected)
        counters = getattr(link, "counters", None)  # both links count, but it is not part of the port
        for item in fields(counters) if counters is not None else ():
            number = getattr(counters, item.name)
            yield f"bridge_link_{item.name}_total", "See protocol/link/settings.py", {"link": name}, number

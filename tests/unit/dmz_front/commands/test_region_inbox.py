"""The region's inbox: the first heard of, remembered, written on commands; two are refused; an operator decides."""

import pytest

from dmz_front.replies.bridges import Service
from protocol.runtime import region_inbox
from protocol.runtime.region_inbox import Address
from tests.unit.dmz_front.harness import COMMAND, Harness, turns

A, B = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
pytestmark = pytest.mark.anyio
ASYNC = {"prefer": "respond-async"}


async def test_the_first_heard_of_is_remembered_and_written_on_commands(harness: Harness) -> None:
    await harness.start(bridge=False)
    await harness.bridge.start()
    harness.bridge.announce(inbox=A, inbox_shared=False)
    await turns()
    assert await harness.front.inbox.read()
    await harness.order()
    assert {"inbox": A, "inbox_since": "0"}.items() <= harness.bridge.headers[-1].items()

    await harness.stop(bridge=False)
    await harness._start_front()  # no presence: what was known counts
    await harness.front.inbox.read()
    assert harness.front.bridges.bound == A
    assert harness.front.bridges.addressed


async def test_two_inboxes_are_refused_and_an_operator_decides(harness: Harness) -> None:
    await harness.start(bridge=False)
    await harness.bridge.start()
    harness.bridge.announce(inbox=A)
    await turns()
    await harness.front.inbox.read()
    known = await harness.order(key="known", **ASYNC)
    harness.bridge.announce(inbox=B)  # the same bridge, with another inbox
    await turns()
    answer = await harness.order(key="new", **ASYNC)
    assert (answer.status_code, answer.json()["code"]) == (503, "inbox-conflict")
    assert answer.headers["retry-after"]
    assert (await harness.order(key="known", **ASYNC)).json()["request_id"] == known.json()["request_id"]
    assert harness.front.bridges.service(COMMAND) is Service.UP
    assert (await harness.ask()).status_code == 200  # queries go on
    assert [reading[3] for reading in harness.front.samples() if reading[0] == "dmz_front_inbox_conflict"] == [1]

    meant = Address(B, since=harness.clock() + 1, bound_at=harness.clock(), bound_by="ops", note="disk")
    await harness.front.store.write(lambda connection: region_inbox.bind(connection, meant))
    await harness.front.inbox.read()
    assert (await harness.order(key="new")).status_code == 200
    assert harness.bridge.headers[-1]["inbox"] == B
    assert harness.bridge.headers[-1]["inbox_since"] == str(meant.since)

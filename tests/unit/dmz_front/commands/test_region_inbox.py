"""The region's inbox: the first heard of, remembered, written on commands; two are refused; an operator decides."""

import pytest

from dmz_front.replies.bridges import Service
from protocol.runtime import region_inbox
from protocol.runtime.region_inbox import Address
from tests.unit.dmz_front.stand import COMMAND, StandIn, turns

A, B = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
pytestmark = pytest.mark.anyio
ASYNC = {"prefer": "respond-async"}


async def test_the_first_heard_of_is_remembered_and_written_on_commands(stand: StandIn) -> None:
    await stand.start(bridge=False)
    await stand.bridge.start()
    stand.bridge.announce(inbox=A, inbox_shared=False)
    await turns()
    assert await stand.front.inbox.read()
    await stand.order()
    assert {"inbox": A, "inbox_since": "0"}.items() <= stand.bridge.headers[-1].items()

    await stand.stop(bridge=False)
    await stand._start_front()  # no presence: what was known counts
    await stand.front.inbox.read()
    assert stand.front.bridges.bound == A
    assert stand.front.bridges.addressed


async def test_two_inboxes_are_refused_and_an_operator_decides(stand: StandIn) -> None:
    await stand.start(bridge=False)
    await stand.bridge.start()
    stand.bridge.announce(inbox=A)
    await turns()
    await stand.front.inbox.read()
    known = await stand.order(key="known", **ASYNC)
    stand.bridge.announce(inbox=B)  # the same bridge, with another inbox
    await turns()
    answer = await stand.order(key="new", **ASYNC)
    assert (answer.status_code, answer.json()["code"]) == (503, "inbox-conflict")
    assert answer.headers["retry-after"]
    assert (await stand.order(key="known", **ASYNC)).json()["request_id"] == known.json()["request_id"]
    assert stand.front.bridges.service(COMMAND) is Service.UP
    assert (await stand.ask()).status_code == 200  # queries go on
    assert [reading[3] for reading in stand.front.samples() if reading[0] == "dmz_front_inbox_conflict"] == [1]

    meant = Address(B, since=stand.clock() + 1, bound_at=stand.clock(), bound_by="ops", note="disk")
    await stand.front.store.write(lambda connection: region_inbox.bind(connection, meant))
    await stand.front.inbox.read()
    assert (await stand.order(key="new")).status_code == 200
    assert stand.bridge.headers[-1]["inbox"] == B
    assert stand.bridge.headers[-1]["inbox_since"] == str(meant.since)

"""The tests: what a worker relies on, whatever an adapter speaks.

A test that cannot be done with a peer (`Impossible`) is skipped. Their names say what is promised.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path

from intranet_bridge.contract.bench import PERSON, Bench, run, tried
from intranet_bridge.contract.peer import (
    ACCOUNT,
    COMMAND,
    DETAIL,
    LATE,
    MANY,
    OTHER,
    QUERY,
    REFUSED,
    Behaviour,
    Peer,
    owed,
    registered,
)
from intranet_bridge.marketing import Absent, Answered, Fault, Finding, NotApplied, Outcome, Refused, Unknown
from protocol.operations import Operation

SHORT_S = 0.7
"""What a call is given that will get no answer."""
PATIENCE_S = 20.0
"""How long an inquiry may stay undecided."""


class AdapterContract:
    """Subclass it as `Test...` with a fixture `peer`."""

    # --- answers ------------------------------------------------------------------------------------------

    def test_a_query_is_answered_with_what_the_system_has(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            assert _result(await bench.call(QUERY)) == owed(ACCOUNT)

        run(peer, steps)

    def test_a_command_is_applied_once_and_answered(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            assert _result(await bench.call(COMMAND, "contract-1")) == registered("contract-1")
            assert _result(await bench.call(COMMAND, "contract-2")) == registered("contract-2")
            assert peer.applied("contract-1") == peer.applied("contract-2") == 1

        run(peer, steps)

    def test_every_one_of_many_at_once_gets_its_own_answer(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            queries = [bench.call(QUERY, f"q-{account}", account=account, within_s=30) for account in MANY]
            commands = [bench.call(COMMAND, f"c-{account}", account=account, within_s=30) for account in MANY]
            outcomes = await asyncio.gather(*queries, *commands)
            answers = [_result(outcome) for outcome in outcomes]
            expected = [owed(account) for account in MANY]
            assert answers == expected + [registered(f"c-{account}") for account in MANY]
            assert [peer.applied(f"c-{account}") for account in MANY] == [1] * len(MANY)

        run(peer, steps)

    def test_the_business_no_is_a_refusal_with_our_code_and_its_words(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.REFUSE)
            for operation in (QUERY, COMMAND):
                assert await bench.call(operation) == Refused(REFUSED, DETAIL)
            assert peer.applied("contract-1") == 0

        run(peer, steps)

    def test_a_system_that_is_busy_has_surely_not_applied_it(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.BUSY)
            for operation in (QUERY, COMMAND):
                outcome = await bench.call(operation)
                assert isinstance(outcome, NotApplied), outcome
                assert outcome.reached
            assert peer.applied("contract-1") == 0

        run(peer, steps)

    def test_a_technical_failure_leaves_the_outcome_unknown(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.FAIL)
            for operation in (QUERY, COMMAND):
                _unknown(await bench.call(operation), Fault.INTERFACE)
            _unknown(await bench.inquire(), None)

        run(peer, steps)

    def test_an_answer_that_cannot_be_read_leaves_it_unknown_by_the_answers_fault(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.GARBAGE)
            for operation in (QUERY, COMMAND):
                _unknown(await bench.call(operation), Fault.ANSWER)
            _unknown(await bench.inquire(), Fault.ANSWER)
            peer.behave(Behaviour.ANSWER)
            assert _result(await _decided(bench)) == registered("contract-1")
            assert peer.applied("contract-1") == 1

        run(peer, steps)

    def test_an_answer_about_another_account_or_request_is_never_believed(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.ANOTHER)
            for operation in (QUERY, COMMAND):
                _unknown(await bench.call(operation), Fault.MISMATCH)
            _unknown(await bench.inquire(), Fault.MISMATCH)
            peer.behave(Behaviour.ANSWER)
            assert _result(await _decided(bench)) == registered("contract-1")
            assert peer.applied("contract-1") == 1

        run(peer, steps)

    # --- no answers ---------------------------------------------------------------------------------------

    def test_nobody_there_is_surely_not_applied(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.stop()
            for operation in (QUERY, COMMAND):
                outcome = await bench.call(operation)
                assert isinstance(outcome, NotApplied), outcome
                assert not outcome.reached
            _unknown(await bench.inquire(), Fault.INTERFACE)
            peer.start()
            assert peer.applied("contract-1") == 0

        run(peer, steps)

    def test_a_system_that_went_away_is_used_again_when_it_is_back(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            _result(await bench.call(QUERY))
            peer.stop()
            assert not isinstance(await bench.call(QUERY), Answered)
            peer.start()
            await _answered_again(bench)
            assert _result(await bench.call(COMMAND, "contract-2")) == registered("contract-2")

        run(peer, steps)

    def test_no_answer_in_time_is_unknown_and_the_time_is_kept(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.SILENT)
            for operation in (QUERY, COMMAND):
                outcome = await bench.call(operation, within_s=SHORT_S)
                assert isinstance(outcome, Unknown), outcome
                assert outcome.timed_out
                assert outcome.fault is Fault.INTERFACE
            _unknown(await bench.inquire(within_s=SHORT_S), Fault.INTERFACE)
            assert peer.applied("contract-1") == 0

        run(peer, steps)

    def test_what_an_inquiry_finds_of_a_call_without_an_answer_is_what_became_of_it(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.SILENT)
            _unknown(await bench.call(COMMAND, within_s=SHORT_S), None)
            peer.behave(Behaviour.ANSWER)
            found = await _decided(bench)
            assert peer.applied("contract-1") == (0 if isinstance(found, Absent) else 1)

        run(peer, steps)

    def test_a_late_answer_is_never_the_next_requests(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            _result(await bench.call(QUERY, "q-connected"))  # what is short below is the wait, not the way there
            for number, account in enumerate(LATE):
                peer.behave(Behaviour.SILENT)
                _unknown(await bench.call(QUERY, within_s=SHORT_S / 3), None)
                peer.behave(Behaviour.ANSWER)  # and what waited may be answered now
                assert _result(await bench.call(QUERY, f"q-{number}", account=account)) == owed(account)

        run(peer, steps)

    def test_a_call_that_was_applied_without_an_answer_is_unknown_and_found(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            for number, behaviour in enumerate((Behaviour.SILENT_APPLIED, Behaviour.DROP_APPLIED)):
                peer.behave(behaviour)
                id = f"contract-{number}"
                _unknown(await bench.call(COMMAND, id, within_s=SHORT_S), Fault.INTERFACE)
                peer.behave(Behaviour.ANSWER)
                assert _result(await _decided(bench, id)) == registered(id)
                assert peer.applied(id) == 1

        run(peer, steps)

    def test_a_lost_connection_is_never_an_answer(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.DROP)
            for operation in (QUERY, COMMAND):
                outcome = await bench.call(operation, within_s=SHORT_S)
                assert isinstance(outcome, Unknown | NotApplied), outcome
            _unknown(await bench.inquire(within_s=SHORT_S), Fault.INTERFACE)
            assert peer.applied("contract-1") == 0
            peer.behave(Behaviour.ANSWER)
            found = await _decided(bench)
            assert peer.applied("contract-1") == (0 if isinstance(found, Absent) else 1)

        run(peer, steps)

    def test_an_inquiry_about_a_request_that_never_came_finds_it_absent(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            assert isinstance(await bench.inquire("never-sent"), Absent)
            _result(await bench.call(COMMAND))
            assert _result(await bench.inquire()) == registered("contract-1")
            assert isinstance(await bench.inquire("never-sent"), Absent)
            assert peer.applied("contract-1") == 1
            assert peer.applied("never-sent") == 0

        run(peer, steps)

    # --- sending ------------------------------------------------------------------------------------------

    def test_what_may_not_be_sent_is_not(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            _result(await bench.call(QUERY))  # and so there may be a connection
            before, asked = peer.received(), 0

            def may_send() -> bool:
                nonlocal asked
                asked += 1
                return False

            outcome = await bench.call(COMMAND, may_send=may_send)
            assert isinstance(outcome, NotApplied), outcome
            assert not outcome.reached
            assert asked, "it was not asked whether it may send"
            assert peer.received() == before
            assert peer.applied("contract-1") == 0
            assert _result(await bench.call(COMMAND)) == registered("contract-1")

        run(peer, steps)

    def test_a_call_that_is_given_up_by_its_caller_spoils_nothing(self, peer: Peer) -> None:
        async def steps(bench: Bench) -> None:
            peer.behave(Behaviour.SILENT)
            given_up = [asyncio.ensure_future(bench.call(QUERY, f"q-{number}", within_s=30)) for number in range(4)]
            await asyncio.sleep(SHORT_S / 2)
            for call in given_up:
                call.cancel()
            started = time.monotonic()
            ends = await asyncio.gather(*given_up, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
            assert time.monotonic() - started < PATIENCE_S
            peer.behave(Behaviour.ANSWER)
            assert _result(await bench.call(QUERY, account=OTHER)) == owed(OTHER)

        run(peer, steps)

    # --- intranet-bridge try ------------------------------------------------------------------------------

    def test_a_trial_shows_each_step_of_a_query_and_no_value(self, peer: Peer) -> None:
        with tempfile.TemporaryDirectory() as folder:
            status, told = tried(peer, Path(folder), QUERY.name, "--body", _body(QUERY))
            assert status == 0, told
            for part in ("request", "answer", "steps", "response: ", "schema: it fits", "verdict", "succeeded"):
                assert part in told, f"{part!r} is missing: {told}"
            _masked(told, ACCOUNT, str(owed(ACCOUNT)["total"]))
            _, shown = tried(peer, Path(folder), QUERY.name, "--body", _body(QUERY), "--show")
            request, _, answer = shown.partition("\nanswer\n")
            assert ACCOUNT in request, f"the request is not shown: {shown}"
            assert str(owed(ACCOUNT)["total"]) in answer.partition("\nsteps\n")[0], f"the answer is not shown: {shown}"

    def test_a_trial_sends_a_command_only_if_really_meant(self, peer: Peer) -> None:
        with tempfile.TemporaryDirectory() as folder:
            before = peer.received()
            given = (COMMAND.name, "--request-id", "contract-1", "--body", _body(COMMAND))
            status, told = tried(peer, Path(folder), *given)
            assert status == 0, told
            assert "not sent" in told
            _masked(told, *PERSON.values())
            _, shown = tried(peer, Path(folder), *given, "--show")
            assert PERSON["contact_name"] in shown, f"the request is not shown: {shown}"
            assert peer.received() == before
            status, told = tried(peer, Path(folder), *given, "--really")
            assert status == 0, told
            assert peer.applied("contract-1") == 1
            _masked(told, *PERSON.values(), registered("contract-1")["work_order"])
            status, told = tried(peer, Path(folder), *given, "--inquiry")
            assert status == 0, told
            for part in ("inquire.not_found: false", "inquire.found: true", "succeeded"):
                assert part in told, f"{part!r} is missing: {told}"
            _masked(told, *PERSON.values(), registered("contract-1")["work_order"])
            assert peer.applied("contract-1") == 1

    def test_a_trial_of_a_refusal_and_of_a_mismatch_leaks_nothing(self, peer: Peer) -> None:
        with tempfile.TemporaryDirectory() as folder:
            peer.behave(Behaviour.REFUSE)
            status, told = tried(peer, Path(folder), QUERY.name, "--body", _body(QUERY))
            assert status == 0, told
            assert "refusal.when: true" in told
            assert f"refused, code {REFUSED}" in told
            _masked(told, ACCOUNT, DETAIL)
            peer.behave(Behaviour.ANOTHER)
            status, told = tried(peer, Path(folder), QUERY.name, "--body", _body(QUERY))
            assert status == 1, told
            assert "answer-mismatch" in told
            _masked(told, ACCOUNT, OTHER, str(owed(OTHER)["total"]))

    def test_a_trial_of_a_saved_answer_needs_nobody(self, peer: Peer) -> None:
        with tempfile.TemporaryDirectory() as name:
            saved, before = Path(name) / "saved", peer.received()
            saved.write_bytes(peer.saved())
            peer.stop()
            status, told = tried(peer, Path(name), QUERY.name, "--body", _body(QUERY), "--answer", str(saved))
            peer.start()
            assert status == 0, told
            assert "schema: it fits" in told
            _masked(told, ACCOUNT, str(owed(ACCOUNT)["total"]))
            assert peer.received() == before


def _body(operation: Operation) -> str:
    body = {"account": ACCOUNT}
    return json.dumps(body if operation is QUERY else body | {"type": "fault-repair", **PERSON})


def _masked(told: str, *values: str) -> None:
    for value in values:
        assert value not in told, f"a value is shown without --show: {told}"


def _result(outcome: Outcome | Finding) -> object:
    """Without what is optional in the catalogue's answer, and not said."""
    assert isinstance(outcome, Answered), outcome
    return {name: value for name, value in json.loads(outcome.result).items() if value is not None}


def _unknown(outcome: Outcome | Finding, fault: Fault | None) -> None:
    assert isinstance(outcome, Unknown), outcome
    assert fault is None or outcome.fault is fault, outcome


async def _decided(bench: Bench, id: str = "contract-1") -> Finding:
    """The first inquiry that decides."""
    end = time.monotonic() + PATIENCE_S
    while isinstance(found := await bench.inquire(id), Unknown):
        assert time.monotonic() < end, f"no inquiry decides: {found}"
        await asyncio.sleep(0.05)
    return found


async def _answered_again(bench: Bench) -> None:
    """The first call that is answered; how long a client takes to find the system again is its own business."""
    end = time.monotonic() + PATIENCE_S
    while not isinstance(outcome := await bench.call(QUERY), Answered):
        assert time.monotonic() < end, f"it is not used again: {outcome}"
        await asyncio.sleep(0.05)

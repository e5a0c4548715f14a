"""Queue names: ours to the letter, and a hostile one is never taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import destinations as d
from protocol.errors import Malformed


def test_the_names() -> None:
    assert d.queries("main") == "/queue/bridge.query.main"
    assert d.commands("main") == "/queue/bridge.command.main"
    assert d.query_replies("front-1") == "/queue/bridge.reply.query.front-1"
    assert d.command_replies("front-1") == "/queue/bridge.reply.command.front-1"
    assert d.presence("main") == "/topic/bridge.presence.main"
    assert d.dead_letters(d.commands("main")) == "/queue/DLQ.bridge.command.main"
    assert d.dead_letters(d.presence("main")) == "/queue/DLQ.bridge.presence.main"


@pytest.mark.parametrize("name", ["a", "9", "a-b", "region-12", "x" * 64])
def test_names(name: str) -> None:
    assert d.checked_name(name) == name
    for make in (d.queries, d.commands, d.query_replies, d.command_replies, d.presence):
        assert make(name).endswith("." + name)


BAD = ["", "-", "-a", "a-", "A", "a.b", "a,b", "a b", "a\n", "a?x=y", "a>", "a*", "区", "x" * 65, "../a", "a/b"]


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_name(name: str) -> None:
    for make in (d.checked_name, d.queries, d.commands, d.query_replies, d.command_replies, d.presence):
        with pytest.raises(ValueError, match="is not a name"):
            make(name)


@given(st.from_regex(d.NAME, fullmatch=True))
def test_a_fronts_reply_queues_are_accepted(front: str) -> None:
    for queue in (d.query_replies(front), d.command_replies(front)):
        assert d.checked_reply(queue) == queue


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "/queue/bridge.command.main",
        "/queue/bridge.query.main",
        "/topic/bridge.reply.query.front-1",
        "/queue/bridge.reply.query.",
        "/queue/bridge.reply.other.front-1",
        "/queue/bridge.reply.query.front-1,/queue/bridge.command.main",
        "/queue/bridge.reply.query.front-1?consumer.exclusive=true",
        "/queue/bridge.reply.query.>",
        "/queue/bridge.reply.query.front-1\n",
        "/queue/bridge.reply.query.front-1 ",
        " /queue/bridge.reply.query.front-1",
        "/queue/DLQ.bridge.reply.query.front-1",
        "/temp-queue/x",
        "queue://bridge.reply.query.front-1",
    ],
)
def test_a_hostile_reply_queue_is_refused_without_being_repeated(hostile: str) -> None:
    with pytest.raises(Malformed) as caught:
        d.checked_reply(hostile)
    assert not hostile or hostile not in str(caught.value)


@given(st.text())
def test_nothing_else_passes(text: str) -> None:
    try:
        assert d.checked_reply(text) == text
    except Malformed:
        return
    assert text.startswith("/queue/bridge.reply.")
    assert not set(text) & set(",?>* \n")

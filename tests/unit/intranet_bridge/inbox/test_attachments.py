"""Attachments that no command needs any more are forgotten, however many there are."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from intranet_bridge.inbox.attachments import AttachmentInbox
from intranet_bridge.inbox.rows import ATTACHMENT_USES, ATTACHMENTS, METADATA
from protocol.media import Fault
from protocol.runtime.store import Store
from tests.unit.clock import NOW, Clock
from tests.unit.few_parameters import ROWS, few_parameters

pytestmark = pytest.mark.anyio


async def test_more_attachments_are_forgotten_than_a_statement_takes_parameters(tmp_path: Path) -> None:
    """Those of commands that are gone, with two each, and those that no command has named."""
    store = Store(f"sqlite:///{tmp_path}/db", METADATA.create_all)
    few_parameters(store)
    await store.start()
    opener: Any = None
    row = {"received": 0, "state": "whole", "fault": "", "updated_at": 1, "front": "", "kept": 0}
    for at in range(ROWS):
        for place in range(2):
            use = {"request": f"r{at}", "place": place, "attachment": f"u{at}-{place}"}
            await store.execute(ATTACHMENTS.insert(), row | {"id": use["attachment"], "updated_at": NOW})
            await store.execute(ATTACHMENT_USES.insert(), use)
        await store.execute(ATTACHMENTS.insert(), row | {"id": f"n{at}"})
    await store.execute(ATTACHMENTS.insert(), row | {"id": "young", "updated_at": NOW})
    attachments = AttachmentInbox(store, opener, Clock(NOW))
    assert await attachments.forget(1000) == 3 * ROWS
    assert await attachments.count() == {"whole": 1}
    await store.close()


async def test_of_two_looks_at_a_bad_file_the_second_finds_what_the_first_did(tmp_path: Path) -> None:
    """The first has removed its messages, so that the second finds none."""
    store = Store(f"sqlite:///{tmp_path}/db", METADATA.create_all)
    await store.start()
    opener: Any = None
    row = {"received": 0, "updated_at": 1, "front": "", "kept": 0}
    await store.execute(ATTACHMENTS.insert(), row | {"id": "a", "state": "bad", "fault": Fault.TYPE})
    await store.execute(ATTACHMENTS.insert(), row | {"id": "b", "state": "receiving", "fault": ""})
    attachments = AttachmentInbox(store, opener, Clock(NOW))
    assert (await attachments.examine("a"), await attachments.examine("b")) == (Fault.TYPE, Fault.DIGEST)
    faults = await store.read(lambda connection: connection.execute(select(ATTACHMENTS.c.fault)).scalars().all())
    assert sorted(faults) == sorted([Fault.TYPE, Fault.DIGEST])
    await store.close()

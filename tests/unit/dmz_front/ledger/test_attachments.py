"""Attachments that nobody needs any more are forgotten, however many there are."""

from pathlib import Path

import pytest

from dmz_front.ledger.attachments import Attachment, AttachmentLedger, Quota
from dmz_front.ledger.rows import ATTACHMENTS, METADATA
from protocol.runtime.store import Store
from tests.unit.clock import NOW, Clock
from tests.unit.done_twice import written_twice
from tests.unit.few_parameters import ROWS, few_parameters

pytestmark = pytest.mark.anyio


async def test_more_attachments_are_forgotten_than_a_statement_takes_parameters(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/db", METADATA.create_all)
    few_parameters(store)
    await store.start()
    row = {
        "application": "wechat", "media_type": "image/png", "length": 1, "fingerprint": b"", "received": 0, "chunks": 0,
        "state": "uploading", "code": "", "command": None, "created_at": 1, "updated_at": 1,
    }  # fmt: skip
    for at in range(ROWS + 1):  # the last one is used still
        await store.execute(ATTACHMENTS.insert(), row | {"id": f"a{at}", "expires_at": NOW + (at == ROWS)})
    attachments = AttachmentLedger(store, "front-1", Clock(NOW))
    assert await attachments.forget() == ROWS
    assert await attachments.counts() == {"uploading": 1}
    await store.close()


async def test_an_attachment_is_removed_though_the_commit_seems_to_fail(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/db", METADATA.create_all)
    await store.start()
    attachments = AttachmentLedger(store, "front-1", Clock(NOW))
    quota = Quota(10, 10, 10)
    unused, used = (Attachment(id, "wechat", "image/png", 1, b"", expires_at=NOW + 1) for id in "ab")
    for one in (unused, used):
        await attachments.create(one, None, quota)
    await store.execute(ATTACHMENTS.update().where(ATTACHMENTS.c.id == "b").values(command="c"), {})
    written_twice(store)
    assert (await attachments.remove(unused), await attachments.remove(used)) == (True, False)
    assert await attachments.counts() == {"uploading": 1}
    await store.close()

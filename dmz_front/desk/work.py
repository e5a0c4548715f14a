"""What the desk has the bridge do, in the name `desk`: the operations of QR codes as any application has them."""

import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError

from dmz_front.admission.accounts import AccountForms
from dmz_front.attachments.uploads import Uploads
from dmz_front.commands.submission import Commands
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.queries.round_trip import Queries
from protocol.attachments import Manifest
from protocol.desk.pages import NotDone
from protocol.desk.words import AWAY, TOO_LONG_OPEN
from protocol.lifecycle import State
from protocol.media import MediaType
from protocol.messages import GrowingIds
from protocol.operations import OFFERED
from protocol.qr import MOST_SHEET_BYTES
from protocol.runtime.applications import DESK
from protocol.runtime.clock import Clock

_PIECE = 256 * 1024
_COMMAND_S = 20.0
_QUERY_S = 8.0
_NOT_YET = "It was taken, and is not done yet. Please look again in a minute."
_NO_ACCOUNT = "This is no account number."


class Work:
    """Asks the bridge."""

    def __init__(
        self, *, queries: Queries, commands: Commands, uploads: Uploads, accounts: AccountForms, clock: Clock
    ) -> None:
        self._queries, self._commands, self._uploads = queries, commands, uploads
        self._accounts, self._clock, self._ids = accounts, clock, GrowingIds()

    async def issue(self, by: str, once: str, account: str) -> dict[str, Any]:
        """A code with its picture. Raises NotDone, as all of these."""
        return await self._command("qr-issue", by, once, {"account": account, "image": True, "by": by})

    async def revoke(self, by: str, once: str, account: str, *, now: bool) -> dict[str, Any]:
        """A new generation."""
        return await self._command("qr-revoke", by, once, {"account": account, "now": now, "by": by})

    async def lookup(self, account: str) -> dict[str, Any]:
        """What was issued."""
        return await self._query("qr-lookup", {"account": account})

    async def batch(self, by: str, once: str, sheet: bytes) -> str:
        """Have the codes of a sheet made; returns the batch's id."""
        if not 0 < len(sheet) <= MOST_SHEET_BYTES:
            raise NotDone("That file has more than 10 MB, or nothing in it.", 413)
        said = Manifest(length=len(sheet), sha256=hashlib.sha256(sheet).hexdigest(), media_type=MediaType.XLSX)
        try:
            upload = await self._uploads.create(DESK, said)
            await self._uploads.append(DESK, upload.id, 0, _pieces(sheet))
        except Problem as problem:
            if problem.status < 429:
                raise NotDone("That file is no Excel file (.xlsx).") from None
            raise NotDone(AWAY, 503) from None
        done = await self._command("qr-batch", by, once, {"sheet": upload.id, "by": by})
        return str(done["batch"])

    async def batch_state(self, batch: str) -> dict[str, Any]:
        """How far it is."""
        return await self._query("qr-batch-state", {"batch": batch})

    async def part(self, batch: str, part: int) -> bytes:
        """A part of its ZIP."""
        found = await self._query("qr-batch-part", {"batch": batch, "part": part})
        return base64.b64decode(found["data"])

    async def _query(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        operation = OFFERED[name]
        _, sent = self._asked(name, body)
        try:
            reply = await self._queries.ask(operation, DESK, sent, self._id(), "", _QUERY_S)
        except Problem:
            raise NotDone(AWAY, 503) from None
        if reply.state is State.SUCCEEDED:
            found: dict[str, Any] = json.loads(reply.result)
            return found
        if reply.state is State.REFUSED:
            raise NotDone("There is no such page.", 404) if reply.code == "no-such-batch" else NotDone(reply.code)
        raise NotDone(AWAY, 503)

    async def _command(self, name: str, by: str, once: str, body: dict[str, Any]) -> dict[str, Any]:
        asked, sent = self._asked(name, body)
        key = f"desk-{by}-{name}-{once}"[:255]
        try:
            _, answer = await self._commands.submit(OFFERED[name], DESK, key, asked, sent, self._id(), "", _COMMAND_S)
        except Problem as problem:
            if problem.code == "idempotency-key-reused":  # the same form, sent once more with something else in it
                raise NotDone(TOO_LONG_OPEN, 409) from None
            raise NotDone(AWAY, 503) from None
        return _result(answer)

    def _asked(self, name: str, body: dict[str, Any]) -> tuple[Any, bytes]:
        operation = OFFERED[name]
        try:
            sent = json.dumps(body).encode()
            asked = operation.requests.validate_json(sent)
            self._accounts.check(operation, asked)
        except (ValidationError, Problem):
            raise NotDone(_NO_ACCOUNT if "account" in body else "There is no such page.", 422) from None
        return asked, sent

    def _id(self) -> str:
        return self._ids.next(self._clock(), os.urandom(10))


def _result(answer: HttpResponse) -> dict[str, Any]:
    if answer.status == 202:
        raise NotDone(_NOT_YET, 202)
    said = json.loads(answer.body)
    if said["status"] == "succeeded":
        found: dict[str, Any] = said["result"]
        return found
    raise NotDone(said["refusal"]["code"] if said["status"] == "refused" else AWAY)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), _PIECE):
        yield data[at : at + _PIECE]

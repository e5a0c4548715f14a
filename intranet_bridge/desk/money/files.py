"""Pages of statement files: the list, one with its verdict, one that came again with other bytes, one that is away."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import NOT_THERE, PAGE, READ, SETTLE, Waiting, asked, asked_day, id_of
from intranet_bridge.settlement.money import rounded
from intranet_bridge.settlement.statements import shown
from intranet_bridge.settlement.statements.desk import StatementBooks, StatementFile
from intranet_bridge.settlement.statements.items import NotResolved
from intranet_bridge.settlement.statements.life import FileState, NotInThisState
from intranet_bridge.settlement.statements.records import NoSuchFile
from intranet_bridge.settlement.statements.run_records import NotRun
from intranet_bridge.settlement.statements.shown import FileOnRecord
from protocol.desk.pages import NotDone, Page, Visit, see
from protocol.runtime.store import Store

MOST_ROWS = 200
"""Of a difference, shown of each kind: who has seen so many knows what it is."""
GRAVE = frozenset({FileState.MISSING, FileState.REFUSED, FileState.CONFLICTING})
_WARNING = frozenset({FileState.LATE, FileState.INCOMPLETE})
_EXPECTED = re.compile(r"[A-Za-z0-9._-]{1,64}(:[0-9A-Za-z._-]{1,32})?")
"""A kind of statement, or a branch of it."""
_GOOD = frozenset({FileState.ACCEPTED, FileState.MATCHED, FileState.CLOSED, FileState.EMPTY_CONFIRMED})
_NOT_COME = (FileState.LATE, FileState.MISSING)
_WAITS = {
    FileState.MISSING: "statements are missing: call the platform",
    FileState.REFUSED: "files were refused: ask the sender for a good one",
    FileState.CONFLICTING: "files came again with other content: take or not",
    FileState.LATE: "statements are late: ask the sender",
    FileState.INCOMPLETE: "files are incomplete",
}
DECIDED = "The file does not wait for a decision any more."
CLOSED = "The day of the earlier file is closed: it is not replaced, what it had wrong is booked into an open day."


def tone(state: FileState) -> str:
    """How a state is coloured."""
    return "bad" if state in GRAVE else "warn" if state in _WARNING else "good" if state in _GOOD else "plain"


class Files:
    """The pages."""

    def __init__(self, store: Store, books: StatementBooks) -> None:
        self._store, self._books = store, books

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/files", self._list, READ, menu="Files"),
            Page("/files/absent", self._absent, READ, ("GET", "POST")),
            Page("/files/{id}", self._file, READ),
            Page("/files/{id}/act", self._decide, SETTLE, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """What needs somebody."""
        found = Counter(one.state for one in (*await self._books.waiting_files(), *await self._books.absent()))
        return [
            Waiting(words, found[state], f"/desk/files?state={state}", state in GRAVE)
            for state, words in _WAITS.items() if found[state]
        ]  # fmt: skip

    async def of_day(self, day: date) -> Sequence[StatementFile]:
        """What came of a day, and what did not: what is red first."""
        found = await self._books.files(day)
        return sorted(found, key=lambda one: ("bad warn plain good".index(tone(one.state)), one.channel))

    async def _list(self, visit: Visit) -> Response:
        day, channel, state = asked_day(visit), asked(visit, "channel"), asked(visit, "state")
        states = (FileState(state),) if state in set(FileState) else ()
        before = asked(visit, "before")

        def look(one: Connection) -> tuple[list[FileOnRecord], list[str]]:
            found = shown.files(one, day=day, channel=channel, states=states, before=before, limit=PAGE + 1)
            return found, shown.channels(one)

        found, channels = await self._store.read(look)
        absent = [
            one for one in await self._books.absent()
            if one.state == state and day in (None, one.day) and channel in ("", one.channel)
        ]  # fmt: skip
        return visit.shown(
            "money/files.html", "Files", found=[*absent, *found[:PAGE]], more=len(found) > PAGE, channels=channels,
            states=tuple(FileState), day=day, channel=channel, state=state if states else "", tone=tone,
        )  # fmt: skip

    async def _one(self, visit: Visit) -> FileOnRecord:
        id = id_of(visit)
        found = await self._store.read(lambda one: shown.file(one, id))
        if found is None:
            raise HTTPException(404, NOT_THERE)
        return found

    async def _file(self, visit: Visit) -> Response:
        return await self._shown(visit, await self._one(visit))

    async def _shown(self, visit: Visit, file: FileOnRecord, error: str = "", status: int = 200) -> Response:
        difference = await self._books.difference(file.id) if file.state is FileState.CONFLICTING else None
        return visit.shown(
            "money/file.html", "File", status=status, error=error, file=file, tone=tone, difference=difference,
            most=MOST_ROWS, fee=rounded(file.fee), may=SETTLE in visit.session.roles,
            runs=await self._books.runs(file=file.id),
        )  # fmt: skip

    async def _decide(self, visit: Visit) -> Response:
        """Take the file in place of the accepted one, or leave that."""
        file, wanted = await self._one(visit), visit.text("act")
        if wanted not in ("take", "leave"):
            raise NotDone(NOT_THERE, 404)
        try:
            if wanted == "take":
                await self._books.accept(file.id, visit.session.name)
            else:
                await self._books.refuse(file.id, visit.session.name)
        except (NotInThisState, NoSuchFile):
            file = await self._one(visit)
            why = CLOSED if file.state is FileState.CONFLICTING else DECIDED
            return await self._shown(visit, file, why, 409)
        return see(f"/desk/files/{file.id}")

    async def _absent(self, visit: Visit) -> Response:
        """A statement that did not come: somebody may know that the day had nothing."""
        source, day = visit.request.query_params.get("source", ""), asked_day(visit)
        if day is None or not _EXPECTED.fullmatch(source):
            raise HTTPException(404, NOT_THERE)
        refused = ""
        if visit.request.method == "POST":
            if SETTLE not in visit.session.roles:
                raise HTTPException(403, "Your role does not include this.")
            try:
                await self._books.confirm_empty(source, day, visit.session.name, visit.text("note"))
                return see(f"/desk/today?day={day}")
            except (NotRun, NotResolved) as error:
                refused = str(error)
        found = [one for one in await self._books.files(day) if not one.id and one.source == source]
        if not found and not refused:
            raise HTTPException(404, NOT_THERE)
        return visit.shown(
            "money/absent.html", "A statement that did not come", status=409 if refused else 200, refused=refused,
            note=visit.text("note"), source=source, day=day, file=found[0] if found else None, tone=tone,
            may=SETTLE in visit.session.roles,
        )  # fmt: skip

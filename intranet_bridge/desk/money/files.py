"""Pages of statement files: the list, one with its verdict, and a file that came again with other bytes."""

from datetime import date

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import NOT_THERE, PAGE, READ, SETTLE, Waiting, asked, asked_day, id_of
from intranet_bridge.settlement.money import rounded
from intranet_bridge.settlement.statements import shown
from intranet_bridge.settlement.statements.life import FileState, NotInThisState
from intranet_bridge.settlement.statements.records import NoSuchFile, Statements
from intranet_bridge.settlement.statements.shown import StatementFile
from protocol.desk.pages import NotDone, Page, Visit, see
from protocol.runtime.audit import Act
from protocol.runtime.store import Store

MOST_ROWS = 200
"""Of a difference, shown of each kind: who has seen so many knows what it is."""
MOST_WAITING = 100
GRAVE = frozenset({FileState.MISSING, FileState.REFUSED, FileState.CONFLICTING})
_WARNING = frozenset({FileState.LATE, FileState.INCOMPLETE})
_GOOD = frozenset({FileState.ACCEPTED, FileState.MATCHED, FileState.CLOSED, FileState.EMPTY_CONFIRMED})
DECIDED = "The file does not wait for a decision any more."
CLOSED = "The day of the earlier file is closed: it is not replaced, what it had wrong is booked into an open day."


def tone(state: FileState) -> str:
    """How a state is coloured."""
    return "bad" if state in GRAVE else "warn" if state in _WARNING else "good" if state in _GOOD else "plain"


class Files:
    """The pages."""

    def __init__(self, store: Store, statements: Statements, act: Act) -> None:
        self._store, self._statements, self._act = store, statements, act

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/files", self._list, READ, menu="Files"),
            Page("/files/{id}", self._file, READ),
            Page("/files/{id}/act", self._decide, SETTLE, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """What needs somebody."""
        found = await self._store.read(lambda one: shown.unsettled(one, MOST_WAITING))
        words = {
            FileState.CONFLICTING: "files came again with other content: take or not",
            FileState.REFUSED: "files were refused: ask the sender for a good one",
            FileState.INCOMPLETE: "files are incomplete",
        }
        counts = {state: sum(one.state is state for one in found) for state in words}
        return [
            Waiting(words[state], count, f"/desk/files?state={state}", state in GRAVE)
            for state, count in counts.items() if count
        ]  # fmt: skip

    async def of_day(self, day: date) -> list[StatementFile]:
        """What came of a day."""
        return await self._store.read(lambda one: shown.files(one, day=day, limit=MOST_WAITING))

    async def last_day(self) -> date | None:
        """The latest day of which something came."""
        return await self._store.read(shown.last_day)

    async def _list(self, visit: Visit) -> Response:
        day, channel, state = asked_day(visit), asked(visit, "channel"), asked(visit, "state")
        states = (FileState(state),) if state in set(FileState) else ()
        before = asked(visit, "before")

        def look(one: Connection) -> tuple[list[StatementFile], list[str]]:
            found = shown.files(one, day=day, channel=channel, states=states, before=before, limit=PAGE + 1)
            return found, shown.channels(one)

        found, channels = await self._store.read(look)
        return visit.shown(
            "money/files.html", "Files", found=found[:PAGE], more=len(found) > PAGE, channels=channels,
            states=tuple(FileState), day=day, channel=channel, state=state if states else "", tone=tone,
        )  # fmt: skip

    async def _one(self, visit: Visit) -> StatementFile:
        id = id_of(visit)
        found = await self._store.read(lambda one: shown.file(one, id))
        if found is None:
            raise HTTPException(404, NOT_THERE)
        return found

    async def _file(self, visit: Visit) -> Response:
        return await self._shown(visit, await self._one(visit))

    async def _shown(self, visit: Visit, file: StatementFile, error: str = "", status: int = 200) -> Response:
        difference = await self._statements.differing(file.id) if file.state is FileState.CONFLICTING else None
        return visit.shown(
            "money/file.html", "File", status=status, error=error, file=file, tone=tone, difference=difference,
            most=MOST_ROWS, fee=rounded(file.fee), may=SETTLE in visit.session.roles,
        )  # fmt: skip

    async def _decide(self, visit: Visit) -> Response:
        """Take the file in place of the accepted one, or leave that."""
        file, wanted = await self._one(visit), visit.text("act")
        if wanted not in ("take", "leave"):
            raise NotDone(NOT_THERE, 404)
        who = visit.session.name
        try:
            if wanted == "take":
                await self._statements.replace(file.id, who)
            else:
                await self._statements.refuse(file.id, who)
        except (NotInThisState, NoSuchFile):
            file = await self._one(visit)
            why = CLOSED if file.state is FileState.CONFLICTING else DECIDED
            return await self._shown(visit, file, why, 409)
        await self._act("statement-taken" if wanted == "take" else "statement-left", who, file=file.id)
        return see(f"/desk/files/{file.id}")

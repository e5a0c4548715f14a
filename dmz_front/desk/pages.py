"""The pages of the front's desk: what the frame (protocol/desk/pages.py) shows to whom."""

from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from dmz_front.desk.words import WORDS
from dmz_front.desk.work import Work
from protocol.desk.pages import HEADERS, Furniture, NotDone, Page, Visit, see
from protocol.qr import UPLOAD_BYTES

MOST_PRINTED = 24
FILES = Path(__file__).with_name("templates")
_REFRESH_S = 2
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Codes:
    """Codes of accounts: one or a sheet of them, the record, revocation, a sheet to print."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def furniture(self) -> Furniture:
        """All that the desk has."""
        both = ("GET", "POST")
        pages = (
            Page("/", self._home, "issue", menu="One account"),
            Page("/issue", self._issued, "issue", ("POST",)),
            Page("/batches", self._batches, "issue", menu="A sheet of accounts"),
            Page("/batches", self._uploaded, "issue", ("POST",), most=UPLOAD_BYTES),
            Page("/batches/{id}", self._batch, "issue"),
            Page("/batches/{id}/codes.zip", self._zip, "issue"),
            Page("/template.xlsx", self._template, "issue"),
            Page("/print", self._print, "issue", both, menu="Print"),
            Page("/lookup", self._lookup, "lookup revoke", both, menu="What was issued"),
            Page("/revoke", self._revoked, "revoke", ("POST",)),
        )
        return Furniture("QR code desk", pages, FILES, WORDS)

    # --- one account -----------------------------------------------------------------------------------------

    async def _home(self, visit: Visit) -> Response:
        return visit.shown("home.html", "One account", account="", code=None)

    async def _issued(self, visit: Visit) -> Response:
        account = visit.text("account")
        try:
            code = await self._work.issue(visit.session.name, visit.text("once"), account)
        except NotDone as error:
            return visit.shown(
                "home.html", "One account", status=error.status, account=account, code=None, error=error.why
            )
        return visit.shown("home.html", "One account", account=account, code=code)

    # --- sheets ----------------------------------------------------------------------------------------------

    async def _template(self, visit: Visit) -> Response:
        named = {"Content-Disposition": 'attachment; filename="accounts.xlsx"'}
        return Response((FILES / "template.xlsx").read_bytes(), 200, HEADERS | named, _XLSX)

    async def _batches(self, visit: Visit) -> Response:
        return visit.shown("batches.html", "A sheet of accounts")

    async def _uploaded(self, visit: Visit) -> Response:
        sheet = visit.form.get("sheet")
        data = await sheet.read() if isinstance(sheet, UploadFile) else b""
        try:
            batch = await self._work.batch(visit.session.name, visit.text("once"), data)
        except NotDone as error:
            return visit.shown("batches.html", "A sheet of accounts", status=error.status, error=error.why)
        visit.session.began(batch)
        return see(f"/desk/batches/{batch}")

    async def _batch(self, visit: Visit) -> Response:
        batch = await self._work.batch_state(visit.request.path_params["id"])
        running = batch["state"] not in ("done", "refused")
        return visit.shown("batch.html", "Batch", batch=batch, refresh=_REFRESH_S if running else 0)

    async def _zip(self, visit: Visit) -> Response:
        batch = await self._work.batch_state(visit.request.path_params["id"])
        if batch["state"] != "done":
            raise HTTPException(404, "There is no such page.")
        first = await self._work.part(batch["batch"], 0)  # what fails now is still a page

        async def parts() -> Any:
            yield first
            for part in range(1, batch["parts"]):
                yield await self._work.part(batch["batch"], part)

        named = {
            "Content-Disposition": f'attachment; filename="codes-{batch["batch"][:13]}.zip"',
            "Content-Length": str(batch["length"]),
        }
        return StreamingResponse(parts(), 200, HEADERS | named, "application/zip")

    # --- the record --------------------------------------------------------------------------------------------

    async def _lookup(self, visit: Visit) -> Response:
        account = visit.text("account")
        if visit.request.method == "GET":
            return self._record(visit)
        try:
            return self._record(visit, account=account, record=await self._work.lookup(account))
        except NotDone as error:
            return self._record(visit, account=account, status=error.status, error=error.why)

    async def _revoked(self, visit: Visit) -> Response:
        account, now = visit.text("account"), visit.text("now") == "yes"
        done = await self._work.revoke(visit.session.name, visit.text("once"), account, now=now)
        notice = "The codes of before lead nowhere now." if now else "The codes of before are good until"
        return self._record(
            visit, account=account, record=await self._work.lookup(account), notice=notice,
            notice_time="" if now else datetime.fromisoformat(done["good_until"]).strftime("%Y-%m-%d %H:%M"),
        )  # fmt: skip

    def _record(self, visit: Visit, **values: Any) -> Response:
        values = {"account": "", "record": None, "notice": "", "notice_time": ""} | values
        return visit.shown("lookup.html", "What was issued", **values)

    # --- a sheet to print ----------------------------------------------------------------------------------------

    async def _print(self, visit: Visit) -> Response:
        text = visit.text("accounts")
        accounts = list(dict.fromkeys(text.split()))[:MOST_PRINTED]
        codes, refused = [], []
        for number, account in enumerate(accounts):
            try:
                codes.append(await self._work.issue(visit.session.name, f"{visit.text('once')}-{number}", account))
            except NotDone as error:
                refused.append((account[:20], error.why))
        return visit.shown("print.html", "Sheet to print", accounts=text, codes=codes, refused=refused)

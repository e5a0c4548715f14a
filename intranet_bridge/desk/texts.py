"""Pages of texts to publish: the list, one with its versions and its history, the form, and the acts."""

import re
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.content import life, texts
from intranet_bridge.content.answers import local
from intranet_bridge.content.kinds import KINDS, Complaint, Kind, Unfit, fields_of, of_texts, texts_of
from intranet_bridge.content.life import Act, Stage
from intranet_bridge.content.records import MOST_SHOWN, NotAllowed, Version, Who, Written, checked_number
from intranet_bridge.content.service import Content
from intranet_bridge.content.times import moment_ms
from protocol.desk.pages import NotDone, Page, Visit, see

TEMPLATES = Path(__file__).with_name("templates")
FORM_BYTES = 384 * 1024
"""A text of 12,000 Chinese characters takes 108 KB in a form."""
_BOTH, _EDIT = "edit review", "edit"
_NOT_THERE = "There is no such page."
_ONCE = re.compile("[0-9a-f]{32}")


class Texts:
    """The pages."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        form = ("GET", "POST")
        return (
            Page("/content", self._list, _BOTH, menu="Texts"),
            Page("/content/new/{kind}", self._new, _EDIT, form, most=FORM_BYTES),
            Page("/content/{item}", self._item, _BOTH),
            Page("/content/{item}/edit", self._edit, _EDIT, form, most=FORM_BYTES),
            Page("/content/{item}/act", self._act, _BOTH, ("POST",)),
        )

    # --- what there is ---------------------------------------------------------------------------------------

    async def _list(self, visit: Visit) -> Response:
        asked = visit.request.query_params
        kind = asked.get("kind", "") if asked.get("kind", "") in KINDS else ""
        stage = asked.get("stage", "") if asked.get("stage", "") in set(Stage) else ""
        found, live = await self._content.newest(kind, stage)
        return visit.shown(
            "texts.html", "Texts", kinds=tuple(KINDS.values()), stages=tuple(Stage), kind=kind, stage=stage,
            found=found, live=live, local=local, more=len(found) >= MOST_SHOWN,
        )  # fmt: skip

    async def _item(self, visit: Visit) -> Response:
        versions, acts = await self._versions(visit)
        number = visit.request.query_params.get("version", "")
        chosen = next((one for one in versions if str(one.version) == number), versions[0])
        return self._shown(visit, versions, acts, chosen)

    async def _versions(self, visit: Visit) -> tuple[list[Version], Any]:
        versions, acts = await self._content.item(str(visit.request.path_params["item"])[:36])
        if not versions or versions[0].kind not in KINDS:
            raise HTTPException(404, _NOT_THERE)
        return versions, acts

    def _shown(
        self, visit: Visit, versions: list[Version], acts: Any, chosen: Version, error: str = "", status: int = 200
    ) -> Response:
        who, kind = _who(visit), KINDS[chosen.kind]
        may = life.allowed(chosen.standing, who.name, who.roles, self._content.now)
        newest = versions[0]
        settled = newest.standing.stage in (Stage.PUBLISHED, Stage.WITHDRAWN)
        why = life.after(Act.APPROVE, chosen.standing, who.name, who.roles, self._content.now)
        said = texts_of(kind, chosen.values)
        return visit.shown(
            "text.html", kind.title, status=status, error=error, kind=kind, chosen=chosen, versions=versions, acts=acts,
            rows=[(entry, said[entry.name]) for entry in kind.entries if entry.widget != "text" and said[entry.name]],
            rendered=_rendered(kind, said), local=local,
            may=[act for act in may if act is not Act.SAVE],
            editable=life.EDIT in who.roles and chosen is newest and (settled or Act.SAVE in may), settled=settled,
            hint=why.why if isinstance(why, life.No) and why.why == life.WRITER_REVIEWS else "",
        )  # fmt: skip

    # --- writing ---------------------------------------------------------------------------------------------

    async def _new(self, visit: Visit) -> Response:
        kind = KINDS.get(visit.request.path_params["kind"])
        if kind is None:
            raise HTTPException(404, _NOT_THERE)
        if visit.request.method == "GET":
            return _form(visit, kind, {"number": ""}, None)
        once = visit.text("once")
        given = _given(visit, kind)
        if visit.text("do") == "preview" or not _ONCE.fullmatch(once):
            return _form(visit, kind, given, None, preview=True)
        try:
            made = await self._content.create(_written(kind, given), _who(visit), item=once)
        except Unfit as error:
            return _form(visit, kind, given, None, complaints=error.complaints)
        except NotAllowed as error:
            return _form(visit, kind, given, None, error=str(error))
        return see(f"/desk/content/{made.item}")

    async def _edit(self, visit: Visit) -> Response:
        versions, _ = await self._versions(visit)
        newest = versions[0]
        kind = KINDS[newest.kind]
        if visit.request.method == "GET":
            return _form(visit, kind, _of_version(kind, newest), newest)
        given = _given(visit, kind) | {"number": newest.number}
        if visit.text("do") == "preview":
            return _form(visit, kind, given, newest, preview=True)
        changes = visit.text("changes")
        try:
            written = _written(kind, given)
            seen = int(changes) if changes.isdigit() and len(changes) < 10 else -1
            if visit.text("version") != str(newest.version):
                seen = -1
            made = await self._content.save(newest.item, seen, written, _who(visit))
        except Unfit as error:
            return _form(visit, kind, given, newest, complaints=error.complaints)
        except NotAllowed as error:
            return _form(visit, kind, given, newest, error=str(error))
        return see(f"/desk/content/{made.item}")

    # --- acts ------------------------------------------------------------------------------------------------

    async def _act(self, visit: Visit) -> Response:
        wanted, version, changes = visit.text("act"), visit.text("version"), visit.text("changes")
        if wanted not in set(Act) - {Act.SAVE} or not _number(version) or not _number(changes):
            raise NotDone(_NOT_THERE, 404)
        item = str(visit.request.path_params["item"])[:36]
        try:
            done = await self._content.do(
                item, int(version), int(changes), Act(wanted), _who(visit), visit.text("remark")[:400]
            )
        except NotAllowed as error:
            versions, acts = await self._versions(visit)
            chosen = next((one for one in versions if one.version == int(version)), versions[0])
            return self._shown(visit, versions, acts, chosen, str(error), 409)
        return see(f"/desk/content/{item}?version={done.version}")


def _who(visit: Visit) -> Who:
    return Who(visit.session.name, visit.session.roles)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _given(visit: Visit, kind: Kind) -> dict[str, str]:
    names = ("number", "publish_at", "withdraw_at", *(entry.name for entry in kind.entries))
    return {name: visit.text(name).replace("\r\n", "\n") for name in names}


def _of_version(kind: Kind, one: Version) -> dict[str, str]:
    times = {"publish_at": one.standing.publish_at, "withdraw_at": one.standing.withdraw_at}
    if one.standing.stage in (Stage.PUBLISHED, Stage.WITHDRAWN):  # the next version's times are its own
        times = dict.fromkeys(times)
    said = {name: local(ms) if ms is not None else "" for name, ms in times.items()}
    return {"number": one.number, **said, **texts_of(kind, one.values)}


def _written(kind: Kind, given: dict[str, str]) -> Written:
    fields = fields_of(kind, of_texts(kind, given))
    times = (moment_ms(name, given[name]) for name in ("publish_at", "withdraw_at"))
    return Written(kind.name, checked_number(given["number"]), fields, *times)


def _rendered(kind: Kind, said: dict[str, str]) -> str:
    return "".join(texts.html(said[entry.name]) for entry in kind.entries if entry.widget == "text")


def _form(
    visit: Visit, kind: Kind, given: dict[str, str], version: Version | None, *,
    preview: bool = False, error: str = "", complaints: tuple[Complaint, ...] = (),
) -> Response:  # fmt: skip
    given = {entry.name: "" for entry in kind.entries} | {"publish_at": "", "withdraw_at": ""} | given
    labels = {entry.name: entry.label for entry in kind.entries}
    labels |= {"number": "Number (empty: the next one)", "publish_at": "Publish at", "withdraw_at": "Withdraw at"}
    wrong = [(labels.get(one.field.partition(".")[0], one.field), one.why) for one in complaints]
    status = 422 if wrong else 409 if error else 200
    posted = visit.request.method == "POST"  # what was seen when the form was first shown
    seen = (
        (visit.text("version"), visit.text("changes"))
        if posted
        else (version.version, version.changes)
        if version
        else ()
    )
    return visit.shown(
        "text_form.html", kind.title, status=status, error=error, kind=kind, given=given, version=version, wrong=wrong,
        rendered=_rendered(kind, given) if preview else "", labels=labels, seen=seen, preview=preview,
    )  # fmt: skip

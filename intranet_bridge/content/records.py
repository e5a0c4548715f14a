"""Reads and writes what is published, within a transaction of the caller's.

What is changed says which state its author saw (`changes`): of two who act on the same one, the second is told.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from intranet_bridge.content import life
from intranet_bridge.content.kinds import KINDS, Complaint, Fields, Unfit
from intranet_bridge.content.life import Act, No, Stage, Standing
from intranet_bridge.content.rows import ACTS, EDITION, ITEMS, VERSIONS
from protocol.values import immutable

_I, _V, _A, _E = ITEMS.c, VERSIONS.c, ACTS.c, EDITION.c
MOST_SHOWN = 200


class NotAllowed(Exception):
    """It may not be done; says why in words of the pages."""


SEEN_OLD = "Somebody has changed it meanwhile. Look at it again."
NOT_THERE = "There is no such page."
NUMBER_TAKEN = "There is one with this number already."
OPEN_ELSEWHERE = "A version of it is in review or approved; send that back first."


@immutable
class Who:
    """Who acts."""

    name: str
    roles: frozenset[str]


CLOCK = Who(life.CLOCK, frozenset({life.EDIT, life.REVIEW}))


@immutable
class Version:
    """One version of an item."""

    item: str
    kind: str
    number: str
    version: int
    standing: Standing
    heading: str
    values: Mapping[str, Any] = field(repr=False)
    reviewer: str
    changes: int
    changed_at: int
    published_at: int | None
    withdrawn_at: int | None
    first_at: int | None
    """When the item was published first."""


@immutable
class Done:
    """An act, as it is on record."""

    version: int
    act: str
    who: str
    at: int
    remark: str


@immutable
class Written:
    """What somebody wants to have published, and when."""

    kind: str
    number: str
    """Empty: the next one."""
    fields: Fields = field(repr=False)
    publish_at: int | None = None
    withdraw_at: int | None = None

    @property
    def values(self) -> dict[str, Any]:
        """As they are kept."""
        found: dict[str, Any] = self.fields.model_dump(mode="json", exclude_none=True)
        return found

    @property
    def heading(self) -> str:
        """What people know it by."""
        shown = self.values[KINDS[self.kind].heading]
        if self.kind == "outage":
            return f"{shown[:16]} {'、'.join(one['name'] for one in self.values['areas'])}"[:200]
        return str(shown)


def _versions() -> Select[Any]:
    return select(VERSIONS, _I.kind, _I.number, _I.first_at).join(ITEMS, _I.id == _V.item)


def _version(row: Any) -> Version:
    standing = Standing(Stage(row.stage), tuple(json.loads(row.authors)), row.publish_at, row.withdraw_at)
    return Version(
        item=row.item, kind=row.kind, number=row.number, version=row.version, standing=standing, heading=row.heading,
        values=json.loads(row.fields), reviewer=row.reviewer, changes=row.changes, changed_at=row.changed_at,
        published_at=row.published_at, withdrawn_at=row.withdrawn_at, first_at=row.first_at,
    )  # fmt: skip


# --- reading -------------------------------------------------------------------------------------------------


def versions(connection: Connection, item: str) -> list[Version]:
    """All of an item, the newest first."""
    rows = connection.execute(_versions().where(_V.item == item).order_by(_V.version.desc()))
    return [_version(row) for row in rows]


def item_of(connection: Connection, kind: str, number: str) -> str | None:
    """The item of that number."""
    found = connection.execute(select(_I.id).where(_I.kind == kind, _I.number == number)).first()
    return str(found.id) if found else None


def newest(connection: Connection, kind: str = "", stage: str = "", most: int = MOST_SHOWN) -> list[Version]:
    """Of each item the newest version, changed last first; with `stage` those that have a version there."""
    query = _versions()
    if stage:
        query = query.where(_V.stage == stage)
        if stage == Stage.WITHDRAWN:  # only of items that have nothing else
            others = select(_V.item).where(_V.stage != stage)
            query = query.where(_V.item.not_in(others), _V.version == _latest())
    else:
        query = query.where(_V.version == _latest())
    if kind:
        query = query.where(_I.kind == kind)
    rows = connection.execute(query.order_by(_V.changed_at.desc(), _I.number).limit(most))
    return [_version(row) for row in rows]


def _latest() -> Any:
    other = VERSIONS.alias()
    return select(func.max(other.c.version)).where(other.c.item == _V.item).scalar_subquery()


def published(connection: Connection, kind: str = "") -> list[Version]:
    """What is published now."""
    query = _versions().where(_V.stage == Stage.PUBLISHED)
    if kind:
        query = query.where(_I.kind == kind)
    return [_version(row) for row in connection.execute(query.order_by(_I.kind, _I.number))]


def due(connection: Connection, now: int) -> list[Version]:
    """What the clock is to do something with."""
    ripe = or_(
        and_(_V.stage == Stage.APPROVED, _V.publish_at <= now),
        and_(_V.stage.in_((Stage.APPROVED, Stage.PUBLISHED)), _V.withdraw_at <= now),
    )
    return [_version(row) for row in connection.execute(_versions().where(ripe).limit(MOST_SHOWN))]


def acts(connection: Connection, item: str) -> list[Done]:
    """What was done with an item, the latest first."""
    rows = connection.execute(select(ACTS).where(_A.item == item).order_by(_A.number.desc()).limit(MOST_SHOWN))
    return [Done(row.version, row.act, row.who, row.at, row.remark) for row in rows]


def edition(connection: Connection) -> int:
    """Another number for each state of what is published."""
    found = connection.execute(select(_E.number)).first()
    return int(found.number) if found else 0


# --- writing -------------------------------------------------------------------------------------------------


def create(connection: Connection, written: Written, who: Who, now: int, item: str) -> Version:
    """A new item with its first draft, of the id `item`. Raises NotAllowed."""
    number = written.number or _next_number(connection, written.kind)
    if item_of(connection, written.kind, number) is not None:
        raise NotAllowed(NUMBER_TAKEN)
    _let(Act.SAVE, Standing(Stage.DRAFT, ()), who, now)
    connection.execute(ITEMS.insert().values(id=item, kind=written.kind, number=number))
    return _begin(connection, item, 1, written, who, now)


def save(connection: Connection, item: str, changes: int, written: Written, who: Who, now: int) -> Version:
    """Change the draft of an item, or begin the next version of it. `changes`: of the newest one, as its author saw it.
    Raises NotAllowed.
    """
    known = _locked(connection, item)
    newest_one = known[0]
    if newest_one.changes != changes:
        raise NotAllowed(SEEN_OLD)
    if newest_one.standing.stage in (Stage.IN_REVIEW, Stage.APPROVED):
        raise NotAllowed(OPEN_ELSEWHERE)
    if newest_one.standing.stage is not Stage.DRAFT:
        _let(Act.SAVE, Standing(Stage.DRAFT, ()), who, now)
        return _begin(connection, item, newest_one.version + 1, written, who, now)
    _let(Act.SAVE, newest_one.standing, who, now)
    authors = newest_one.standing.authors
    if who.name not in authors:
        authors = (*authors, who.name)
    _write(connection, newest_one, now, authors=json.dumps(authors, ensure_ascii=False), **_columns(written))
    _note(connection, newest_one.item, newest_one.version, Act.SAVE, who, now, "")
    return versions(connection, item)[0]


def act(
    connection: Connection, item: str, version: int, changes: int, wanted: Act, who: Who, now: int, remark: str = ""
) -> Version:
    """Do it, if it may be done. Raises NotAllowed."""
    known = _locked(connection, item)
    found = next((one for one in known if one.version == version), None)
    if found is None:
        raise NotAllowed(NOT_THERE)
    if found.changes != changes:
        raise NotAllowed(SEEN_OLD)
    stage = _let(wanted, found.standing, who, now)
    more: dict[str, Any] = {"stage": stage}
    if wanted is Act.APPROVE:
        more["reviewer"] = who.name
    if wanted is Act.BACK:
        more["reviewer"] = ""
    if wanted is Act.WITHDRAW:
        more["withdrawn_at"] = now
    if wanted is Act.PUBLISH:
        more["published_at"] = now
        for other in known:
            if other.standing.stage is Stage.PUBLISHED:
                _write(connection, other, now, stage=Stage.WITHDRAWN, withdrawn_at=now)
        if found.first_at is None:
            connection.execute(ITEMS.update().where(_I.id == item).values(first_at=now))
    _write(connection, found, now, **more)
    _note(connection, item, version, wanted, who, now, remark)
    if wanted is Act.PUBLISH or found.standing.stage is Stage.PUBLISHED:
        _new_edition(connection)
    return next(one for one in versions(connection, item) if one.version == version)


def _let(wanted: Act, standing: Standing, who: Who, now: int) -> Stage:
    found = life.after(wanted, standing, who.name, who.roles, now)
    if isinstance(found, No):
        raise NotAllowed(found.why)
    return found


def _locked(connection: Connection, item: str) -> list[Version]:
    """All of an item, which nobody else changes until the commit."""
    if connection.execute(select(_I.id).where(_I.id == item).with_for_update()).first() is None:
        raise NotAllowed(NOT_THERE)
    return versions(connection, item)


def _begin(connection: Connection, item: str, version: int, written: Written, who: Who, now: int) -> Version:
    connection.execute(
        VERSIONS.insert().values(
            item=item, version=version, stage=Stage.DRAFT, reviewer="", changes=0, changed_at=now,
            authors=json.dumps([who.name], ensure_ascii=False), **_columns(written),
        )
    )  # fmt: skip
    _note(connection, item, version, Act.SAVE, who, now, "")
    return versions(connection, item)[0]


def _columns(written: Written) -> dict[str, Any]:
    return {
        "fields": json.dumps(written.values, ensure_ascii=False), "heading": written.heading,
        "publish_at": written.publish_at, "withdraw_at": written.withdraw_at,
    }  # fmt: skip


def _write(connection: Connection, version: Version, now: int, **values: Any) -> None:
    one = VERSIONS.update().where(_V.item == version.item, _V.version == version.version)
    connection.execute(one.values(changes=version.changes + 1, changed_at=now, **values))


def _note(connection: Connection, item: str, version: int, done: Act, who: Who, now: int, remark: str) -> None:
    last = connection.execute(select(func.max(_A.number)).where(_A.item == item)).scalar() or 0
    connection.execute(
        ACTS.insert().values(
            item=item, number=last + 1, version=version, act=done, who=who.name, at=now, remark=remark[:400]
        )
    )


def _new_edition(connection: Connection) -> None:
    if not connection.execute(EDITION.update().values(number=_E.number + 1)).rowcount:
        connection.execute(EDITION.insert().values(only=1, number=1))


def _next_number(connection: Connection, kind: str) -> str:
    numbers = connection.execute(select(_I.number).where(_I.kind == kind)).scalars()
    return str(max((int(one) for one in numbers if one.isdigit() and len(one) < 10), default=0) + 1)


def checked_number(number: str) -> str:
    """A number, or nothing. Raises Unfit."""
    if number and not re.fullmatch(r"[0-9A-Za-z-]{1,40}", number):
        raise Unfit([Complaint("number", "is 1 to 40 of the characters 0-9, A-Z, a-z and -")])
    return number


def unchanged(version: Version, written: Written) -> bool:
    """Whether it says what the version says."""
    times = (version.standing.publish_at, version.standing.withdraw_at)
    return dict(version.values) == written.values and times == (written.publish_at, written.withdraw_at)

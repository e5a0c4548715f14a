"""The life of a text, decided purely. ::

    draft ─submit─► in-review ─approve─► approved ─publish─► published ─withdraw─► withdrawn
      ▲                 │ back              │ back                                     ▲
      └─────────────────┴───────────────────┘             withdraw, from any other ────┘

Who wrote any of a version does not approve it. A version with a time to publish is published then, and not before; any
is withdrawn at its time to be withdrawn. A published version is withdrawn when the next one of its item is published.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from protocol.people import among
from protocol.values import immutable

EDIT, REVIEW = "edit", "review"
CLOCK = "clock"
"""In whose name is done what is due."""


class Stage(StrEnum):
    """Where a version is."""

    DRAFT = "draft"
    IN_REVIEW = "in-review"
    APPROVED = "approved"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class Act(StrEnum):
    """What is done with one."""

    SAVE = "save"
    SUBMIT = "submit"
    BACK = "back"
    APPROVE = "approve"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"


@immutable
class Standing:
    """What of a version decides. Times are epoch ms."""

    stage: Stage
    authors: tuple[str, ...]
    """Who wrote any of it."""
    publish_at: int | None = None
    withdraw_at: int | None = None


@dataclass(frozen=True, slots=True)
class No:
    """It may not be done, and why, in words of the pages."""

    why: str


WRITER_REVIEWS = "Who wrote it does not approve it: a second person does."
NO_ROLE = "Your role does not include this."
NOT_NOW = "That cannot be done with a version that stands there."
TIMES_CROSSED = "It would be withdrawn before it is published."
OVER = "The time to withdraw it has passed."
NOT_YET = "It is to be published at its time, and not before."
_FROM = {
    Act.SAVE: ({Stage.DRAFT}, {EDIT}, Stage.DRAFT),
    Act.SUBMIT: ({Stage.DRAFT}, {EDIT}, Stage.IN_REVIEW),
    Act.BACK: ({Stage.IN_REVIEW, Stage.APPROVED}, {EDIT, REVIEW}, Stage.DRAFT),
    Act.APPROVE: ({Stage.IN_REVIEW}, {REVIEW}, Stage.APPROVED),
    Act.PUBLISH: ({Stage.APPROVED}, {EDIT, REVIEW}, Stage.PUBLISHED),
    Act.WITHDRAW: (set(Stage) - {Stage.WITHDRAWN}, {EDIT, REVIEW}, Stage.WITHDRAWN),
}


def after(act: Act, version: Standing, who: str, roles: Collection[str], now: int) -> Stage | No:
    """Where it stands then."""
    stages, wanted, to = _FROM[act]
    if version.stage not in stages:
        return No(NOT_NOW)
    if wanted.isdisjoint(roles):
        return No(NO_ROLE)
    if act is Act.APPROVE and among(who, version.authors):
        return No(WRITER_REVIEWS)
    if act in (Act.SUBMIT, Act.APPROVE, Act.PUBLISH):
        if version.withdraw_at is not None and version.withdraw_at <= now:
            return No(OVER)
        if _crossed(version.publish_at, version.withdraw_at):
            return No(TIMES_CROSSED)
    if act is Act.PUBLISH and version.publish_at is not None and version.publish_at > now:
        return No(NOT_YET)
    return to


def _crossed(publish_at: int | None, withdraw_at: int | None) -> bool:
    return publish_at is not None and withdraw_at is not None and withdraw_at <= publish_at


def allowed(version: Standing, who: str, roles: Collection[str], now: int) -> list[Act]:
    """What somebody may do with it now."""
    return [act for act in Act if not isinstance(after(act, version, who, roles, now), No)]


def due(version: Standing, now: int) -> Act | None:
    """What the clock does with it now."""
    over = version.withdraw_at is not None and version.withdraw_at <= now
    if version.stage in (Stage.PUBLISHED, Stage.APPROVED) and over:
        return Act.WITHDRAW
    if version.stage is Stage.APPROVED and version.publish_at is not None and version.publish_at <= now:
        return Act.PUBLISH
    return None

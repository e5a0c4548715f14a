"""The life of a text: every act at every stage, and who may."""

from itertools import product

import pytest

from intranet_bridge.content import life
from intranet_bridge.content.life import EDIT, REVIEW, Act, No, Stage, Standing, after, allowed, due

NOW = 1_790_000_000_000
MAY: dict[tuple[Stage, Act], tuple[Stage, set[str]]] = {
    (Stage.DRAFT, Act.SAVE): (Stage.DRAFT, {EDIT}),
    (Stage.DRAFT, Act.SUBMIT): (Stage.IN_REVIEW, {EDIT}),
    (Stage.IN_REVIEW, Act.BACK): (Stage.DRAFT, {EDIT, REVIEW}),
    (Stage.IN_REVIEW, Act.APPROVE): (Stage.APPROVED, {REVIEW}),
    (Stage.APPROVED, Act.BACK): (Stage.DRAFT, {EDIT, REVIEW}),
    (Stage.APPROVED, Act.PUBLISH): (Stage.PUBLISHED, {EDIT, REVIEW}),
    **{(stage, Act.WITHDRAW): (Stage.WITHDRAWN, {EDIT, REVIEW}) for stage in Stage if stage is not Stage.WITHDRAWN},
}


@pytest.mark.parametrize(("stage", "act", "role"), list(product(Stage, Act, (EDIT, REVIEW))))
def test_each_act_has_its_stages_and_its_role(stage: Stage, act: Act, role: str) -> None:
    found = after(act, Standing(stage, ("li",)), "wang", {role}, NOW)
    if (stage, act) in MAY and role in MAY[stage, act][1]:
        assert found is MAY[stage, act][0]
    else:
        assert isinstance(found, No)


def test_who_wrote_any_of_it_does_not_approve_it() -> None:
    version = Standing(Stage.IN_REVIEW, ("li", "wang"))
    assert after(Act.APPROVE, version, "wang", {EDIT, REVIEW}, NOW) == No(life.WRITER_REVIEWS)
    assert after(Act.APPROVE, version, "zhao", {EDIT, REVIEW}, NOW) is Stage.APPROVED


def test_nothing_is_published_before_its_time_or_after_it() -> None:
    def published(publish_at: int | None, withdraw_at: int | None) -> Stage | No:
        version = Standing(Stage.APPROVED, ("li",), publish_at, withdraw_at)
        return after(Act.PUBLISH, version, "wang", {REVIEW}, NOW)

    assert published(NOW + 1, None) == No(life.NOT_YET)
    assert published(NOW, None) is Stage.PUBLISHED
    assert published(None, NOW) == No(life.OVER)
    assert published(None, NOW + 1) is Stage.PUBLISHED
    crossed = Standing(Stage.DRAFT, ("li",), NOW + 5, NOW + 5)
    assert after(Act.SUBMIT, crossed, "li", {EDIT}, NOW) == No(life.TIMES_CROSSED)


@pytest.mark.parametrize(
    ("stage", "publish_at", "withdraw_at", "act"),
    [
        (Stage.APPROVED, NOW, None, Act.PUBLISH),
        (Stage.APPROVED, NOW + 1, None, None),
        (Stage.APPROVED, None, None, None),
        (Stage.APPROVED, NOW - 9, NOW, Act.WITHDRAW),
        (Stage.PUBLISHED, NOW - 9, NOW, Act.WITHDRAW),
        (Stage.PUBLISHED, NOW - 9, NOW + 1, None),
        (Stage.IN_REVIEW, NOW, NOW, None),
        (Stage.DRAFT, NOW, NOW, None),
    ],
)
def test_the_clock_does_what_is_due(
    stage: Stage, publish_at: int | None, withdraw_at: int | None, act: Act | None
) -> None:
    version = Standing(stage, ("li",), publish_at, withdraw_at)
    assert due(version, NOW) is act
    if act is not None:
        assert not isinstance(after(act, version, life.CLOCK, {EDIT, REVIEW}, NOW), No)


def test_a_page_shows_what_may_be_done() -> None:
    assert allowed(Standing(Stage.IN_REVIEW, ("li",)), "li", {EDIT, REVIEW}, NOW) == [Act.BACK, Act.WITHDRAW]
    assert allowed(Standing(Stage.DRAFT, ("li",)), "wang", {REVIEW}, NOW) == [Act.WITHDRAW]

"""Subscriptions to notices: by account, for the application that asks; the bridge itself keeps them."""

from typing import Annotated

from pydantic import Field

from protocol.operations.accounts import Consent
from protocol.operations.fields import AccountNumber, Model, Timestamp
from protocol.operations.notice_kinds import SUMMARIES, NoticeKind
from protocol.operations.operation import AnsweredBy, Family, Kind, Operation
from protocol.operations.refusals import Refusal

KindOfNotice = Annotated[
    NoticeKind,
    Field(strict=False, description="; ".join(f"`{kind}`: {english}" for kind, (english, _) in SUMMARIES.items())),
]
Kinds = Annotated[tuple[KindOfNotice, ...], Field(min_length=1, max_length=len(NoticeKind))]


class NoticeSubscribe(Model):
    """From now on tell this application of what happens to the account."""

    account: AccountNumber
    kinds: Kinds
    consent: Consent


class NoticeUnsubscribe(Model):
    """Tell it no more."""

    account: AccountNumber
    kinds: Kinds


class Subscription(Model):
    """One kind of notice that the application gets about the account."""

    kind: KindOfNotice
    since: Timestamp
    consent_version: Annotated[str, Field(max_length=40)]


class NoticeSubscriptionsQuery(Model):
    """What this application has subscribed to for an account."""

    account: AccountNumber


class Subscriptions(Model):
    """All that this application has subscribed to for the account, by now."""

    account: AccountNumber
    subscriptions: Annotated[tuple[Subscription, ...], Field(max_length=len(NoticeKind))]


SUBSCRIPTIONS_FULL = Refusal(
    "subscriptions-full", "The application has as many subscriptions as it may have", "该应用的订阅数已达上限"
)

FAMILY = Family(
    "Notices",
    "消息通知",
    "Subscriptions to notices: bills, arrears, outages, nodes of applications, closed work orders, payments",
    "订阅消息通知：账单、催费、停电、业扩节点、工单办结、缴费到账",
)
_CONSENT = {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}
_SUBSCRIBED = {
    "account": "3210000000001",
    "subscriptions": [
        {"kind": "bill-issued", "since": "2026-07-02T01:00:01Z", "consent_version": "2026-01"},
        {"kind": "outage-notice", "since": "2026-07-02T01:00:01Z", "consent_version": "2026-01"},
    ],
}
OPERATIONS = (
    Operation(
        name="notice-subscribe",
        kind=Kind.COMMAND,
        summary="Subscribe to kinds of notices about an account, with the customer's consent",
        summary_zh="订阅户号的消息通知（须客户授权）",
        request=NoticeSubscribe,
        response=Subscriptions,
        example={"account": "3210000000001", "kinds": ("bill-issued", "outage-notice"), "consent": _CONSENT},
        example_answer=_SUBSCRIBED,
        refusals=(SUBSCRIPTIONS_FULL,),
        scope="notices",
        ordering_key=lambda asked: asked.account,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="notice-unsubscribe",
        kind=Kind.COMMAND,
        summary="End subscriptions to kinds of notices about an account",
        summary_zh="退订户号的消息通知",
        request=NoticeUnsubscribe,
        response=Subscriptions,
        example={"account": "3210000000001", "kinds": ("arrears-reminder",)},
        example_answer=_SUBSCRIBED,
        scope="notices",
        ordering_key=lambda asked: asked.account,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="notice-subscriptions",
        kind=Kind.QUERY,
        summary="What the application has subscribed to for an account",
        summary_zh="查询户号的消息订阅",
        request=NoticeSubscriptionsQuery,
        response=Subscriptions,
        example={"account": "3210000000001"},
        example_answer=_SUBSCRIBED,
        scope="notices",
        answered_by=AnsweredBy.BRIDGE,
    ),
)

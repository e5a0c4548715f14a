"""Accounts: whose they are, binding one to an app's user, real-name verification, corrections of the archive.

Nothing here answers with an unmasked name, address or telephone number: the schemas refuse it, whoever was to mask it.
A binding needs proof: a match token, which an identity number with the mobile number of the archive gives, or a
one-time code, which the marketing system sends to that mobile number. What can be guessed at says so (`guessed`);
"no such identity" and "wrong mobile number" are one refusal.
"""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from protocol.operations.fields import (
    PERSONAL,
    AccountNumber,
    Address,
    Email,
    IdentityNumber,
    MaskedName,
    Model,
    PersonName,
    Timestamp,
)
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome
from protocol.operations.refusals import ACCOUNT_CLOSED, INVALID_FIELD, NO_SUCH_ACCOUNT, Refusal


def _mobile(value: str) -> str:
    if not re.fullmatch("1[3-9][0-9]{9}", value):
        raise ValueError("a mobile number is 11 digits and begins with 13 to 19")
    return value


def _masked_phone(value: str) -> str:
    if not re.fullmatch(r"\+?[0-9]{0,7}\*{4,12}[0-9]{0,4}", value):
        raise ValueError("a telephone number is answered masked: four digits or more in its middle are not shown")
    return value


def _masked_address(value: str) -> str:
    if "***" not in value or re.search(r"\d", value):
        raise ValueError("an address is answered masked: with ***, and without any number")
    return value


_PERSONAL_DATA = {"x-personal-data": True}

UserId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z._:@-]{1,64}$"),
    Field(description="The app's own id of its user, as it is", json_schema_extra=_PERSONAL_DATA),
    PERSONAL,
]
MobileNumber = Annotated[
    str,
    AfterValidator(_mobile),
    Field(
        description="A mobile number of the mainland: 11 digits",
        json_schema_extra={"pattern": "^1[3-9][0-9]{9}$"} | _PERSONAL_DATA,
    ),
    PERSONAL,
]
MaskedPhone = Annotated[
    str,
    StringConstraints(max_length=24),
    AfterValidator(_masked_phone),
    Field(description="A telephone number, masked", json_schema_extra=_PERSONAL_DATA),
    PERSONAL,
]
MaskedAddress = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(_masked_address),
    Field(description="The address of supply without its numbers", json_schema_extra=_PERSONAL_DATA),
    PERSONAL,
]
MatchToken = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z_-]{16,128}$"),
    Field(description="Proves a match for a few minutes, for this user alone", json_schema_extra=_PERSONAL_DATA),
    PERSONAL,
]
OneTimeCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4,8}$"),
    Field(description="The code that `account-code` sent", json_schema_extra=_PERSONAL_DATA),
    PERSONAL,
]


class Consent(Model):
    """What the customer agreed to, and when: without it nothing of the customer's may be used."""

    version: Annotated[
        str, StringConstraints(pattern=r"^[0-9A-Za-z._-]{1,40}$"), Field(description="Version of the consent text")
    ]
    at: Timestamp


class AccountStatus(StrEnum):
    """Whether an account is supplied."""

    ACTIVE = "active"
    CLOSED = "closed"


class ProfileQuery(Model):
    """Whose account it is, masked."""

    account: AccountNumber


class Profile(Model):
    """The answer to a query for an account's profile."""

    account: AccountNumber
    name: MaskedName
    address: MaskedAddress
    mobile: MaskedPhone | None = None
    """Absent: the archive has none."""
    status: Annotated[AccountStatus, Field(strict=False)]


class Match(Model):
    """Find the accounts of who has this identity number and this mobile number in the archive."""

    user: UserId
    identity_number: IdentityNumber
    mobile: MobileNumber
    consent: Consent


class Candidate(Model):
    """An account that matched."""

    account: AccountNumber
    name: MaskedName
    address: MaskedAddress


class Matched(Model):
    """The accounts that matched, and the token with which one of them is bound."""

    user: UserId
    token: MatchToken
    expires_at: Timestamp
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=100)]


class TokenQuery(Model):
    """The accounts of a match, once more."""

    user: UserId
    token: MatchToken


class Candidates(Model):
    """The answer to a query by match token."""

    user: UserId
    expires_at: Timestamp
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=100)]


class CodeOrder(Model):
    """Send a one-time code to the mobile number that the archive has of the account."""

    user: UserId
    account: AccountNumber


class CodeSent(Model):
    """A code is on its way; asked for again too soon, the one that was sent stays good."""

    user: UserId
    account: AccountNumber
    sent_to: MaskedPhone
    expires_at: Timestamp


class Binding(Model):
    """Bind an account to the app's user, by a match token or a one-time code."""

    user: UserId
    account: AccountNumber
    token: MatchToken | None = None
    code: OneTimeCode | None = None

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.token is None) == (self.code is None):
            raise ValueError("a binding needs token or code, one of them")
        return self


class Bound(Model):
    """The account is bound; to bind it again changes nothing."""

    user: UserId
    account: AccountNumber
    name: MaskedName
    bound_at: Timestamp


class Unbinding(Model):
    """End a binding."""

    user: UserId
    account: AccountNumber


class Unbound(Model):
    """The binding has ended."""

    user: UserId
    account: AccountNumber
    unbound_at: Timestamp


class UserQuery(Model):
    """What there is of the app's user."""

    user: UserId


class BoundAccount(Model):
    """One binding."""

    account: AccountNumber
    name: MaskedName
    address: MaskedAddress
    bound_at: Timestamp


class Bindings(Model):
    """The answer to a query for bindings; the oldest first."""

    user: UserId
    bindings: Annotated[tuple[BoundAccount, ...], Field(max_length=200)]


class RealNameState(Model):
    """The answer to a query whether a user's real name is verified."""

    user: UserId
    verified: bool
    name: MaskedName | None = None
    verified_at: Timestamp | None = None


class RealName(Model):
    """Verify that the user has this name and identity number in the archive."""

    user: UserId
    name: PersonName
    identity_number: IdentityNumber
    consent: Consent


class RealNameVerified(Model):
    """The name is verified."""

    user: UserId
    name: MaskedName
    verified_at: Timestamp


class ArchiveUpdate(Model):
    """Write back what a binding learned or the customer corrected: what is not given stays as it is."""

    user: UserId
    account: AccountNumber
    mobile: MobileNumber | None = None
    email: Email | None = None
    mailing_address: Address | None = None
    consent: Consent

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if self.mobile is None and self.email is None and self.mailing_address is None:
            raise ValueError("nothing is given that would change: mobile, email or mailing_address")
        return self


class ArchiveUpdated(Model):
    """The archive has it."""

    user: UserId
    account: AccountNumber
    updated: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^(mobile|email|mailing_address)$")], ...],
        Field(min_length=1, max_length=3, description="The fields that were given"),
    ]
    updated_at: Timestamp


NO_MATCH = Refusal("no-match", "The details given match no account", "所填信息与档案不符")
TOKEN_INVALID = Refusal("token-invalid", "The match token is not good for this, or no more", "匹配凭证无效或已过期")
CODE_INVALID = Refusal("code-invalid", "The one-time code is not good for this, or no more", "验证码错误或已失效")
TOO_MANY_CODES = Refusal("too-many-codes", "Too many codes were sent for the account today", "该户今日验证码次数已用完")
NOT_BOUND = Refusal("not-bound", "The account is not bound to this user", "该户未与此用户绑定")

FAMILY = Family(
    "Accounts",
    "客户与绑定",
    "Whose accounts they are, binding them, verifying names, correcting the archive",
    "户号档案、绑定与解绑、实名认证、档案补全",
)
_CONSENT = {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}
_CANDIDATE = {"account": "3210000000001", "name": "田*", "address": "云河市新港区滨河路***"}
OPERATIONS = (
    Operation(
        name="account-match",
        kind=Kind.COMMAND,
        summary="Find accounts by identity number and mobile number, with the customer's consent",
        summary_zh="凭身份证号与手机号匹配户号（须客户授权）",
        request=Match,
        response=Matched,
        example={
            "user": "demo-user",
            "identity_number": "990101196211080011",
            "mobile": "19900000001",
            "consent": _CONSENT,
        },
        example_answer={
            "user": "demo-user",
            "token": "demo-match-token-0001",
            "expires_at": "2026-07-02T09:10:00+08:00",
            "candidates": [_CANDIDATE],
        },
        refusals=(INVALID_FIELD, NO_MATCH),
        scope="accounts",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.user,
        guessed=("identity_number",),
    ),
    Operation(
        name="account-search",
        kind=Kind.QUERY,
        summary="The accounts of a match, by its token",
        summary_zh="凭匹配凭证查询候选户号",
        request=TokenQuery,
        response=Candidates,
        example={"user": "demo-user", "token": "demo-match-token-0001"},
        example_answer={
            "user": "demo-user",
            "expires_at": "2099-12-31T00:00:00+08:00",
            "candidates": [_CANDIDATE],
        },
        refusals=(TOKEN_INVALID,),
        scope="accounts",
    ),
    Operation(
        name="account-code",
        kind=Kind.COMMAND,
        summary="Send a one-time code to the mobile number that the archive has of an account",
        summary_zh="向户号预留手机发送验证码",
        request=CodeOrder,
        response=CodeSent,
        example={"user": "demo-user", "account": "3210000000004"},
        example_answer={
            "user": "demo-user",
            "account": "3210000000004",
            "sent_to": "199****0004",
            "expires_at": "2026-07-02T09:05:00+08:00",
        },
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, TOO_MANY_CODES),
        scope="accounts",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
        guessed=("account",),
    ),
    Operation(
        name="account-bind",
        kind=Kind.COMMAND,
        summary="Bind an account to the app's user, by match token or one-time code",
        summary_zh="绑定户号（匹配凭证或验证码）",
        request=Binding,
        response=Bound,
        example={"user": "demo-user", "account": "3210000000001", "token": "demo-match-token-0001"},
        example_answer={
            "user": "demo-user",
            "account": "3210000000001",
            "name": "田*",
            "bound_at": "2026-07-02T09:01:00+08:00",
        },
        refusals=(INVALID_FIELD, TOKEN_INVALID, CODE_INVALID),
        scope="accounts",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
        guessed=("account",),
    ),
    Operation(
        name="account-unbind",
        kind=Kind.COMMAND,
        summary="End a binding",
        summary_zh="解除绑定",
        request=Unbinding,
        response=Unbound,
        example={"user": "demo-user", "account": "3210000000002"},
        example_answer={
            "user": "demo-user",
            "account": "3210000000002",
            "unbound_at": "2026-07-02T09:02:00+08:00",
        },
        refusals=(INVALID_FIELD, NOT_BOUND),
        scope="accounts",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
    Operation(
        name="binding-list",
        kind=Kind.QUERY,
        summary="The accounts that are bound to a user",
        summary_zh="查询用户已绑定的户号",
        request=UserQuery,
        response=Bindings,
        example={"user": "demo-user"},
        example_answer={
            "user": "demo-user",
            "bindings": [
                {
                    "account": "3210000000003",
                    "name": "黄*",
                    "address": "云河市青石区中山路***",
                    "bound_at": "2026-07-01T09:00:00+08:00",
                }
            ],
        },
        refusals=(INVALID_FIELD,),
        scope="accounts",
    ),
    Operation(
        name="account-profile",
        kind=Kind.QUERY,
        summary="Whose account it is: name, address and mobile number, masked",
        summary_zh="查询户号档案（脱敏）",
        request=ProfileQuery,
        response=Profile,
        example={"account": "3210000000001"},
        example_answer={
            "account": "3210000000001",
            "name": "田*",
            "address": "云河市新港区滨河路***",
            "mobile": "199****0001",
            "status": "active",
        },
        refusals=(NO_SUCH_ACCOUNT,),
        scope="accounts",
    ),
    Operation(
        name="real-name-verify",
        kind=Kind.COMMAND,
        summary="Verify a user's name and identity number against the archive, with consent",
        summary_zh="实名认证（须客户授权）",
        request=RealName,
        response=RealNameVerified,
        example={
            "user": "demo-user",
            "name": "田娟",
            "identity_number": "990101196211080011",
            "consent": _CONSENT,
        },
        example_answer={"user": "demo-user", "name": "田*", "verified_at": "2026-07-02T09:03:00+08:00"},
        refusals=(INVALID_FIELD, NO_MATCH),
        scope="accounts",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.user,
        echoes={"user": "user"},  # the name is answered masked
        guessed=("identity_number",),
    ),
    Operation(
        name="real-name-state",
        kind=Kind.QUERY,
        summary="Whether a user's real name is verified",
        summary_zh="查询实名认证状态",
        request=UserQuery,
        response=RealNameState,
        example={"user": "demo-user"},
        example_answer={
            "user": "demo-user",
            "verified": True,
            "name": "田*",
            "verified_at": "2026-07-02T09:03:00+08:00",
        },
        refusals=(INVALID_FIELD,),
        scope="accounts",
    ),
    Operation(
        name="archive-update",
        kind=Kind.COMMAND,
        summary="Write what the customer corrected back to the archive, with consent: only what is given changes",
        summary_zh="补全或更正档案（须客户授权）",
        request=ArchiveUpdate,
        response=ArchiveUpdated,
        example={
            "user": "demo-user",
            "account": "3210000000003",
            "mailing_address": "云河市青石区中山路388号",
            "consent": _CONSENT,
        },
        example_answer={
            "user": "demo-user",
            "account": "3210000000003",
            "updated": ["mailing_address"],
            "updated_at": "2026-07-02T09:04:00+08:00",
        },
        refusals=(INVALID_FIELD, NOT_BOUND),
        scope="accounts",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
)

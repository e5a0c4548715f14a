"""A profile: what a file of some platform looks like, as data. A further one is a TOML file and no code.

What it says: the names such files have, how the text is packed and encoded, the lines before and after the rows, the
columns (found by the header's names, whatever their order; a file without a header has them by position), which values
of a column are payments and which are refunds, where each of them keeps its transaction, order, amount and time, and
which totals the file states of itself. `docs/how-to/statements.md` makes one from nothing.

Shipped profiles lie in `shipped/`; a site's own replaces one of the same name.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import time
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from intranet_bridge.settlement.statements.opening import Form
from protocol.errors import BridgeError


class ProfileError(BridgeError):
    """A profile that cannot be used; says which and why."""


class Kind(StrEnum):
    """What a row is."""

    PAY = "pay"
    REFUND = "refund"
    REVOKE = "revoke"
    """A refund by the channel itself, without a number."""
    INCOME = "in"
    OUTGO = "out"
    """Movements of an account, which clearing reads; they are matched with no order."""


class Status(StrEnum):
    """How far a refund is."""

    PROVEN = "proven"
    PENDING = "pending"
    FAILED = "failed"


class Unit(StrEnum):
    """How a column writes money."""

    YUAN = "yuan"
    """`12.3`."""
    FEN = "fen"
    """Digits."""
    SIGNED_FEN = "signed-fen"
    """`C` (to us) or `D` (from us) and digits."""


class Model(BaseModel):
    """Base of what a profile is made of: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression, matched whole."""


class Roles(Model):
    """Where a kind of row keeps what; each is a column's name."""

    transaction: str = ""
    """The platform's own number of the payment, of a refund that of the payment it refunds."""
    order: str = ""
    """Our order number."""
    refund: str = ""
    """Our number of the refund; needed where one payment may have several."""
    platform_refund: str = ""
    gross: str
    """What is compared with our books."""
    settled: str = ""
    """What the platform settles; feeds clearing."""
    fee: str = ""
    at: str
    """When it was completed."""
    account: str = ""
    month: str = ""
    bills: str = ""
    penalty: str = ""
    status: str = ""
    """Of a refund; `statuses` says what its values mean. Without it a row is proven."""
    negative: bool = False
    """`gross` and `settled` are written with a minus sign."""

    def columns(self) -> list[str]:
        """Every column named."""
        return [
            name for name in (
                self.transaction, self.order, self.refund, self.platform_refund, self.gross, self.settled, self.fee,
                self.at, self.account, self.month, self.bills, self.penalty, self.status,
            ) if name
        ]  # fmt: skip


class Layout(Model):
    """One set of columns a file may have."""

    name: str
    columns: tuple[str, ...] = Field(min_length=1)
    widths: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Bytes of each column, for fixed widths."""
    totals: tuple[str, ...] = ()
    """Names of the totals: a line of them ends the rows, the next has their values."""
    rows: dict[Kind, Roles]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        twice = [name for name, count in Counter(self.columns).items() if count > 1]
        if twice:
            raise ValueError(f"layout {self.name}: column {twice[0]} stands twice")
        if self.widths and len(self.widths) != len(self.columns):
            raise ValueError(f"layout {self.name}: {len(self.columns)} columns, {len(self.widths)} widths")
        for kind, roles in self.rows.items():
            for name in roles.columns():
                if name not in self.columns:
                    raise ValueError(f"layout {self.name}: rows.{kind} names the column {name}, which it has not")
        return self


class Kinds(Model):
    """Which rows are what, by a column's values; or, without a column, by which of two amounts is filled in."""

    column: str = ""
    values: dict[str, Kind] = {}
    only: Kind | None = None
    """All rows are this."""
    filled: dict[str, Kind] = {}
    """The column, of several, that is neither empty nor zero says it."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum((bool(self.column), self.only is not None, bool(self.filled))) != 1:
            raise ValueError("kinds: one of column, only and filled")
        if bool(self.column) != bool(self.values):
            raise ValueError("kinds: column and values go together")
        return self


class Total(Model):
    """Something the file states of itself."""

    value: str
    """A named group of a line before or after the rows, or a name of the layout's totals."""
    count: bool = False
    """It counts rows; else it is the sum of `sum`."""
    sum: str = ""
    """A column; one that the layout does not have sums to 0."""
    of: tuple[Kind, ...] = tuple(Kind)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.count == bool(self.sum):
            raise ValueError(f"total {self.value}: one of count and sum")
        return self


class HeadField(Model):
    """A field of a first line of fixed widths."""

    name: str
    width: Annotated[int, Field(gt=0)]


class Profile(Model):
    """What files of one platform and kind look like."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    channel: str
    names: tuple[Pattern, ...] = ()
    """File names, matched whole; the groups `day` (YYYYMMDD, YYYY-MM-DD or YYMMDD), `merchant`, `unit` are read."""
    due: Annotated[time, Field(strict=True)]
    """When, on the day after, the file should be there."""
    one_row: Literal["order", "line"] = "order"
    """What a row stands for; several lines make a payment."""
    container: tuple[Literal["plain", "gzip", "zip"], ...] = ("plain",)
    encoding: Literal["detect", "utf-8", "gb18030"] = "detect"
    separator: str = ""
    """Between the fields of a row; empty for fixed widths."""
    header_separator: str = ""
    """Between the header's names, where it is another."""
    gap: Annotated[int, Field(ge=0)] = 0
    """Blank bytes between fields of fixed width."""
    lead: str = ""
    """What a row starts with, before its first value."""
    quoted: bool = False
    """A value with the separator in it stands in quotation marks."""
    trailing: bool = False
    """A row ends with a separator."""
    header: bool = True
    """The columns' names stand in the file."""
    comment: str = ""
    """What lines that are not rows start with."""
    head: tuple[Pattern, ...] = ()
    """Lines before the rows, in this order; the first tells a member of a ZIP. Groups are read."""
    head_fields: tuple[HeadField, ...] = ()
    """Or a first line of fixed widths."""
    end: Pattern | Literal[""] = ""
    """The line after the last row; a file without it is cut off."""
    tail: tuple[Pattern, ...] = ()
    """Lines after that; each must be there."""
    thousands: bool = False
    """`1,234.56` is an amount too."""
    time_format: str = "%Y-%m-%d %H:%M:%S"
    """As strptime has it; without a year it is the statement's."""
    rows_on_the_day: bool = True
    """Every row is of the statement's day, midnight to midnight."""
    fee_negative: bool = False
    """What we pay is written with a minus sign."""
    merchant_column: str = ""
    currency_column: str = ""
    currency: str = "CNY"
    bills: Pattern | Literal[""] = ""
    """Of the column `bills`: one bill in it."""
    bills_count: str = ""
    """The column that says how many they are."""
    units: dict[str, Unit] = {}
    """Columns that do not write money as yuan."""
    kinds: Kinds
    statuses: dict[str, Status] = {}
    key: tuple[str, ...] = ()
    """Columns that tell rows of one transaction apart, where a row is a line."""
    totals: tuple[Total, ...] = ()
    no_statement: tuple[str, ...] = ()
    """What a platform answers in place of a file when the day had nothing."""
    being_made: tuple[str, ...] = ()
    """What it answers while the file is being made."""
    layouts: tuple[Layout, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        fixed = not self.separator
        for layout in self.layouts:
            if fixed != bool(layout.widths):
                raise ValueError(f"layout {layout.name}: widths and no separator, or a separator and no widths")
            if layout.totals and (self.end or not self.header):
                raise ValueError(f"layout {layout.name}: a line of totals' names ends the rows, no pattern besides")
            named = set(self.kinds.values.values()) | set(self.kinds.filled.values())
            if self.kinds.only is not None:
                named.add(self.kinds.only)
            lacking = [kind for kind in layout.rows if kind not in named]
            if lacking:
                raise ValueError(f"layout {layout.name}: no value of kinds is {lacking[0]}")
        if len(self.layouts) > 1 and not self.header:
            raise ValueError("several layouts are told apart by the header")
        if fixed and (self.header or self.quoted or self.trailing):
            raise ValueError("fixed widths: neither a header nor quotation marks nor a last separator")
        if self.head_fields and self.head:
            raise ValueError("one of head and head_fields")
        groups = {name for pattern in (*self.head, *self.tail) for name in re.compile(pattern).groupindex}
        groups |= {field.name for field in self.head_fields}
        for total in self.totals:
            if total.value not in groups and not any(total.value in layout.totals for layout in self.layouts):
                raise ValueError(
                    f"total {total.value}: neither a group of head or tail nor a name of a layout's totals"
                )
        return self

    def form(self) -> Form:
        """How its files come."""
        return Form(self.name, self.container, self.encoding, self.head[0] if self.head else "")


def shipped() -> dict[str, Profile]:
    """The profiles that come with the product, by name."""
    found = sorted(
        (item for item in files(__package__).joinpath("shipped").iterdir() if item.name.endswith(".toml")),
        key=lambda item: item.name,
    )
    return _collected({item.name: item.read_text("utf-8") for item in found})


def configured(folder: Path | None) -> dict[str, Profile]:
    """Shipped profiles and a site's own, which replace those of the same name. Raises ProfileError."""
    if folder is None:
        return shipped()
    if not folder.is_dir():
        raise ProfileError(f"{folder} is no folder")
    try:
        texts = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.toml"))}
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"profiles in {folder}: {error}") from None
    return shipped() | _collected(texts)


def parsed(text: str, source: str) -> Profile:
    """A profile from TOML; `source` names it in errors. Raises ProfileError."""
    try:
        return Profile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{source}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ProfileError(f"{source}: {where + ': ' if where else ''}{first['msg']}") from None


def _collected(texts: Mapping[str, str]) -> dict[str, Profile]:
    profiles: dict[str, Profile] = {}
    for source, text in texts.items():
        profile = parsed(text, source)
        if profile.name in profiles:
            raise ProfileError(f"{source}: there are two profiles {profile.name}")
        profiles[profile.name] = profile
    return profiles

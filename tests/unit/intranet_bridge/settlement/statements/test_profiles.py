"""Profiles: shipped ones, a site's own, and what is wrong with one; names of files."""

import re
from datetime import date
from pathlib import Path

import pytest

from intranet_bridge.settlement.statements.names import said, tidy
from intranet_bridge.settlement.statements.profiles import ProfileError, configured, parsed, shipped
from intranet_bridge.settlement.statements.verdicts import Code, StatementRefused
from tests.unit.intranet_bridge.settlement.statements.reads import PROFILES, refused, taken

OWN = """
name = "bank"
channel = "bank"
names = ['pay(?P<day>[0-9]{8})\\.csv']
due = 09:00:00
separator = ","
kinds = { only = "pay" }
[[layouts]]
name = "bank"
columns = ["day", "number", "amount"]
rows.pay = { transaction = "number", gross = "amount", at = "day" }
"""


def test_shipped() -> None:
    assert list(shipped()) == [
        "alipay-fund", "alipay-trade", "unionpay-zm", "utility-dsdz", "utility-fixed", "utility-paycheck",
        "wechat-trade",
    ]  # fmt: skip
    assert sum(PROFILES["unionpay-zm"].layouts[0].widths) == 436


def test_a_site_adds_its_own_and_replaces(tmp_path: Path) -> None:
    (tmp_path / "bank.toml").write_text(OWN)
    (tmp_path / "ours.toml").write_text(OWN.replace('"bank"', '"utility-dsdz"', 1))
    found = configured(tmp_path)
    assert found.keys() == shipped().keys() | {"bank"}
    assert found["utility-dsdz"].channel == "bank"
    assert configured(None).keys() == shipped().keys()


def test_two_profiles_of_one_name(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(OWN)
    with pytest.raises(ProfileError, match="there are two profiles bank"):
        configured(tmp_path)


@pytest.mark.parametrize(
    ("was", "now", "error"),
    [
        ('gross = "amount"', 'gross = "sum"', "rows.pay names the column sum, which it has not"),
        ('only = "pay"', 'only = "refund"', "no value of kinds is pay"),
        ('only = "pay"', 'only = "pay", column = "day"', "one of column, only and filled"),
        ('separator = ","', "", "widths and no separator"),
        ('"number", "amount"]', '"number", "amount", "day"]', "column day stands twice"),
        ("due = 09:00:00", "due = 9", "due"),
        ("[[layouts]]", "unknown = 1\n[[layouts]]", "unknown"),
        ("[[layouts]]", 'totals = [{ value = "n", count = true }]\n[[layouts]]', "total n: neither"),
        ("[[layouts]]", "head = ['(']\n[[layouts]]", "no regular expression"),
        ("[[layouts]]", "[[layouts", "own.toml: "),
    ],
)
def test_what_is_wrong_with_a_profile(was: str, now: str, error: str) -> None:
    with pytest.raises(ProfileError, match=r"^own\.toml: ") as refused:
        parsed(OWN.replace(was, now, 1), "own.toml")
    assert error in str(refused.value)


@pytest.mark.parametrize(
    ("name", "profile", "day", "merchant"),
    [
        ("20880000000000010156_20261124.csv.zip", "alipay-trade", date(2026, 11, 24), "20880000000000010156"),
        ("20880000000000010156_20261124_业务明细.csv", "alipay-trade", date(2026, 11, 24), "20880000000000010156"),
        ("1900000001_ALL_2026-11-24.csv.gz", "wechat-trade", date(2026, 11, 24), "1900000001"),
        ("INN26112488ZM_777000000000001", "unionpay-zm", date(2026, 11, 24), "777000000000001"),
        ("SDDL_DSDZ_ 37101_20261124.txt", "utility-dsdz", date(2026, 11, 24), "SDDL"),
    ],
)
def test_names(name: str, profile: str, day: date, merchant: str) -> None:
    found = said(name, PROFILES[profile])
    assert (found.day, found.merchant) == (day, merchant)
    assert " " not in found.name


@pytest.mark.parametrize("name", ["../x", "a\\b", "a\nb", "a\x00", "", " ", "a\u3000b", "a\u202eb", ".x", "x" * 300])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(StatementRefused) as refused:
        tidy(name)
    assert refused.value.code is Code.WRONG_NAME


@pytest.mark.parametrize("name", ["SDDL_DSDZ_37101_20261124.csv", "SDDL_DSDZ_37101_20261331.txt"])
def test_names_of_others(name: str) -> None:
    with pytest.raises(StatementRefused):
        said(name, PROFILES["utility-dsdz"])


DOCS = Path(__file__).parents[5] / "docs"


@pytest.mark.parametrize("page", ["how-to/statements.md", "zh/how-to/statements.md"])
def test_worked_example_of_the_documents(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    file, profile = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("text", "toml"))
    assert file is not None
    assert profile is not None
    bank = parsed(profile[1], page)
    assert said("ICBC_PAY_20261124.csv", bank).day == date(2026, 11, 24)
    summary, rows = taken(file[1].encode("gb18030"), bank)
    assert (summary.payments, summary.paid, summary.refunds, summary.refunded) == (2, 16050, 1, 900)
    assert rows[3].account == "0310000000001"
    assert refused(file[1].replace("151.50", "151.51").encode("gb18030"), bank)[0] is Code.TOTALS_MISMATCH
    assert refused(file[1].rsplit("\n", 2)[0].encode("gb18030"), bank)[0] is Code.INCOMPLETE

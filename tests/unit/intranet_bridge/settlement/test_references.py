"""What a setting names in another table is there, or the start says which is not, with its file and line."""

from pathlib import Path

import pytest

from intranet_bridge.settings import BridgeSettings
from intranet_bridge.settlement.statements.sources import check_cleared, sources_of
from protocol.errors import ConfigurationError
from protocol.runtime.settings import load, naming
from tests.support.shipped import copied

GOOD = """
[files.targets]
finance = "front-1"
bank = "front-1"
[files.profiles.bill]
names = "A_.*"
[files.profiles.account]
names = "C_.*"
[files.profiles.redkkk]
names = "SDDL_.*"
[settlement]
front = "front-1"
[settlement.peers.east]
trusted = "east.json"
[settlement.companies.power]
[settlement.companies.water]
region = "east"
[settlement.statements.files.bill]
profile = "wechat-trade"
company = "power"
merchants = ["1900000001", "1900000002"]
[settlement.statements.files.account]
profile = "alipay-fund"
company = "power"
[settlement.clearing]
target = "finance"
[settlement.clearing.channels.wechat]
company = "power"
statements = ["bill"]
[settlement.clearing.channels.wechat.merchants]
1900000002 = "water"
[settlement.clearing.arrivals.account]
company = "power"
channel = "wechat"
[settlement.withholding.bank-a]
org = "SDDL"
unit = "37101"
bank = "013"
company = "power"
target = "bank"
request_profile = "dkkk"
answer_profile = "redkkk"
[settlement.payments]
credit = ["water"]
[settlement.payments.channels.app]
plugin = "trusted-app"
applications = ["wechat"]
"""


def written(folder: Path, text: str) -> Path:
    """The shipped configuration with this beside its bindings."""
    main = copied(folder)
    (folder / "bindings" / "zz_money.toml").write_text(text, encoding="utf-8")
    return main


def test_all_that_is_there_is_found(tmp_path: Path) -> None:
    settings = load(written(tmp_path, GOOD), BridgeSettings)
    check_cleared(settings.settlement.clearing, sources_of(settings.settlement.statements))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('region = "east"', 'region = "west"', "companies.water.region: settlement.peers has no west"),
        (
            'company = "power"\nmerchants',
            'company = "gas"\nmerchants',
            "bill.company: settlement.companies has",
        ),
        (
            'company = "power"\nstatements',
            'company = "gas"\nstatements',
            "wechat.company: settlement.companies",
        ),
        ('1900000002 = "water"', '1900000002 = "gas"', "wechat.merchants.1900000002: settlement.companies has no gas"),
        (
            '1900000002 = "water"',
            '1900000003 = "water"',
            "merchants.1900000003: settlement.statements.files",
        ),
        (
            'company = "power"\nchannel',
            'company = "gas"\nchannel',
            "account.company: settlement.companies has",
        ),
        ('company = "power"\ntarget', 'company = "gas"\ntarget', "bank-a.company: settlement.companies has no gas"),
        ('credit = ["water"]', 'credit = ["gas"]', "payments.credit.0: settlement.companies has no gas"),
        ('target = "bank"', 'target = "bnak"', "bank-a.target: files.targets has no bnak; did you mean bank"),
        ('"redkkk"', '"dkkk"', "bank-a.answer_profile: files.profiles has no dkkk"),
        ('target = "finance"', 'target = "accounts"', "settlement.clearing.target: files.targets has no accounts"),
        (
            "[settlement.statements.files.account]",
            "[settlement.statements.files.acount]",
            "profiles has no acount",
        ),
        ('statements = ["bill"]', 'statements = ["bil"]', "statements.0: settlement.statements.files has no bil; did"),
        ("[settlement.clearing.arrivals.account]", "[settlement.clearing.arrivals.bank]", "files has no bank"),
        ('channel = "wechat"', 'channel = "alipay"', "account.channel: settlement.clearing.channels has no alipay"),
    ],
)
def test_what_is_not_there_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert GOOD.count(old) == 1
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigurationError) as told:
        load(path, BridgeSettings)
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    where = tmp_path / "bindings" / "zz_money.toml"
    assert str(told.value).startswith(f"{where}:{line}: settlement."), told.value
    assert complaint in str(told.value)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"alipay-fund"', '"alipay-find"', "files.account.profile: there is no profile alipay-find"),
        ('["bill"]', '["account"]', "wechat.statements.0: account is a statement of the channel alipay"),
    ],
)
def test_what_takes_the_profiles_is_named_likewise(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = GOOD.replace(old, new).replace('1900000002 = "water"', "")
    path = written(tmp_path, text)
    settings = load(path, BridgeSettings)
    with pytest.raises(ConfigurationError) as told, naming(path, settings):
        check_cleared(settings.settlement.clearing, sources_of(settings.settlement.statements))
    line = text[: text.index(new)].count("\n") + 1
    assert str(told.value).startswith(f"{tmp_path / 'bindings' / 'zz_money.toml'}:{line}: settlement."), told.value
    assert complaint in str(told.value)

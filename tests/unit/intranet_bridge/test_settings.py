"""The configuration: what is shipped is in order; mistakes are named with their file and line."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge import command_line
from intranet_bridge.marketing.http.binding import HttpSystem
from intranet_bridge.settings import BridgeSettings
from protocol.errors import ConfigurationError
from protocol.operations import CATALOGUE, OWN
from protocol.runtime.maintenance import MaintenanceSection
from protocol.runtime.settings import load
from tests.support.shipped import BINDINGS, BRIDGE, copied
from tests.unit.installed import install

ROOT = Path(__file__).parents[3]


def changed(folder: Path, old: str, new: str) -> Path:
    return copied(folder, old, new)


def test_the_shipped_file_is_in_order_and_binds_the_whole_catalogue() -> None:
    settings = load(BRIDGE, BridgeSettings)
    assert set(settings.operations) == set(CATALOGUE) - OWN
    assert isinstance(settings.marketing, HttpSystem)
    assert settings.marketing.authentication is not None
    assert settings.marketing.authentication.token_file == BRIDGE.parent / "marketing.token"


def test_the_shipped_values_are_the_defaults() -> None:
    settings = load(BRIDGE, BridgeSettings)
    for name in ("queries", "commands", "breaker"):
        section = getattr(settings, name)
        assert section == type(section)()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("slots = 64", "slot = 64", "queries.slot: unknown key; did you mean queries.slots"),
        ("[operations.bill-query]", "[operations.bill-inquiry]", "not an operation of the catalogue"),
        ("    amount: rcvblAmt,\n        penalty", "    penalty", 'operations."bill-query.v2".response: leaves out'),
        ('request = "{consNo: account}"', 'request = "{consNo: account"', "not a JMESPath expression"),
        ('request = "{consNo: account}"', 'request = "lower(account)"', "unknown function lower"),
        (
            'request = "{consNo: account}"',
            'request = "{consNo: acount}"',
            "account-profile.request: there is no field acount",
        ),
        (
            "when = \"rtnCode != '0000'\"",
            "when = 'rtnCode != \"0000\"'",
            'account-match.refusal.when: "0000" names a field',
        ),
        ("    total: totAmt,\n", "", "arrears-query.response: leaves out the required field total"),
        ("translate('type', type)", "translate('kind', type)", "table under values"),
        ('path = "/api/bill/query"', 'path = "api/bill/query"', "a path begins with /"),
        ('url = "http://127.0.0.1:8090"', 'url = "http://user:secret@host"', "credentials do not belong"),
        ('url = "http://127.0.0.1:8090"', 'url = "ftp://host"', "must be http"),
        ('path = "/api/bill/query"', 'path = "/api/bill%query"', "a path begins with /"),
        ("retention_days = 30", "retention_days = 7", "at least 7.5"),
        ("not_found = \"rtnCode == '1010'\"", "", "not_found: is missing"),
        ('host = "127.0.0.1"', 'host = "10.0.0.1"', "loopback"),
        ('"1004" = "no-such-account"', '"1004" = "No such account"', "pattern"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(ConfigurationError, match=complaint) as told:
        load(path, BridgeSettings)
    [where] = [file for file in (path, *path.parent.glob("bindings/*")) if str(told.value).startswith(f"{file}:")]
    assert new.partition(" = ")[0] in where.read_text(encoding="utf-8")
    if "retention" not in old:  # said of the file as a whole
        assert told.value.line
    assert "secret" not in str(told.value)


def test_check_config_warns_of_tests_that_are_true_of_an_empty_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path)
    path = changed(tmp_path, "not_found = \"rtnCode == '1010'\"", 'not_found = "data == `null`"')
    command_line.main(["--config", str(path), "--check-config"])
    told = capsys.readouterr()
    assert re.search(r"warning: operations\.[a-z-]+\.inquire\.not_found: is true of \{\}", told.err)
    assert f"{len(set(CATALOGUE) - OWN)} operations bound" in told.out


def test_check_config_warns_of_what_is_bound_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    (tmp_path / "bindings" / "theft.toml").unlink()
    command_line.main(["--config", str(tmp_path / BRIDGE.name), "--check-config"])
    assert "warning: operations: bound to nothing, so callers get 502: theft-report, theft-report-progress\n" in (
        capsys.readouterr().err
    )


def test_an_inquired_operation_needs_its_inquiry(tmp_path: Path) -> None:
    whole = (BINDINGS / "work_orders.toml").read_text(encoding="utf-8")
    path = copied(tmp_path, whole[whole.index("[operations.work-order.inquire]") :])
    with pytest.raises(ConfigurationError, match=r"needs \[operations\.work-order\.inquire\]"):
        load(path, BridgeSettings)


def test_check_config_reads_every_file_and_exits_2_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--config", str(tmp_path / "intranet_bridge.toml"), "--check-config"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert "ca.pem" in told


def test_the_other_side_s_keyring_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    path = changed(tmp_path, "keys/bridge.keyring", "keys/front.keyring")
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--config", str(path), "--check-config"])
    assert ended.value.code == 2
    line = path.read_text(encoding="utf-8").splitlines().index(
        'keyring = "keys/front.keyring"  # made by `bridgectl keys init`; readable by this service alone'
    )  # fmt: skip
    place = f"({path}:{line + 1}: keys.keyring)"
    assert capsys.readouterr().err == f"error: {tmp_path}/keys/front.keyring: is not a bridge's keyring {place}\n"


def test_the_unit_gives_nothing_away() -> None:
    unit = (ROOT / "config" / "systemd" / "intranet-bridge.service").read_text()
    for line in ("Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "SocketBindDeny=any"):
        assert line in unit.splitlines()


def test_a_window_of_what_is_not_bound_is_doubtful(tmp_path: Path) -> None:
    window = {"operations": ["*", "faq"], "from": "01:00", "to": "02:00"}
    settings = load(copied(tmp_path), BridgeSettings).model_copy(
        update={"maintenance": MaintenanceSection.model_validate({"zone": "Asia/Shanghai", "windows": [window]})}
    )
    assert settings.doubts() == []
    left = settings.model_copy(update={"operations": {"bill-query": settings.operations["bill-query"]}})
    assert left.doubts() == ["maintenance.windows: faq is not bound here, so that it is not paused"]


@pytest.mark.parametrize(
    ("settlement", "complaint"),
    [
        ({"peers": {"east": {"trusted": "x"}}}, r"needs settlement\.front"),
        ({"front": "front-1", "companies": {"water": {"region": "east"}}}, r"settlement\.peers has no east"),
        ({"front": "front-1", "peers": {"east": {"trusted": "x", "operations": ["qr-issue"]}}}, "qr-issue is not"),
    ],
)
def test_companies_of_other_regions_are_reached(settlement: dict[str, Any], complaint: str) -> None:
    values: dict[str, Any] = {
        "link": {"brokers": ["localhost:1"], "ca": "x", "certificate": "x", "key": "x"},
        "keys": {"keyring": "x", "trusted": "x"}, "store": {"file": "x"}, "marketing": {"url": "http://localhost:1"},
        "operations": {"bill-query": {"path": "/", "response": "@"}},
    }  # fmt: skip
    with pytest.raises(ValidationError, match=complaint):
        BridgeSettings.model_validate(values | {"settlement": settlement})
    good = {"front": "front-1", "peers": {"east": {"trusted": "x"}}, "companies": {"water": {"region": "east"}}}
    assert BridgeSettings.model_validate(values | {"settlement": good}).settlement.front == "front-1"


IMPORT = """
[imports.texts]
cron = "30 2 * * *"
system = "old"
query = "SELECT number FROM news WHERE number > :cursor"
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "complaint"),
    [
        ("retention_days = 30", "retention_days = 7", "store.retention_days", "must be at least 7.5"),
        (
            "[breaker]", '[settlement]\nfront = "front-2"\n[fronts.wechat]\n[breaker]', "settlement.front",
            "fronts has no front-2; there are: wechat",
        ),
        ("window = 8", 'targets = { bank = "wechta" }', "files.targets.bank", "did you mean wechat?"),
        (
            "slow_ms = 1000", 'windows = [{ from = "05:30", to = "08:00" }]', "hot.prequery.windows",
            "needs maintenance.zone",
        ),
        (
            "[breaker]", '[pushes.tables.bills]\nsystem = "old"\nquery = "SELECT :cursor"\n[breaker]',
            "pushes.tables.bills.system", "there is no system 'old'; there are: marketing",
        ),
        ("[breaker]", IMPORT + "[breaker]", "imports.texts.cron", "needs maintenance.zone"),
    ],
)  # fmt: skip
def test_what_one_table_says_of_another_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, place: str, complaint: str
) -> None:
    file = copied(tmp_path)
    text = file.read_text(encoding="utf-8")
    if "wechta" in new:
        text += "\n[fronts.wechat]\n"
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load(file, BridgeSettings)
    assert re.match(rf"{file}:\d+: {re.escape(place)}: .*{re.escape(complaint)}", str(raised.value)), raised.value


TABLES = """
[maintenance]
zone = "Asia/Shanghai"
[systems.old]
adapter = "sql"
file = "old.sqlite3"
"""
IMPORT_OF_OLD = """
[imports.texts]
cron = "30 2 * * *"
system = "old"
query = "SELECT number FROM news WHERE number > :cursor"
"""
ASKING = '[imports.texts]\ncron = "30 2 * * *"\noperation = "news-list"\n'
QR = '[qr]\nbase = "https://a.cn/q/"\nutility = "power"\nkeys = "qr.keys"\npages.bill = "https://a.cn/b"\n'
RULE = '[[settlement.risk.rules]]\nname = "many"\nmeasure = "orders"\nabove = 5\nwindow_s = 60\nthen = "refuse"\n'
CHANNEL = '[settlement.payments.channels.kiosk]\nplugin = "simulated"\n'
WECHAT = (
    '[settlement.payments.channels.NAME]\nplugin = "wechat-v3"\nplatform_keys = { K = "k" }\napi_v3_key = "v"\n'
    'merchants = ["1900000001"]'
)
ALIPAY = (
    '[settlement.payments.channels.NAME]\nplugin = "alipay-rsa2"\npublic_keys = ["k"]\napp_ids = ["a"]\n'
    'merchants = ["2088"]'
)
SOAP = '[systems.soap]\nadapter = "soap"\nwsdl = "x.wsdl"\n'


@pytest.mark.parametrize(
    ("tables", "place", "complaint"),
    [
        (ASKING + "requests = [\n{ page = 1 },\n{ page = 0 },  #!\n]", "imports.texts.requests.1.page", "news-list"),
        (ASKING + 'requests = [{}]\nmode = "incremental"  #!', "imports.texts.mode", "has no cursor"),
        (ASKING.replace("news-list", 'news-lits"  #!"'), "imports.texts.operation", "belong together"),
        (
            ASKING.replace("news-list", 'news-lits"  #!"') + "requests = [{}]", "imports.texts.operation",
            "did you mean news-list?",
        ),
        (IMPORT_OF_OLD.replace("query", "#").replace('"old"', '"old"  #!'), "imports.texts.system", "is no query"),
        (IMPORT_OF_OLD + "start = 1.5  #!", "imports.texts.start", "valid integer"),
        (IMPORT_OF_OLD + "answers.outlet.response = '@'  #!", "imports.texts.answers.outlet", "mean outlets?"),
        (
            IMPORT_OF_OLD + "[imports.texts.answers.faq]\nresponse = '@'\nwhere = { categry = ['a'] }  #!",
            "imports.texts.answers.faq.where.categry", "did you mean category?",
        ),
        (
            IMPORT_OF_OLD + "[imports.texts.answers.faq]\nresponse = '@'\nsort = 'a'  #!\nby = 'category'",
            "imports.texts.answers.faq.sort", "chooses among all rows",
        ),
        (
            IMPORT_OF_OLD + "[imports.texts.answers.faq]\nresponse = '@'\nnone = 'no-such-faq'  #!",
            "imports.texts.answers.faq.none", "no-such-faq is no refusal",
        ),
        (
            IMPORT_OF_OLD + "personal = false  #!\n[imports.texts.answers.balance-query]\nresponse = '@'",
            "imports.texts.personal", "balance-query tells of customers",
        ),
        (
            IMPORT_OF_OLD + "[imports.texts.answers.faq]\nby = 'category'\nresponse = '''  #!\n[0].{\na = 1'''\n",
            "imports.texts.answers.faq.response", "not a JMESPath expression",
        ),
        (QR + 'page = "bills"  #!', "qr.page", "bills is not one of pages: bill"),
        (QR + "pixels_per_module = 3  #!", "qr.pixels_per_module", "0.25 mm"),
        (RULE + RULE.replace("many", 'many"  #!"', 1), "settlement.risk.rules.1.name", "is called many too"),
        (RULE + RULE.replace("many", "few") + "in_list = 'x'  #!", "settlement.risk.rules.1.in_list", "is not of"),
        (
            RULE.replace('"orders"', '"listed"  #!').replace("above = 5\nwindow_s = 60\n", ""),
            "settlement.risk.rules.0.measure", "listed needs in_list",
        ),
        (CHANNEL.replace('"simulated"', '"simulated"  #!'), "settlement.payments.channels.kiosk.plugin", "needs key"),
        (
            CHANNEL + 'key = "k"\n' + CHANNEL.replace("kiosk", "till") + 'key = "k"  #!\n',
            "settlement.payments.channels.till.key", "are of channel kiosk too: one payment would count twice",
        ),
        (
            WECHAT.replace("NAME", "jsapi") + "\n" + WECHAT.replace("NAME", "app") + "  #!\n",
            "settlement.payments.channels.app.merchants", "are of channel jsapi too",
        ),
        (
            ALIPAY.replace("NAME", "life") + "\n" + ALIPAY.replace("NAME", "app") + "  #!\n",
            "settlement.payments.channels.app.merchants", "are of channel life too",
        ),
        (
            CHANNEL + 'key = "k"\nmerchants = ["a"]  #!', "settlement.payments.channels.kiosk.merchants",
            "is not of simulated",
        ),
        ('[settlement.statements]\nmissing_at = "00:30"  #!', "settlement.statements.missing_at", "before 01:00"),
        ('[[maintenance.windows]]\noperations = ["*"]\nfrom = "01:00"  \nmonth_days = [1,\n0]  #!', "", "1 to 31"),
        ('[settlement.companies.water]\naccount_pattern = "["  #!', "settlement.companies.water.account_pattern", "no"),
        ('[systems.o]\nadapter = {}  #!', "systems.o.adapter", "must be the name of an adapter"),
        ("[operations.faq]\nsystem = []  #!", "operations.faq.system", "there is no system []"),
        ("[fronts]\na = 1  #!", "fronts.a", "must be a table"),
        ("[fronts]\nA = 1  #!", "fronts.A", "is not a name"),
        ('[fronts.a]\ninstances = "x"  #!', "fronts.a.instances", "must be a list"),
        ("[fronts.a]\noperations = []  #!", "fronts.a.operations", "must not be empty"),
        ("[fronts.a]\nrate = true  #!", "fronts.a.rate", "must be a number"),
        ("[settlement.statements]\nprofiles = 1  #!", "settlement.statements.profiles", "must be the name of a file"),
        ('[fronts.a]\ninstances = ["x"]\n[fronts.b]\ninstances = ["x"]  #!', "fronts.b.instances", "[fronts.a] too"),
        (
            '[systems.o]\nurl = "http://h"\n[systems.o.login]\npath = "/"\npassword_file = "p"\ntoken = "t"\n'
            '[systems.o.login.place]\nheader = "A"\ncookie = "b"  #!', "systems.o.login.place.cookie", "header is",
        ),
        (
            '[systems.o]\nurl = "http://h"\n[systems.o.login]\npath = "/"\npassword_file = "p"\ntoken = "t"\n'
            'token_cookie = "b"  #!', "systems.o.login.token_cookie", "needs either token or token_cookie: not both",
        ),
        (
            '[systems.o]\nurl = "http://h"\n[systems.o.signature]\nkey_file = "k"\nheader = "X-S"\n'
            'string = "{body}{nonce}"  #!', "systems.o.signature.string", "no nonce_header tells it",
        ),
        (
            '[systems.o]\nurl = "http://h"\n[systems.o.headers]\nX-A = "1"\nx-a = "2"  #!', "systems.o.headers.x-a",
            "are the same header",
        ),
        (
            '[systems.o]\nurl = "http://h"\nauthentication = { token_file = "t", header = "X-A" }\n'
            '[systems.o.headers]\nx-a = "2"  #!', "systems.o.headers.x-a", "authentication.header sets the header",
        ),
        ('[systems.o]\nadapter = "sql"\nfile = "f"\npassword_file = "p"  #!', "systems.o.password_file", "neither"),
        (
            SOAP + '[systems.soap.basic]\npassword_file = "p"\nusername = "a:b"  #!', "systems.soap.basic.username",
            "has no colon",
        ),
    ],
)  # fmt: skip
def test_what_tables_say_wrong_is_named_with_the_line_of_the_setting(
    tmp_path: Path, tables: str, place: str, complaint: str
) -> None:
    file = copied(tmp_path, "[maintenance] ", "# ")
    text = file.read_text(encoding="utf-8") + TABLES + tables
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load(file, BridgeSettings)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "#!" in one)
    assert str(raised.value).startswith(f"{file}:{line}: {place}"), raised.value
    assert complaint in str(raised.value)


def test_an_expression_that_translates_by_no_table_is_named(tmp_path: Path) -> None:
    file = copied(tmp_path, 'request = "{consNo: account}"', "request = \"{consNo: translate('kinds', account)}\"")
    with pytest.raises(ConfigurationError, match=r"\.toml:\d+: operations\.account-profile\.request: .*'kinds'"):
        load(file, BridgeSettings)


LISTENERS = """
[metrics]
port = 9102
[pushes]
token_file = "t"
"""


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("port = 9102\nhost = 'localhost'", "pushes.port: is metrics.port too"),
        ("port = 8444\n[desk]\nenabled = true", "desk.port: is pushes.port too"),
        ("port = 8444\n[desk]\nenabled = false", ""),
        ("port = 9102\nhost = '127.0.0.2'", ""),
        ("port = 0\n[desk]\nenabled = true\nnetworks = []", "desk.networks: nobody is answered"),
        ("port = 0\n[desk]\nnetworks = []", ""),
    ],
)
def test_what_can_never_listen_or_answer_is_refused(tmp_path: Path, settings: str, complaint: str) -> None:
    file = copied(tmp_path)
    text = re.sub(r"(?ms)^\[(metrics|pushes|desk)\].*?(?=^\[|^# \[)", "", file.read_text(encoding="utf-8"))
    file.write_text(text + LISTENERS + settings, encoding="utf-8")
    if complaint:
        with pytest.raises(ConfigurationError, match=rf":\d+: {complaint}"):
            load(file, BridgeSettings)
    else:
        load(file, BridgeSettings)


@pytest.mark.parametrize(
    ("tables", "doubt"),
    [
        ("[settlement.payments.channels.a]\nplugin = 'simulated'\nkey = 'k'", "settlement.payments: there are no"),
        (TABLES + IMPORT_OF_OLD, "imports.texts: it has no answers"),
        (
            "[settlement.companies.a]\n[settlement.statements.files.day]\nprofile = 'p'\ncompany = 'a'\n"
            "[files.profiles.day]\nnames = 'x'", "settlement.statements.files: files.enabled is false",
        ),
    ],
)  # fmt: skip
def test_what_never_does_anything_is_doubtful(tmp_path: Path, tables: str, doubt: str) -> None:
    file = copied(tmp_path, "[maintenance] ", "# ")
    assert not any(doubt in one for one in load(file, BridgeSettings).doubts())
    file.write_text(file.read_text(encoding="utf-8") + "\n" + tables, encoding="utf-8")
    assert any(one.startswith(doubt) for one in load(file, BridgeSettings).doubts())


@pytest.mark.parametrize(
    ("login", "complaint"),
    [
        ("token = 'to_string(a)'\ncode = 'to_number('", r"systems\.o\.login\.code: not a JMESPath"),
        ("token = 'join(`,`)'", r"systems\.o\.login\.token: "),
        ("token = 't'\nrequest = '{usr: usr}'", r"systems\.o\.login\.request: there is no field usr"),
        ("token = 't'", r"operations\.faq: the session's token goes nowhere"),
    ],
)
def test_a_log_in_that_cannot_be_meant_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], login: str, complaint: str
) -> None:
    install(tmp_path)
    (tmp_path / "p").write_text("secret")
    file = tmp_path / BRIDGE.name
    tables = f"[systems.o]\nurl = 'http://h'\n[systems.o.login]\npath = '/'\npassword_file = 'p'\n{login}\n"
    file.write_text(file.read_text(encoding="utf-8") + tables, encoding="utf-8")
    public = tmp_path / "bindings" / "public.toml"
    text = public.read_text(encoding="utf-8")
    public.write_text(text.replace("[operations.faq]\n", "[operations.faq]\nsystem = 'o'\n"), encoding="utf-8")
    with pytest.raises(SystemExit):
        command_line.main(["--config", str(file), "--check-config"])
    assert re.search(rf"error: \S+\.toml:\d+: {complaint}", told := capsys.readouterr().err), told


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (
            "[settlement.statements]\nprofiles = 'none'",
            r":\d+: settlement.statements.profiles: \S+ is no folder",
        ),
        (
            "[tracing]\nendpoint = 'https://h'\nca = 'none'",
            r"/none: cannot be read: .*\(\S+:\d+: tracing.ca\)",
        ),
        (
            "[backup]\nfolder = 'marketing.token'",
            r": is a file; a folder belongs here \(\S+:\d+: backup",
        ),
        ("[systems.d]\nadapter = 'sql'\nfile = 'none'", r"warning: systems.d.file: \S+/none is not there"),
        (
            "[settlement]\nfront = 'front-1'\n[settlement.peers.east]\ntrusted = 'none'",
            r"error: \S+/none: is not there \(\S+:\d+: settlement.peers.east.trusted\)",
        ),
    ],
)
def test_files_that_are_needed_later_are_looked_at_by_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tables: str, told: str
) -> None:
    install(tmp_path)
    file = tmp_path / BRIDGE.name
    text = re.sub(r"(?ms)^\[(tracing|backup)\].*?(?=^\[)", "", file.read_text(encoding="utf-8"))
    file.write_text(text + "\n" + tables, encoding="utf-8")
    with contextlib.suppress(SystemExit):
        command_line.main(["--config", str(file), "--check-config"])
    assert re.search(told, said := capsys.readouterr().err), said

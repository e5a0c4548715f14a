"""The language bridgectl speaks: which one is chosen, and that its Chinese lacks nothing."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest

from bridgectl import language
from bridgectl.cells import left, width, wrapped
from bridgectl.output import table
from bridgectl.vocabulary import OURS, passed_on
from scripts.tools import catalogue

_CHINESE = re.compile(r"[\u3001-\u303f\u4e00-\u9fff\uff01-\uff5e]")


@pytest.fixture
def chinese() -> Iterator[None]:
    language.speak("zh")
    yield
    language.speak("en")


def strings(value: Any) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [value or ""]


def places(text: str) -> set[tuple[str, str | None, str | None]]:
    return {(name, form, conversion) for _, name, form, conversion in Formatter().parse(text) if name}


def test_all_that_is_said_is_in_the_catalogue_and_nothing_else() -> None:
    said = {strings(one)[0] for one in catalogue.messages()}
    written = {strings(one.id)[0] for one in catalogue.written() if one.id}
    assert said - written == set(), "python -m scripts.tools.catalogue adds it; then translate it"
    assert written - said == set(), "python -m scripts.tools.catalogue takes it away"


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for one in ast.walk(tree):
        if isinstance(one, ast.Call):
            name = one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")
            if name in names:
                yield one


def sources() -> Iterator[tuple[str, ast.AST]]:
    for file in sorted(catalogue.PROGRAM.rglob("*.py")):
        yield str(file.relative_to(catalogue.PROGRAM)), ast.parse(file.read_text(encoding="utf-8"))


def test_no_message_hides_in_an_f_string_where_it_is_not_found() -> None:
    for file, tree in sources():
        for text in ast.walk(tree):
            if isinstance(text, ast.JoinedStr):
                assert not [
                    one for one in calls(text, "tr", "trn", "noted") if isinstance(one.args[0], ast.Constant)
                ], f"{file}:{text.lineno}"


def test_what_is_said_is_marked() -> None:
    """As far as it can be seen: a sentence handed to one of these as it stands. The parts of a bundle are English,
    whoever makes it.
    """
    for file, tree in sources():
        if file in ("bundle/collection.py", "bundle/configurations.py"):
            continue
        for call in calls(
            tree, "echo", "BridgeError", "ConfigurationError", "NotAsked", "BadParameter", "Trouble", "Finding"
        ):
            for one in call.args:
                said = one.value if isinstance(one, ast.Constant) else ""
                if isinstance(one, ast.JoinedStr):
                    said = "".join(str(part.value) for part in one.values if isinstance(part, ast.Constant))
                words = re.findall(r"[a-z]{2,}(?![\w-])", str(said))
                assert len(words) < 2 or words[0] in ("bridgectl", "systemctl"), f"{file}:{one.lineno}"


def test_headings_of_tables_are_marked() -> None:
    for file, tree in sources():
        for call in calls(tree, "table"):
            plain = [one.value for one in getattr(call.args[0], "elts", ()) if isinstance(one, ast.Constant)]
            assert set(plain) <= {"", "id", "kid"}, f"{file}:{call.lineno}"


def test_all_of_it_is_translated() -> None:
    for message in catalogue.written():
        if message.id:
            assert not message.fuzzy, message.id
            assert all(_CHINESE.search(one) for one in strings(message.string)), message.id


def test_an_operation_is_called_in_chinese_what_the_documents_call_it() -> None:
    """服务 (and a scope 权限); 操作 is what a person does, or the system forbids."""
    others = {
        message.id
        for message in catalogue.written()
        if message.id and re.search("操作|业务|权限范围", "".join(strings(message.string)))
    }
    assert others == {"Operation not permitted", "nothing more"}


def test_translations_have_the_places_of_what_they_translate() -> None:
    formatted = {strings(one)[0] for one in catalogue.messages() if "{" in strings(one)[0]}
    for message in catalogue.written():
        if message.id and (one := strings(message.id)[0]) in formatted:
            assert [places(text) for text in strings(message.string)] == [places(one)], message.id


@pytest.mark.parametrize(
    ("said", "environment", "spoken"),
    [
        (None, {}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LANG": "zh_CN.GB18030"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        (None, {"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        (None, {"LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        (None, {"LC_ALL": "zh_CN.UTF-8", "LC_MESSAGES": "de_DE.UTF-8", "LANG": "C"}, "zh"),
        (None, {"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LANG": "POSIX"}, "en"),
        (None, {"LANG": "de_DE.UTF-8"}, "en"),
        (None, {"LANG": "en_US.UTF-8", "LANGUAGE": "de:zh_CN:en"}, "zh"),
        (None, {"LANG": "C", "LANGUAGE": "zh_CN"}, "en"),
        ("zh", {"LC_ALL": "C"}, "zh"),
        ("zh-Hans", {}, "zh"),
        ("en", {"LC_ALL": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_the_option_comes_before_the_environment(said: str | None, environment: dict[str, str], spoken: str) -> None:
    assert language.chosen(said, [], environment) == spoken
    assert language.chosen(said, ["--json"], environment) == "en", "programs read it"


@pytest.mark.parametrize(
    ("line", "said", "rest"),
    [
        ("status", None, "status"),
        ("--lang zh status", "zh", "status"),
        ("status --width 80 --lang=zh", "zh", "status --width 80"),
        ("status --lang", "", "status"),
        ("--lang en status --lang zh", "zh", "status"),
        ("trace -- --lang zh", None, "trace -- --lang zh"),
    ],
)
def test_the_option_may_stand_anywhere(line: str, said: str | None, rest: str) -> None:
    assert language.asked(line.split()) == (said, rest.split())


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "/etc/x.toml:3: http.port: unknown key; did you mean http.prot?",
            "/etc/x.toml:3: http.port: 不认识的键；是否想用 http.prot？",
        ),
        ("/etc/x.toml: cannot be read: No such file or directory", "/etc/x.toml: 无法读取：没有这个文件或目录"),
        ("request 01a is succeeded: there is nothing to decide", "请求 01a 为 succeeded：无需裁定"),
        ("无法写入：No space left on device", "无法写入：磁盘已满"),
        ("broker:61616: connection lost: connection reset by peer", "broker:61616: 连接已断开：连接被对方重置"),
        (
            "refused, code no-arrears: the customer is told no, finally",
            "被拒绝，代码 no-arrears：客户得到否定答复，为最终结果",
        ),
        ("neue Version", "neue Version"),
    ],
)
def test_what_is_passed_on_is_translated_if_it_is_known(said: str, shown: str) -> None:
    assert passed_on(said) == shown


@pytest.mark.usefixtures("chinese")
def test_what_daemons_say_is_translated_by_its_template() -> None:
    known = ("it is {state}", "no answer", "{what} has expired")
    assert language.heard("no answer", known) == "没有答复"
    assert language.heard("no answer has expired", known) == "没有答复已到期"
    assert language.heard("/a.toml: no answer", known) == "/a.toml: 没有答复"
    assert language.heard("Li said so", known) == "Li said so"


def test_what_is_passed_on_is_still_said() -> None:
    said = "\n".join(
        one.value
        for room in ("protocol", "dmz_front", "intranet_bridge", "bridgectl")
        for file in (catalogue.PROGRAM.parent / room).rglob("*.py")
        if file.name != "vocabulary.py"
        for one in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )
    for template in OURS:
        for part in re.split(r"\{\w+\}|[;:,] ", template):
            assert part.strip(" (") in said, template


def test_a_table_without_a_row_says_so() -> None:
    assert table(["name", "备注"], []) == "none"
    assert table(["name"], iter([])) == "none"


def test_columns_line_up_in_cells() -> None:
    text = table(["name", "备注"], [("a", "x"), ("维护", "y"), ("bill", "维护中")])
    assert [width(line[: re.search("备注|x|y|维护中", line).start()]) for line in text.splitlines()] == [6] * 4  # type: ignore[union-attr]
    assert (width("维护a"), left("维护", 6)) == (5, "维护  ")


def test_lines_are_broken_between_characters_and_commands_stay_whole() -> None:
    text = "先修好配置，然后在内网主机上执行 bridgectl status，再看一遍。"
    lines = wrapped(text, 20)
    assert max(map(width, lines)) <= 20
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line[0] in "，。" for line in lines)
    assert any("bridgectl" in line for line in lines)
    assert wrapped("/a/very/long/path/that/is/wider 好", 10) == ["/a/very/long/path/that/is/wider", "好"]


def run(*words: str, **environment: str) -> Any:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    return subprocess.run(
        [sys.executable, "-m", "bridgectl.cli", *words], env={**clean, "PYTHONUTF8": "1", **environment},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_help_and_usage_errors_are_chinese(tmp_path: Any) -> None:
    told = run("requests", "resolve", "--help", "--lang", "zh", COLUMNS="62").stdout
    assert told.startswith("用法：bridgectl requests resolve")
    assert "[必需]" in told
    assert max(map(width, told.splitlines())) <= 62
    assert not re.search("Options|Arguments|required|Show this", told)
    wrong = run("requests", "resolve", "--wait", "x", LANG="zh_CN.UTF-8")
    assert wrong.returncode == 2
    assert "错误：'--wait' 的值无效" in wrong.stderr
    failed = run("queues", LANG="zh_CN.UTF-8", BRIDGECTL_CONFIG=str(tmp_path / "none.toml"))
    assert failed.returncode == 1
    assert failed.stderr.startswith("bridgectl: ")


def test_programs_read_english_whatever_the_language(tmp_path: Any) -> None:
    here = {"BRIDGECTL_CONFIG": str(tmp_path / "bridgectl.toml"), "LANG": "zh_CN.UTF-8"}
    told = run("status", "--json", **here)
    assert told.stdout.isascii()
    assert run("status", **here).returncode == told.returncode == 3
    assert run("status", "--plugin", **here).stdout.startswith("DMZ-BRIDGE UNKNOWN - 本机没有")


def test_a_language_that_is_not_spoken_is_refused() -> None:
    wrong = run("status", "--lang", "tlh")
    assert (wrong.returncode, wrong.stderr) == (2, "bridgectl: --lang: 'tlh' is not one of en, zh\n")


def test_a_terminal_without_chinese_characters_gets_no_traceback() -> None:
    told = run("--help", "--lang", "zh", PYTHONUTF8="0", PYTHONIOENCODING="latin-1")
    assert (told.returncode, told.stderr) == (0, "")


def test_english_imports_nothing_of_it() -> None:
    code = (
        "import sys; from bridgectl import cli; sys.argv = ['bridgectl', 'status', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: print('babel' in sys.modules, 'bridgectl.helping' in sys.modules)"
    )
    for spoken, expected in (("C", "False False"), ("zh_CN.UTF-8", "True True")):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "LC_ALL": spoken, "PYTHONUTF8": "1"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == expected

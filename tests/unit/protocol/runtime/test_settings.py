"""Sample TOML: every complaint names the file, the line and the key."""

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from protocol.errors import ConfigurationError
from protocol.runtime.settings import (
    FilePath,
    KeysSection,
    LinkSection,
    LogSection,
    MetricsSection,
    Name,
    Section,
    StoreSection,
    checked_url,
    line_of,
    load,
    toml_path,
)


class Part(Section):
    name: Name = "a"
    size: Annotated[int, Field(ge=1)] = 1


class All(Section):
    title: str
    store: StoreSection
    keys: KeysSection | None = None
    link: LinkSection | None = None
    metrics: MetricsSection = MetricsSection()
    log: LogSection = LogSection()
    parts: tuple[Part, ...] = ()
    extra: FilePath | None = None


GOOD = 'title = "x"\n[store]\nfile = "a.sqlite3"\n'
LINK = '[link]\nca = "ca.pem"\ncertificate = "/tls/a.pem"\nkey = "~/a.key"\n'


def read(tmp_path: Path, text: str | bytes) -> All:
    path = tmp_path / "some.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, All)


def complaint(tmp_path: Path, text: str | bytes) -> tuple[int | None, str]:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    error = caught.value
    assert error.file == str(tmp_path / "some.toml")
    place = error.file + (f":{error.line}: " if error.line else ": ")
    assert str(error).startswith(place)
    return error.line, str(error).removeprefix(place)


def test_paths_are_taken_from_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/operator")
    monkeypatch.chdir("/")
    found = read(tmp_path, GOOD + LINK + 'brokers = ["mq:61616"]\n')
    assert found.store.address() == f"sqlite:///{tmp_path / 'a.sqlite3'}"
    assert found.link is not None
    assert found.link.ca == tmp_path / "ca.pem"
    assert found.link.certificate == Path("/tls/a.pem")
    assert found.link.key == Path("/home/operator/a.key")


def test_brokers(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD + LINK + 'brokers = ["mq-1.dmz:61616", "[2001:db8::1]:61617"]\n')
    assert found.link is not None
    assert found.link.addresses() == (("mq-1.dmz", 61616), ("2001:db8::1", 61617))


@pytest.mark.parametrize("broker", ["mq", "mq:", ":61616", "mq:0", "mq:65536", "mq:port", "mq:-1", "mq:\u0661"])
def test_what_is_no_broker(tmp_path: Path, broker: str) -> None:
    line, text = complaint(tmp_path, GOOD + LINK + f'brokers = ["mq:61616", "{broker}"]\n')
    assert (line, text) == (8, "link.brokers.1: an address is written host:port")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        # not TOML
        ('title = "x\n', 1, "Illegal character"),
        (GOOD + "a == 1\n", 4, "at line 4"),
        (GOOD + "[store]\n", 4, "Cannot declare"),
        (GOOD + 'file = "b"\n', 4, "Cannot overwrite"),
        # a misspelt key, at each depth
        ("titel = 1\n" + GOOD, 1, "titel: unknown key; did you mean title?"),
        (GOOD + "\n# a comment\nfiel = 1\n", 6, "store.fiel: unknown key; did you mean store.file?"),
        (GOOD + "[sotre]\nx = 1\n", 4, "sotre: unknown key; did you mean store?"),
        (GOOD + "[[parts]]\nnmae = 1\n", 5, "parts.0.nmae: unknown key; did you mean parts.0.name?"),
        # a value of the wrong kind
        ("title = 1\n[store]\nfile = 'a'\n", 1, "title: Input should be a valid string"),
        (GOOD + "retention_days = 0\n", 4, "store.retention_days: Input should be greater than 0"),
        (GOOD + 'retention_days = "soon"\n', 4, "store.retention_days"),
        (GOOD + '[metrics]\nport = 9000\nhost = "10.0.0.1"\n', 6, "metrics.host: must be a loopback address"),
        (GOOD + '[metrics]\nhost = "example.org"\n', 5, "metrics.host: 'example.org' does not appear to be"),
        (GOOD + "[metrics]\nport = 65536\n", 5, "metrics.port"),
        (GOOD + '[log]\nlevel = "chatty"\n', 5, "log.level"),
        (GOOD + "parts = 1\n", 4, "store.parts"),
        (GOOD + '[[parts]]\nname = "A"\n', 5, "parts.0.name: 'A' is not a name"),
        (GOOD + LINK + "brokers = []\n", 8, "link.brokers"),
        # one table written in line, or with dotted and quoted keys
        ('title = "x"\nstore = {file = "a", fiel = 1}\n', 2, "store.fiel"),
        ('title = "x"\nstore.file = "a"\nstore.fiel = 1\n', 3, "store.fiel"),
        ('title = "x"\n[store]\n"file" = 1\n', 3, "store.file"),
        # something missing: the table it belongs to; the file when there is none
        ("[store]\nfile = 'a'\n", None, "title: is missing"),
        (GOOD + "\n[keys]\nkeyring = 'a'\n", 5, "keys.trusted: is missing"),
        ('title = "x"\n', None, "store: is missing"),
        # two keys that do not go together
        ('title = "x"\n[store]\nretention_days = 3\n', 2, "store: needs either file or url"),
        (GOOD + 'url = "postgresql+psycopg://x"\n', 4, "store.url: needs either file or url: not both"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    found, message = complaint(tmp_path, text)
    assert words in message
    assert found == line


def test_a_password_before_a_host_is_not_repeated(tmp_path: Path) -> None:
    _, text = complaint(tmp_path, GOOD + LINK + 'brokers = ["front:secret-word@mq:61616"]\n')
    assert text == "link.brokers.0: an address is written host:port, without a user"


def test_more_mistakes_are_counted(tmp_path: Path) -> None:
    line, text = complaint(tmp_path, GOOD + "a = 1\nb = 2\nc = 3\n")
    assert (line, text) == (
        4,
        "store.a: unknown key; known here: file, url, retention_days, migrate, lease_s, "
        "statement_timeout_s, lock_timeout_s, idle_timeout_s (and 2 more)",
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{tmp_path}/none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml", All)
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load(tmp_path, All)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    assert complaint(tmp_path, b'# a\ntitle = "\xff"') == (2, "is not UTF-8 text: save it as UTF-8")


@pytest.mark.parametrize(
    ("encoding", "words"), [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("gbk", "GBK")]
)
def test_a_file_in_another_encoding_is_told_which(tmp_path: Path, encoding: str, words: str) -> None:
    text = GOOD + "# 营销系统的接口地址\n"
    _, said = complaint(tmp_path, text.encode(encoding))
    assert said.startswith(f"is not UTF-8 text but {words}")


def test_a_key_in_the_wrong_table_is_told_its_own(tmp_path: Path) -> None:
    assert complaint(tmp_path, GOOD + "[log]\nretention_days = 3\n") == (
        5, "log.retention_days: unknown key; did you mean store.retention_days?",
    )  # fmt: skip


def test_the_second_table_of_a_list_is_the_one_that_is_named(tmp_path: Path) -> None:
    text = GOOD + '[[parts]]\nname = "b"\n[[parts]]\nsize = 0\n'
    line, _ = complaint(tmp_path, text)
    assert line == 7


def test_postgresql_by_url(tmp_path: Path) -> None:
    found = read(tmp_path, 'title = "x"\n[store]\nurl = "postgresql+psycopg://front@db/front"\n')
    assert found.store.address() == "postgresql+psycopg://front@db/front"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://front:secret-word@db/front", "a password does not belong in the url"),
        ("postgresql+psycopg://front@db/front?password=secret-word", "a password does not belong in the url"),
        ("sqlite:////tmp/secret-word", "an SQLite database is given by file"),
        ("secret-word", "store.url: is not a database URL"),
    ],
)
def test_a_url_that_must_not_be(tmp_path: Path, url: str, words: str) -> None:
    line, text = complaint(tmp_path, f'title = "x"\n[store]\nurl = "{url}"\n')
    assert words in text
    assert line == 3
    assert "secret-word" not in text


@pytest.mark.parametrize(
    "broker",
    [
        "http://mq:1",
        "a@mq:1",
        "mq mq:1",
        "mq\\n:1",
        "m\u00fc:1",
        "2001:db8::1:61616",
        "[mq]:1",
        "[::g]:1",
        "1.2.3:1",
        "-a:1",
    ],
)
def test_what_is_no_host(tmp_path: Path, broker: str) -> None:
    line, text = complaint(tmp_path, GOOD + LINK + f'brokers = ["{broker}"]\n')
    assert line == 8
    assert text.startswith("link.brokers.0: ")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999", "http://h:0", "http://h:", "http://h:+1", "http://h:8_0", "http://", "http:///a", "ftp://h",
        "h:80", "//h", "http://h/a b", 'http://h/a"b', "http://h/%zz", "http://h/a%2", "http://h/\u4e2d", "http://m\u00fc/",
        "http://u@h", "http://u:p@h", "http://h?a=1", "http://h?", "http://h#f", "http://h#", "http://h/a\tb", "http://h\n",
        "http://h/a\r\nX: y", " http://h", "http://h ", "http://[::1", "http://::1/", "http://[::1]x/", "http://h\\a",
        "http://h/{a}", "http://h/<a>", "http://300.1.1.1/", "http://a..b/",
    ],
)  # fmt: skip
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        checked_url(url)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://h", "http://h"),
        ("https://h.example:8443/api/v1/", "https://h.example:8443/api/v1"),
        ("http://[::1]:80/a%20b", "http://[::1]:80/a%20b"),
        ("http://10.0.0.1:65535/a;b=c,d/~e", "http://10.0.0.1:65535/a;b=c,d/~e"),
        ("HTTP://my_host./", "HTTP://my_host."),
    ],
)
def test_base_urls(url: str, kept: str) -> None:
    assert checked_url(url) == kept


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('ca = ""', "link.ca: is not the name of a file"),
        ('ca = "a\\u0000b"', "link.ca: is not the name of a file"),
        ('ca = "~nobody-here/ca.pem"', "link.ca: ~nobody-here is no user's home here"),
    ],
)
def test_what_is_no_file(tmp_path: Path, line: str, words: str) -> None:
    found, text = complaint(tmp_path, GOOD + LINK.replace('ca = "ca.pem"', line) + 'brokers = ["mq:1"]\n')
    assert words in text
    assert found == 5


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()).title == "x"


@pytest.mark.parametrize(
    "url",
    ["mysql://u@h/d", "postgresql://u@h/d", "postgresql+psycopg://u@h:0/d", "postgresql+psycopg://u@h:99999/d", "x"],
)
def test_what_is_no_database(tmp_path: Path, url: str) -> None:
    line, text = complaint(tmp_path, f'title = "x"\n[store]\nurl = "{url}"\n')
    assert line == 3
    assert text.startswith("store.url: ")


@pytest.mark.parametrize("port", ["true", "80.0", '"80"', "-1"])
def test_what_is_no_port(tmp_path: Path, port: str) -> None:
    line, text = complaint(tmp_path, GOOD + f"[metrics]\nport = {port}\n")
    assert (line, text.partition(":")[0]) == (5, "metrics.port")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert MetricsSection(host=host).host == host


def test_settings_do_not_change() -> None:
    section = MetricsSection()
    with pytest.raises(ValueError, match="frozen"):
        section.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("t", "b"), 4),
        (("t", "u", "c"), 6),
        (("t", "u"), 5),
        (("t", "none"), 3),
        (("none",), None),
        (("t", "b", 3, "deep"), 4),
        (("t", "x y"), 7),
        (("t", "x.y", "z"), 9),
        ((), None),
    ],
)
def test_line_of(path: tuple[int | str, ...], line: int | None) -> None:
    text = 'a = 1\n# b = 2\n[t]\nb = 3\n[t.u]\nc = 4\n[t."x y"]\n[t."x.y"]\nz = 1\n'
    assert line_of(text, path) == line


def test_a_setting_is_named_as_toml_writes_it() -> None:
    assert toml_path(("operations", "bill-query.v2", "path", 3)) == 'operations."bill-query.v2".path.3'


class Including(Section):
    include: tuple[str, ...] = ()
    title: str
    tables: dict[str, Part] = Field(default_factory=dict)
    extra: FilePath | None = None


def including(folder: Path, **files: str) -> Path:
    (folder / "more").mkdir()
    main = folder / "main.toml"
    main.write_text(files.pop("main", 'include = ["more/*.toml"]\ntitle = "t"\n'))
    for name, text in files.items():
        (folder / "more" / f"{name}.toml").write_text(text)
    return main


def test_included_files_are_read_as_if_they_stood_in_the_first(tmp_path: Path) -> None:
    files = {"one": 'extra = "x.pem"\n[tables.a]\nsize = 2\n', "two": '[tables.b]\nname = "b"\n'}
    found = load(including(tmp_path, **files), Including)
    assert found.tables == {"a": Part(size=2), "b": Part(name="b")}
    assert found.extra == tmp_path / "x.pem"


def test_a_mistake_in_an_included_file_is_named_with_that_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"tables\.b\.size") as told:
        load(including(tmp_path, one="[tables.a]\n", two="[tables.b]\n\nsize = 0\n"), Including)
    assert (told.value.file, told.value.line) == (str(tmp_path / "more" / "two.toml"), 3)


def test_what_is_set_in_two_files_is_refused_and_both_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"tables\.a\.size: is set in .*one\.toml:2 too") as told:
        load(including(tmp_path, one="[tables.a]\nsize = 1\n", two="[tables.a]\n\nsize = 1\n"), Including)
    assert (told.value.file, told.value.line) == (str(tmp_path / "more" / "two.toml"), 3)


@pytest.mark.parametrize("pattern", ["other/*.toml", "more/none.toml", "", "/nowhere/*.toml"])
def test_an_include_of_nothing_is_refused(tmp_path: Path, pattern: str) -> None:
    main = including(tmp_path, main=f'title = "t"\ninclude = ["{pattern}"]\n')
    with pytest.raises(ConfigurationError, match="include: there is no") as told:
        load(main, Including)
    assert told.value.line == 2


def test_an_include_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="include"):
        load(including(tmp_path, main='title = "t"\ninclude = "more/*.toml"\n'), Including)


# --- credentials ---------------------------------------------------------------------------------------------------


class Keys(Section):
    key: FilePath


def test_a_credential_is_what_systemd_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.toml").write_text('key = "credential:front.key"\n')
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/dmz-front.service")
    assert load(tmp_path / "x.toml", Keys).key == Path("/run/credentials/dmz-front.service/front.key")
    assert load(tmp_path / "x.toml", Keys, tmp_path).key == tmp_path / "front.key"
    (tmp_path / "x.toml").write_text('key = "front.key"\n')
    assert load(tmp_path / "x.toml", Keys).key == tmp_path / "front.key"


@pytest.mark.parametrize(
    ("text", "given", "complaint"),
    [
        ("credential:front.key", False, "x.toml:1: key: credential:front.key is there only in the service"),
        ("credential:", True, "names no credential"),
        ("credential:../x", True, "names no credential"),
        ("credential:..", True, "names no credential"),
        ("credential:/etc/shadow", True, "names no credential"),
    ],
)
def test_a_credential_that_cannot_be(
    text: str, given: bool, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.toml").write_text(f'key = "{text}"\n')
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        load(tmp_path / "x.toml", Keys, tmp_path if given else None)

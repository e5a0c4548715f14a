"""Values are put into the shipped configuration files, and every comment stays where it is."""

import tomllib

import pytest

from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.source import SOURCE as ROOT
from scripts.tools.installer.texts import with_values, without_table

TEXT = """# the name
name = "front-1"   # this instance

[link]
brokers = ["localhost:61616"]  # in this order
# proxy = "none"    # not set

[store]
name = "other"
"""


def test_values_are_set_and_comments_stay() -> None:
    text = with_values(TEXT, {"name": "front-9", "link.brokers": ["a:1", "b:2"], "link.proxy": "p"})
    assert tomllib.loads(text) == {
        "name": "front-9",
        "link": {"brokers": ["a:1", "b:2"], "proxy": "p"},
        "store": {"name": "other"},
    }
    for comment in ("# the name", "# this instance", "# in this order", "# not set"):
        assert comment in text


def test_a_key_the_file_has_not_is_an_error_and_named() -> None:
    with pytest.raises(InstallError, match=r"link\.nothing"):
        with_values(TEXT, {"link.nothing": 1})


def test_a_table_is_left_out_whole() -> None:
    assert tomllib.loads(without_table(TEXT, "link")) == {"name": "front-1", "store": {"name": "other"}}


@pytest.mark.parametrize("name", ["dmz_front", "intranet_bridge"])
def test_the_shipped_files_take_what_an_installation_sets(name: str) -> None:
    text = (ROOT / "config" / f"{name}.toml").read_text()
    changed = tomllib.loads(with_values(text, {"name": "x", "region": "north", "link.brokers": ["b:61616"]}))
    assert (changed["name"], changed["region"], changed["link"]["brokers"]) == ("x", "north", ["b:61616"])
    before = tomllib.loads(text)
    before["link"].pop("brokers")
    changed["link"].pop("brokers")
    assert {**before, "name": "x", "region": "north"} == changed

"""Values of shipped files are changed by dotted names; a name with a dot stands in quotes."""

import tomllib

from scripts.tools.testbed.toml_values import depth, with_values

TEXT = """
# kept
[operations."bill-query.v2"]
path = "/a"
timeout_s = 1
"""


def test_values_are_changed_and_all_else_stays() -> None:
    changes = {
        'operations."bill-query.v2".path': "/b",
        'operations."bill-query.v2".timeout_s': None,
        "link.heartbeat_ms": 5,
    }
    text = with_values(TEXT, changes)
    assert "# kept" in text
    assert tomllib.loads(text) == {"operations": {"bill-query.v2": {"path": "/b"}}, "link": {"heartbeat_ms": 5}}


def test_how_much_of_a_name_there_is() -> None:
    names = [
        'operations."bill-query.v2".path',
        'operations."bill-query.v2".new',
        "operations.bill-query.path",
        "link.key",
    ]
    assert [depth(TEXT, name) for name in names] == [3, 2, 1, 0]
    assert depth(TEXT, 'operations."bill-query.v2".path.deeper') == 3

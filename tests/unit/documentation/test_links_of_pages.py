"""Links of a page, outside its code."""

from scripts.tools.documentation.links import relinked, targets

PAGE = """[a](one.md) and [`b`](two.md#title "said"), `[no](link.md)`

```sh
echo '[no](code.md)'
```

![c](three.png)
"""


def test_links_are_found_outside_code() -> None:
    assert list(targets(PAGE)) == ["one.md", "two.md#title", "three.png"]


def test_only_targets_change() -> None:
    assert relinked(PAGE, lambda target: target) == PAGE
    assert relinked(PAGE, str.upper).startswith('[a](ONE.MD) and [`b`](TWO.MD#TITLE "said"), `[no](link.md)`')

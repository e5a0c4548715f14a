"""Markdown as sanitised HTML and as plain text."""

import pytest

from intranet_bridge.content.texts import html, plain

HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "[x](data:text/html,y)",
    "![x](https://evil.example/x.png)", '<a href="https://x" onclick="y">z</a>', "<style>*{display:none}</style>",
    "<iframe src='https://evil.example'></iframe>", "[x](vbscript:y)", '[x](https://a.example "t\\" onmouseover=y")',
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_text_runs_or_is_fetched(text: str) -> None:
    said = html(text)
    for word in ("<script", "<img", "<style", "<iframe", 'href="javascript', 'href="data', 'href="vbscript'):
        assert word not in said.lower()
    tags = said.split("<")[1:]
    assert all(" on" not in tag.partition(">")[0] for tag in tags), said


def test_what_markdown_says_is_shown() -> None:
    assert html("# 公告\n一\n二") == "<h2>公告</h2>\n<p>一<br>\n二</p>"  # the page has its own first heading
    linked = html("[网站](https://a.example) [电话](tel:95598)")
    assert 'href="https://a.example" rel="noopener noreferrer nofollow"' in linked
    assert 'href="tel:95598"' in linked
    assert "<td>1</td>" in html("|a|b|\n|-|-|\n|1|2|")
    assert '<ol start="3">' in html("3. x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("**七月**起：\n\n第二段", "七月起：\n第二段"),
        ("1. 甲\n2. 乙\n   - 丙\n   - 丁", "1. 甲\n2. 乙\n  - 丙\n  - 丁"),
        ("- 一\n\n  又一段\n- 二", "- 一\n又一段\n- 二"),
        ("|档|价|\n|-|-|\n|一|0.48|", "档  价\n一  0.48"),
        ("> > 引\n>\n> 用", "引\n用"),
        ("[网站](https://a.example)，<https://b.example>", "网站（https://a.example），https://b.example"),
        ("a < b & `c`", "a < b & c"),
    ],
)
def test_plain_text_has_the_words_and_the_lines(text: str, said: str) -> None:
    assert plain(text) == said

"""Tables for spreadsheets."""

import pytest

from protocol.spreadsheets import as_csv, meant, safe


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        " =1",
        "\u00a0=1",
        "\u200b=1",
        "\u3000@x",
        "\ufeff=1",
        "\u2003=1",
        "\u202f+1",
        "\u2060@x",
        "\x0b=1",
        "\x00=1",
        "\u200b\u00a0\u2028-1",
        "＝1+1",
        "＋1",
        "－1",
        "＠SUM(A1)",
        " ＝1",
    ],
)
def test_export_formula_safe(text: str) -> None:
    assert safe(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["=1", "'=1", "''=1", " '=1", "'", "", "'ok", "+86 10", "- one\n- two", "3210000000001"]
)
def test_what_was_made_safe_is_read_as_it_was_meant(text: str) -> None:
    assert meant(safe(text)) == text
    assert not safe(text).lstrip().startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("text", ["3210000000001", "Z05396-0", "", "1=1", "ok"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_a_table_has_its_mark_and_line_ends() -> None:
    assert (
        as_csv(("户号", "yuan"), [("3210000000001", "-5.00")]) == "\ufeff户号,yuan\r\n3210000000001,-5.00\r\n".encode()
    )

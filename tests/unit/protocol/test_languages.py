"""The pages' language: asked for by name, or preferred by the reader's browser."""

import pytest

from protocol.languages import Language, chosen

EN, ZH = Language.ENGLISH, Language.CHINESE


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (b"", EN),
        (b"zh-CN,zh;q=0.9,en;q=0.8", ZH),
        (b"en-US,en;q=0.9,zh-CN;q=0.8", EN),
        (b"de, zh-TW;q=0.5", ZH),
        (b"en;q=0.2, zh;q=0.3", ZH),
        (b"ZH-hans", ZH),
        (b"zh;q=0", EN),
        (b"zh;q=x, en;q=0.1", EN),
        (b"*", EN),
        (b"fr", EN),
        (b"zhx", EN),
        (b'"zh", ;;q=,\xff', EN),
    ],
)
def test_what_the_reader_prefers(accept: bytes, language: Language) -> None:
    assert chosen(None, accept) is language


@pytest.mark.parametrize(("asked", "language"), [("zh", ZH), ("en", EN), ("fr", ZH), ("", ZH)])
def test_what_is_asked_for_by_name_comes_first(asked: str, language: Language) -> None:
    assert chosen(asked, b"zh") is language

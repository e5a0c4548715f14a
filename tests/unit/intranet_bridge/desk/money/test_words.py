"""Everything the accountant reads is in both languages."""

import re
from pathlib import Path

from intranet_bridge.desk.money import common, files, ledger, today
from intranet_bridge.desk.money.findings import spoken
from intranet_bridge.desk.money.words import CHINESE, ENGLISH
from intranet_bridge.desk.texts import TEMPLATES
from intranet_bridge.desk.words import WORDS
from intranet_bridge.settlement import statements
from intranet_bridge.settlement.money import AmountRefused, Why
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.profiles import Kind
from intranet_bridge.settlement.statements.verdicts import Code
from protocol.languages import Language
from tests.support.desk_words import lacking

CODES = (
    {f"file-{state}" for state in FileState} | {f"{kind}-{code}" for code in Code for kind in ("code", "do")}
    | {f"row-{kind}" for kind in Kind} | {f"kind-of-account-{kind}" for kind in ledger.KINDS}
)  # fmt: skip


def test_every_text_of_the_pages_is_translated() -> None:
    assert lacking(WORDS, (TEMPLATES / "money",), (common, files, ledger, today)) == []
    assert sorted(CODES - CHINESE.keys()) == []
    assert sorted(CODES - ENGLISH.keys()) == []
    waits = re.findall(
        r'"([a-z][a-z ,:]{20,})"', "".join(Path(one.__file__ or "").read_text() for one in (files, ledger))
    )
    assert len(waits) >= 3
    assert [text for text in waits if text not in CHINESE] == []


def test_every_reason_is_translated() -> None:
    folder = Path(statements.__file__ or "").parent
    sources = "".join(file.read_text() for file in folder.glob("*.py"))
    fixed = set(re.findall(r'Finding\(\s*"([^"{]+)"', sources))
    assert len(fixed) > 45
    fixed |= {str(AmountRefused(why)) for why in Why}
    assert sorted(text for text in fixed if text not in CHINESE) == []
    named = set(re.findall(r'Finding\(\s*f"([^"]+)"', sources)) | {"line {first.line} says it otherwise"}
    assert len(named) > 5

    def chinese(text: str) -> str:
        return WORDS.said(text, Language.CHINESE)

    for one in named:
        what = re.sub(r"{[^}]*line[^}]*}|{error[^}]*}", "7", re.sub(r"{(?!first|error)[^}]*}", "x", one))
        assert spoken(chinese, what) != what, what

"""Everything the accountant reads is in both languages."""

import re
from pathlib import Path

from intranet_bridge.desk.money import clearing, common, files, items, ledger, orders, runs, tables, today, withholding
from intranet_bridge.desk.money.spoken import spoken
from intranet_bridge.desk.money.words import CHINESE, ENGLISH
from intranet_bridge.desk.texts import TEMPLATES
from intranet_bridge.desk.words import WORDS
from intranet_bridge.settlement import payments, statements
from intranet_bridge.settlement import withholding as withheld
from intranet_bridge.settlement.clearing.sheets import SheetEvent, SheetState
from intranet_bridge.settlement.money import AmountRefused, Why
from intranet_bridge.settlement.payments.desk import Waits
from intranet_bridge.settlement.payments.orders import Refusal
from intranet_bridge.settlement.statements.acting import OPERATIONS
from intranet_bridge.settlement.statements.items import ItemState
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.matching import Class
from intranet_bridge.settlement.statements.orders import PROOF, REVERSAL
from intranet_bridge.settlement.statements.profiles import Kind
from intranet_bridge.settlement.statements.run_records import RunState
from intranet_bridge.settlement.statements.verdicts import Code
from intranet_bridge.settlement.withholding.life import BatchState, LineState
from protocol.administration import OrderVerdict
from protocol.languages import Language
from protocol.operations.orders import LineState as OrderLineState
from protocol.operations.orders import OrderState, PartKind, RefundState, ReservationState
from tests.support.desk_words import lacking

CODES = (
    {f"file-{state}" for state in FileState} | {f"{kind}-{code}" for code in Code for kind in ("code", "do")}
    | {f"{kind}-{state}" for state in SheetState for kind in ("sheet", "sheet-do")}
    | {f"sheet-act-{event}" for event in SheetEvent} | {f"against-{one}" for one in clearing.AGAINST}
    | {f"{kind}-{state}" for state in RunState for kind in ("run", "run-do")} | {f"item-{state}" for state in ItemState}
    | {f"{kind}-{name}" for name in Class for kind in ("class", "class-do")}
    | {f"{kind}-{state}" for state in BatchState for kind in ("batch", "batch-do")}
    | {f"{kind}-{state}" for state in LineState for kind in ("line", "line-do")}
    | {f"answer-{state}" for state in ("accepted", "refused", "duplicate")}
    | {f"order-{state}" for state in OrderState} | {f"order-line-{state}" for state in OrderLineState}
    | {f"refund-{state}" for state in RefundState} | {"part-state-none"}
    | {f"part-state-{state}" for state in ReservationState} | {f"part-kind-{kind}" for kind in PartKind}
    | {f"{kind}-{why}" for why in Waits for kind in ("waits", "waits-do")} | {f"say-{one}" for one in OrderVerdict}
    | {f"order-code-{code}" for code in (Waits.AMOUNT, Waits.RISK, Refusal.COUPON_INVALID)}
    | {f"refused-{code}" for code in Refusal if code in (Refusal.ORDER_EXPIRED, Refusal.COUPON_INVALID)}
    | {f"operation-{one}" for one in (*OPERATIONS.values(), PROOF, REVERSAL)}
    | {f"download-{kind}" for kind in tables.KINDS}
    | {f"row-{kind}" for kind in Kind} | {f"kind-of-account-{kind}" for kind in ledger.KINDS}
)  # fmt: skip


def test_every_text_of_the_pages_is_translated() -> None:
    assert (
        lacking(
            WORDS, (TEMPLATES / "money",), (common, clearing, files, items, ledger, orders, runs, today, withholding)
        )
        == []
    )
    assert sorted(CODES - CHINESE.keys()) == []
    assert sorted(CODES - ENGLISH.keys()) == []
    waits = re.findall(
        r'"([a-z][a-z ,:]{20,})"',
        "".join(
            Path(one.__file__ or "").read_text() for one in (clearing, files, items, ledger, orders, runs, withholding)
        ),
    )
    assert len(waits) >= 15
    assert [text for text in waits if text not in CHINESE] == []


def test_every_reason_is_translated() -> None:
    folders = [Path(room.__file__ or "").parent for room in (statements, withheld)]
    sources = "".join(file.read_text() for folder in folders for file in folder.glob("*.py"))
    fixed = set(re.findall(r'Finding\(\s*"([^"{]+)"', sources))
    assert len(fixed) > 45
    fixed |= {str(AmountRefused(why)) for why in Why}
    assert sorted(text for text in fixed if text not in CHINESE) == []
    named = set(re.findall(r'Finding\(\s*f"([^"]+)"', sources)) | {"line {first.line} says it otherwise"}
    assert len(named) > 5

    def chinese(text: str) -> str:
        return WORDS.said(text, Language.CHINESE)

    for one in named:
        numbered = re.sub(r"{(?:[^}]*line|first|at|MOST_LINES|error)[^}]*}", "7", one)
        what = re.sub(r"{[^}]*}", "x", numbered)
        assert spoken(chinese, what) != what, what


def test_every_field_code_and_why_of_an_item_is_translated() -> None:
    folder = Path(statements.__file__ or "").parent
    decided = "".join((folder / name).read_text() for name in ("decisions.py", "brake.py"))
    acting = (folder / "acting.py").read_text()
    fields = set(re.findall(r'field="([a-z ]+)"|_(?:differs|other)\([^)"]*"([a-z]+)"', decided))
    named = {f"field-{one or other}" for one, other in fields}
    assert len(named) > 7
    assert sorted(named - CHINESE.keys()) == []
    whys = {text for text in re.findall(r'"([a-z][a-z0-9,: ]+ [a-z0-9,: ]+)"', decided) if text != "written off"}
    whys |= set(re.findall(r'NotActionable\("([^"]+)"', acting))
    assert len(whys) > 11
    assert sorted(text for text in whys if text not in CHINESE) == []
    codes = set(re.findall(r'Incomplete\("([a-z-]+)"', "".join(file.read_text() for file in folder.glob("*.py"))))
    assert len(codes) > 5
    assert sorted(code for code in codes if f"run-code-{code}" not in CHINESE) == []


def test_every_reason_why_not_is_translated() -> None:
    """What pages say when something cannot be done (BridgeError of the parts that they show)."""

    def chinese(text: str) -> str:
        return WORDS.said(text, Language.CHINESE)

    sources = "".join(
        (Path(room.__file__ or "").parent / name).read_text()
        for room, name in ((payments, "desk.py"), (withheld, "extra.py"), (withheld, "life.py"))
    )
    said = re.findall(r'BridgeError\(\s*f?"([^"]+)"|return f?"([^"]+)"|else "(no [^"]+)"', sources)
    texts = {re.sub(r"{[^}]*}", "x", "".join(one)) for one in said if " " in "".join(one)}
    assert len(texts) > 6
    assert sorted(text for text in texts if spoken(chinese, text) == text) == []
    assert all(chinese(name) != name for name in items.COLUMNS)
    assert spoken(chinese, "bank-a: no line waits") == "bank-a：没有待封存的明细"
    assert "已结清" in spoken(chinese, "a sheet that is closed cannot pay-out")

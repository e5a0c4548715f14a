"""What a large statement costs: a WeChat Pay bill of a million rows read, matched and taken through the whole loop of
the bridge, rows of others and of orders of ours, and a withholding batch sealed.

Each is done in a process of its own, so that the memory said is its own: the highest there was, as the operating system
counts it. The bill has planted differences, and what is found is counted beside what was planted.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.matching import (
    Accepted,
    Class,
    Rules,
    Seen,
    WriteOff,
    brake,
    cases,
    matched,
    seen,
)  # fmt: skip
from intranet_bridge.settlement.statements.opening import Source
from intranet_bridge.settlement.statements.profiles import shipped
from intranet_bridge.settlement.statements.reading import read
from intranet_bridge.settlement.statements.rows import Expected, Row
from intranet_bridge.settlement.withholding.files import MOST_LINES, Batch, Charge, seal
from protocol.runtime import logs
from protocol.times import CHINA
from scripts.tools.benchmark.statements import looped
from scripts.tools.benchmark.withholding import sealed

ROWS = 1_000_000
DAY = date(2026, 11, 24)
EVERY = 1000
"""One row in so many is written off by nobody, one differs, one is refunded whole."""
_MIB = 1 << 20


def run(folder: Path, rows: int = ROWS) -> list[dict[str, object]]:
    """Rows of a table: seconds and memory of each part."""
    folder.mkdir(parents=True, exist_ok=True)
    bill = folder / "bill.csv"
    size = write_bill(bill, rows)
    ours = folder / "orders.csv"
    write_bill(ours, rows, order=_ours)
    table: list[dict[str, object]] = []
    for part, what in (
        ("read", f"a bill of {rows:,} rows ({size // _MIB} MiB) is read"),
        ("match", "the same is read, and matched with as many write-offs"),
        ("loop", "the same in the bridge: it arrives, is put on record, compared, and what differs written down"),
        ("orders", "the same, and each row is of an order of ours"),
        ("seal", f"a withholding batch of {MOST_LINES:,} lines is sealed"),
        ("record", "the same from the bridge's tables, and put on record"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", __name__, part, str(ours if part == "orders" else bill), str(rows)],
            check=True,
            stdout=subprocess.PIPE,
        )
        table.append({"what": what, **json.loads(done.stdout)})
    return table


def _order(number: int) -> str:
    return f"PO{number:014}"


def _ours(number: int) -> str:
    """As an order of ours has its number."""
    return f"{number:026}"


def _transaction(number: int) -> str:
    return f"42{number:026}"


def write_bill(path: Path, rows: int, order: Callable[[int], str] = _order) -> int:
    """A bill in WeChat Pay's layout ALL, with its totals; bytes written."""
    layout = shipped()["wechat-trade"].layouts[0]
    start = datetime(DAY.year, DAY.month, DAY.day)
    orders = refunds = 0
    count = fees = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(layout.columns) + "\r\n")
        for number in range(rows):
            refund = number % EVERY == 2 and number > EVERY  # of the payment before it
            of, gross = (number - 1 if refund else number), _gross(number - 1 if refund else number)
            said = money.text(gross)
            at = start + timedelta(seconds=number * 86_399 // rows)
            fee = gross * 6
            paid, back = ("0.00", said) if refund else (said, "0.00")
            state = (f"5{of:026}", f"PO{of}-R1", back, "0.00", "ORIGINAL", "SUCCESS") if refund else (
                "0", "0", "0.00", "0.00", "", "")  # fmt: skip
            file.write(
                f"`{at:%Y-%m-%d %H:%M:%S},`wx0000000000000001,`1900000001,`0,`,`{_transaction(of)},`{order(of)},"
                f"`o{of:027},"
                f"`JSAPI,`{'REFUND' if refund else 'SUCCESS'},`OTHERS,`CNY,`{paid},`0.00,`{',`'.join(state)},"
                f"`电费,阶梯一档,`,`{'-' if refund else ''}{fee // 1000}.{fee % 1000:03}00,`0.60%,`{paid},`{back},`\r\n"
            )
            count += 1
            orders += 0 if refund else gross
            refunds += gross if refund else 0
            fees += -fee if refund else fee
        totals = (
            str(count), money.text(orders), money.text(refunds), "0.00", f"{fees // 1000}.{fees % 1000:03}00",
            money.text(orders), money.text(refunds),
        )  # fmt: skip
        file.write(",".join(layout.totals) + "\r\n`" + ",`".join(totals) + "\r\n")
    return path.stat().st_size


def _gross(number: int) -> int:
    return 100 + number * 7919 % 50_000


def _write_offs(rows: int, order: Callable[[int], str] = _order) -> Iterator[WriteOff]:
    """What the marketing system has of it. `order`: none, as its list is."""
    at = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=CHINA)
    for number in range(rows):
        if (number % EVERY == 2 and number > EVERY) or number % EVERY == 5:
            continue
        amount = _gross(number) + (1 if number % EVERY == 7 else 0)
        yield WriteOff(order(number), _transaction(number), "wechat", amount, at)


def _opening(bill: Path) -> Source:
    return lambda: bill.open("rb")


def _read(bill: Path) -> tuple[int, list[Seen]]:
    rows: list[Seen] = []

    def sink(row: Row) -> None:
        rows.append(seen("wechat", DAY, row))

    summary = read(_opening(bill), shipped()["wechat-trade"], Expected(DAY), sink)
    return summary.rows, rows


def _measured(part: str, bill: Path, rows: int) -> dict[str, Any]:
    began, used = time.perf_counter(), time.process_time()
    found: dict[str, int] = {}
    stopped = None
    if part == "read":
        read(_opening(bill), shipped()["wechat-trade"], Expected(DAY), lambda row: None)
    elif part == "match":
        count, left = _read(bill)
        given = cases(left, _write_offs(rows))
        del left
        rules = Rules(DAY + timedelta(days=1), Accepted({"wechat": [DAY]}))
        acting = []
        for item in matched(given, lambda number: None, rules):
            found[item.what] = found.get(item.what, 0) + 1
            if item.what is not Class.MATCHED:
                acting.append(item)
        stopped = brake(acting, count)
    elif part in ("loop", "orders"):
        paid = ((_ours(n), _transaction(n), _gross(n)) for n in range(rows)) if part == "orders" else ()
        return looped(bill, DAY, lambda: _write_offs(rows, lambda number: ""), paid)
    elif part == "record":
        folder = bill.parent / "withholding"
        folder.mkdir(exist_ok=True)
        took, cpu, longest = sealed(folder, rows if rows < MOST_LINES else MOST_LINES)
        began, used = time.perf_counter() - took, time.process_time() - cpu
        found["ms the longest write beside it"] = round(longest * 1000)
    else:
        batch = Batch("SDDL", "37101", DAY, "013", "1", tuple(
            Charge(f"D{n:014}", f"32{n:011}", "37101", f"{n:016}", "12", f"R{n}", "202610", _gross(n), n % 50)
            for n in range(MOST_LINES)
        ))  # fmt: skip
        began, used = time.perf_counter(), time.process_time()
        seal(batch)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // _MIB
    differences = ", ".join(f"{count} {what}" for what, count in sorted(found.items()) if what != Class.MATCHED)
    return {
        "seconds": round(seconds, 1), "of them CPU": round(cpu, 1), "MiB at most": peak, "found": differences,
        "brake": f"{stopped.actions} actions" if stopped else "",
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("part")
    parser.add_argument("bill", type=Path)
    parser.add_argument("rows", type=int)
    given = parser.parse_args()
    logs.configure("critical")  # what is told is the figures alone
    print(json.dumps(_measured(given.part, given.bill, given.rows)))

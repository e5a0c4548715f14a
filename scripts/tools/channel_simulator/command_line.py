"""The command line. Each command prints one JSON document; a no is one line on standard error, status 1."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from protocol.times import CHINA
from scripts.tools.channel_simulator import bank, notifying, planting, statements
from scripts.tools.channel_simulator.book import Book, BookError, RefundStatus
from scripts.tools.channel_simulator.keys import Keys, made_or_loaded
from scripts.tools.channel_simulator.sending import NotSent, post


def parser() -> argparse.ArgumentParser:
    """All commands."""
    options = argparse.ArgumentParser(prog="channel_simulator", description="Simulated payment channels.")
    options.add_argument(
        "--folder", type=Path, default=Path("var/channels"), help="keys and book (default %(default)s)"
    )
    commands = options.add_subparsers(dest="command", required=True)
    commands.add_parser("keys", help="make the keys, if they are not there, and say where they are")

    pay = commands.add_parser("pay", help="somebody pays an order")
    pay.add_argument("channel")
    pay.add_argument("order")
    pay.add_argument("part", nargs="+", type=_part, help="FEN, or for a combined payment REFERENCE=FEN, several")
    pay.add_argument("--at", type=_moment, help="when (default: now)")
    pay.add_argument("--goods", default="电费")

    refund = commands.add_parser("refund", help="some of a transaction goes back")
    refund.add_argument("channel")
    refund.add_argument("transaction")
    refund.add_argument("number")
    refund.add_argument("fen", type=int)
    refund.add_argument("--at", type=_moment)
    refund.add_argument("--processing", action="store_true", help="accepted, and not paid out yet")

    notify = commands.add_parser("notify", help="tell of an order's payment, or of a refund")
    notify.add_argument("channel")
    notify.add_argument("order")
    notify.add_argument("url")
    notify.add_argument("--refund", metavar="NUMBER", help="of this refund, instead of the payment")
    notify.add_argument("--forged", type=notifying.Forgery, choices=list(notifying.Forgery))
    notify.add_argument("--times", type=int, default=1, help="so often, the very same bytes")
    notify.add_argument("--after", type=float, default=0.0, metavar="SECONDS")
    notify.add_argument("--ca", type=Path, help="who signed the certificate of an https address")

    for name, what in (("plant", "plant differences in a day"), ("statement", "write a day's statement")):
        of_day = commands.add_parser(name, help=what)
        of_day.add_argument("channel")
        of_day.add_argument("day", type=date.fromisoformat)
        if name == "plant":
            of_day.add_argument("--seed", type=int, default=1)
            of_day.add_argument("--count", type=int, default=2)
            of_day.add_argument("--kind", action="append", type=planting.Kind, choices=list(planting.Kind))
        else:
            of_day.add_argument("--into", type=Path, default=Path(), help="folder (default: this one)")
    answer = commands.add_parser("answer", help="a bank answers a withholding request")
    answer.add_argument("request", type=Path, help="ORG_DKKK_UNIT_YYYYMMDD.txt")
    answer.add_argument("--refuse", action="append", type=_refused, default=[], metavar="DETID=WHY", help="this line")
    answer.add_argument("--day", type=date.fromisoformat, help="when it charged the others (default: today)")
    answer.add_argument("--into", type=Path, default=Path(), help="folder (default: this one)")
    book = commands.add_parser("book", help="all that was paid and refunded")
    book.add_argument("channel")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    given = parser().parse_args(arguments)
    try:
        keys, book = made_or_loaded(given.folder), Book(given.folder / "book.sqlite3")
        told = _done(given, keys, book)
    except (BookError, NotSent, OSError) as error:
        print(f"channel_simulator: {error}", file=sys.stderr)
        return 1
    print(json.dumps(told, ensure_ascii=False, default=_plain, indent=2))
    return 0


def _done(given: argparse.Namespace, keys: Keys, book: Book) -> Any:
    now = datetime.now(UTC)
    match given.command:
        case "keys":
            return {"folder": str(given.folder.resolve()), "files": sorted(one.name for one in given.folder.iterdir())}
        case "pay":
            parts = [(reference or given.order, cash) for reference, cash in given.part]
            return book.pay(given.channel, given.order, parts, given.at or now, goods=given.goods)
        case "refund":
            status = RefundStatus.PROCESSING if given.processing else RefundStatus.SUCCESS
            at = given.at or now
            return book.refund(given.channel, given.transaction, given.number, given.fen, at, status=status)
        case "notify":
            return _notified(given, keys, book, now)
        case "plant":
            kinds = given.kind or tuple(planting.Kind)
            return planting.plant(book, given.channel, given.day, given.seed, given.count, kinds)
        case "statement":
            name, content = statements.statement(book, given.channel, given.day)
            (given.into / name).write_bytes(content)
            return {"file": str(given.into / name), "bytes": len(content)}
        case "answer":
            day, asked = given.day or now.astimezone(CHINA).date(), given.request
            name, content = bank.answer(asked.name, asked.read_bytes(), day, dict(given.refuse))
            (given.into / name).write_bytes(content)
            return {"file": str(given.into / name), "bytes": len(content)}
    return {"payments": book.payments(given.channel), "refunds": book.refunds(given.channel)}


def _notified(given: argparse.Namespace, keys: Keys, book: Book, now: datetime) -> list[dict[str, object]]:
    parts = book.payments(given.channel, order=given.order)
    if not parts:
        raise BookError(f"nothing was paid for {given.order}")
    if given.refund:
        found = book.refunds(given.channel, number=given.refund)
        if not found:
            raise BookError(f"there is no refund {given.refund}")
        payment = next((one for one in parts if one.transaction == found[0].transaction), parts[0])
        told = notifying.of_refund(keys, found[0], payment, now, given.forged)
    else:
        told = notifying.of_payment(keys, parts, now, given.forged)
    time.sleep(given.after)
    answers = []
    for _ in range(given.times):
        status, body = post(given.url, told, given.ca)
        taken = notifying.acknowledged(given.channel, status, body)
        answers.append({"status": status, "body": body.decode(errors="replace"), "acknowledged": taken})
        if taken and not given.forged and not given.refund:
            book.told([part.transaction for part in parts])
    return answers


def _part(text: str) -> tuple[str, int]:
    reference, _, fen = text.rpartition("=")
    return reference, int(fen)


def _refused(text: str) -> tuple[str, str]:
    line, _, why = text.partition("=")
    return line, why


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError("a time is written with its offset: 2026-11-24T12:30:00+08:00")
    return found


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)

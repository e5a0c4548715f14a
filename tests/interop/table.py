"""Makes seven calls with each HTTP client over HTTP and over the front's own HTTPS, prints the table and writes it into
docs/interop.md and docs/zh/interop.md. What cannot be installed is skipped, with the reason. Exits 1 if an answer is
not as it should be.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from scripts.tools.testbed.layout import ROOT
from tests.interop.suite import CALLS, CLIENTS, STATUS, TRANSPORTS, Client, Unavailable, ready, run, transport
from tests.support.testbeds import running_testbed

PAGE, PAGE_ZH = ROOT / "docs/interop.md", ROOT / "docs/zh/interop.md"
BEGIN, END = "<!-- table: written by ./scripts/interop -->\n", "<!-- end of the table -->\n"
HEADINGS = {
    "client": ("client", "客户端"),
    "version": ("version", "版本"),
    "over": ("over", "经由"),
    "query": ("query", "查询"),
    "refused": ("refusal", "拒绝"),
    "command": ("command", "办理"),
    "again": ("the same again", "同样的再来一次"),
    "invalid": ("invalid body", "正文无效"),
    "unauthenticated": ("no key", "没有密钥"),
    "status": ("status", "状态"),
}
"""In English and in Chinese."""

Results = dict[tuple[str, str], dict[str, str]]
"""What is wrong, if anything, by client and transport, by call."""


def table(clients: dict[str, str], results: Results, skipped: dict[str, str], *, chinese: bool = False) -> str:
    """The results as a Markdown table. `clients` maps a name to its version."""
    lines = [
        "| " + " | ".join(HEADINGS[name][chinese] for name in ("client", "version", "over", *CALLS)) + " |",
        "|---|---|---|" + "---|" * len(CALLS),
    ]
    for (name, over), found in results.items():
        cells = [f"**{found[call].partition(':')[0]}**" if found[call] else str(STATUS[call]) for call in CALLS]
        lines.append(f"| {name} | {clients[name]} | {over} | " + " | ".join(cells) + " |")
    lines += [f"\n{name}: skipped, {reason}" for name, reason in skipped.items()]
    return "\n".join(lines) + "\n"


def measured(wanted: list[Client], cache: Path) -> tuple[dict[str, str], Results, dict[str, str]]:
    """Versions, results, and who was skipped for which reason."""
    versions: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for client in wanted:
        print(f"== preparing {client.name}", flush=True)
        try:
            ready(client, cache)
            versions[client.name] = client.version(cache)
        except Unavailable as reason:
            skipped[client.name] = str(reason)
            print(f"   skipped: {reason}", flush=True)
    results: Results = {}
    with tempfile.TemporaryDirectory() as folder, running_testbed(Path(folder) / "testbed") as testbed:
        for over in TRANSPORTS:
            with transport(testbed, over) as environment:
                for client in wanted:
                    if client.name not in skipped:
                        found = run(client, cache, environment, testbed)
                        results[client.name, over] = found
                        for call, what in found.items():
                            print(f"{client.name} over {over}, {call}: {what or 'ok'}", flush=True)
    return versions, {key: results[key] for key in sorted(results, key=lambda key: key[0].lower())}, skipped


def main() -> int:
    """`./scripts/interop`."""
    parser = argparse.ArgumentParser(prog="./scripts/interop", description=__doc__)
    parser.add_argument("--client", action="append", help="only this one (repeatable); the page is left as it is")
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "interop", help="where programs are built")
    options = parser.parse_args()
    names = {client.name for client in CLIENTS}
    unknown = set(options.client or ()) - names
    if unknown:
        parser.error(f"no client {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}")
    wanted = [client for client in CLIENTS if not options.client or client.name in options.client]
    versions, results, skipped = measured(wanted, options.cache.resolve())
    text = table(versions, results, skipped)
    print(f"\n{text}")
    if not options.client:
        _put(PAGE, text)
        _put(PAGE_ZH, table(versions, results, skipped, chinese=True))
    bad = sum(bool(what) for found in results.values() for what in found.values())
    print(f"{len(results) * len(CALLS) - bad} as they should be, {bad} not, {len(skipped)} clients skipped")
    return 1 if bad else 0


def _put(file: Path, text: str) -> None:
    before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    file.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

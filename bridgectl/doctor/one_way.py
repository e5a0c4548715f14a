"""The one-way rule: from the DMZ every way inward is tried; on either host the rule set is looked for."""

import json
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridgectl.doctor.finding import Finding, Status
from bridgectl.language import tr

TABLE = ("inet", "dmz_bridge")
"""Family and name of the table that config/nftables installs on both hosts."""
WATCHED = ("dmz_new_refused", "intranet_new_refused")
"""Counters of that table for packets by which the DMZ tried to open a connection inward."""


class Way(StrEnum):
    """How an attempt to connect ended."""

    OPEN = "open"
    REFUSED = "refused"
    """A reset came back: something on the way, or the host itself, said no."""
    UNREACHABLE = "unreachable"
    """A router or firewall said so by ICMP, or there is no route."""
    DROPPED = "dropped"
    """Nothing came back."""
    UNKNOWN = "unknown"
    """The name does not resolve: nothing was tried."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What nftables showed."""

    tables: frozenset[tuple[str, str]] = frozenset()
    drops_input: bool = False
    """Whether our table has a chain at the hook `input` whose policy is `drop`."""
    refused: int = 0
    """Packets in the WATCHED counters."""
    error: str = ""
    """Why it could not be looked at."""


# --- judgements -------------------------------------------------------------------------------------------


def judge_inward(address: str, way: Way, timeout_s: float) -> Finding:
    """From one attempt to connect from the DMZ to the intranet."""
    match way:
        case Way.OPEN:
            action = tr("the DMZ can open connections to the intranet: close it at the firewall (config/nftables)")
            return Finding("inward", address, Status.FAIL, tr("connected"), action)
        case Way.REFUSED:
            seen = tr("refused by a reset: packets get there, or a firewall rejects them; no connection came about")
            action = tr(
                "if something should listen there, the firewall rejects it; else let the firewall drop, and try again"
            )
            return Finding("inward", address, Status.OK, seen, action)
        case Way.UNREACHABLE:
            return Finding("inward", address, Status.OK, tr("unreachable: no route, or a firewall said so"))
        case Way.DROPPED:
            return Finding(
                "inward", address, Status.OK, tr("dropped: no answer within {timeout_s:g} s", timeout_s=timeout_s)
            )
        case Way.UNKNOWN:
            return Finding(
                "inward", address, Status.WARN, tr("the name does not resolve here"), tr("give an IP address")
            )


def judge_untried(peers: Sequence[str]) -> Finding:
    """When no intranet address was given. `peers`: who is connected to the broker from elsewhere."""
    known = tr(" (connected to the broker now: {peers})", peers=", ".join(peers)) if peers else ""
    action = tr(
        "give addresses of intranet hosts, best where something listens: --inward HOST:PORT, or [doctor] inward"
    )
    return Finding("inward", "front", Status.WARN, tr("no way inward was tried{known}", known=known), action)


def judge_same_host() -> Finding:
    """Front and bridge on one host."""
    seen, action = tr("front and bridge are on one host"), tr("for a demo only: there is no one-way rule on one host")
    return Finding("inward", "both", Status.WARN, seen, action)


def judge_rules(rules: RuleSet) -> Iterator[Finding]:
    """Whether the shipped rule set is loaded, and what it has stopped."""
    yield _judge_loaded(rules)
    if rules.refused:
        action = tr(
            "find out who tried (kernel log, `dmz-bridge:`; doctor's own tries from the DMZ count too), "
            "then nft reset counters table {table}",
            table=" ".join(TABLE),
        )
        seen = tr(
            "{refused} packets tried to open something from the DMZ inward, and were dropped", refused=rules.refused
        )
        yield Finding("firewall-counters", " ".join(TABLE), Status.WARN, seen, action)


def _judge_loaded(rules: RuleSet) -> Finding:
    name = " ".join(TABLE)
    if rules.error:
        return Finding(
            "firewall",
            name,
            Status.WARN,
            tr("not visible: {error}", error=rules.error),
            tr("run as root, with nftables installed"),
        )
    if TABLE not in rules.tables:
        others = ", ".join(sorted(" ".join(table) for table in rules.tables)) or tr("none")
        action = tr("load the rules of config/nftables, or see that another firewall does what they do")
        return Finding(
            "firewall", name, Status.WARN, tr("is not loaded; tables there are: {others}", others=others), action
        )
    if not rules.drops_input:
        action = tr("load the rules of config/nftables as they are")
        return Finding("firewall", name, Status.WARN, tr("is loaded, and its input policy is not drop"), action)
    return Finding("firewall", name, Status.OK, tr("is loaded and drops what is not allowed in"))


# --- looking ----------------------------------------------------------------------------------------------


def try_inward(addresses: Iterable[tuple[str, int]], timeout_s: float) -> list[tuple[str, Way]]:
    """Try to connect to each, all at once."""
    wanted = list(addresses)
    if not wanted:
        return []
    with ThreadPoolExecutor(min(16, len(wanted))) as pool:
        ways = pool.map(lambda address: _try(address, timeout_s), wanted)
    return [(f"{host}:{port}", way) for (host, port), way in zip(wanted, ways, strict=True)]


def _try(address: tuple[str, int], timeout_s: float) -> Way:
    try:
        with socket.create_connection(address, timeout_s):
            return Way.OPEN
    except TimeoutError:
        return Way.DROPPED
    except ConnectionRefusedError:
        return Way.REFUSED
    except socket.gaierror:
        return Way.UNKNOWN
    except OSError:
        return Way.UNREACHABLE


def look_at_rules() -> RuleSet:
    """Ask nft(8) for the tables and the chains of ours."""
    try:
        done = subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, timeout=20, check=False)  # noqa: S607
    except (OSError, subprocess.SubprocessError) as error:
        return RuleSet(error=tr("nft cannot be run ({name})", name=type(error).__name__))
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [
            tr("nft exits with {returncode}", returncode=done.returncode)
        ]
        return RuleSet(error=lines[0])
    return rules_of(done.stdout)


def rules_of(answer: bytes) -> RuleSet:
    """From the JSON of `nft -j list ruleset` (libnftables-json(5))."""
    try:
        objects = json.loads(answer)["nftables"]
        tables = frozenset((one["table"]["family"], one["table"]["name"]) for one in objects if "table" in one)
        chains = _ours(objects, "chain")
        refused = sum(one["packets"] for one in _ours(objects, "counter") if one["name"] in WATCHED)
    except (ValueError, KeyError, TypeError):
        return RuleSet(error=tr("nft's answer is not understood"))
    drops = any(chain.get("hook") == "input" and chain.get("policy") == "drop" for chain in chains)
    return RuleSet(tables, drops, refused)


def _ours(objects: Iterable[Any], kind: str) -> list[Any]:
    of_kind = (one[kind] for one in objects if kind in one)
    return [one for one in of_kind if (one["family"], one["table"]) == TABLE]

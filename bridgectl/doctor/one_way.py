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
            action = "the DMZ can open connections to the intranet: close it at the firewall (config/nftables)"
            return Finding("inward", address, Status.FAIL, "connected", action)
        case Way.REFUSED:
            seen = "refused by a reset: packets get there, or a firewall rejects them; no connection came about"
            action = (
                "if something should listen there, the firewall rejects it; else let the firewall drop, and try again"
            )
            return Finding("inward", address, Status.OK, seen, action)
        case Way.UNREACHABLE:
            return Finding("inward", address, Status.OK, "unreachable: no route, or a firewall said so")
        case Way.DROPPED:
            return Finding("inward", address, Status.OK, f"dropped: no answer within {timeout_s:g} s")
        case Way.UNKNOWN:
            return Finding("inward", address, Status.WARN, "the name does not resolve here", "give an IP address")


def judge_untried(peers: Sequence[str]) -> Finding:
    """When no intranet address was given. `peers`: who is connected to the broker from elsewhere."""
    known = f" (connected to the broker now: {', '.join(peers)})" if peers else ""
    action = "give addresses of intranet hosts, best where something listens: --inward HOST:PORT, or [doctor] inward"
    return Finding("inward", "front", Status.WARN, f"no way inward was tried{known}", action)


def judge_same_host() -> Finding:
    """Front and bridge on one host."""
    seen, action = "front and bridge are on one host", "for a demo only: there is no one-way rule on one host"
    return Finding("inward", "both", Status.WARN, seen, action)


def judge_rules(rules: RuleSet) -> Iterator[Finding]:
    """Whether the shipped rule set is loaded, and what it has stopped."""
    yield _judge_loaded(rules)
    if rules.refused:
        action = (
            "find out who tried (kernel log, `dmz-bridge:`; doctor's own tries from the DMZ count too), then "
            f"nft reset counters table {' '.join(TABLE)}"
        )
        seen = f"{rules.refused} packets tried to open something from the DMZ inward, and were dropped"
        yield Finding("firewall-counters", " ".join(TABLE), Status.WARN, seen, action)


def _judge_loaded(rules: RuleSet) -> Finding:
    name = " ".join(TABLE)
    if rules.error:
        return Finding(
            "firewall", name, Status.WARN, f"not visible: {rules.error}", "run as root, with nftables installed"
        )
    if TABLE not in rules.tables:
        others = ", ".join(sorted(" ".join(table) for table in rules.tables)) or "none"
        action = "load the rules of config/nftables, or see that another firewall does what they do"
        return Finding("firewall", name, Status.WARN, f"is not loaded; tables there are: {others}", action)
    if not rules.drops_input:
        action = "load the rules of config/nftables as they are"
        return Finding("firewall", name, Status.WARN, "is loaded, and its input policy is not drop", action)
    return Finding("firewall", name, Status.OK, "is loaded and drops what is not allowed in")


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
        return RuleSet(error=f"nft cannot be run ({type(error).__name__})")
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"nft exits with {done.returncode}"]
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
        return RuleSet(error="nft's answer is not understood")
    drops = any(chain.get("hook") == "input" and chain.get("policy") == "drop" for chain in chains)
    return RuleSet(tables, drops, refused)


def _ours(objects: Iterable[Any], kind: str) -> list[Any]:
    of_kind = (one[kind] for one in objects if kind in one)
    return [one for one in of_kind if (one["family"], one["table"]) == TABLE]

"""The bridge's configuration as it is shipped: the main file and the bindings it includes."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[2] / "config"
BRIDGE = CONFIG / "intranet_bridge.toml"
BINDINGS = CONFIG / "bindings"


def bindings() -> dict[str, dict[str, Any]]:
    """Operation → its table, over all files."""
    tables: dict[str, dict[str, Any]] = {}
    for file in sorted(BINDINGS.glob("*.toml")):
        tables |= tomllib.loads(file.read_text(encoding="utf-8"))["operations"]
    return tables


def copied(folder: Path, old: str = "", new: str = "") -> Path:
    """The main file in `folder`, its bindings beside it, with the first `old` of them all replaced."""
    files = [BRIDGE, *sorted(BINDINGS.glob("*.toml"))]
    text = next((file for file in files if old in file.read_text(encoding="utf-8")), None)
    assert text is not None, old
    for file in files:
        copy = folder / file.relative_to(CONFIG)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
        if file == text:
            copy.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    return folder / BRIDGE.name


ANSWERED_BY_THE_BRIDGE = frozenset({
    "combined-bill", "payment-cancel", "payment-confirm", "payment-order", "payment-order-create", "payment-order-pay",
    "refund-confirm", "refund-request",
    "notice-subscribe", "notice-subscriptions", "notice-unsubscribe",
    "withholding-charge", "withholding-charge-cancel", "clearing-day",
    "qr-batch", "qr-batch-part", "qr-batch-state", "qr-issue", "qr-lookup", "qr-resolve", "qr-revoke", "qr-ticket",
})  # fmt: skip
"""Operations that are bound to no interface; unit tests hold this to the catalogue."""
ASKED_BY_THE_BRIDGE = frozenset({
    "bill-freeze", "bill-release", "open-bills", "promotion-post", "promotion-reserve", "promotion-void",
    "withholding-agreements", "writeoff-list",
})  # fmt: skip
"""Operations that are bound, and offered by no front; likewise."""


def offered() -> frozenset[str]:
    """What a front of the shipped configuration offers."""
    return (frozenset(bindings()) | ANSWERED_BY_THE_BRIDGE) - ASKED_BY_THE_BRIDGE

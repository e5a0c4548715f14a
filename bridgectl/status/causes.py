"""What is wrong with an interface, in words for a reader just woken, from the reason that the bridge gives."""

import re

from protocol.reports import DiagnosisReport, InterfaceReport

_CREDENTIALS = re.compile(r"HTTP (401|403|407)\b")
_SLOW = "slow"
_REDIRECT = re.compile(r"HTTP (3\d\d)\b")


def cause(failing: InterfaceReport, diagnosis: DiagnosisReport | None) -> str:
    """Of an interface that fails: what the bridge's own probe found, if it was made since and found something, or the
    last failure; whichever is newer, but a probe knows better how slow it is.
    """
    since = min((at for at in (failing.failing_since, failing.opened) if at), default=0)
    said = plain(failing.reason, failing.timeout_ms / 1000) or "no usable answer"
    if diagnosis is None or diagnosis.at < since or diagnosis.well:
        return said
    probed = found(diagnosis)
    both_slow = said.startswith(_SLOW) and probed.startswith(_SLOW)
    return probed if both_slow or diagnosis.at >= failing.failed else said


def found(diagnosis: DiagnosisReport) -> str:
    """What a probe found."""
    if diagnosis.outcome in ("answered", "refused"):
        seconds = diagnosis.took_ms / 1000
        return f"slow: {_seconds(seconds)}" if not diagnosis.well else f"well, in {_seconds(seconds)}"
    return plain(diagnosis.reason, diagnosis.patience_ms / 1000) or "no usable answer"


def plain(reason: str, waited_s: float) -> str:
    """A reason in plain words; itself, if there are none. `waited_s`: so long an answer was waited for."""
    said = reason.removeprefix("inquiry: ")
    form = "XML" if "not XML" in said else "JSON"
    if "log-in page" in said:
        return f"an HTML log-in page, not {form}"
    if "(HTML?)" in said or "an HTML page" in said:
        return f"an HTML page, not {form}"
    if re.search("connection refused", said, re.IGNORECASE):
        return "connection refused"
    if said.startswith("connect timeout"):
        return "no connection in time"
    if said.startswith("timeout"):
        return f"slow: no answer within {_seconds(waited_s)}" if waited_s else "slow: no answer in time"
    if denied := _CREDENTIALS.search(said):
        return f"HTTP {denied[1]}: it turns our credentials away"
    if redirect := _REDIRECT.search(said):
        return f"HTTP {redirect[1]}: it sends us elsewhere, to a log-in mostly"
    return reason


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s".replace(".0 s", " s")

"""What is wrong with an interface, in words for a reader just woken, from the reason that the bridge gives."""

import re

from bridgectl.instants import in_seconds
from bridgectl.language import tr
from protocol.reports.calls import DiagnosisReport, InterfaceReport

_CREDENTIALS = re.compile(r"HTTP (401|403|407)\b")
_REDIRECT = re.compile(r"HTTP (3\d\d)\b")


def cause(failing: InterfaceReport, diagnosis: DiagnosisReport | None) -> str:
    """Of an interface that fails: what the bridge's own probe found, if it was made since and found something, or the
    last failure; whichever is newer, but a probe knows better how slow it is.
    """
    since = min((at for at in (failing.failing_since, failing.opened) if at), default=0)
    said = plain(failing.reason, failing.timeout_ms / 1000) or tr("no usable answer")
    if diagnosis is None or diagnosis.at < since or diagnosis.well:
        return said
    probed = found(diagnosis)
    both_slow = _slow(failing.reason) and (_answered(diagnosis) or _slow(diagnosis.reason))
    return probed if both_slow or diagnosis.at >= failing.failed else said


def found(diagnosis: DiagnosisReport) -> str:
    """What a probe found."""
    if _answered(diagnosis):
        seconds = diagnosis.took_ms / 1000
        return (
            tr("slow: {seconds}", seconds=_seconds(seconds))
            if not diagnosis.well
            else tr("well, in {seconds}", seconds=_seconds(seconds))
        )
    return plain(diagnosis.reason, diagnosis.patience_ms / 1000) or tr("no usable answer")


def _answered(diagnosis: DiagnosisReport) -> bool:
    return diagnosis.outcome in ("answered", "refused")


def _slow(reason: str) -> bool:
    return reason.removeprefix("inquiry: ").startswith("timeout")


def plain(reason: str, waited_s: float) -> str:
    """A reason in plain words; itself, if there are none. `waited_s`: so long an answer was waited for."""
    said = reason.removeprefix("inquiry: ")
    form = "XML" if "not XML" in said else "JSON"
    if "log-in page" in said:
        return tr("an HTML log-in page, not {form}", form=form)
    if "(HTML?)" in said or "an HTML page" in said:
        return tr("an HTML page, not {form}", form=form)
    if re.search("connection refused", said, re.IGNORECASE):
        return tr("connection refused")
    if said.startswith("connect timeout"):
        return tr("no connection in time")
    if said.startswith("timeout"):
        return (
            tr("slow: no answer within {waited_s}", waited_s=_seconds(waited_s))
            if waited_s
            else tr("slow: no answer in time")
        )
    if denied := _CREDENTIALS.search(said):
        return tr("HTTP {denied}: it turns our credentials away", denied=denied[1])
    if redirect := _REDIRECT.search(said):
        return tr("HTTP {redirect}: it sends us elsewhere, to a log-in mostly", redirect=redirect[1])
    return reason


def _seconds(seconds: float) -> str:
    return in_seconds(round(seconds, None if seconds >= 10 else 1))

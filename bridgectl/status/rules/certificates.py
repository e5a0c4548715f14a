"""Certificates of the daemons: unreadable, expired, of another role, near their end."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.programs import PROGRAMS
from bridgectl.status.observation import Observation, Silent
from bridgectl.status.rules.naming import program as program_of
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport
from protocol.reports.daemon import FileReport
from protocol.reports.front import FrontReport

_DAY_MS = 86_400_000
_WARN_DAYS = 30
CERTIFICATES = ("certificate-expired", "certificate-unreadable", "certificate-wrong")
"""Keys of what is wrong with one: why a broker refuses."""


def certificates(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        for file in report.certificates:
            yield from _certificate(file, report, seen.now)
    for silent in (seen.front, seen.bridge):
        if isinstance(silent, Silent) and silent.objection:
            program = PROGRAMS[silent.role]
            yield Trouble(
                Level.CRITICAL,
                "certificate-wrong",
                tr("the certificate of {program} for the broker is not one for it", program=program),
                silent.objection,
                hurts=tr("{program} does not start with it", program=program),
                mend=tr(
                    "put the right one there (bridgectl certs show), then systemctl restart {program}", program=program
                ),
            )


def _certificate(file: FileReport, report: FrontReport | BridgeReport, now: int) -> Iterator[Trouble]:
    what = tr("the certificate of {name} for {use}", name=report.name, use=file.use)
    mend = tr("renew {path} (certs/README.md), then on its host: bridgectl reload", path=file.path)
    if file.trouble:
        yield Trouble(
            Level.CRITICAL,
            "certificate-unreadable",
            tr("{what} cannot be read", what=what),
            f"{file.path}: {file.trouble}",
            hurts=tr("the next connection fails"),
            mend=mend,
        )
    elif file.not_after is not None and file.not_after <= now:
        yield Trouble(
            Level.CRITICAL,
            "certificate-expired",
            tr("{what} has expired", what=what),
            file.path,
            since=file.not_after,
            hurts=tr("no new connection is made with it"),
            mend=mend,
        )
    elif file.objection:
        yield Trouble(
            Level.CRITICAL,
            "certificate-wrong",
            tr("{what} is not one for it", what=what),
            file.objection,
            hurts=tr("the broker lets it do nothing, or does not let it in"),
            mend=tr(
                "put the right one at {path} (bridgectl certs show), then systemctl restart {program}",
                path=file.path,
                program=program_of(report),
            ),
        )
    elif file.not_after is not None and file.not_after - now < _WARN_DAYS * _DAY_MS:
        days = (file.not_after - now) // _DAY_MS
        yield Trouble(
            Level.WARNING,
            "certificate-expires",
            tr("{what} expires in {days} days", what=what, days=days),
            file.path,
            mend=mend,
        )

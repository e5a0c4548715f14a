"""When the certificates that a daemon uses end, and whether the broker will take its own."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from protocol.errors import ConfigurationError
from protocol.link.certificates import link_objections
from protocol.messages import Role
from protocol.reports.daemon import FileReport
from protocol.runtime.settings import LinkSection

BROKER = "broker"
"""The use of the certificate that the broker is shown."""


def certificate_reports(files: Iterable[tuple[str, Path | None]]) -> tuple[FileReport, ...]:
    """One for each (use, file) that is named. Reads the files: they may have been renewed since the start."""
    return tuple(_report(use, path) for use, path in files if path is not None)


def judged_reports(
    files: Iterable[tuple[str, Path | None]], link: LinkSection, role: Role, now_ms: int
) -> tuple[FileReport, ...]:
    """Reports as above, that of the broker's use with what is wrong with it for a daemon of this role."""
    return tuple(
        report.model_copy(update={"objection": _objection(report, link, role, now_ms)})
        if report.use == BROKER
        else report
        for report in certificate_reports(files)
    )


def _objection(report: FileReport, link: LinkSection, role: Role, now_ms: int) -> str:
    if report.not_after is None or report.not_after <= now_ms:
        return ""  # that is enough to say
    try:
        found = next(
            link_objections(link.ca, link.certificate, (role,), datetime.fromtimestamp(now_ms / 1000, UTC)), None
        )
    except ConfigurationError as error:
        found = error
    return "" if found is None else str(found)


def _report(use: str, path: Path) -> FileReport:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        return FileReport(path=str(path), use=use, trouble=error.strerror or type(error).__name__)
    except ValueError:
        return FileReport(path=str(path), use=use, trouble="holds no certificate")
    return FileReport(path=str(path), use=use, not_after=int(certificate.not_valid_after_utc.timestamp() * 1000))

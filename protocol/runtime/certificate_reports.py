"""When the certificates that a daemon uses end."""

from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from protocol.reports import FileReport


def certificate_reports(files: Iterable[tuple[str, Path | None]]) -> tuple[FileReport, ...]:
    """One for each (use, file) that is named. Reads the files: they may have been renewed since the start."""
    return tuple(_report(use, path) for use, path in files if path is not None)


def _report(use: str, path: Path) -> FileReport:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        return FileReport(path=str(path), use=use, trouble=error.strerror or type(error).__name__)
    except ValueError:
        return FileReport(path=str(path), use=use, trouble="holds no certificate")
    return FileReport(path=str(path), use=use, not_after=int(certificate.not_valid_after_utc.timestamp() * 1000))

"""TLS for every end of the product: one loader of files, and failures in plain words.

Files are PEM; a byte order mark in front of one is skipped. Keys are not encrypted (systemd's credentials protect
them): an encrypted one is refused, and nobody is ever asked at a terminal. Nothing older than TLS 1.2 is spoken.
"""

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509

from protocol.errors import ConfigurationError
from protocol.files import BOM, read_bytes

log = structlog.get_logger("protocol.link")

AEAD_ONLY = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Cipher suites for TLS 1.2 between our own programs and towards our callers: forward secrecy, no CBC."""


def client_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """The link's context: trusts `ca` and nothing else, checks the broker's host name, shows `certificate`.

    TLS 1.3 is used where the broker speaks it, 1.2 is the floor. Raises ConfigurationError naming the file that
    cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificates and host names by itself
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(AEAD_ONLY)
    _trust(context, ca)
    _show(context, certificate, key)
    return context


def outward_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """A client's context for a server that is not ours: Python's own choice of cipher suites, for it may be old.

    Without `ca` the system's authorities are trusted. Raises ConfigurationError naming the file that cannot be used.
    """
    context = ssl.create_default_context() if ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        _trust(context, ca)
    if certificate is not None and key is not None:
        _show(context, certificate, key)
    return context


def server_context(
    certificate: Path, key: Path, client_ca: Path | None = None, *, demand: bool = True
) -> ssl.SSLContext:
    """A server's context; with `client_ca` who connects must show a certificate of that authority, or if it is not
    demanded, shows one of it or none.

    Raises ConfigurationError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(AEAD_ONLY)
    _show(context, certificate, key)
    if client_ca is not None:
        _trust(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_OPTIONAL
    return context


def explain(error: BaseException) -> str:
    """A failed connection's reason in plain words, without OpenSSL's source lines or error numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.') or 'not valid'}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        return _TLS_WORDS.get(reason) or "TLS: " + (reason.replace("_", " ").lower() or "failed")
    if isinstance(error, socket.gaierror):
        return f"the name cannot be looked up: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or _WORDS.get(type(error), type(error).__name__)


_WORDS: dict[type[BaseException], str] = {
    TimeoutError: "no answer in time",
    ConnectionResetError: os.strerror(errno.ECONNRESET),
    ConnectionAbortedError: "the connection was given up",
}
_TLS_WORDS = {
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS there",
    "HTTP_REQUEST": "plain HTTP came where TLS is spoken",
    "UNEXPECTED_EOF_WHILE_READING": "the other side hung up during the TLS handshake",
    "TLSV1_ALERT_UNKNOWN_CA": "the other side does not know the authority of our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the other side says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the other side does not accept our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the other side does not accept our certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the other side wants a certificate of ours",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the other side found no common TLS version or cipher suite, or no certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the other side speaks no TLS version that we do",
}


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    pem = read_bytes(ca)
    _dated(pem, ca, "CA certificate")
    try:
        context.load_verify_locations(cadata=pem.decode("ascii", errors="replace"))
    except ssl.SSLError as error:
        raise ConfigurationError(f"not a CA certificate: {_reason(error)}", file=str(ca)) from error


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    pem, secret = read_bytes(certificate), read_bytes(key)
    if b"PRIVATE KEY-----" not in secret:
        raise ConfigurationError("holds no PEM private key", file=str(key))
    if b"ENCRYPTED" in secret:
        raise ConfigurationError(
            "is an encrypted key; give it unencrypted, readable by the service alone", file=str(key)
        )
    _dated(pem, certificate, "certificate")
    with _as_openssl_reads(certificate) as own, _as_openssl_reads(key) as private:
        try:
            # A password callback that answers at once: OpenSSL would otherwise ask at the terminal and block.
            context.load_cert_chain(own, private, password=lambda: b"")
        except ssl.SSLError as error:
            # NO_CERTIFICATE_ASSIGNED: the key is of another algorithm than the certificate's
            if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
                raise ConfigurationError(f"is not the key of {certificate}", file=str(key)) from error
            if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
                raise ConfigurationError(f"is too weak: {_reason(error)}", file=str(certificate)) from error
            raise ConfigurationError(f"is damaged: {_reason(error)}", file=str(key)) from error


def _dated(pem: bytes, file: Path, what: str) -> None:
    """Raises ConfigurationError if it is no certificate; a date that has passed is said, and left to who checks it."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigurationError(f"holds no PEM {what}", file=str(file)) from error
    now = datetime.now(UTC)
    # The first is the one that is shown; of several authorities one may be on its way out.
    if all(one.not_valid_after_utc < now for one in found[: None if what.startswith("CA") else 1]):
        log.warning("certificate-expired", file=str(file), on=f"{found[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    elif found[0].not_valid_before_utc > now:
        log.warning(
            "certificate-not-yet-valid", file=str(file), on=f"{found[0].not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        )


@contextmanager
def _as_openssl_reads(file: Path) -> Iterator[Path]:
    """The file itself, or a copy in memory without its byte order mark: OpenSSL takes files alone."""
    data = file.read_bytes()
    if not data.startswith(BOM):
        yield file
        return
    if not hasattr(os, "memfd_create"):
        raise ConfigurationError("begins with a byte order mark: save it without", file=str(file))
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, data.removeprefix(BOM))
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "no PEM data").replace("_", " ").lower()

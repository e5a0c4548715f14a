"""The TLS side of the link: mutual, pinned to one CA, nothing older than TLS 1.2."""

import ssl
from pathlib import Path

from protocol.errors import ConfigurationError


def client_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """A client's context: trusts `ca` and nothing else, checks the broker's host name, shows `certificate`.

    TLS 1.3 is used where the broker speaks it, 1.2 is the floor. All files are PEM; the key is not encrypted
    (systemd's credentials protect it). Raises ConfigurationError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificates and host names by itself
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # for 1.2: forward secrecy and AEAD only
    for file in (ca, certificate, key):
        _readable(file)
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise ConfigurationError(f"not a CA certificate: {_reason(error)}", file=str(ca)) from error
    try:
        # A password callback that answers at once: OpenSSL would otherwise ask at the terminal and block.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message, file = f"is not the key of {certificate}", key
        elif "PRIVATE KEY-----" not in key.read_text(encoding="ascii", errors="replace"):
            message, file = "holds no PEM private key", key
        elif "ENCRYPTED" in key.read_text(encoding="ascii", errors="replace"):
            message, file = "is an encrypted key; give it unencrypted, readable by the service alone", key
        else:
            message, file = f"not a certificate: {_reason(error)}", certificate
        raise ConfigurationError(message, file=str(file)) from error
    return context


def _readable(file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(file)) from error


def _reason(error: ssl.SSLError) -> str:
    return error.reason or "no PEM data"

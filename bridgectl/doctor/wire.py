"""A STOMP client that may misbehave: without a certificate, with a foreign one, in plain text, with old TLS.

The product's own link (protocol/link) refuses to do any of this; doctor has to, to see that the broker refuses too.
"""

import contextlib
import secrets
import socket
import ssl
import time
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from cryptography import x509

from bridgectl import certificates
from bridgectl.language import tr
from protocol.link.codec import ProtocolViolation, Received, Splitter, encode
from protocol.link.stomppy import Frame
from protocol.messages import Role

Address = tuple[str, int]
_LARGEST_FRAME = 1 << 20


class Answer(StrEnum):
    """How the broker took a CONNECT."""

    CONNECTED = "connected"
    ERROR = "error"
    """A STOMP ERROR frame: the login, not TLS, said no."""
    REFUSED = "refused"
    """A TLS alert, or the connection was closed, before any STOMP frame."""
    SILENT = "silent"
    """Nothing within the time."""
    UNTRUSTED = "untrusted"
    """We refused: the broker's certificate is not valid for this CA and this name."""
    UNREACHABLE = "unreachable"
    """No TCP connection."""
    UNABLE = "unable"
    """This host's OpenSSL cannot even try."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection: how far it came, and what was seen of the other side."""

    answer: Answer
    text: str = ""
    """What the broker, or TLS, said."""
    tls: str = ""
    """Version, e.g. `TLSv1.3`; empty before the handshake was through."""
    server: str = ""
    """CONNECTED's `server` header."""
    certificate: x509.Certificate | None = None
    """The broker's."""


class Closed(Exception):
    """The broker hung up, or TLS failed, while an answer was awaited."""


class Silent(Exception):
    """No answer in time."""


class Stomp:
    """One connection, blocking; frames in the order they come."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, timeout_s: float) -> None:
        """Connects. Raises OSError (ssl.SSLError is one)."""
        self._timeout_s = timeout_s
        self._splitter = Splitter(_LARGEST_FRAME)
        self._frames: deque[Received] = deque()
        plain = socket.create_connection(address, timeout_s)
        try:
            self.socket = context.wrap_socket(plain, server_hostname=address[0]) if context else plain
        except BaseException:
            plain.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def send(self, command: str, body: bytes = b"", **headers: str) -> None:
        """Send one frame; header names with `_` for `-`. Raises Closed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self.socket.sendall(encode(Frame(command, named, body)))
        except OSError as error:
            raise Closed(reason(error)) from error

    def receive(self, timeout_s: float | None = None) -> Received:
        """The next frame. Raises Closed, Silent."""
        end = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while not self._frames:
            left = end - time.monotonic()
            if left <= 0:
                raise Silent
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
                self._frames.extend(self._splitter.feed(data))
            except TimeoutError:
                raise Silent from None
            except (OSError, ProtocolViolation) as error:
                raise Closed(reason(error)) from error
            if not data:
                raise Closed(tr("closed without a word"))
        return self._frames.popleft()

    def connect(self) -> Received:
        """Log in; the answer. Raises Closed, Silent."""
        self.send("CONNECT", accept_version="1.2", host="localhost", heart_beat="0,0")
        return self.receive()

    def asked(self, command: str, body: bytes = b"", **headers: str) -> Received:
        """Send with a receipt and return what answers it: RECEIPT or ERROR. Raises Closed, Silent."""
        self.send(command, body, receipt="asked", **headers)
        while True:
            frame = self.receive()
            if frame.cmd in ("RECEIPT", "ERROR"):
                return frame


def attempt(address: Address, context: ssl.SSLContext | None, timeout_s: float) -> Attempt:
    """Connect, say CONNECT, and tell how it went; never raises for what the broker does.

    With TLS 1.3 a refused client certificate shows only after the handshake: so something must be said and read.
    """
    try:
        stomp = Stomp(address, context, timeout_s)
    except ssl.SSLCertVerificationError as error:
        return Attempt(Answer.UNTRUSTED, error.verify_message or reason(error))
    except ssl.SSLError as error:
        if error.reason in ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE"):
            return Attempt(Answer.UNABLE, reason(error))
        return Attempt(Answer.REFUSED, reason(error))
    except ConnectionResetError as error:
        return Attempt(Answer.REFUSED, reason(error))
    except OSError as error:
        return Attempt(Answer.UNREACHABLE, reason(error))
    with stomp:
        secure = stomp.socket if isinstance(stomp.socket, ssl.SSLSocket) else None
        tls = (secure.version() or "") if secure else ""
        der = secure.getpeercert(binary_form=True) if secure else None
        certificate = x509.load_der_x509_certificate(der) if der else None
        try:
            frame = stomp.connect()
        except Closed as error:
            return Attempt(Answer.REFUSED, str(error), tls, certificate=certificate)
        except Silent:
            return Attempt(
                Answer.SILENT, tr("no answer within {timeout_s:g} s", timeout_s=timeout_s), tls, certificate=certificate
            )
        if frame.cmd == "CONNECTED":
            return Attempt(Answer.CONNECTED, "", tls, frame.headers.get("server", ""), certificate)
        return Attempt(Answer.ERROR, error_text(frame), tls, certificate=certificate)


def without_certificate(ca: Path) -> ssl.SSLContext:
    """A client that trusts the broker and shows nothing."""
    return ssl.create_default_context(cafile=str(ca))


@contextlib.contextmanager
def foreign_certificate(ca: Path, role: Role) -> Iterator[ssl.SSLContext]:
    """A client with a certificate of the right shape, signed by an authority made this minute and thrown away."""
    now = datetime.now(UTC).replace(microsecond=0)
    pair = certificates.make_leaf(certificates.make_authority(now=now), role, f"doctor-{secrets.token_hex(4)}", now=now)
    context = ssl.create_default_context(cafile=str(ca))
    with TemporaryDirectory() as folder:  # 0700; OpenSSL takes certificates from files alone
        certificate, key = Path(folder) / "foreign.pem", Path(folder) / "foreign.key"
        certificate.write_bytes(pair.certificate_pem())
        key.write_bytes(pair.key_pem())
        context.load_cert_chain(certificate, key)
    yield context


def old_tls(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Our own certificate, and nothing newer than TLS 1.1."""
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(certificate, key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def error_text(frame: Received) -> str:
    """What an ERROR frame says, on one line."""
    text = frame.headers.get("message") or frame.body.decode(errors="replace").partition("\n")[0]
    return " ".join(text.split())[:200]


def reason(error: BaseException) -> str:
    """An exception in a few words."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__

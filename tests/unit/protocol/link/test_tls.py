"""Errors in certificate files name the file; the context is as strict as promised."""

import datetime
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import ConfigurationError
from protocol.link.tls import client_context, explain, outward_context, server_context


def make(
    directory: Path, name: str, password: bytes | None = None, *, begins: int = 0, days: int = 1
) -> tuple[Path, Path]:
    """A self-signed certificate for a host name, and its key; valid from `begins` days after now, for `days`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=begins)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem, key_file = directory / f"{name}.pem", directory / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))
    return pem, key_file


def test_the_context_checks_everything(tmp_path: Path) -> None:
    pem, key = make(tmp_path, "a")
    context = client_context(pem, pem, key)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) <= 1  # none of the system's


@pytest.mark.parametrize("bad", ["ca", "certificate", "key"])
@pytest.mark.parametrize("fault", ["missing", "garbage"])
def test_a_bad_file_is_named(tmp_path: Path, bad: str, fault: str) -> None:
    pem, key = make(tmp_path, "a")
    broken = tmp_path / "broken.pem"
    if fault == "garbage":
        broken.write_text("nothing of use")
    files = {"ca": pem, "certificate": pem, "key": key, bad: broken}
    with pytest.raises(ConfigurationError) as caught:
        client_context(**files)
    assert caught.value.file == str(broken)


def test_the_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    pem, _ = make(tmp_path, "a")
    _, other = make(tmp_path, "b")
    with pytest.raises(ConfigurationError, match=r"is not the key of") as caught:
        client_context(pem, pem, other)
    assert caught.value.file == str(other)


def test_an_encrypted_key_is_refused_without_asking_at_the_terminal(tmp_path: Path) -> None:
    pem, key = make(tmp_path, "a", password=b"secret")
    with pytest.raises(ConfigurationError, match="encrypted") as caught:
        client_context(pem, pem, key)
    assert caught.value.file == str(key)


Load = Callable[[Path, Path], ssl.SSLContext]
LOADERS: list[Load] = [
    lambda certificate, key: client_context(certificate, certificate, key),
    lambda certificate, key: outward_context(None, certificate, key),
    lambda certificate, key: server_context(certificate, key),
]


@pytest.mark.parametrize("load", LOADERS, ids=["link", "marketing", "https"])
def test_every_end_loads_files_in_one_way(load: Load, tmp_path: Path) -> None:
    pem, key = make(tmp_path, "a")
    _, locked = make(tmp_path, "locked", password=b"secret")
    _, other = make(tmp_path, "other")
    (tmp_path / "garbage").write_text("nothing of use")
    load(pem, key)
    for wrong, words in (
        (locked, "encrypted key"),
        (other, "is not the key of"),
        (tmp_path / "none", "No such file"),
        (tmp_path / "garbage", "holds no PEM private key"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(ConfigurationError, match=words) as caught:
            load(pem, wrong)
        assert str(caught.value).startswith(f"{wrong}: ")
    with pytest.raises(ConfigurationError, match=r"holds no PEM (CA )?certificate") as caught:
        load(tmp_path / "garbage", key)
    assert caught.value.file == str(tmp_path / "garbage")


@pytest.mark.parametrize("load", LOADERS, ids=["link", "marketing", "https"])
def test_a_byte_order_mark_is_skipped(load: Load, tmp_path: Path) -> None:
    pem, key = make(tmp_path, "a")
    for file in (pem, key):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    load(pem, key)


@pytest.mark.parametrize(("begins", "event"), [(-9, "certificate-expired"), (9, "certificate-not-yet-valid")])
def test_a_certificate_out_of_its_time_is_said(
    begins: int, event: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem, key = make(tmp_path, "a", begins=begins)
    server_context(pem, key)
    said = capsys.readouterr().out
    assert event in said
    assert str(pem) in said


def failure(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Why this client does not accept this server, called by this name."""

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as plain:
            try:
                server.wrap_socket(plain, server_side=True).close()
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), 5) as plain,
                pytest.raises(OSError) as caught,  # noqa: PT011 - its text is what is asked for
            ):
                client.wrap_socket(plain, server_hostname=name)
        finally:
            thread.join()
    return explain(caught.value)


def test_reasons_are_plain_words(tmp_path: Path) -> None:
    good, good_key = make(tmp_path, "good")
    old, old_key = make(tmp_path, "old", begins=-9)
    early, early_key = make(tmp_path, "early", begins=9)
    for server, ca, name, words in (
        ((old, old_key), old, "old", "certificate has expired"),
        ((early, early_key), early, "early", "certificate is not yet valid"),
        ((good, good_key), good, "elsewhere", "Hostname mismatch, certificate is not valid for 'elsewhere'"),
        ((good, good_key), old, "good", "self-signed certificate"),
    ):
        text = failure(server_context(*server), outward_context(ca, None, None), name)
        assert words in text
        assert "_ssl.c" not in text


def test_the_words_of_other_failures() -> None:
    assert explain(ConnectionRefusedError(111, "a:1: Connection refused")) == "a:1: Connection refused"
    assert explain(TimeoutError()) == "no answer in time"
    assert explain(socket.gaierror(-2, "a: Name or service not known")).startswith("the name cannot be looked up: a: ")
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)")
    error.reason = "WRONG_VERSION_NUMBER"
    assert explain(error) == "the other side does not speak TLS there"


def test_our_own_ends_speak_no_cbc(tmp_path: Path) -> None:
    pem, key = make(tmp_path, "a")
    for context in (client_context(pem, pem, key), server_context(pem, key)):
        suites = [one["name"] for one in context.get_ciphers()]
        assert suites
        assert all("GCM" in name or "CHACHA20" in name for name in suites)

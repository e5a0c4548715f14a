"""Errors in certificate files name the file; the context is as strict as promised."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import ConfigurationError
from protocol.link.tls import client_context


def make(directory: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
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

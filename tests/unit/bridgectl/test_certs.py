"""`bridgectl certs`: what it makes works in TLS, in OpenSSL and in Java; what is wrong is found and named."""

import contextlib
import datetime
import json
import shutil
import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from typer.testing import CliRunner, Result

from bridgectl import certificate_checks, certificate_files, certificates
from bridgectl.certificate_checks import Level
from bridgectl.cli import app
from protocol.errors import ConfigurationError
from protocol.messages import Role

NAMES = {
    Role.BROKER: ["broker-1"],
    Role.FRONT: ["front-1", "front-2"],
    Role.BRIDGE: ["bridge-1"],
    Role.MONITOR: ["monitor-1"],
    Role.OPERATOR: ["operator-1"],
}
SUBJECTS = {
    "broker": "CN=broker-1,OU=broker,O=dmz-bridge",
    "front": "CN=front-1,OU=front,O=dmz-bridge",
    "front-2": "CN=front-2,OU=front,O=dmz-bridge",
    "bridge": "CN=bridge-1,OU=bridge,O=dmz-bridge",
    "monitor": "CN=monitor-1,OU=monitor,O=dmz-bridge",
    "operator": "CN=operator-1,OU=operator,O=dmz-bridge",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("x") / "certs"
    certificate_files.init(directory, NAMES, ["broker.dmz.example", "10.1.2.3"])
    return directory


@pytest.fixture
def certs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "certs"))


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["certs", *map(str, words)])


def leaf(directory: Path, base: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{base}.pem").read_bytes())


def extension(certificate: x509.Certificate, kind: Any) -> Any:
    return certificate.extensions.get_extension_for_class(kind).value


def problems(directory: Path, **options: int) -> list[tuple[Level, str]]:
    found = certificate_checks.check(directory, **options)
    assert all(one.advice for one in found if one.level is not Level.OK), "every problem comes with a remedy"
    return [(one.level, one.file) for one in found if one.level is not Level.OK]


# --- init -------------------------------------------------------------------------------------------------


def test_init_makes_a_certificate_for_every_role(made: Path) -> None:
    ca = leaf(made, "ca")
    assert extension(ca, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=0)
    for base, subject in SUBJECTS.items():
        one = leaf(made, base)
        one.verify_directly_issued_by(ca)
        assert one.subject.rfc4514_string() == subject
        wanted = ExtendedKeyUsageOID.SERVER_AUTH if base == "broker" else ExtendedKeyUsageOID.CLIENT_AUTH
        assert list(extension(one, x509.ExtendedKeyUsage)) == [wanted]
        assert not extension(one, x509.BasicConstraints).ca
        assert extension(one, x509.KeyUsage).digital_signature
        assert not extension(one, x509.KeyUsage).key_cert_sign
        authority = extension(one, x509.AuthorityKeyIdentifier).key_identifier
        assert authority == extension(ca, x509.SubjectKeyIdentifier).digest
        assert (one.not_valid_after_utc - one.not_valid_before_utc).days == 397
    assert len({leaf(made, base).serial_number for base in SUBJECTS}) == len(SUBJECTS)


def test_the_broker_is_known_by_its_names_and_addresses(made: Path) -> None:
    names = extension(leaf(made, "broker"), x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "broker-1", "broker.dmz.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "10.1.2.3"]


def test_secrets_are_private_and_the_directory_is_too(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    for file in made.iterdir():
        secret = file.suffix in {".key", ".password"} or file.name == "broker.p12"
        assert stat.S_IMODE(file.stat().st_mode) == (0o600 if secret else 0o644), file.name
    assert not [file for file in made.iterdir() if file.name.startswith(".")]


def test_init_from_the_command_line_prints_no_secret_and_overwrites_nothing(tmp_path: Path) -> None:
    words = ("init", "--dir", tmp_path / "c", "--front", "north-1", "--front", "south-1", "--broker-san", "mq.example")
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert leaf(tmp_path / "c", "front").subject.rfc4514_string().startswith("CN=north-1")
    assert leaf(tmp_path / "c", "south-1").subject.rfc4514_string().startswith("CN=south-1")
    for file in tmp_path.joinpath("c").glob("*.key"):
        assert file.read_text().splitlines()[1] not in result.output
    assert tmp_path.joinpath("c", "broker.p12.password").read_text() not in result.output

    before = {file: file.read_bytes() for file in (tmp_path / "c").iterdir()}
    again = run(*words)
    assert isinstance(again.exception, ConfigurationError)
    assert "not overwritten" in str(again.exception)
    assert before == {file: file.read_bytes() for file in (tmp_path / "c").iterdir()}
    assert run(*words, "--force").exit_code == 0
    assert before != {file: file.read_bytes() for file in (tmp_path / "c").iterdir()}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--front", "Front 1"], "is not a name"),
        (["--front", "a,OU=operator"], "is not a name"),
        (["--broker-san", "not a host"], "neither an IP address nor a host name"),
        (["--broker-san", "bücher.example"], "neither"),
        (["--front", "one", "--front", "bridge"], "two certificates"),
    ],
)
def test_init_refuses_bad_names_and_writes_nothing(tmp_path: Path, words: list[str], told: str) -> None:
    result = run("init", "--dir", tmp_path / "c", *words)
    assert told in str(result.exception)
    assert not (tmp_path / "c").exists()


def test_a_directory_others_may_write_in_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c").chmod(0o777)
    assert "other users may write" in str(run("init", "--dir", tmp_path / "c").exception)


# --- TLS, OpenSSL, Java -----------------------------------------------------------------------------------


def context(directory: Path, base: str, side: int) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.load_verify_locations(directory / "ca.pem")
    made.load_cert_chain(directory / f"{base}.pem", directory / f"{base}.key")
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> Any:
    """The client's subject as the server sees it. Raises ssl.SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(down, up, server_hostname=name)
    other = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in (one, other):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return other.getpeercert()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "broker.dmz.example", "10.1.2.3"])
@pytest.mark.parametrize("role", ["front", "bridge", "monitor", "operator"])
def test_every_role_can_reach_the_broker_over_mutual_tls(made: Path, role: str, name: str) -> None:
    client, server = context(made, role, ssl.PROTOCOL_TLS_CLIENT), context(made, "broker", ssl.PROTOCOL_TLS_SERVER)
    seen = handshake(client, server, name)
    assert ((("organizationalUnitName", role),)) in seen["subject"]


def test_tls_refuses_the_wrong_name_and_the_wrong_role(made: Path) -> None:
    front = context(made, "front", ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(front, context(made, "broker", ssl.PROTOCOL_TLS_SERVER), "elsewhere.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshake(front, context(made, "bridge", ssl.PROTOCOL_TLS_SERVER), "bridge-1")
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshake(
            context(made, "broker", ssl.PROTOCOL_TLS_CLIENT),
            context(made, "broker", ssl.PROTOCOL_TLS_SERVER),
            "localhost",
        )


def test_tls_refuses_another_authority(made: Path, tmp_path: Path) -> None:
    certificate_files.init(tmp_path / "strange", NAMES)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(
            context(tmp_path / "strange", "front", ssl.PROTOCOL_TLS_CLIENT),
            context(made, "broker", ssl.PROTOCOL_TLS_SERVER),
            "localhost",
        )


@pytest.mark.skipif(shutil.which("keytool") is None, reason="needs Java's keytool")
@pytest.mark.parametrize(
    ("store", "entry"), [("broker.p12", "PrivateKeyEntry"), ("truststore.p12", "trustedCertEntry")]
)
def test_java_reads_the_stores(made: Path, store: str, entry: str) -> None:
    done = subprocess.run(
        ["keytool", "-J-Duser.language=en", "-list", "-v", "-storetype", "PKCS12"]  # noqa: RUF005  # two short lines
        + ["-keystore", made / store, "-storepass:file", made / "broker.p12.password"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Entry type: {entry}" in done.stdout
    assert "contains 1 entry" in done.stdout
    if store == "broker.p12":
        assert "Certificate chain length: 2" in done.stdout
        assert "Owner: CN=broker-1, OU=broker, O=dmz-bridge" in done.stdout


# --- issue ------------------------------------------------------------------------------------------------


def test_issue_adds_an_instance(certs: Path) -> None:
    assert run("issue", "bridge", "--name", "bridge-2", "--san", "10.9.9.9", "--dir", certs).exit_code == 0
    one = leaf(certs, "bridge-2")
    assert one.subject.rfc4514_string() == "CN=bridge-2,OU=bridge,O=dmz-bridge"
    assert problems(certs) == []


def test_issue_renews_in_place_with_the_same_names_and_a_new_key(certs: Path) -> None:
    old, password = leaf(certs, "broker"), (certs / "broker.p12.password").read_bytes()
    refused = run("issue", "broker", "--name", "broker-1", "--dir", certs)
    assert "not overwritten" in str(refused.exception)
    assert run("issue", "broker", "--name", "broker-1", "--dir", certs, "--force", "--days", "30").exit_code == 0
    new = leaf(certs, "broker")
    assert new.serial_number != old.serial_number
    assert new.public_key() != old.public_key()
    assert extension(new, x509.SubjectAlternativeName) == extension(old, x509.SubjectAlternativeName)
    assert (certs / "broker.p12.password").read_bytes() == password
    assert not (certs / "broker-1.pem").exists()
    assert problems(certs, warn_days=0) == []


def test_a_second_broker_has_stores_of_its_own(certs: Path) -> None:
    paths = certificate_files.issue(certs, Role.BROKER, "broker-2", ["mq2.example"])
    assert {path.name for path in paths} == {
        "broker-2.key",
        "broker-2.pem",
        "broker-2.p12",
        "broker-2.p12.password",
        "broker-2.truststore.p12",
    }
    assert problems(certs) == []


def test_a_new_authority_can_follow_an_old_one(certs: Path, tmp_path: Path) -> None:
    """As certs/README.md says: both in ca.pem, every leaf renewed, then the old one removed."""
    certificate_files.init(tmp_path / "new", NAMES)
    old = (certs / "ca.pem").read_bytes()
    (certs / "ca.pem").write_bytes((tmp_path / "new" / "ca.pem").read_bytes() + old)
    (certs / "ca.key").write_bytes((tmp_path / "new" / "ca.key").read_bytes())
    certificate_files.issue(certs, Role.FRONT, "front-1", force=True)
    assert problems(certs) == []
    assert handshake(
        context(certs, "front", ssl.PROTOCOL_TLS_CLIENT), context(certs, "broker", ssl.PROTOCOL_TLS_SERVER), "localhost"
    )


@pytest.mark.parametrize("out", ["ca", "../x", ".x", "truststore"])
def test_issue_never_writes_over_the_authority_or_elsewhere(certs: Path, out: str) -> None:
    result = run("issue", "front", "--name", "front-9", "--dir", certs, "--out", out, "--force")
    assert "cannot be the name" in str(result.exception)


def test_issue_needs_the_authority_s_key(certs: Path, tmp_path: Path) -> None:
    (certs / "ca.key").unlink()
    assert "ca.key: is not there" in str(run("issue", "front", "--name", "f", "--dir", certs).exception)
    certificate_files.init(tmp_path / "new", NAMES)
    shutil.copy(tmp_path / "new" / "ca.key", certs)
    assert "is not the key of any" in str(run("issue", "front", "--name", "f", "--dir", certs).exception)
    assert "ca.pem: is not there" in str(run("issue", "front", "--name", "f", "--dir", tmp_path / "no").exception)


# --- show and check ---------------------------------------------------------------------------------------


def test_show_lists_every_certificate(made: Path) -> None:
    found = json.loads(run("show", "--dir", made, "--json").output)
    assert [(one["file"], one["role"], one["name"]) for one in found[1:]] == [
        ("bridge.pem", "bridge", "bridge-1"),
        ("broker.pem", "broker", "broker-1"),
        ("front-2.pem", "front", "front-2"),
        ("front.pem", "front", "front-1"),
        ("monitor.pem", "monitor", "monitor-1"),
        ("operator.pem", "operator", "operator-1"),
    ]
    assert found[0]["role"] == "ca"
    assert all(one["key_permission"] == "0600" and len(one["fingerprint"]) == 64 for one in found)
    assert found[1]["days_left"] in (395, 396)
    text = run("show", "--dir", made).output
    assert text.splitlines()[0].startswith("FILE")
    assert "broker.dmz.example" in text


def test_check_is_content_with_what_init_made(made: Path) -> None:
    result = run("check", "--dir", made)
    assert result.exit_code == 0
    assert all(line.startswith("ok ") for line in result.output.splitlines())
    assert {one["level"] for one in json.loads(run("check", "--dir", made, "--json").output)} == {"ok"}


def test_check_finds_each_fault(certs: Path, tmp_path: Path) -> None:
    assert problems(certs, warn_days=400) == [
        (Level.WARN, f"{base}.pem") for base in ("bridge", "broker", "front-2", "front", "monitor", "operator")
    ]
    (certs / "operator.key").chmod(0o644)
    shutil.copy(certs / "front.key", certs / "front-2.key")
    certificate_files.init(tmp_path / "strange", NAMES)
    shutil.copy(tmp_path / "strange" / "bridge.pem", certs)
    (certs / "broker.p12.password").write_text("wrong")
    assert problems(certs) == [
        (Level.FAIL, "bridge.pem"),
        (Level.FAIL, "bridge.key"),
        (Level.FAIL, "broker.p12"),
        (Level.FAIL, "front-2.key"),
        (Level.FAIL, "operator.key"),
    ]
    result = run("check", "--dir", certs)
    assert result.exit_code == 1
    assert "chmod 0600" in result.output


def test_check_finds_old_stores_expired_leaves_and_wrong_uses(certs: Path) -> None:
    old = (certs / "broker.p12").read_bytes()
    certificate_files.issue(certs, Role.BROKER, "broker-1", force=True)
    (certs / "broker.p12").write_bytes(old)
    assert problems(certs) == [(Level.FAIL, "broker.p12")]

    now = datetime.datetime.now(datetime.UTC)
    authority, _ = certificate_files.read_authority(certs)
    past = certificates.make_leaf(authority, Role.FRONT, "front-1", now=now - datetime.timedelta(days=40), days=20)
    (certs / "front.pem").write_bytes(past.certificate_pem())
    (certs / "front.key").write_bytes(past.key_pem())
    assert (Level.FAIL, "front.pem") in problems(certs)


@pytest.mark.parametrize("name", ["ca.pem", "front.pem"])
def test_check_reports_what_cannot_be_read(certs: Path, name: str) -> None:
    (certs / name).write_text("-----BEGIN NOTHING-----")
    assert problems(certs) == [(Level.FAIL, name)]


def test_a_host_with_only_its_own_files_checks_well(certs: Path, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    for name in ("ca.pem", "front.pem", "front.key"):
        shutil.copy(certs / name, host)
    assert problems(host) == []

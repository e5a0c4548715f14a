"""Callers beyond loopback show a certificate: of the authority, and of a name that may call."""

import contextlib
import datetime
import ssl
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.intranet_bridge.harness import Stage, scene
from tests.unit.intranet_bridge.pushes.test_effects import said
from tests.unit.intranet_bridge.pushes.test_pushes import listening

Issued = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(folder: Path, name: str, authority: Issued | None = None) -> Issued:
    """A certificate and its key in files, of an authority or of itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, signer = (authority[0].subject, authority[1]) if authority else (subject, key)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(plain)
    return certificate, key


@scene
async def test_only_those_named_of_the_authority_may_call(stage: Stage) -> None:
    folder = stage.folder
    authority = issue(folder, "authority")
    for name in ("bridge", "marketing", "front"):
        issue(folder, name, authority)
    issue(folder, "stranger")
    files = {"certificate": str(folder / "bridge.pem"), "key": str(folder / "bridge.key")}
    client = await listening(
        stage, token_file=None, client_ca=str(folder / "authority.pem"), clients=["marketing"], **files
    )
    port = client.base_url.port
    await client.aclose()
    answers: dict[str, int] = {}
    for name in ("marketing", "front", "stranger", ""):
        context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
        if name:
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        async with httpx.AsyncClient(base_url=f"https://localhost:{port}", verify=context, trust_env=False) as http:
            with contextlib.suppress(httpx.TransportError):
                answers[name] = (await http.post("/v1/pushes", json=said())).status_code
    assert answers == {"marketing": 200}
    assert stage.bridge.pushes.refused["unknown-client"] >= 1
    await stage.stop()

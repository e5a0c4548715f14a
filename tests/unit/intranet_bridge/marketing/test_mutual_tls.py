"""Mutual TLS to a marketing system whose authorities are its own: calls of both kinds over HTTP, and a WSDL fetched."""

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Outcome, Unknown
from intranet_bridge.marketing.kind import System
from intranet_bridge.marketing.kinds import kind
from protocol.errors import ConfigurationError
from protocol.operations import CATALOGUE

pytestmark = pytest.mark.anyio

ARREARS = CATALOGUE["arrears-query"]
ASKED = MarketingRequest("01a2-req", ARREARS.requests.validate_python(ARREARS.example))
ANSWER = Answered(b'{"account":"3210000000001","as_of":null,"total":7,"unpaid":[]}')
PEER = Path(__file__).parents[3] / "support" / "peers"
BODIES = {
    "/api": b'{"acct": "3210000000001", "total": 7, "bills": []}',
    "/soap": b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><owedResponse xmlns="urn:peer">'
    b"<code>0</code><data><acct>3210000000001</acct><total>7</total></data></owedResponse></s:Body></s:Envelope>",
    "/peer.wsdl": (PEER / "soap.wsdl").read_bytes(),
    "/soap.xsd": (PEER / "soap.xsd").read_bytes(),
}
RESPONSE = "{account: acct, total: total, unpaid: list(%s)}"
BINDINGS: dict[str, dict[str, Any]] = {
    "http": {"path": "/api", "request": "{acct: account}", "response": RESPONSE % "bills"},
    "soap": {"operation": "owed", "request": "{acct: account}", "response": f"data.{RESPONSE % 'bill'}"},
}
KINDS = pytest.mark.parametrize("name", list(BINDINGS))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Authority:
    """One that issues certificates into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self._subject, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), True
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return x509.CertificateBuilder(
            self._subject, subject, key.public_key(), x509.random_serial_number(),
            now - datetime.timedelta(minutes=5), now + datetime.timedelta(days=1),
        )  # fmt: skip

    def issue(self, name: str, *addresses: str) -> tuple[Path, Path]:
        """Files of a certificate, for these addresses, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key)
        if addresses:
            names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(one)) for one in addresses])
            builder = builder.add_extension(names, False)
        certificate, private = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        pem = serialization.Encoding.PEM
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(pem))
        private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, private


class Handler(BaseHTTPRequestHandler):
    """Answers whoever the handshake let in."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        assert isinstance(self.connection, ssl.SSLSocket)
        shown = self.connection.getpeercert() or {}
        self.server.seen.append(dict(pair for part in shown["subject"] for pair in part)["commonName"])  # type: ignore[misc]
        body = BODIES[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """A marketing system that lets in whom `authority` knows; the handshake is its threads'."""

    def __init__(self, certificate: tuple[Path, Path], authority: Path, highest: ssl.TLSVersion) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        context.load_verify_locations(authority)
        context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, highest
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.seen: list[str] = []
        """Common names of the certificates shown, a request each."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            request.do_handshake()
        except ssl.SSLError:
            # what is on its way is read: a reset would take the alert that was just sent with it
            with socket.socket(fileno=request.detach()) as refused, contextlib.suppress(OSError):
                refused.settimeout(5)
                refused.shutdown(socket.SHUT_WR)
                while refused.recv(4096):
                    pass
            return
        super().finish_request(request, client_address)


class World:
    """A marketing system with an authority for its own certificate and one for those of its callers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers, self.callers = Authority(folder, "servers"), Authority(folder, "callers")
        self.bridge = self.callers.issue("bridge")

    @contextmanager
    def running(self, *addresses: str, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Iterator[Server]:
        server = Server(self.servers.issue("marketing", *(addresses or ("127.0.0.1",))), self.callers.file, highest)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def tls(self, certificate: tuple[Path, Path] | None, ca: Path | None = None) -> dict[str, Any]:
        shown = dict(zip(("certificate", "key"), certificate, strict=True)) if certificate else {}
        return {"ca": ca or self.servers.file, **shown}

    def system(self, name: str, server: Server, tls: dict[str, Any], **changes: Any) -> System:
        """Opened. Raises ConfigurationError."""
        if name == "http":
            section: dict[str, Any] = {"url": server.url}
        else:
            section = {"wsdl": PEER / "soap.wsdl", "port": "Port11", "url": f"{server.url}/soap"}
        values = {"adapter": name, "tls": tls} | section | changes
        return kind(name).open("test", kind(name).system.model_validate(values))

    async def call(self, name: str, server: Server, tls: dict[str, Any], **changes: Any) -> Outcome:
        system = self.system(name, server, tls, **changes)
        try:
            adapter = system.adapter(ARREARS, kind(name).binding.model_validate(BINDINGS[name]))
            return await adapter.call(ASKED, 10)
        finally:
            await system.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@KINDS
@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_each_knows_the_other(world: World, name: str, highest: ssl.TLSVersion) -> None:
    with world.running(highest=highest) as server:
        assert await world.call(name, server, world.tls(world.bridge)) == ANSWER
        assert server.seen == ["bridge"]


@KINDS
@pytest.mark.parametrize(
    ("certificate", "why"), [("none", "certificate"), ("stranger", "authority of our certificate")]
)
async def test_who_is_not_known_is_not_let_in(world: World, name: str, certificate: str, why: str) -> None:
    shown = None if certificate == "none" else Authority(world.folder, "others").issue("stranger")
    with world.running(highest=ssl.TLSVersion.TLSv1_2) as server:
        outcome = await world.call(name, server, world.tls(shown))
        assert server.seen == []
    assert isinstance(outcome, NotApplied)
    assert not outcome.reached
    assert why in outcome.reason
    with world.running() as server:
        outcome = await world.call(name, server, world.tls(shown))
        assert server.seen == []
    # TLS 1.3: the no comes after our handshake, when the request may be on its way
    assert isinstance(outcome, Unknown)
    assert outcome.reason.startswith("connection lost: ")
    assert why in outcome.reason


@KINDS
@pytest.mark.parametrize(
    ("address", "own_authority", "why"), [("127.0.0.1", False, "issuer certificate"), ("127.0.0.2", True, "mismatch")]
)
async def test_a_marketing_system_that_is_not_the_one_gets_nothing(
    world: World, name: str, address: str, own_authority: bool, why: str
) -> None:
    trusted = world.servers.file if own_authority else Authority(world.folder, "others").file
    with world.running(address) as server:
        outcome = await world.call(name, server, world.tls(world.bridge, trusted))
        assert server.seen == []
    assert isinstance(outcome, NotApplied)
    assert not outcome.reached
    assert why in outcome.reason


async def test_a_wsdl_is_fetched_with_the_same_certificate_and_kept(world: World) -> None:
    wsdl = world.folder / "kept" / "marketing.wsdl"
    with world.running() as server:
        fetched = {"wsdl": wsdl, "fetch": {"url": f"{server.url}/peer.wsdl"}}
        with pytest.raises(ConfigurationError, match="cannot be fetched"):
            world.system("soap", server, world.tls(None), **fetched)
        assert not wsdl.exists()
        assert await world.call("soap", server, world.tls(world.bridge), **fetched) == ANSWER
        assert server.seen == ["bridge"] * 3  # the WSDL, the schema that it includes, the call
        assert wsdl.read_bytes() == BODIES["/peer.wsdl"]
        # what came last is used when nothing comes: here to one that is trusted no more
        trusted = Authority(world.folder, "others").file
        outcome = await world.call("soap", server, world.tls(world.bridge, trusted), **fetched)
        assert isinstance(outcome, NotApplied)
        assert len(server.seen) == 3

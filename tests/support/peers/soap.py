"""A marketing system that speaks SOAP: the threads of the HTTP peer, its envelopes written by hand.

1.1: a password digest, business answers as codes, UTF-8. 1.2: a password as text, the command's refusal and "busy" as
faults, GBK.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from defusedxml import ElementTree

from intranet_bridge.contract import ACCOUNT, COMMAND, DETAIL, OTHER, QUERY, REFUSED, Behaviour, Peer, owed, registered
from tests.support.peers.http import APPLYING, HANG_S, HttpPeer, cut

WSDL = Path(__file__).with_name("soap.wsdl")
_PASSWORD = "contract-密码-5512907734"
_REFUSAL = {"when": "code != '0'", "code": "code", "detail": "msg", "codes": {"44": REFUSED}}
_SPACES = {False: "http://schemas.xmlsoap.org/soap/envelope/", True: "http://www.w3.org/2003/05/soap-envelope"}
_TYPES = {False: "text/xml", True: "application/soap+xml"}
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_FAULTS = {"Busy": "not_applied", "code=44": REFUSED}


class SoapPeer(HttpPeer):
    """See `Peer`."""

    secrets = (_PASSWORD,)

    def __init__(self, folder: Path, *, soap12: bool) -> None:
        self.soap12, self.charset = soap12, "gbk" if soap12 else "utf-8"
        super().__init__(folder)
        password = folder / "peer.password"
        password.touch(mode=0o600)
        password.write_text(_PASSWORD, encoding="utf-8")
        self.system = {
            "adapter": "soap",
            "wsdl": str(WSDL),
            "port": "Port12" if soap12 else "Port11",
            "url": f"http://127.0.0.1:{self.port}/soap",
            "username_token": {"username": "dmz", "password_file": str(password), "digest": not soap12},
        }
        common = {"faults": _FAULTS, "charset": self.charset}
        self.bindings = {
            QUERY.name: {
                **common,
                "operation": "owed",
                "request": "{acct: account}",
                "response": "data.{account: acct, total: total, unpaid: bill}",
                "refusal": _REFUSAL,
            },
            COMMAND.name: {
                **common,
                "operation": "order",
                "request": "{id: request_id, acct: account, name: contact_name, tel: contact_phone, text: content}",
                "response": "{work_order: no, accepted_at: at}",
                "request_id": "id",
                "refusal": _REFUSAL,
                "inquire": {
                    "operation": "status",
                    "request": "{id: request_id}",
                    "found": "code == '0'",
                    "not_found": "code == '40'",
                },
            },
        }

    def saved(self) -> bytes:
        return self.envelope(self.written("owed", {"acct": ACCOUNT})).encode(self.charset)

    def take(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        root = ElementTree.fromstring(body.decode(self.charset).partition("?>")[2], forbid_dtd=True)
        if not self._lets_in({_local(one.tag): one.text or "" for one in root[0].iter()}):
            fault = '<w:x xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"/>'
            self._send(handler, 500, self.fault("w:FailedAuthentication", detail=fault))
            return
        called = root[1][0]
        asked = {_local(one.tag): one.text or "" for one in called}
        name, (behaviour, changed) = _local(called.tag), self.books.receive()
        if behaviour in APPLYING and name == "order":
            self.books.apply(asked["id"])
        if behaviour in (Behaviour.SILENT, Behaviour.SILENT_APPLIED):
            changed.wait(HANG_S)
        if behaviour in (Behaviour.DROP, Behaviour.DROP_APPLIED):
            cut(handler.connection)
            return
        match behaviour:
            case Behaviour.REFUSE if name == "owed":
                self._send(handler, 200, self.response(name, f"<code>44</code><msg>{DETAIL}</msg>"))
            case Behaviour.REFUSE:
                self._send(handler, 500, self.fault("Client", DETAIL, "<t:Refused><t:code>44</t:code></t:Refused>"))
            case Behaviour.BUSY:
                self._send(handler, 500, self.fault("Server", "busy", "<t:Busy/>"))
            case Behaviour.FAIL:
                self._send(handler, 500, self.fault("Server", f"NullPointerException at {asked}"))
            case Behaviour.GARBAGE:
                self._send(handler, 200, self.written(name, asked)[:-9])
            case Behaviour.ANOTHER:
                self._send(handler, 200, self.written(name, {**asked, "acct": OTHER, "id": OTHER}, known=True))
            case _:
                self._send(handler, 200, self.written(name, asked))

    def written(self, name: str, asked: dict[str, str], *, known: bool = False) -> str:
        """The answer as it should be."""
        if name == "owed":
            found = owed(asked["acct"])
            bills = "".join(f"<bill>{_elements(bill)}</bill>" for bill in found["unpaid"])
            total = f"<total>{found['total']}</total>"
            return self.response(name, f"<code>0</code><data><acct>{found['account']}</acct>{total}{bills}</data>")
        if name == "status" and not known and not self.books.applied(asked["id"]):
            return self.response(name, "<code>40</code>")
        order = registered(asked["id"])
        told = {"code": "0", "id": asked["id"], "no": order["work_order"], "at": order["accepted_at"]}
        return self.response(name, _elements(told))

    def response(self, name: str, inner: str) -> str:
        return f'<{name}Response xmlns="urn:peer">{inner}</{name}Response>'

    def fault(self, code: str, text: str = "no", detail: str = "") -> str:
        code = code if ":" in code else f"s:{code}"
        if not self.soap12:
            return (
                f"<s:Fault><faultcode>{code}</faultcode><faultstring>{escape(text)}</faultstring>"
                f"<detail>{detail}</detail></s:Fault>"
            )
        code = code.replace("s:Server", "s:Receiver").replace("s:Client", "s:Sender")
        reason = f'<s:Reason><s:Text xml:lang="zh">{escape(text)}</s:Text></s:Reason>'
        return f"<s:Fault><s:Code><s:Value>{code}</s:Value></s:Code>{reason}<s:Detail>{detail}</s:Detail></s:Fault>"

    def envelope(self, inner: str) -> str:
        return (
            f'<?xml version="1.0" encoding="{self.charset}"?><s:Envelope xmlns:s="{_SPACES[self.soap12]}"'
            f' xmlns:t="urn:peer"><s:Header/><s:Body>{inner}</s:Body></s:Envelope>'
        )

    def _send(self, handler: BaseHTTPRequestHandler, status: int, inner: str) -> None:
        data = self.envelope(inner).encode(self.charset)
        handler.send_response(status)
        handler.send_header("Content-Type", _TYPES[self.soap12])
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _lets_in(self, token: dict[str, str]) -> bool:
        if self.soap12:
            return token.get("Password") == _PASSWORD
        nonce = base64.b64decode(token.get("Nonce", ""))
        digest = hashlib.sha1(nonce + token.get("Created", "").encode() + _PASSWORD.encode()).digest()
        return token.get("Password") == base64.b64encode(digest).decode()


def _elements(values: dict[str, Any]) -> str:
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


@contextmanager
def _running(folder: Path, *, soap12: bool) -> Iterator[Peer]:
    peer = SoapPeer(folder, soap12=soap12)
    try:
        yield peer
    finally:
        peer.books.changed.set()
        peer.stop()


@contextmanager
def soap_11_peer(folder: Path) -> Iterator[Peer]:
    """See above."""
    with _running(folder, soap12=False) as peer:
        yield peer


@contextmanager
def soap_12_peer(folder: Path) -> Iterator[Peer]:
    """See above."""
    with _running(folder, soap12=True) as peer:
        yield peer

"""Applications that sign their requests: each way into the front takes it, with a body that is the one signed."""

import json
from itertools import count
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol.credential_kinds import SIGNATURE
from protocol.runtime import applications
from protocol.runtime.credentials import signing_key
from tests.support.files import png
from tests.support.signing import pem_of, signed
from tests.unit.attaching import REPORT
from tests.unit.clock import NOW
from tests.unit.dmz_front.harness import BILL, COMMAND, ORDER, QUERY, Harness, code_of, turns

pytestmark = pytest.mark.anyio

KEY = Ed25519PrivateKey.generate()
KNOWN = signing_key("wechat", pem_of(KEY))
_NONCES = count()


@pytest.fixture
async def harness(harness: Harness) -> Harness:
    harness.catalogue["report"] = REPORT
    await harness.start()
    await harness.front.store.write(lambda connection: applications.add_credential(connection, KNOWN, NOW))
    await harness.front.read_applications()
    return harness


async def require(harness: Harness, *, wanted: bool = True) -> None:
    await harness.front.store.write(lambda one: applications.require(one, "wechat", SIGNATURE, wanted=wanted))
    await harness.front.read_applications()


async def send(
    harness: Harness, method: str, path: str, body: bytes = b"", sent: bytes | None = None, **more: Any
) -> httpx.Response:
    """A signed request; `sent`: another body than the one that was signed."""
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    covered = ("@method", "@target-uri", *(name for name in headers if name == "idempotency-key"))
    fields = signed(
        KEY,
        KNOWN.id,
        method,
        f"http://front{path}",
        body,
        created=NOW / 1000,
        nonce=f"n-{next(_NONCES)}",
        covered=covered,
        headers=headers,
    )
    return await harness.call(method, path, (sent or body) or None, app=None, **fields)


async def test_a_query_and_a_command_and_its_status(harness: Harness) -> None:
    await require(harness)
    answer = await send(harness, "POST", f"/v1/{QUERY}", json.dumps(BILL).encode())
    assert answer.status_code == 200, answer.text
    ordered = await send(harness, "POST", f"/v1/{COMMAND}", json.dumps(ORDER).encode(), idempotency_key="o-1")
    assert ordered.status_code == 200, ordered.text
    await harness.settle()
    status = await send(harness, "GET", f"/v1/requests/{ordered.json()['request_id']}")
    assert status.json()["status"] == "succeeded"
    assert harness.front.api.signatures.verified == 3


async def test_another_body_than_the_signed_one_reaches_no_bridge(harness: Harness) -> None:
    body = json.dumps(BILL).encode()
    answer = await send(harness, "POST", f"/v1/{QUERY}", body, sent=body + b" ")
    assert code_of(answer) == (401, "signature-invalid")
    assert "Content-Digest" in answer.json()["detail"]
    await turns()
    assert harness.bridge.taken == []
    [report] = harness.front.api.denials.reports()
    assert (report.code, report.application, report.key) == ("signature-invalid", "wechat", KNOWN.id[7:15])


async def test_parts_of_an_attachment(harness: Harness) -> None:
    file = png()
    declared = json.dumps(file.declared()).encode()
    begun = await send(harness, "POST", "/v1/attachments", declared)
    assert begun.status_code == 201, begun.text
    path = begun.headers["location"]
    kind: dict[str, Any] = {"content_type": "application/partial-upload", "upload_offset": "0"}
    spoilt = bytes(reversed(file.content))
    refused = await send(harness, "PATCH", path, file.content, sent=spoilt, **kind)
    assert code_of(refused) == (401, "signature-invalid")
    assert (await send(harness, "GET", path)).headers["upload-offset"] == "0"
    assert (await send(harness, "PATCH", path, file.content, **kind)).json()["status"] == "complete"


async def test_who_must_sign_is_refused_with_its_key_alone(harness: Harness) -> None:
    assert (await harness.ask()).status_code == 200
    await require(harness)
    refused = await harness.ask()
    assert code_of(refused) == (401, "signature-required")
    assert refused.headers["accept-signature"].startswith('sig=("@method" "@target-uri"')
    assert code_of(await harness.status("x")) == (401, "signature-required")
    await require(harness, wanted=False)
    assert (await harness.ask()).status_code == 200


async def test_a_signature_beside_a_key_is_not_looked_at(harness: Harness) -> None:
    await require(harness)
    fields = signed(KEY, KNOWN.id, "POST", f"http://front/v1/{QUERY}", b"{}", created=NOW / 1000)
    assert code_of(await harness.ask(**fields)) == (401, "signature-required")


async def test_a_used_signature_and_a_removed_key(harness: Harness) -> None:
    path = f"/v1/{QUERY}"
    body = json.dumps(BILL).encode()
    fields = signed(KEY, KNOWN.id, "POST", f"http://front{path}", body, created=NOW / 1000, nonce="once")
    assert (await harness.call("POST", path, body, app=None, **fields)).status_code == 200
    assert code_of(await harness.call("POST", path, body, app=None, **fields)) == (401, "signature-invalid")
    await harness.front.store.write(
        lambda connection: applications.remove_credential(connection, SIGNATURE, "wechat", KNOWN.id)
    )
    await harness.front.read_applications()
    assert code_of(await send(harness, "POST", path, body)) == (401, "unauthenticated")


async def test_networks_and_scopes_are_for_who_signs_too(harness: Harness) -> None:
    await harness.grant("kiosk", "nothing", networks=["192.0.2.0/24"])
    other = signing_key("kiosk", pem_of(KEY))
    await harness.front.store.write(lambda connection: applications.add_credential(connection, other, NOW))
    await harness.front.read_applications()
    for address, code in (("10.0.0.9", "forbidden-network"), ("192.0.2.7", "forbidden-scope")):
        path, body = f"/v1/{QUERY}", json.dumps(BILL).encode()
        fields = signed(KEY, other.id, "POST", f"http://front{path}", body, created=NOW / 1000, nonce=address)
        assert code_of(await harness.call("POST", path, body, app=None, address=address, **fields)) == (403, code)


async def test_a_signature_that_was_used_at_another_front(harness: Harness) -> None:
    class Elsewhere:
        async def first(self, key: bytes, keep_s: float) -> bool:
            assert (len(key), keep_s) == (16, 150)
            return False

    body = json.dumps(BILL).encode()
    harness.front.api.shared = cast(Any, Elsewhere())
    answer = await send(harness, "POST", f"/v1/{QUERY}", body)
    assert code_of(answer) == (401, "signature-invalid")
    assert harness.front.api.denials.reports()[0].code == "signature-invalid"
    assert code_of(await send(harness, "GET", "/v1/operations")) == (401, "signature-invalid")
    await turns()
    assert harness.bridge.taken == []
    assert (await harness.ask()).status_code == 200, "who sends a key does not ask there"


async def test_a_body_that_no_head_announced_is_not_taken(harness: Harness) -> None:
    """llhttp gives none without its length: should another server, it was not signed."""
    path = f"/v1/{QUERY}"
    fields = signed(KEY, KNOWN.id, "POST", f"http://front{path}", created=NOW / 1000) | {"Content-Length": "0"}
    answer = await harness.call("POST", path, json.dumps(BILL).encode(), app=None, **fields)
    assert code_of(answer) == (401, "signature-invalid")
    assert "does not cover content-digest" in answer.json()["detail"]

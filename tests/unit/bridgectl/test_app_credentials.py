"""`bridgectl apps signature`: public keys of applications, and who must sign."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridgectl import certificate_files
from protocol.messages import Role
from tests.support.signing import pem_of
from tests.unit.bridgectl.test_apps import complaint, database, listed, run

__all__ = ["database"]


@pytest.fixture
def key(tmp_path: Path) -> str:
    file = tmp_path / "wechat.pem"
    file.write_text(pem_of(Ed25519PrivateKey.generate()))
    return str(file)


def test_a_key_is_added_required_and_removed(database: Path, key: str) -> None:
    run("add", "wechat", "--scope", "bills")
    added = run("signature", "add", "wechat", key)
    assert added.exit_code == 0, added.exception
    id = added.stdout.strip()
    assert id.startswith("wechat_")
    assert run("signature", "required", "wechat").exit_code == 0
    assert listed()[0]["requires"] == ["signature"]
    [one] = json.loads(run("signature", "list", "--json").stdout)
    assert (one["application"], one["id"], one["required"]) == ("wechat", id, True)
    assert id in run("signature", "list", "wechat").stdout
    assert id not in run("signature", "list", "alipay").stdout
    assert "required wechat --off" in complaint("signature", "remove", "wechat", id)
    assert "its key alone" in run("signature", "required", "wechat", "--off").stdout
    assert run("signature", "remove", "wechat", id).exit_code == 0
    assert complaint("signature", "remove", "wechat", id) == f"wechat has no {id}"


def test_what_cannot_be_done_is_said_in_a_line(database: Path, key: str, tmp_path: Path) -> None:
    assert complaint("signature", "add", "wechat", key) == "there is no active application wechat"
    run("add", "wechat", "--scope", "bills")
    assert "No such file" in complaint("signature", "add", "wechat", str(tmp_path / "none.pem"))
    (tmp_path / "other.pem").write_bytes(b"\xff\x00")
    assert "is not PEM" in complaint("signature", "add", "wechat", str(tmp_path / "other.pem"))
    (tmp_path / "other.pem").write_text("PRIVATE KEY")
    assert "this is a private key" in complaint("signature", "add", "wechat", str(tmp_path / "other.pem"))
    assert "wechat has none; add one first" in complaint("signature", "required", "wechat")


def test_a_certificate_is_added_required_and_removed(database: Path, tmp_path: Path) -> None:
    certificate_files.init(tmp_path / "certs", {Role.FRONT: ["wechat"]})
    file = str(tmp_path / "certs" / "front.pem")
    run("add", "wechat", "--scope", "bills")
    run("add", "alipay", "--scope", "bills")
    assert "no certificate in PEM" in complaint("certificate", "add", "wechat", str(tmp_path / "bridgectl.toml"))
    id = run("certificate", "add", "wechat", file).stdout.strip()
    assert len(id) == 64
    assert complaint("certificate", "add", "alipay", file) == f"wechat has it already: {id}"
    assert run("certificate", "required", "wechat").exit_code == 0
    [one] = json.loads(run("certificate", "list", "--json").stdout)
    assert (one["id"], one["required"], one["subject"]) == (id, True, "CN=wechat,OU=front,O=dmz-bridge")
    assert one["expires_at"] in run("certificate", "list").stdout
    assert "required wechat --off" in complaint("certificate", "remove", "wechat", id)
    assert run("certificate", "required", "wechat", "--off").exit_code == 0
    assert run("certificate", "remove", "wechat", id).exit_code == 0

"""What doctor reads of the daemons' configuration: the files that nobody else may read, of every back end."""

from pathlib import Path

from bridgectl.doctor.installation import View, credentials_of
from protocol.runtime.settings import load

BRIDGE = """
[link]
brokers = ["localhost:1"]
ca = "ca.pem"
certificate = "bridge.pem"
key = "bridge.key"
[keys]
keyring = "keyring"
trusted = "trusted"
[store]
file = "store"
[marketing]
url = "http://h"
[marketing.authentication]
token_file = "marketing.token"
[marketing.tls]
certificate = "shown.pem"
key = "shown.key"
"""
FURTHER = """
[systems.old]
adapter = "sql"
password_file = "old.password"
[systems.old.login]
secret_file = "/etc/old.secret"
"""


def test_the_secrets_of_every_back_end_are_known_wherever_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "old.toml").write_text(FURTHER)
    (tmp_path / "bridge.toml").write_text(f'include = ["more/*.toml"]\n{BRIDGE}')
    view = load(tmp_path / "bridge.toml", View)
    names = {path.name for path in view.private_files()}
    assert names == {"keyring", "bridge.key", "marketing.token", "shown.key", "old.password", "old.secret"}
    assert Path("/etc/old.secret") in set(view.private_files())
    assert tmp_path / "shown.pem" in set(view.certificates())


def test_what_systemd_gave_to_the_running_service_is_looked_at(tmp_path: Path) -> None:
    assert credentials_of("intranet-bridge", tmp_path) is None  # it does not run, or was given nothing
    given = tmp_path / "credentials" / "intranet-bridge.service"
    given.mkdir(parents=True)
    assert credentials_of("intranet-bridge", tmp_path) == given
    (tmp_path / "x.toml").write_text(BRIDGE.replace('"bridge.key"', '"credential:bridge.key"'))
    view = load(tmp_path / "x.toml", View, credentials_of("intranet-bridge", tmp_path))
    assert given / "bridge.key" in view.private_files()

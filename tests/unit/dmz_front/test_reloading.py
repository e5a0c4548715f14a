"""A running front goes by a changed configuration: the next request, nothing before it, and all of it or nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from bridgectl import certificate_files, keys
from dmz_front.reloading import Reload
from dmz_front.settings import FrontSettings
from protocol.errors import ConfigurationError
from protocol.messages import Role
from protocol.reports.front import FrontReport
from protocol.runtime.control import Peer
from protocol.runtime.settings import load
from tests.unit.dmz_front.harness import BILL, Harness

pytestmark = pytest.mark.anyio
ACCOUNTS = '[[accounts]]\ncompany = "Lakeside"\npattern = "9[0-9]{12}"\nexample = "9210000000001"\n'


class Configured:
    """A front that was started from a file, as far as it has one."""

    def __init__(self, harness: Harness, folder: Path, key_directory: Path) -> None:
        self.harness, self.folder, self.file = harness, folder, folder / "dmz_front.toml"
        shutil.copytree(key_directory, folder / "keys")
        certificate_files.init(folder / "certs", {Role.FRONT: ["front-1"]})
        harness.key_directory = folder / "keys"
        self.write()

    def write(self, *more: str, **changes: str) -> None:
        values = {
            "name": '"front-1"', "backlog": "100", "ip_rate": "0", "level": '"info"', "window": "8",
            "certificate": '"certs/front.pem"', "trusted": '"keys/trusted.json"',
        } | changes  # fmt: skip
        text = """
            name = {name}
            [link]
            brokers = ["localhost:1"]
            ca = "certs/ca.pem"
            certificate = {certificate}
            key = "certs/front.key"
            [keys]
            keyring = "keys/front.keyring"
            trusted = {trusted}
            [store]
            file = "front.sqlite3"
            [limits]
            backlog = {backlog}
            ip_rate = {ip_rate}
            burst_s = 1
            [attachments]
            window = {window}
            [log]
            level = {level}
        """.format(**values)
        self.file.write_text("\n".join((text, *more)))

    async def start(self) -> Reload:
        await self.harness.start()
        front = self.harness.front
        return Reload(self.file, load(self.file, FrontSettings), front.keyring, front.take_up)


@pytest.fixture
def configured(harness: Harness, tmp_path: Path, key_directory: Path) -> Configured:
    return Configured(harness, tmp_path, key_directory)


async def test_limits_accounts_and_applications_hold_from_the_next_request(configured: Configured) -> None:
    harness = configured.harness
    reload = await configured.start()

    async def described() -> str:
        return (await harness.call("GET", "/openapi.json", app=None, address="10.0.0.10")).text

    assert (await harness.ask()).status_code == 200
    assert "Lakeside" not in await described()
    configured.write(ACCOUNTS, ip_rate="0.01", backlog="1", window="3")
    done = await reload.reload()
    assert done.changed == ("accounts", "attachments.window", "limits.backlog", "limits.ip_rate")
    assert done.restart == ()
    assert "link" in done.same
    front = harness.front
    assert (front.commands.policy.backlog, front.sender.window, front.settings.limits.ip_rate) == (1, 3, 0.01)
    assert front.housekeeping.settings is front.reporter.settings is front.settings
    assert (await harness.ask()).status_code == 422  # the account number fits no form any more
    assert (await harness.ask()).status_code == 429
    assert "Lakeside" in await described()


async def test_what_needs_a_restart_is_named_and_stays(configured: Configured) -> None:
    reload = await configured.start()
    configured.write("[http]\nport = 9999\nkeep_alive_s = 5", name='"front-2"', backlog="7")
    done = await reload.reload()
    assert done.restart == ("http.port", "name")
    assert done.changed == ("http.keep_alive_s", "limits.backlog")
    front = configured.harness.front
    assert (front.settings.name, front.settings.http.port, front.settings.http.keep_alive_s) == ("front-1", 8080, 5)
    assert (await reload.reload()).restart == ("http.port", "name")  # until there is one
    assert reload.files.waiting == ("http.port", "name")


async def test_files_that_changed_are_told_until_they_are_read(configured: Configured, tmp_path: Path) -> None:
    reload = await configured.start()
    front = configured.harness.front
    front.reporter.files = reload.files

    async def told() -> list[str]:
        said = FrontReport.model_validate(await front.reporter.report({}, Peer(0, 1)))
        return [Path(one.path).name for one in said.changed_files]

    assert await told() == []
    before = configured.file.read_text()
    configured.file.write_text(before)  # written anew, as it was
    assert await told() == []
    configured.write(backlog="7")
    (tmp_path / "certs" / "ca.pem").write_bytes((tmp_path / "certs" / "ca.pem").read_bytes() + b"\n")
    assert await told() == ["ca.pem", "dmz_front.toml"]
    configured.write(backlog='"many"')
    with pytest.raises(ConfigurationError):
        await reload.reload()
    assert await told() == ["ca.pem", "dmz_front.toml"]
    configured.write(backlog="7")
    await reload.reload()
    assert (await told(), front.commands.policy.backlog) == ([], 7)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backlog": '"many"'}, r"dmz_front\.toml:14: limits\.backlog: "),
        ({"trusted": '"keys/none.json"'}, r"none\.json: is not there"),
        ({"certificate": '"keys/trusted.json"'}, r"trusted\.json: holds no PEM certificate"),
        ({"more": "[http]\ncertificate = 'certs/front.pem'\nkey = 'certs/none.key'"}, r"none\.key"),
        ({"more": "[https]\n"}, r"dmz_front\.toml:\d+: https: "),
    ],
)
async def test_a_configuration_that_is_wrong_changes_nothing(
    configured: Configured, change: dict[str, Any], said: str
) -> None:
    reload = await configured.start()
    before = configured.harness.front.settings
    configured.write(change.pop("more", ""), **{"ip_rate": "0.01"} | change)
    with pytest.raises(ConfigurationError, match=said):
        await reload.reload()
    assert configured.harness.front.settings is before
    assert [(await configured.harness.ask()).status_code for _ in range(3)] == [200, 200, 200]


async def test_rotated_keys_are_used_and_another_installation_s_are_not(configured: Configured, tmp_path: Path) -> None:
    harness, where = configured.harness, configured.folder / "keys"
    reload = await configured.start()
    await harness.ask()
    sealed = harness.bridge.taken[-1]
    from datetime import UTC, datetime

    now = datetime.now(UTC).replace(microsecond=0)
    keys.rotate(where, keys.Whose(Role.FRONT), now=now)
    keys.activate(where, keys.Whose(Role.FRONT), now=now)
    harness.bridge._opener.use(configured_ring(where))
    done = await reload.reload()
    assert done.changed == ("keys.keyring (the file)", "keys.trusted (the file)")
    assert (await harness.ask(dict(BILL))).status_code == 200
    assert harness.bridge.taken[-1].sender_key != sealed.sender_key
    keys.init(tmp_path / "others", now=now)
    for name in ("front.keyring", "trusted.json"):
        shutil.copy(tmp_path / "others" / name, where / name)
    with pytest.raises(ConfigurationError, match="another secret for pseudonyms"):
        await reload.reload()
    assert (await harness.ask(dict(BILL))).status_code == 200


def configured_ring(where: Path) -> Any:
    from protocol.runtime.keyfiles import load_keyring

    return load_keyring(keys.keyring_path(where, Role.BRIDGE), where / keys.TRUSTED)


async def test_a_certificate_of_another_name_is_refused(configured: Configured) -> None:
    reload = await configured.start()
    certificate_files.issue(configured.folder / "certs", Role.FRONT, "front-2")
    for kind in ("pem", "key"):
        shutil.copy(configured.folder / "certs" / f"front-2.{kind}", configured.folder / "certs" / f"front.{kind}")
    with pytest.raises(ConfigurationError, match=r"is of CN=front-2,.*and this daemon's is of CN=front-1"):
        await reload.reload()


async def test_a_renewed_certificate_is_taken_and_a_broker_that_is_away_is_told(configured: Configured) -> None:
    reload = await configured.start()
    certificate_files.issue(configured.folder / "certs", Role.FRONT, "front-1", force=True)
    done = await reload.reload()
    assert done.changed == ("link.certificate (the file)", "link.key (the file)")
    assert "localhost:1 cannot be reached" in done.notes[0]

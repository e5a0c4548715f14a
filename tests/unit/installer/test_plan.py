"""What an installation does, decided from what is there."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.facts import Facts, Found, Installed
from scripts.tools.installer.layout import KNOWN
from scripts.tools.installer.plan import Wanted, belongs, install_plan
from scripts.tools.installer.source import Source
from scripts.tools.installer.steps import Kind, Step
from tests.unit.installer.applied import applied

BRIDGE = Wanted(KNOWN["bridge"], brokers=("broker.dmz:61616",))
FRONT = Wanted(KNOWN["front"])
BROKER = Wanted(KNOWN["broker"])


def of(steps: list[Step], *kinds: Kind) -> list[str]:
    return [step.path for step in steps if step.kind in kinds]


def written(steps: list[Step], path: str) -> str:
    (found,) = [step for step in steps if step.path == path and step.kind in (Kind.WRITE, Kind.BESIDE)]
    return found.content.decode()


def text_of(steps: list[Step]) -> str:
    return "\n".join(step.line() for step in steps)


@pytest.mark.parametrize("wanted", [FRONT, BRIDGE, BROKER], ids=lambda wanted: wanted.role.name)
def test_a_second_run_does_nothing(fresh: Facts, source: Source, wanted: Wanted) -> None:
    first = install_plan(fresh, source, wanted)
    again = install_plan(applied(fresh, first), source, wanted)
    assert of(first, Kind.WRITE)
    changing = {step.kind for step in again} - {Kind.KEEP, Kind.NOTE, Kind.RELOAD}
    assert changing == set()


def test_a_fresh_host_gets_user_release_link_and_configuration_and_nothing_is_started_without_keys(
    fresh: Facts, source: Source
) -> None:
    steps = install_plan(fresh, source, BRIDGE)
    assert of(steps, Kind.USER) == ["intranet-bridge"]
    assert ("/opt/dmz-bridge/current", "releases/1.0") in {
        (step.path, step.target) for step in steps if step.kind is Kind.LINK
    }
    bridge = tomllib.loads(written(steps, "/etc/dmz-bridge/intranet_bridge.toml"))
    assert (bridge["name"], bridge["link"]["brokers"]) == ("bridge-1", ["broker.dmz:61616"])
    assert "front_store" not in tomllib.loads(written(steps, "/etc/dmz-bridge/bridgectl.toml"))
    assert "/etc/dmz-bridge/bindings/bills.toml" in of(steps, Kind.WRITE)
    assert of(steps, Kind.START, Kind.ENABLE) == []
    assert "keys/bridge.keyring" in text_of(steps)


def test_packages_come_from_the_bundle_alone(fresh: Facts, source: Source) -> None:
    installs = [step for step in install_plan(fresh, source, FRONT) if "install" in step.argv]
    assert len(installs) == 2
    assert all("--no-index" in step.argv for step in installs)


def secrets(folder: Path) -> frozenset[str]:
    names = [*(f"certs/{one}" for one in ("ca.key", "ca.pem", "front.pem", "front.key", "bridge.pem", "bridge.key",
                                          "monitor.pem", "monitor.key", "broker.p12", "truststore.p12",
                                          "broker.p12.password", "front-2.pem", "front-2.key")),
             "keys/front.keyring", "keys/bridge.keyring", "keys/trusted.json"]  # fmt: skip
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(name)
    return frozenset(names)


@pytest.mark.parametrize(
    ("wanted", "private"),
    [
        (FRONT, {"certs/front.key", "keys/front.keyring"}),
        (BRIDGE, {"certs/bridge.key", "keys/bridge.keyring"}),
        (BROKER, {"certs/broker.p12", "certs/broker.p12.password"}),
    ],
    ids=lambda one: getattr(getattr(one, "role", None), "name", ""),
)
def test_a_host_gets_its_own_keys_and_no_others(
    fresh: Facts, source: Source, tmp_path: Path, wanted: Wanted, private: set[str]
) -> None:
    available = secrets(tmp_path / "made")
    steps = install_plan(
        fresh, source, dataclasses.replace(wanted, secrets=str(tmp_path / "made"), available=available)
    )
    copied = {step.path.removeprefix("/etc/dmz-bridge/"): step for step in steps
              if step.kind is Kind.COPY and step.path.startswith("/etc/dmz-bridge/")}  # fmt: skip
    public = {"certs/ca.pem", "keys/trusted.json", "certs/truststore.p12", "certs/monitor.pem",
              f"certs/{wanted.role.name}.pem"}  # fmt: skip
    assert set(copied) - public == private | {"certs/monitor.key"}
    assert all(copied[name].mode & 0o007 == 0 for name in private)
    assert copied["certs/monitor.key"].mode == 0o600
    kinds = [step.kind for step in steps]
    assert kinds[-1] is not Kind.START
    assert Kind.START in kinds
    if wanted.role.program:
        checks = [at for at, step in enumerate(steps) if "--check-config" in step.argv]
        assert checks[0] < kinds.index(Kind.START), "what is wrong is said before anything is started"


def test_the_second_front_takes_the_certificate_of_its_name(fresh: Facts, source: Source, tmp_path: Path) -> None:
    available = secrets(tmp_path / "made")
    wanted = dataclasses.replace(FRONT, name="front-2", secrets=str(tmp_path / "made"), available=available)
    steps = install_plan(fresh, source, wanted)
    (key,) = [step for step in steps if step.path == "/etc/dmz-bridge/certs/front.key"]
    assert key.source is not None
    assert key.source.name == "front-2.key"


def test_what_is_to_be_carried_holds_neither_the_authoritys_key_nor_the_other_sides() -> None:
    carried = belongs(KNOWN["bridge"], "bridge-1")
    assert "certs/ca.key" not in carried
    assert [name for name in carried if "front" in name or "broker" in name] == []


def test_keys_that_are_there_are_not_written_over(fresh: Facts, source: Source, tmp_path: Path) -> None:
    available = secrets(tmp_path / "made")
    wanted = dataclasses.replace(FRONT, secrets=str(tmp_path / "made"), available=available)
    facts = dataclasses.replace(fresh, tree={"/etc/dmz-bridge/certs/front.key": Found("file", "another")})
    steps = install_plan(facts, source, wanted)
    assert [step.kind for step in steps if step.path == "/etc/dmz-bridge/certs/front.key"] == [Kind.KEEP]


def test_a_changed_configuration_is_left_and_the_new_one_put_beside_it(fresh: Facts, source: Source) -> None:
    path = "/etc/dmz-bridge/dmz_front.toml"
    facts = applied(fresh, install_plan(fresh, source, FRONT))
    facts = dataclasses.replace(facts, tree={**(facts.tree or {}), path: Found("file", "edited")})
    steps = install_plan(facts, source, FRONT)
    assert [step.kind for step in steps if step.path.startswith(path)] == [Kind.KEEP]
    files = {**source.files, "config/dmz_front.toml": source.files["config/dmz_front.toml"] + b"# new\n"}
    steps = install_plan(facts, dataclasses.replace(source, files=files), FRONT)
    assert of(steps, Kind.BESIDE) == [f"{path}.new"]
    assert path not in of(steps, Kind.WRITE)


def test_what_was_asked_for_once_is_kept(fresh: Facts, source: Source) -> None:
    wanted = dataclasses.replace(BRIDGE, name="bridge-7", region="north")
    facts = applied(fresh, install_plan(fresh, source, wanted))
    again = install_plan(facts, source, Wanted(KNOWN["bridge"]))
    assert [step for step in again if step.kind in (Kind.WRITE, Kind.BESIDE)] == []


def test_a_host_with_two_roles_has_one_bridgectl_for_both(fresh: Facts, source: Source) -> None:
    facts = applied(fresh, install_plan(fresh, source, BROKER))
    steps = install_plan(facts, source, FRONT)
    control = tomllib.loads(written(steps, "/etc/dmz-bridge/bridgectl.toml"))
    assert control["doctor"]["broker_data"] == "/var/lib/dmz-bridge-broker"
    assert control["front_store"]["file"]
    (release,) = [step for step in steps if step.path == "/opt/dmz-bridge/releases/1.0"]
    assert release.kind is Kind.KEEP


@pytest.mark.parametrize(
    ("changes", "wanted", "says"),
    [
        ({"python": (3, 10)}, FRONT, "Python 3.11 or newer"),
        ({"python": (3, 13)}, FRONT, "scripts/bundle --python 3.13"),
        ({"java": 0}, BROKER, "openjdk-17-jre-headless"),
        ({"java": 11}, BROKER, "this host has 11"),
        ({"installed": Installed(release="0.9")}, FRONT, "scripts/upgrade"),
        ({}, Wanted(KNOWN["bridge"]), "--broker HOST:PORT is missing"),
        ({}, Wanted(KNOWN["bridge"], brokers=("broker",)), "HOST:PORT is wanted"),
    ],
)
def test_what_stands_in_the_way_is_said_before_anything_is_done(
    fresh: Facts, source: Source, changes: dict[str, object], wanted: Wanted, says: str
) -> None:
    with pytest.raises(InstallError, match=says):
        install_plan(dataclasses.replace(fresh, **changes), source, wanted)  # type: ignore[arg-type]


def test_a_source_tree_needs_venv_and_a_bundle_does_not(fresh: Facts, source: Source) -> None:
    bare = dataclasses.replace(fresh, ensurepip=False)
    install_plan(bare, source, FRONT)
    with pytest.raises(InstallError, match=r"apt-get install python3\.11-venv"):
        install_plan(bare, dataclasses.replace(source, wheels=False, pythons=()), FRONT)


def test_an_installation_that_was_cut_short_is_begun_again(fresh: Facts, source: Source) -> None:
    facts = dataclasses.replace(fresh, tree={"/opt/dmz-bridge/releases/1.0": Found("folder")})
    assert "/opt/dmz-bridge/releases/1.0" in of(install_plan(facts, source, FRONT), Kind.REMOVE)


@pytest.mark.parametrize(
    "changes", [{"manager": ""}, {"root": "/mnt/image", "manager": ""}], ids=["no systemd", "--root"]
)
def test_without_systemd_units_are_written_and_not_started(
    fresh: Facts, source: Source, changes: dict[str, str]
) -> None:
    steps = install_plan(dataclasses.replace(fresh, **changes), source, FRONT)  # type: ignore[arg-type]
    assert "/etc/systemd/system/dmz-front.service" in of(steps, Kind.WRITE)
    assert of(steps, Kind.START, Kind.RELOAD, Kind.ENABLE) == []
    assert "not started" in text_of(steps)


def test_another_prefix_is_in_units_too(fresh: Facts, source: Source) -> None:
    steps = install_plan(fresh, source, dataclasses.replace(FRONT, prefix="/srv/dmz"))
    unit = written(steps, "/etc/systemd/system/dmz-front.service")
    assert "/srv/dmz/" in unit
    assert "/opt/dmz-bridge" not in unit


def test_a_broker_on_a_small_disk_is_given_half_of_it_once(fresh: Facts, source: Source) -> None:
    small = dataclasses.replace(fresh, free_bytes=2 << 30)
    steps = install_plan(small, source, BROKER)
    path = "/etc/systemd/system/dmz-bridge-broker.service.d/store.conf"
    assert f"STORE={1 << 30}" in written(steps, path)
    later = dataclasses.replace(applied(small, steps), free_bytes=1 << 30)
    assert path not in of(install_plan(later, source, BROKER), Kind.WRITE, Kind.BESIDE), "what was chosen once stays"


def test_a_disk_that_the_brokers_journal_has_filled_is_no_small_one(fresh: Facts, source: Source) -> None:
    later = dataclasses.replace(applied(fresh, install_plan(fresh, source, BROKER)), free_bytes=1 << 30)
    assert of(install_plan(later, source, BROKER), Kind.WRITE, Kind.BESIDE) == []


@pytest.mark.parametrize(("version", "there"), [(252, False), (253, True)])
def test_reloads_are_notified_where_systemd_knows_how(fresh: Facts, source: Source, version: int, there: bool) -> None:
    steps = install_plan(dataclasses.replace(fresh, systemd=version), source, FRONT)
    assert ("/etc/systemd/system/dmz-front.service.d/notify-reload.conf" in of(steps, Kind.WRITE)) is there


def test_keys_in_systemds_store_are_not_missing(fresh: Facts, source: Source, tmp_path: Path) -> None:
    stored = {f"/etc/credstore/dmz-bridge.{name}": Found("file") for name in ("bridge.key", "bridge.keyring")}
    public = {
        f"/etc/dmz-bridge/{name}": Found("file") for name in ("certs/ca.pem", "certs/bridge.pem", "keys/trusted.json")
    }
    steps = install_plan(dataclasses.replace(fresh, tree={**stored, **public}), source, BRIDGE)
    assert Kind.START in {step.kind for step in steps}

"""An upgrade and its way back, as plans."""

import dataclasses
import json

import pytest

from scripts.tools.installer.conffiles import digest
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.facts import Facts, Found
from scripts.tools.installer.layout import KNOWN
from scripts.tools.installer.plan import Wanted, install_plan
from scripts.tools.installer.source import Source
from scripts.tools.installer.steps import Kind, Step
from scripts.tools.installer.uninstall import uninstall_plan
from scripts.tools.installer.upgrade import Service, Turn, upgrade_plan, way_back
from tests.unit.installer.applied import applied

RUNNING = Service(True, "/var/lib/dmz-bridge/front.sqlite3", "/run/dmz-front/control.sock", True)
SERVICES = {"front": RUNNING, "broker": Service(True)}
FOLDER = "/var/backups/dmz-bridge/x"


@pytest.fixture
def installed(fresh: Facts, source: Source) -> Facts:
    """A host with broker and front of release 1.0."""
    facts = applied(fresh, install_plan(fresh, source, Wanted(KNOWN["broker"])))
    return applied(facts, install_plan(facts, source, Wanted(KNOWN["front"])))


@pytest.fixture
def newer(source: Source) -> Source:
    """The next release, whose front has a new setting."""
    files = {**source.files, "config/dmz_front.toml": source.files["config/dmz_front.toml"] + b"# new\n"}
    return dataclasses.replace(source, release="1.1", files=files)


def kinds(steps: tuple[Step, ...] | list[Step], path: str = "") -> list[Kind]:
    return [step.kind for step in steps if not path or path in step.path]


def test_all_that_can_be_done_while_the_old_release_runs_is_done_before_it_stops(
    installed: Facts, newer: Source
) -> None:
    upgrade = upgrade_plan(installed, newer, "/opt/dmz-bridge", SERVICES, FOLDER)
    assert Kind.STOP not in kinds(upgrade.prepare)
    checks = [step for step in upgrade.prepare if "--check-config" in step.argv]
    assert [step.argv[0] for step in checks] == ["/opt/dmz-bridge/releases/1.1/bin/dmz-front"]
    assert not [step for step in upgrade.prepare if step.kind is Kind.LINK]


def test_the_turn_saves_after_the_stop_and_before_anything_is_changed(installed: Facts, newer: Source) -> None:
    upgrade = upgrade_plan(installed, newer, "/opt/dmz-bridge", SERVICES, FOLDER)
    order = [kind for kind in kinds(upgrade.turn) if kind not in (Kind.KEEP, Kind.NOTE, Kind.RUN, Kind.RELOAD)]
    assert order == [Kind.STOP, Kind.SAVE, Kind.WRITE, Kind.MIGRATE, Kind.LINK, Kind.START, Kind.HEALTHY, Kind.WRITE]
    assert upgrade.state.files == {"/etc/dmz-bridge/dmz_front.toml": "files/0"}


def test_the_broker_runs_on_unless_it_changes(installed: Facts, newer: Source) -> None:
    assert "dmz-bridge-broker.service" not in {
        step.path for step in upgrade_plan(installed, newer, "/opt/dmz-bridge", SERVICES, FOLDER).turn
    }
    other = dataclasses.replace(newer, broker_version="6.4.0")
    upgrade = upgrade_plan(installed, other, "/opt/dmz-bridge", SERVICES, FOLDER)
    assert kinds(upgrade.turn, "dmz-bridge-broker.service") == [Kind.STOP, Kind.START]
    assert upgrade.state.broker_before == "6.3.1"


def test_what_an_administrator_changed_is_left(installed: Facts, newer: Source) -> None:
    path = "/etc/dmz-bridge/dmz_front.toml"
    facts = dataclasses.replace(installed, tree={**(installed.tree or {}), path: Found("file", "edited")})
    upgrade = upgrade_plan(facts, newer, "/opt/dmz-bridge", SERVICES, FOLDER)
    assert [step.path for step in upgrade.turn if step.kind is Kind.BESIDE] == [f"{path}.new"]
    assert upgrade.state.files == {}


def test_a_service_that_did_not_run_is_not_started(installed: Facts, newer: Source) -> None:
    services = {**SERVICES, "front": dataclasses.replace(RUNNING, running=False)}
    upgrade = upgrade_plan(installed, newer, "/opt/dmz-bridge", services, FOLDER)
    assert Kind.START not in kinds(upgrade.turn)


def test_the_way_back_restores_all_that_the_turn_changed(installed: Facts, newer: Source) -> None:
    state = upgrade_plan(installed, newer, "/opt/dmz-bridge", SERVICES, FOLDER).state
    state = Turn.load(state.dump().decode())
    state.revisions["front"] = "0009"
    steps = way_back(state, "/opt/dmz-bridge", b"record")
    order = [kind for kind in kinds(steps) if kind is not Kind.RELOAD]
    assert order == [Kind.STOP, Kind.DOWNGRADE, Kind.COPY, Kind.LINK, Kind.WRITE, Kind.START, Kind.HEALTHY]
    link = next(step for step in steps if step.kind is Kind.LINK)
    assert link.target == "releases/1.0"
    left = way_back(state, "/opt/dmz-bridge", b"record", frozenset({"/etc/dmz-bridge/dmz_front.toml"}))
    assert Kind.COPY not in kinds(left), "what was changed since is not taken back"


def test_the_record_names_both_releases(installed: Facts, newer: Source) -> None:
    turn = upgrade_plan(installed, newer, "/opt/dmz-bridge", SERVICES, FOLDER).turn
    record = json.loads(turn[-1].content)
    assert (record["release"], record["previous"]) == ("1.1", "1.0")
    new = newer.files["config/nftables/dmz-front.nft"]
    assert record["shipped"]["/etc/dmz-bridge/dmz-front.nft"] == digest(new)


def test_what_stands_in_the_way_of_an_upgrade_is_said(installed: Facts, source: Source, fresh: Facts) -> None:
    for facts, says in ((installed, "nothing to do"), (fresh, "nothing is installed here")):
        with pytest.raises(InstallError, match=says):
            upgrade_plan(facts, source, "/opt/dmz-bridge", SERVICES, FOLDER)
    with pytest.raises(InstallError, match="systemd is not PID 1"):
        upgrade_plan(
            dataclasses.replace(installed, manager=""), dataclasses.replace(source, release="2"), "/x", SERVICES, ""
        )


def test_uninstalling_leaves_data_and_configuration_unless_purged(installed: Facts) -> None:
    tree = {**(installed.tree or {}), "/var/lib/dmz-bridge": Found("folder"), "/etc/dmz-bridge": Found("folder")}
    facts = dataclasses.replace(installed, tree=tree)
    removed = {
        step.path for step in uninstall_plan(facts, "/opt/dmz-bridge", "", purge=False) if step.kind is Kind.REMOVE
    }
    assert {"/opt/dmz-bridge", "/etc/systemd/system/dmz-front.service", "/usr/local/bin/bridgectl"} <= removed
    assert not {"/var/lib/dmz-bridge", "/etc/dmz-bridge"} & removed
    purged = {
        step.path for step in uninstall_plan(facts, "/opt/dmz-bridge", "", purge=True) if step.kind is Kind.REMOVE
    }
    assert {"/var/lib/dmz-bridge", "/etc/dmz-bridge"} <= purged


def test_one_role_of_two_can_go(installed: Facts) -> None:
    steps = uninstall_plan(installed, "/opt/dmz-bridge", "front", purge=False)
    removed = {step.path for step in steps if step.kind is Kind.REMOVE}
    assert "/opt/dmz-bridge" not in removed
    assert "/etc/systemd/system/dmz-bridge-broker.service" not in removed


def test_a_role_that_was_removed_can_be_installed_again(installed: Facts, source: Source) -> None:
    gone = applied(installed, uninstall_plan(installed, "/opt/dmz-bridge", "front", purge=False))
    unit = "/etc/systemd/system/dmz-front.service"
    assert gone.at(unit) is None
    again = install_plan(gone, source, Wanted(KNOWN["front"]))
    assert [step.path for step in again if step.kind is Kind.WRITE and "systemd" in step.path] == [unit]


def test_what_stands_beside_a_unit_is_upgraded_too(installed: Facts, newer: Source) -> None:
    drop_in = "config/systemd/notify-reload.conf"
    other = dataclasses.replace(newer, files={**newer.files, drop_in: newer.files[drop_in] + b"# new\n"})
    host = dataclasses.replace(installed, systemd=253, free_bytes=1 << 30)
    upgrade = upgrade_plan(host, other, "/opt/dmz-bridge", SERVICES, FOLDER)
    written = [step.path for step in upgrade.turn if step.kind is Kind.WRITE and ".d/" in step.path]
    assert written == ["/etc/systemd/system/dmz-front.service.d/notify-reload.conf"]

"""A new CA: at every step everybody who has the files of this step, or of the one before, believes everybody else."""

import datetime
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from typer.testing import CliRunner, Result

from bridgectl import certificate_checks, certificate_files, files, rollout
from bridgectl import certificate_rollover as roll
from bridgectl.certificate_checks import Level
from bridgectl.cli import app
from bridgectl.rollout import Confirmed, Part
from protocol.errors import BridgeError
from protocol.link.certificates import issued_by
from protocol.messages import Role

NAMES = {
    Role.BROKER: ["broker-1", "broker-2"], Role.FRONT: ["front-1"], Role.BRIDGE: ["bridge-1"],
    Role.MONITOR: ["monitor-1"],
}  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Path:
    certificate_files.init(tmp_path / "certs", NAMES)
    return tmp_path / "certs"


def go_on(directory: Path) -> roll.Step:
    """The next step, now."""
    return roll.go_on(directory, now=datetime.datetime.now(datetime.UTC).replace(microsecond=0))


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["certs", *map(str, words)])


class Host:
    """What one holder of a certificate has: it shows this leaf, and believes these authorities."""

    def __init__(self, directory: Path, base: str) -> None:
        self.leaf = x509.load_pem_x509_certificate((directory / f"{base}.pem").read_bytes())
        self.believes = certificate_files.read_authorities(directory)
        if base.startswith("broker"):
            store, trust, password = certificate_files.store_files(base)
            secret = (directory / password).read_bytes().strip()
            kept = pkcs12.load_pkcs12((directory / store).read_bytes(), secret).cert
            assert kept is not None
            self.leaf = kept.certificate
            trusted = pkcs12.load_pkcs12((directory / trust).read_bytes(), secret).additional_certs
            self.believes = [one.certificate for one in trusted]

    def believed_by(self, other: "Host") -> bool:
        return any(issued_by(self.leaf, authority) for authority in other.believes)


def hosts(directory: Path) -> dict[str, Host]:
    return {base: Host(directory, base) for base in ("broker", "broker-2", "front", "bridge")}


def test_no_step_keeps_a_client_and_a_broker_apart_whoever_is_first(made: Path) -> None:
    before = hosts(made)
    first = certificate_files.read_authorities(made)
    for wanted in (roll.Step.TRUST, roll.Step.LEAVES, roll.Step.BROKERS, roll.Step.NONE):
        assert go_on(made) is wanted
        assert roll.step(made) is wanted
        assert [one for one in certificate_checks.check(made) if one.level is not Level.OK] == []
        after = hosts(made)
        for client in ("front", "bridge"):
            for broker in ("broker", "broker-2"):
                for one in (before[client], after[client]):
                    for other in (before[broker], after[broker]):
                        assert one.believed_by(other), (wanted, client, broker)
                        assert other.believed_by(one), (wanted, client, broker)
        before = after
    [only] = certificate_files.read_authorities(made)
    assert only not in first
    assert certificate_files.read_authority(made)[0].certificate == only
    assert {host.believes[0] for host in before.values()} == {only}
    assert all(len(host.believes) == 1 for host in before.values())
    assert not list(made.glob("ca.next.*"))


STEPS: list[Callable[[Path], object]] = [go_on] * 4


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_step_that_was_cut_short_anywhere_is_completed(made: Path, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cut`: the write before which the power fails, counted over the whole roll-over."""
    written = 0
    real = files.write_all

    def write(*arguments: object, **options: object) -> object:
        nonlocal written
        written += 1
        if written == cut:
            raise RuntimeError("power failure")
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(roll, "write_all", write)
    reached = []
    for _ in range(20):
        try:
            reached.append(go_on(made))
        except RuntimeError:
            assert [one for one in certificate_checks.check(made) if one.level is Level.FAIL] == []
            continue
        if reached[-1] is roll.Step.NONE:
            break
    assert list(dict.fromkeys(reached)) == [roll.Step.TRUST, roll.Step.LEAVES, roll.Step.BROKERS, roll.Step.NONE]
    assert written > cut, "the roll-over writes less often than that: test fewer cuts"


def codes(output: str) -> list[str]:
    """The options that say all of it is done."""
    done = []
    for who, code in re.findall(r"^  (\S+): copy .*?(?:; in use then: (\S+))?$", output, re.M):
        done += ["--done", f"{who}={code}" if code else who]
    return done


def test_the_command_leads_through_and_can_be_left_anywhere(made: Path) -> None:
    assert "No roll-over is under way" in run("rollover", "--dir", made).output
    said = run("rollover", "--dir", made, "--next").output
    assert said.startswith("step 1 of 4: everyone comes to believe the new CA")
    assert "  broker-2: copy broker-2.truststore.p12 there, restart the broker (of two, one after the other)" in said
    assert "  front-1: copy ca.pem there, bridgectl reload; in use then: " in said
    assert "  monitor-1: copy ca.pem there, nothing more" in said
    assert run("rollover", "--dir", made).output == said
    refused = run("rollover", "--dir", made, "--next")
    assert isinstance(refused.exception, BridgeError)
    assert "not done everywhere" in str(refused.exception)
    half = run("rollover", "--dir", made, *codes(said)[:4]).output
    assert len(codes(half)) == len(codes(said)) - 4
    for number, names in ((2, "front.pem, front.key"), (3, ""), (4, "ca.pem")):
        whole = run("rollover", "--dir", made, *codes(run("rollover", "--dir", made).output)).output
        assert f"done everywhere\nnext: bridgectl certs rollover --dir {made} --next" in whole
        said = run("rollover", "--dir", made, "--next").output
        assert said.startswith(f"step {number} of 4")
        assert ("front-1: copy" in said) is bool(names)
        assert names in said
    assert "broker" not in said.replace("brokers", "")
    over = run("rollover", "--dir", made, *codes(said)).output
    assert over.startswith("The roll-over is over")
    assert "No roll-over is under way" in run("rollover", "--dir", made).output
    assert not (made / "rollover.json").exists()


def test_a_renewal_says_what_goes_where(made: Path) -> None:
    before = {one.base: one.certificate for one in certificate_files.read_leaves(made)}
    said = run("renew", "front", "--name", "front-1", "--dir", made)
    assert said.exit_code == 0, said.exception
    assert re.search(
        r"^  front-1: copy front.pem, front.key there, bridgectl reload; in use then: \S+$", said.output, re.M
    )
    after = {one.base: one.certificate for one in certificate_files.read_leaves(made)}
    assert [base for base in after if after[base] != before[base]] == ["front"]
    assert run("renew", "--dir", made, "--expiring", "30").output == "nothing ends within 30 days\n"
    everything = run("renew", "--dir", made, "--expiring", "500")
    assert "broker-2: copy broker-2.p12, broker-2.truststore.p12 there, restart" in everything.output
    assert len(codes(everything.output)) == 2 * len(before)
    assert run("renew", "front", "--name", "front-9", "--dir", made).exit_code == 1
    assert isinstance(run("renew", "--dir", made).exception, BridgeError)


def test_what_was_confirmed_is_forgotten_when_the_files_change(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    parts = [Part("fronts", ("a",), "reload", "1111-2222"), Part("bridges", ("b",), "reload", "3333-4444")]
    Confirmed(tmp_path, "x.json").take(parts, ["fronts=1111-2222"])
    assert Confirmed(tmp_path, "x.json").left(parts) == parts[1:]
    changed = [Part("fronts", ("a",), "reload", "5555-6666"), parts[1]]
    assert Confirmed(tmp_path, "x.json").left(changed) == changed
    with pytest.raises(BridgeError, match="bridges has 1 in use"):
        Confirmed(tmp_path, "x.json").take(parts, ["fronts=1111-2222", "bridges=1"])
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(BridgeError, match=r"x\.json: cannot be read"):
        Confirmed(tmp_path, "x.json")
    assert rollout.options(parts) == "--done fronts=CODE --done bridges=CODE"
    shutil.rmtree(tmp_path)

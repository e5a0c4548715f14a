"""`bridgectl keys`: two-step rotation, nothing lost on the way, nothing secret shown."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from protocol.errors import ConfigurationError
from protocol.messages import Role
from protocol.runtime.keyfiles import load_keyring


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, words)])


def states(directory: Path) -> list[tuple[str, str, str]]:
    found = json.loads(run("show", "--dir", directory, "--json").output)
    return [(one["role"], one["algorithm"], one["state"]) for one in found]


def private_states(directory: Path, role: str) -> list[str]:
    return [key["state"] for key in json.loads((directory / f"{role}.keyring").read_text())["keys"]]


def codes(output: str) -> dict[str, str]:
    """Who has to have which code in use."""
    return dict(re.findall(r"^  (\w+): .*; in use then: (\S+)$", output, re.M))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    assert run("init", "--dir", tmp_path / "keys").exit_code == 0
    return tmp_path / "keys"


ACTIVE = [
    ("front", "ed25519", "active"),
    ("front", "x25519", "active"),
    ("bridge", "ed25519", "active"),
    ("bridge", "x25519", "active"),
]


def test_init_makes_keys_both_sides_can_load(made: Path) -> None:
    assert states(made) == ACTIVE
    for role in (Role.FRONT, Role.BRIDGE):
        assert load_keyring(made / f"{role}.keyring", made / "trusted.json").role is role
        assert stat.S_IMODE((made / f"{role}.keyring").stat().st_mode) == 0o600
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert "private" not in (made / "trusted.json").read_text()


def test_init_overwrites_nothing_unless_forced(made: Path) -> None:
    before = (made / "front.keyring").read_bytes()
    assert "not overwritten" in str(run("init", "--dir", made).exception)
    assert (made / "front.keyring").read_bytes() == before
    assert run("init", "--dir", made, "--force").exit_code == 0
    assert (made / "front.keyring").read_bytes() != before


def test_no_command_prints_a_secret(made: Path) -> None:
    shown = "".join(
        run(*words, "--dir", made).output
        for words in (
            ["show"],
            ["rotate", "front"],
            ["rotate", "front", "--activate", "--force"],
            ["show", "--json"],
            ["prune"],
        )
    )
    for role in ("front", "bridge"):
        content = json.loads((made / f"{role}.keyring").read_text())
        for secret in [content.get("secret", "?" * 43), *(key["private"] for key in content["keys"])]:
            assert secret[:10] not in shown


def test_rotation_is_next_then_active_then_pruned(made: Path) -> None:
    first = run("rotate", "bridge", "--dir", made)
    assert "nobody uses them yet" in first.output
    assert "fronts: copy trusted.json there, bridgectl reload" in first.output
    assert "bridges: copy bridge.keyring, trusted.json there, bridgectl reload" in first.output
    assert states(made) == [*ACTIVE, ("bridge", "ed25519", "next"), ("bridge", "x25519", "next")]
    assert private_states(made, "bridge") == ["active", "active", "next", "next"]

    again = run("rotate", "bridge", "--dir", made).output
    assert again == first.output.partition("\n")[2]  # how far it is, and what is left
    assert len(states(made)) == 6

    refused = run("rotate", "bridge", "--activate", "--dir", made)
    assert "not yet: who does not know the new keys" in str(refused.exception)
    assert "could not read" in str(refused.exception)
    wrong = run("rotate", "bridge", "--dir", made, "--done", "fronts=0000-0000")
    assert "fronts has 0000-0000 in use and not" in str(wrong.exception)
    assert "give the code" in str(run("rotate", "bridge", "--dir", made, "--done", "fronts").exception)
    assert "monitors has no part" in str(run("rotate", "bridge", "--dir", made, "--done", "monitors=1").exception)
    fronts = codes(first.output)["fronts"]
    half = run("rotate", "bridge", "--dir", made, "--done", f"fronts={fronts}").output
    assert list(codes(half)) == ["bridges"]
    assert "not yet" in str(run("rotate", "bridge", "--activate", "--dir", made).exception)
    whole = run("rotate", "bridge", "--dir", made, "--done", f"bridges={codes(half)['bridges']}").output
    assert f"done everywhere; next: bridgectl keys rotate bridge --dir {made} --activate" in whole

    used = run("rotate", "bridge", "--activate", "--dir", made)
    assert used.exit_code == 0
    assert set(codes(used.output)) == {"fronts", "bridges"}
    assert codes(used.output)["fronts"] != fronts
    assert private_states(made, "bridge") == ["readable", "readable", "active", "active"]
    assert states(made)[2:] == [
        ("bridge", "ed25519", "readable"),
        ("bridge", "x25519", "readable"),
        ("bridge", "ed25519", "active"),
        ("bridge", "x25519", "active"),
    ]

    assert "seals with the old keys" in str(run("prune", "--dir", made).exception)
    told = codes(used.output)
    told_all = [word for who, code in told.items() for word in ("--done", f"{who}={code}")]
    assert "next, from " in run("rotate", "bridge", "--dir", made, *told_all).output
    assert "nothing to remove" in run("prune", "--dir", made).output
    assert "may still need" in str(run("prune", "--dir", made, "--older-than", 0).exception)
    pruned = run("prune", "--dir", made, "--older-than", 0, "--force")
    assert pruned.output.count("removed bridge") == 2
    assert states(made) == ACTIVE
    assert private_states(made, "bridge") == ["active", "active"]


def test_activating_without_a_next_key_says_how_to_make_one(made: Path) -> None:
    result = run("rotate", "front", "--activate", "--dir", made)
    assert isinstance(result.exception, ConfigurationError)
    assert "bridgectl keys rotate front" in str(result.exception)
    assert states(made) == ACTIVE


def test_a_rotation_cut_short_between_two_files_is_completed_by_repeating_it(made: Path) -> None:
    before = (made / "trusted.json").read_bytes()
    run("rotate", "front", "--dir", made)
    (made / "trusted.json").write_bytes(before)
    run("rotate", "front", "--dir", made)
    assert states(made).count(("front", "ed25519", "next")) == 1

    before = (made / "trusted.json").read_bytes()
    run("rotate", "front", "--activate", "--force", "--dir", made)
    after = (made / "trusted.json").read_bytes()
    assert after != before
    (made / "trusted.json").write_bytes(before)
    assert run("rotate", "front", "--activate", "--dir", made).exit_code == 1  # there is no next key any more
    assert (made / "trusted.json").read_bytes() == after


def test_only_front_and_bridge_have_keys(made: Path) -> None:
    assert run("rotate", "broker", "--dir", made).exit_code == 2


def test_show_on_a_host_tells_which_private_keys_are_there(made: Path) -> None:
    (made / "bridge.keyring").unlink()
    found = json.loads(run("show", "--dir", made, "--json").output)
    assert [one["private_key_here"] for one in found] == [True, True, False, False]
    text = run("show", "--dir", made).output.splitlines()
    assert text[0].split()[:4] == ["ROLE", "ALGORITHM", "ID", "STATE"]
    assert text[1].endswith("here")
    assert "bridge.keyring: is not there" in str(run("rotate", "bridge", "--dir", made).exception)


def test_files_that_cannot_be_used_are_named(made: Path, tmp_path: Path) -> None:
    assert "trusted.json: is not there" in str(run("show", "--dir", tmp_path / "none").exception)
    (made / "front.keyring").chmod(0o644)
    assert "front.keyring: may be read by others" in str(run("show", "--dir", made).exception)
    (made / "front.keyring").chmod(0o600)
    (made / "front.keyring").write_bytes((made / "bridge.keyring").read_bytes())
    assert "front.keyring: is the keyring of the bridge" in str(run("rotate", "front", "--dir", made).exception)
    (made / "trusted.json").write_text("{")
    assert "trusted.json: Invalid JSON" in str(run("show", "--dir", made).exception)


def test_bridgectl_starts_without_what_it_does_not_need() -> None:
    script = (
        "import sys; from bridgectl.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'cryptography', 'pydantic', 'sqlalchemy', 'stomp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True)
    assert "certs" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_main_says_errors_in_one_line_and_exits_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridgectl.cli", "keys", "show", "--dir", tmp_path], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"bridgectl: {tmp_path}/trusted.json: is not there (bridgectl keys init makes it)\n"


# --- keys by group of fronts ------------------------------------------------------------------------------


def said_codes(output: str) -> list[str]:
    """The options that tell that everyone has what the step says."""
    return [word for who, code in re.findall(r"^  (\S+): .*; in use then: (\S+)$", output, re.M)
            for word in ("--done", f"{who}={code}")]  # fmt: skip


def test_a_split_gives_each_group_its_keys_in_steps(made: Path) -> None:
    first = run("split", "city", "lake", "--dir", made)
    assert "step 1 of 3" in first.output
    for who, file in (("fronts-city", "front-city"), ("fronts-lake", "front-lake")):
        assert f"{who}: copy {file}.keyring, trusted.json there, bridgectl reload" in first.output
    assert "bridges: copy trusted.json there" in first.output
    assert run("split", "--dir", made).output == first.output
    assert "not yet" in str(run("split", "--activate", "--dir", made).exception)
    assert f"next: bridgectl keys split --dir {made} --activate" in run(
        "split", "--dir", made, *said_codes(first.output)
    ).output  # fmt: skip
    second = run("split", "--activate", "--dir", made)
    assert "step 2 of 3" in second.output
    assert not (made / "front.keyring").exists()
    assert "prune" in run("split", "--dir", made, *said_codes(second.output)).output
    found = {(one["group"], one["state"]) for one in json.loads(run("show", "--dir", made, "--json").output)}
    assert found == {("city", "active"), ("lake", "active"), (None, "readable"), (None, "active")}
    pruned = run("prune", "--older-than", "0", "--force", "--dir", made)
    assert "fronts-city: copy front-city.keyring, trusted.json there" in pruned.output
    for name in ("front-city", "front-lake", "bridge"):
        load_keyring(made / f"{name}.keyring", made / "trusted.json")
    assert "no group's keys wait" in str(run("split", "--activate", "--dir", made).exception)


def test_the_keys_of_a_group_are_rotated_by_its_name(tmp_path: Path) -> None:
    made = run("init", "--group", "city", "--group", "lake", "--dir", tmp_path / "keys")
    assert "its group's keyring" in made.output
    where = tmp_path / "keys"
    assert "give --group, one of city, lake" in str(run("rotate", "front", "--dir", where).exception)
    assert "no group hill" in str(run("rotate", "front", "--group", "hill", "--dir", where).exception)
    first = run("rotate", "front", "--group", "city", "--dir", where).output
    assert "fronts-city: copy front-city.keyring, trusted.json there" in first
    assert "fronts-lake: copy trusted.json there" in first
    assert "--done fronts-city=CODE" in first
    done = run("rotate", "front", "--group", "city", "--dir", where, *said_codes(first)).output
    assert f"next: bridgectl keys rotate front --group city --dir {where} --activate" in done
    assert run("rotate", "front", "--group", "city", "--activate", "--dir", where).exit_code == 0
    assert run("rotate", "bridge", "--dir", where).exit_code == 0
    assert "lower-case" in str(run("init", "--group", "City", "--dir", tmp_path / "other").exception)

"""What a bundle is made of: the lock's wheels and no others, the same bytes each time, a valid bill of materials."""

import hashlib
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion

from scripts.tools.bundler import archive, bundle, sbom, wheels
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.source import SOURCE, verify

LOCK = """# made by a tool
anyio==4.16.0 \\
    --hash=sha256:{one} \\
    --hash=sha256:{two}
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:{one}
old==1.0 ; python_version < '3.12' \\
    --hash=sha256:{one}
"""


def wheel(folder: Path, name: str, version: str, *headers: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as content:
        text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *headers])
        content.writestr(f"{name}-{version}.dist-info/METADATA", text + "\n\n")
    return path


def test_what_the_lock_wants_depends_on_the_hosts_python_and_not_on_this_one() -> None:
    text = LOCK.format(one="1" * 64, two="2" * 64)
    assert wheels.locked(text, "3.11").keys() == {"anyio", "old"}
    assert wheels.locked(text, "3.13") == {"anyio": ("4.16.0", frozenset({"1" * 64, "2" * 64}))}


def test_a_wheel_that_is_not_the_locks_counts_as_missing(tmp_path: Path) -> None:
    found = hashlib.sha256(wheel(tmp_path, "anyio", "4.16.0").read_bytes()).hexdigest()
    assert wheels.missing(tmp_path, {"anyio": ("4.16.0", frozenset({found}))}) == []
    assert wheels.missing(tmp_path, {"anyio": ("4.16.0", frozenset({"0" * 64}))}) == ["anyio"]
    assert wheels.missing(tmp_path, {"anyio": ("4.16.1", frozenset({found}))}) == ["anyio"]


def test_the_real_lock_is_understood() -> None:
    found = wheels.locked((SOURCE / "requirements.lock").read_text(), "3.11")
    assert len(found) > 40
    assert all(hashes for _, hashes in found.values())
    assert wheels.locked(wheels.PIP.read_text(), "3.11").keys() == {"pip"}


def test_the_same_files_give_the_same_bytes_whatever_their_times_and_modes(tmp_path: Path) -> None:
    files: dict[str, archive.Content] = {"b/x": b"1", "a": tmp_path / "a", "scripts/install": b"#!"}
    (tmp_path / "a").write_bytes(b"2")
    archive.write(tmp_path / "1.tar", "top", files, frozenset({"scripts/install"}), 1_700_000_000)
    (tmp_path / "a").touch(mode=0o600)
    (tmp_path / "a").chmod(0o600)
    archive.write(
        tmp_path / "2.tar", "top", dict(reversed(files.items())), frozenset({"scripts/install"}), 1_700_000_000
    )
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    with tarfile.open(tmp_path / "1.tar") as tar:
        found = {one.name: one for one in tar}
    assert found["top/scripts/install"].mode == 0o755
    assert {one.mtime for one in found.values()} == {1_700_000_000}
    assert {one.uid for one in found.values()} == {0}


def test_a_file_that_was_changed_on_the_way_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "SHA256SUMS").write_bytes(archive.sums({"a": b"1"}))
    assert verify(tmp_path) == 1
    (tmp_path / "a").write_bytes(b"2")
    with pytest.raises(InstallError, match="a is not the file"):
        verify(tmp_path)


def test_the_bill_of_materials_is_valid_and_names_everything(tmp_path: Path) -> None:
    # two seconds of the processor, which each process of a run would spend at its collection
    from cyclonedx.validation.json import JsonStrictValidator

    own = wheel(tmp_path, "dmz_bridge", "0.1.0", "License-Expression: Apache-2.0", "Requires-Dist: anyio>=4",
                "Provides-Extra: soap", "Requires-Dist: zeep>=4; extra == 'soap'")  # fmt: skip
    anyio = wheel(tmp_path, "anyio", "4.16.0", "License-Expression: MIT", "Requires-Dist: idna>=2")
    idna = wheel(tmp_path, "idna", "3.1", "License: BSD")
    zeep = wheel(tmp_path, "zeep", "4.3.3")
    jar = tmp_path / "activemq-broker-6.3.1.jar"
    with zipfile.ZipFile(jar, "w") as content:
        content.writestr("META-INF/maven/org.apache.activemq/activemq-broker/pom.properties", "")
    text = sbom.bill("1.0", own, [anyio, idna, zeep], [jar], 1_700_000_000)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == sbom.bill("1.0", own, [anyio, idna, zeep], [jar], 1_700_000_000)
    found = json.loads(text)
    by_name = {one["name"]: one for one in found["components"]}
    assert by_name["activemq-broker"]["purl"] == "pkg:maven/org.apache.activemq/activemq-broker@6.3.1"
    assert by_name["anyio"]["hashes"][0]["content"] == hashlib.sha256(anyio.read_bytes()).hexdigest()
    needs = {one["ref"].partition("#")[0]: [part.partition("@")[0] for part in one.get("dependsOn", [])]
             for one in found["dependencies"]}  # fmt: skip
    assert needs["pkg:pypi/anyio@4.16.0"] == ["pkg:pypi/idna"]
    assert set(needs["pkg:pypi/dmz-bridge@1.0"]) == {
        "pkg:pypi/anyio", "pkg:pypi/zeep", "pkg:maven/org.apache.activemq/activemq-broker"
    }  # fmt: skip


def test_a_bundle_carries_what_the_installer_reads_and_nothing_that_was_generated() -> None:
    names = bundle.shipped()
    assert {"scripts/install", "scripts/tools/installer/plan.py", "config/dmz_front.toml", "requirements.lock"} <= set(
        names
    )
    assert not [name for name in names if name.endswith((".key", ".pem", ".pyc")) or name.startswith("var/")]

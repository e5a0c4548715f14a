"""The bill of materials of a bundle, in CycloneDX 1.6 JSON: each wheel and jar, its hash, what needs what."""

from __future__ import annotations

import datetime
import hashlib
import re
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from email.message import Message
from email.parser import Parser
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562, for URLs
_JAR = re.compile(r"(.+?)-(\d[^/]*)\.jar$")


def bill(release: str, own: Path, wheels: Sequence[Path], jars: Sequence[Path], epoch: int) -> str:
    """The document. The same files give the same text."""
    metadata = {wheel: _metadata(wheel) for wheel in wheels}
    components = {wheel: _python(wheel, metadata[wheel]) for wheel in wheels}
    root = _python(own, _metadata(own), release)
    root.type = ComponentType.APPLICATION
    bom = Bom(components=[*components.values(), *(_java(jar) for jar in jars)])
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
    by_name = {str(canonicalize_name(part.name)): part for part in components.values()}
    needs = {root: _needed(_metadata(own), by_name, ours=True)} | {
        components[wheel]: _needed(metadata[wheel], by_name) for wheel in wheels
    }
    broker = [part for part in bom.components if part not in needs]
    needs[root] = [*needs[root], *broker]
    bom.dependencies = [
        Dependency(part.bom_ref, [Dependency(one.bom_ref) for one in after]) for part, after in needs.items()
    ]
    files = "".join(sorted(str(part.bom_ref) for part in bom.components))
    bom.serial_number = uuid.uuid5(_NAMESPACE, f"{release} {hashlib.sha256(files.encode()).hexdigest()}")
    return str(JsonV1Dot6(bom).output_as_string(indent=1)) + "\n"


def _python(wheel: Path, metadata: Message, version: str = "") -> Component:
    name, version = str(metadata["Name"]), version or str(metadata["Version"])
    return _component(wheel, name, version, PackageURL("pypi", None, str(canonicalize_name(name)), version),
                      [str(metadata["License-Expression"] or metadata["License"] or "")])  # fmt: skip


def _java(jar: Path) -> Component:
    found = _JAR.match(jar.name)
    name, version = (found.group(1), found.group(2)) if found else (jar.stem, "unknown")
    group = None
    with zipfile.ZipFile(jar) as content:
        for one in content.namelist():
            if re.fullmatch(rf"META-INF/maven/[^/]+/{re.escape(name)}/pom\.properties", one):
                group = one.split("/")[2]
    return _component(jar, name, version, PackageURL("maven", group, name, version), [])


def _component(file: Path, name: str, version: str, purl: PackageURL, licences: Iterable[str]) -> Component:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    short = [one for one in licences if one and "\n" not in one and len(one) < 100]
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=f"{purl}#{digest[:12]}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[LicenseFactory().make_from_string(one) for one in short],
    )  # fmt: skip


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as content:
        name = next(one for one in content.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
        return Parser().parsestr(content.read(name).decode())


def _needed(metadata: Message, by_name: dict[str, Component], *, ours: bool = False) -> list[Component]:
    """What it requires of what is in the bundle; of ours with every extra, as the lock has them."""
    found = set()
    for text in metadata.get_all("Requires-Dist") or []:
        requirement = Requirement(text)
        name = str(canonicalize_name(requirement.name))
        extras = ("", "binary", *(metadata.get_all("Provides-Extra") or [] if ours else []))
        if name in by_name and (
            not requirement.marker or any(requirement.marker.evaluate({"extra": e}) for e in extras)
        ):
            found.add(name)
    return [by_name[name] for name in sorted(found)]

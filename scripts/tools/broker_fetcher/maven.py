"""The newest ActiveMQ 6 from Maven's repository, every file checked against its checksum."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from scripts.tools.broker_fetcher.apt import install
from scripts.tools.broker_fetcher.console import BrokerError, say
from scripts.tools.broker_fetcher.home import Home
from scripts.tools.broker_fetcher.paths import CONF, DOWNLOADS


def home_from_maven() -> Home:
    """The newest ActiveMQ 6, downloaded if it is missing."""
    if shutil.which("mvn") is None:
        install("maven")
    version = newest_six()
    lib = DOWNLOADS / f"activemq-{version}" / "lib"
    if not any(lib.glob("*.jar")):
        say(f"downloading ActiveMQ {version}, about 16 MB, every file checked against its checksum …")
        scratch = lib.with_name("lib.new")
        shutil.rmtree(scratch, ignore_errors=True)
        maven(
            "dependency:copy-dependencies",
            f"-Dactivemq.version={version}",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={scratch}",
            file=CONF / "pom.xml",
        )
        scratch.rename(lib)
    jars = sorted(lib.glob("*.jar"))
    return Home("maven", version, [str(jar) for jar in jars])


def newest_six() -> str:
    """Maven picks the newest version of a range; only the POM is requested."""
    say("asking Maven's repository for the newest ActiveMQ 6 …")
    probe = DOWNLOADS / "newest.pom.xml"
    answer = DOWNLOADS / "newest.txt"
    answer.unlink(missing_ok=True)
    probe.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>dmz-bridge</groupId><artifactId>newest</artifactId><version>1</version>"
        "<packaging>pom</packaging><dependencies><dependency><groupId>org.apache.activemq</groupId>"
        "<artifactId>activemq-broker</artifactId><version>[6.2.9,6.9999)</version><type>pom</type>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
        "</dependency></dependencies></project>"
    )
    maven("dependency:list", f"-DoutputFile={answer}", file=probe)
    found = re.search(r"activemq-broker:pom:([0-9.]+)", answer.read_text())
    if found is None:
        raise BrokerError("Maven's repository named no ActiveMQ 6")
    return found.group(1)


def maven(goal: str, *options: str, file: Path) -> None:
    """-C: a file whose checksum does not match stops the build."""
    command = ["mvn", "--batch-mode", "--quiet", "-Dstyle.color=never", "-C", "-f", str(file), goal, *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
        raise BrokerError(f"Maven failed: {lines[0] if lines else done.stderr.strip()[:300]}")

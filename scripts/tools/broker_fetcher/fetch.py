"""Finding the broker to run, or downloading it once."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from scripts.tools.broker_fetcher.console import BrokerError, say
from scripts.tools.broker_fetcher.debian import home_from_debian
from scripts.tools.broker_fetcher.home import Home, home_from_directory
from scripts.tools.broker_fetcher.java import need_java
from scripts.tools.broker_fetcher.locks import lock
from scripts.tools.broker_fetcher.maven import home_from_maven
from scripts.tools.broker_fetcher.paths import DOWNLOADS


def fetch(kind: str) -> Home:
    """The broker to run; downloads only what is missing."""
    explicit = os.environ.get("ACTIVEMQ_HOME")
    if kind == "home" or (kind == "auto" and explicit):
        if not explicit:
            raise BrokerError("--kind home needs the environment variable ACTIVEMQ_HOME")
        return home_from_directory(Path(explicit))
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with lock(DOWNLOADS / "fetch.lock", wait=True):
        home = remembered("maven", "auto") if kind == "auto" else remembered(kind)
        if home is None:
            home = download(kind)
            note = DOWNLOADS / f"{kind}.json"
            scratch = note.with_suffix(".new")
            scratch.write_text(json.dumps(asdict(home), indent=1))
            scratch.replace(note)
    return home


def download(kind: str) -> Home:
    """A broker from Maven's repository, or else Debian's."""
    need_java()
    if kind == "debian":
        return home_from_debian()
    try:
        return home_from_maven()
    except BrokerError as error:
        if kind == "maven":
            raise
        say(f"{error}; taking Debian's package instead (later: scripts/broker fetch --kind maven)")
        return home_from_debian()


def remembered(*notes: str) -> Home | None:
    """What an earlier fetch found, if all its files are still there."""
    for note in notes:
        with contextlib.suppress(OSError, ValueError, TypeError):
            home = Home(**json.loads((DOWNLOADS / f"{note}.json").read_text()))
            if all(Path(jar).exists() for jar in home.class_path):
                return home
    return None

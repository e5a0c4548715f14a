"""What the demonstrations are made of: headings, curl lines the reader can repeat, and checks."""

import json
import os
import shlex
import subprocess
import sys
import urllib.request
from typing import Any

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import TestbedError
from scripts.tools.testbed.testbed import Testbed


def say(text: str) -> None:
    """A heading."""
    print(f"\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"== {text}", flush=True)


def curl(
    testbed: Testbed, path: str, body: dict[str, Any] | None = None, *, quiet: bool = False, **headers: str
) -> tuple[int, Any]:
    """Print a curl line that works as it stands in the project's folder, run it, print and return the answer. `quiet`:
    print neither.
    """
    # The key is read from a file: a secret in argv is for everyone on the machine to read.
    shown = ["curl", "-sS", "-H", f"@{os.path.relpath(testbed.folder / 'curl.headers', ROOT)}"]
    for name, value in headers.items():
        shown += ["-H", f"{name.replace('_', '-')}: {value}"]
    if body is not None:
        shown += ["-H", "Content-Type: application/json", "-d", json.dumps(body, ensure_ascii=False)]
    shown.append(f"{testbed.front_url}{path}")
    if not quiet:
        print("$ " + " ".join(shlex.quote(word) for word in shown), flush=True)
    done = subprocess.run([*shown, "-w", "\n%{http_code}"], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise TestbedError(f"curl failed: {done.stderr.strip()}")
    text, _, status = done.stdout.rpartition("\n")
    if not quiet:
        print(f"{status} {text}\n", flush=True)
    return int(status), json.loads(text)


def check(what: str, holds: bool) -> None:
    """Raises TestbedError unless it holds."""
    if not holds:
        raise TestbedError(f"the demo's answer is not as it should be: {what}")


def marketing(testbed: Testbed, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the marketing system itself, or tell it."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(testbed.marketing_url + path, data, timeout=10) as answer:  # noqa: S310 - loopback
        return json.load(answer)

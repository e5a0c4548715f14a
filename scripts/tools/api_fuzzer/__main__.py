"""Starts an installation, has Schemathesis put generated requests to every path of its `/openapi.json`, and stops it.

What Schemathesis holds an answer to: no status, header, content type or body that the document does not say; no 500; a
request that the schema refuses is refused, and one without a key too. Left out:

- `positive_data_acceptance`: what a JSON Schema cannot say is refused too (a range's end before its begin, a check
  digit, characters that are no text, an Idempotency-Key that another request has);
- parts of files (`PATCH /v1/attachments/{id}`), which are bytes: unit tests have them;
- the stateful phase: the document links no operation to another.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.testbed import Testbed

_CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "ignored_auth",
)  # fmt: skip
_CONFIGURATION = """
headers = { Authorization = "Bearer ${DMZ_BRIDGE_KEY}" }
request-timeout = 40
continue-on-failure = true
suppress-health-check = ["all"]

[phases.stateful]
enabled = false
"""


def command(url: str, examples: int, seed: int, further: list[str]) -> list[str]:
    """Schemathesis's command line; the key is not in it."""
    return [
        str(BIN / "schemathesis"), "--config-file", "schemathesis.toml", "run", f"{url}/openapi.json",
        "--checks", ",".join(_CHECKS), "--exclude-name", "PATCH /v1/attachments/{id}",
        "--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none", *further,
    ]  # fmt: skip


def main() -> int:
    """Returns Schemathesis's exit status: 0 when it found nothing."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Schemathesis on the API of a whole installation.")
    parser.add_argument("--examples", type=int, default=20, help="generated requests an operation (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="what they are generated from (default 1)")
    parser.add_argument("further", nargs="*", help="for `schemathesis run`, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        testbed = Testbed(folder / "testbed", customers=200)
        try:
            testbed.set_up()
            testbed.start()
            (folder / "schemathesis.toml").write_text(_CONFIGURATION)
            environment = {**os.environ, "DMZ_BRIDGE_KEY": testbed.app_key}
            run = command(testbed.front_url, given.examples, given.seed, given.further)
            return subprocess.run(run, cwd=folder, env=environment, check=False).returncode
        finally:
            testbed.stop()


if __name__ == "__main__":
    raise SystemExit(main())

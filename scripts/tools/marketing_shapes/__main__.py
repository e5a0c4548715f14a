"""`python -m scripts.tools.marketing_shapes`: writes marketing_simulator/shapes.json; `--check` only compares."""

import argparse
import sys

from scripts.tools.marketing_shapes.derivation import DerivationError, derived, written
from scripts.tools.marketing_simulator.shapes import FILE


def main() -> int:
    """0: written, or as it should be; 1: stale, or not to be derived."""
    options = argparse.ArgumentParser(prog="marketing_shapes", description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing; status 1 when the file is stale")
    given = options.parse_args()
    try:
        text = written(derived()) + "\n"
    except DerivationError as error:
        print(f"marketing_shapes: {error}", file=sys.stderr)
        return 1
    if given.check:
        stale = not FILE.exists() or FILE.read_text(encoding="utf-8") != text
        if stale:
            print(f"marketing_shapes: {FILE.name} is stale", file=sys.stderr)
        return int(stale)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

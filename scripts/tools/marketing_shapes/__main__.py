"""`python -m scripts.tools.marketing_shapes`: writes marketing_simulator/shapes.json and the bindings of
config/examples/soap that follow from the shipped ones; `--check` only compares.
"""

import argparse
import sys

from scripts.tools.marketing_shapes.derivation import DerivationError
from scripts.tools.marketing_shapes.files import made, stale
from scripts.tools.marketing_shapes.soap_bindings import TranslationError


def main() -> int:
    """0: written, or as it should be; 1: stale, or not to be made."""
    options = argparse.ArgumentParser(prog="marketing_shapes", description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing; status 1 when a file is stale")
    given = options.parse_args()
    try:
        if given.check:
            names = stale()
            print(f"stale: {', '.join(names)}" if names else "nothing is stale")
            return int(bool(names))
        for file, text in list(made()):
            file.write_text(text, encoding="utf-8")
    except (DerivationError, TranslationError) as error:
        print(f"marketing_shapes: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

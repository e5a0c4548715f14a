"""`./scripts/docs`: builds the documents into var/site, English and Chinese, and says which link or heading is wrong.
Nothing is fetched; the pages can be read from the folder.
"""

import argparse
import functools
import http.server
import logging
import sys
from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from scripts.tools.documentation.edition import ROOT, UnknownTargetError


def write(site: Path) -> None:
    """Both editions, into a folder that is made anew.

    Raises Abort when mkdocs warns of anything, UnknownTargetError when a page names what is not there.
    """
    for file, folder in (
        ("mkdocs.yml", site),
        ("mkdocs.zh.yml", site / "zh"),
    ):  # the first empties what the second lies in
        config = load_config(str(ROOT / file), site_dir=str(folder), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        build(config)


def serve(site: Path, port: int) -> None:
    """On loopback, until interrupted."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/ (Chinese: /zh/); Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def main() -> int:
    """0: built, nothing wrong; 1: mkdocs has complained, and said of what."""
    options = argparse.ArgumentParser(prog="./scripts/docs", description=__doc__)
    options.add_argument("--site", type=Path, default=ROOT / "var/site", metavar="FOLDER", help="default: var/site")
    options.add_argument("--serve", action="store_true", help="then show it on loopback")
    options.add_argument("--port", type=int, default=8000)
    given = options.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        write(given.site)
    except (Abort, UnknownTargetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"built {given.site}/index.html")
    if given.serve:
        serve(given.site, given.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Entry point: `python -m scripts.tools.channel_simulator` or `python scripts/tools/channel_simulator`."""

import sys
from pathlib import Path

if not __package__:  # started as a directory: Python put this directory, not the project, on the path
    sys.path[0] = str(Path(__file__).resolve().parents[3])

from scripts.tools.channel_simulator.command_line import main

if __name__ == "__main__":
    sys.exit(main())

"""Command `intranet-bridge`: imports the program with the garbage collector off, for which nothing of it is garbage.

The collector is on again when the daemon is ready (protocol/runtime/daemon.py). A tenth of the start's CPU.
"""

import gc


def main() -> None:
    """Run intranet-bridge."""
    gc.disable()
    from intranet_bridge.app import main

    main()

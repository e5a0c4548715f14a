"""Command `dmz-front`: imports the program with the garbage collector off, for which nothing of it is garbage.

The collector is on again when the daemon is ready (protocol/runtime/daemon.py). A fifth of the start's CPU.
"""

import gc


def main() -> None:
    """Run dmz-front."""
    gc.disable()
    from dmz_front.app import main

    main()

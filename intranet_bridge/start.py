"""Command `intranet-bridge`: imports the program with the garbage collector off, for which nothing of it is garbage.

The collector is on again when the daemon is ready (protocol/runtime/daemon.py). A tenth of the start's CPU.
"""

import gc


def main() -> None:
    """Run intranet-bridge."""
    gc.disable()
    from intranet_bridge.command_line import main

    try:
        main()
    finally:
        gc.freeze()  # nor is it looked for at the end, which takes a fifth of a second

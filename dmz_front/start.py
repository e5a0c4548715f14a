"""Command `dmz-front`: imports the program with the garbage collector off, for which nothing of it is garbage.

The collector is on again when the daemon is ready (protocol/runtime/daemon.py). A fifth of the start's CPU.
"""

import gc


def main() -> None:
    """Run dmz-front."""
    gc.disable()
    from dmz_front.command_line import main

    try:
        main()
    finally:
        gc.freeze()  # nor is it looked for at the end, which takes a fifth of a second

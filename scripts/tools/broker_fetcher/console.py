"""What is said to the person at the keyboard, on standard error."""

import sys


class BrokerError(Exception):
    """Something the person at the keyboard has to know; printed without a stack trace."""


def say(text: str) -> None:
    """One line to the person at the keyboard; standard output is kept for results."""
    print(f"broker: {text}", file=sys.stderr, flush=True)

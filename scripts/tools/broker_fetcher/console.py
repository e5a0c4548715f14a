"""Messages and errors for the user, on standard error."""

import sys


class BrokerError(Exception):
    """An error the user has to know about; printed without a stack trace."""


def say(text: str) -> None:
    """Print a message; standard output is for results."""
    print(f"broker: {text}", file=sys.stderr, flush=True)

"""What an installation is ended by."""


class InstallError(Exception):
    """Something stands in the way; the text says what, and what to do about it."""

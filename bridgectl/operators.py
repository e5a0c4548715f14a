"""Who gives a command."""

import os
import pwd


def operator() -> str:
    """The user, behind sudo as well."""
    name = sudo_user()
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = f"uid {os.getuid()}"
    return name[:64]


def sudo_user() -> str:
    """Who is behind sudo, for a daemon, which knows the user itself by the kernel's word; empty without sudo."""
    return os.environ.get("SUDO_USER", "")[:64]

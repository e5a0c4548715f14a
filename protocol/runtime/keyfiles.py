"""Reading key files: only if nobody but their owner can read (private) or change (public) them."""

import os
import stat
from pathlib import Path

from protocol.errors import ConfigurationError
from protocol.files import BOM
from protocol.keyring import Keyring
from protocol.messages import Role
from protocol.runtime.settings import KeysSection

_LARGEST = 1 << 20
"""Bytes; a key file is a few thousand."""


def load_keyring(private: Path, trusted: Path) -> Keyring:
    """The keyring of this process: its role's private keys and the public keys of both roles.

    Raises ConfigurationError naming the file that is missing, open to others, damaged, or does not fit.
    """
    own, public = read_private(private, made_by=KEYS_INIT), read_public(trusted, made_by=KEYS_INIT)
    try:
        return Keyring.parse(own, public)
    except ConfigurationError as error:
        which = trusted if error.file == "trusted" else private
        raise ConfigurationError(str(error).removeprefix(f"{error.file}: "), file=str(which)) from None


def keyring_of(keys: KeysSection, role: Role) -> Keyring:
    """The keys of a daemon of this role. Raises ConfigurationError as `load_keyring`, and for those of another role."""
    keyring = load_keyring(keys.keyring, keys.trusted)
    if keyring.role is not role:
        raise ConfigurationError(f"is not a {role}'s keyring", file=str(keys.keyring))
    return keyring


KEYS_INIT = "bridgectl keys init"
"""What makes keyrings and the public keys they trust."""


def read_private(path: Path, *, made_by: str = "") -> bytes:
    """A secret file's bytes. `made_by`: the command that makes it, if one does.

    Raises ConfigurationError if it is not there, or others than its owner may read it.
    """
    return _read(path, private=True, made_by=made_by)


def read_public(path: Path, *, made_by: str = "") -> bytes:
    """A public file's bytes. `made_by`: as of `read_private`.

    Raises ConfigurationError if it is not there, or others than its owner may change it.
    """
    return _read(path, private=False, made_by=made_by)


def objection(status: os.stat_result, *, private: bool, uid: int | None = None) -> str | None:
    """Why a file of this owner and mode is not to be used by `uid` (default: us), with the remedy; None if it may be.

    A file owned by root may be readable (never writable) by the service's group: `root:dmz-front 0640` lets
    the service use its keys and not change them. systemd's LoadCredential makes such files too.
    """
    mode = stat.S_IMODE(status.st_mode)
    me = os.geteuid() if uid is None else uid
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if me != 0 and status.st_uid not in (me, 0):
        return f"belongs to uid {status.st_uid}: it must belong to this user (uid {me}) or to root"
    if not private:
        return f"may be changed by others (mode {mode:04o}): chmod 0644 it" if mode & 0o022 else None
    allowed = 0o740 if status.st_uid == 0 and me != 0 else 0o700
    return f"may be read by others (mode {mode:04o}): chmod 0600 it" if mode & ~allowed & 0o777 else None


def _read(path: Path, *, private: bool, made_by: str) -> bytes:
    try:
        # Non-blocking, so that a FIFO put in the file's place is an error and not a start that never ends.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            # The open file is what is checked: a check by name could be about another file.
            if problem := objection(os.fstat(descriptor), private=private):
                raise ConfigurationError(problem, file=str(path))
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        maker = f" ({made_by} makes it)" if made_by else ""
        raise ConfigurationError(f"is not there{maker}", file=str(path)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(path)) from error
    if len(data) > _LARGEST:
        raise ConfigurationError("is far too large for a key file", file=str(path))
    return data.removeprefix(BOM)

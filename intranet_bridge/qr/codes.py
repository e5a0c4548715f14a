"""What stands in a customer's QR code, and its signature. Pure.

::

    https://pay.example.cn/q/  1  -  3210000000003  -  HQV5GA0GVGWX
    base                      kid      account           mac

The mac is the first 60 bits of HMAC-SHA256 (of HMAC-SM3, if the key is of that suite) over
`qr1|kid|utility|account|generation`, in Crockford's base 32: without it accounts could be walked by counting.
The generation does not stand in the code; who verifies knows which are good for the account, so that a new
one revokes what was printed before.
"""

import hmac
from collections.abc import Iterable

from protocol.qr import FORM, MAC_ALPHABET, MAC_LENGTH, QrKey
from protocol.suites import keyed_hash
from protocol.values import immutable


@immutable
class Code:
    """A code's parts, as somebody presents them: nothing is verified."""

    kid: str
    """Which key signed it."""
    account: str
    mac: str

    @property
    def text(self) -> str:
        """What follows the base."""
        return f"{self.kid}-{self.account}-{self.mac}"


def base32(data: bytes, length: int) -> str:
    """The first `length` times five bits of `data`, in Crockford's base 32."""
    number = int.from_bytes(data, "big") >> (len(data) * 8 - length * 5)
    return "".join(MAC_ALPHABET[number >> shift & 31] for shift in range((length - 1) * 5, -1, -5))


def mac(key: QrKey, utility: str, account: str, generation: int) -> str:
    """The signature of a code."""
    signed = f"qr1|{key.kid}|{utility}|{account}|{generation}".encode()
    return base32(keyed_hash(key.suite, key.key, signed), MAC_LENGTH)


def code(key: QrKey, utility: str, account: str, generation: int) -> Code:
    """The code of an account."""
    return Code(key.kid, account, mac(key, utility, account, generation))


def parsed(text: str) -> Code | None:
    """The parts, read from both ends: an account may have hyphens itself. None: this is no code."""
    found = FORM.fullmatch(text)
    return Code(*found.groups()) if found else None


def genuine(presented: Code, key: QrKey, utility: str, generations: Iterable[int]) -> int | None:
    """The generation whose mac this is, of those that are good; None: a forgery, or revoked.

    `key`: the one of its kid. Every generation is tried, and each comparison takes the same time whatever differs.
    """
    found = None
    for generation in generations:
        if hmac.compare_digest(mac(key, utility, presented.account, generation), presented.mac):
            found = generation
    return found

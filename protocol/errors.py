"""Every failure the protocol can name, one class each, so that callers choose by type and never by text.

None of these carries customer data: their messages go to logs and to operators.
"""

from collections.abc import Sequence


def in_one_line(error: BaseException) -> str:
    """An error's text on one line of at most 1,000 characters, with a mark where something was left out."""
    text = " ".join("".join(one if one.isprintable() else " " for one in str(error)).split())
    return text if len(text) <= 1_000 else f"{text[:700]} [...] {text[-290:]}"


class BridgeError(Exception):
    """Root of all errors this product raises on purpose."""


class ConfigurationError(BridgeError):
    """A setting, key file or certificate that cannot be used; says which file and, where known, which line."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, place: Sequence[int | str] = ()
    ) -> None:
        """`place`: of the setting that it is about, from the file's root; who knows the file says where that stands."""
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(where + message)
        self.file, self.line, self.place = file, line, tuple(place)


class NotAsked(BridgeError):
    """A daemon that an administrator's command could not ask, so nothing is known of it."""


class WrongQuestion(BridgeError):
    """An administrator's question with a value that it cannot have: wrong usage, and nothing was done or looked at."""


class IllegalMove(BridgeError):
    """An event that the lifecycle does not allow in the state a request is in."""


# --- the envelope: why a received message is not acted on -------------------------------------------------


class EnvelopeError(BridgeError):
    """A sealed envelope that is refused. `reason` is the stable word used in metrics and dead letters."""

    reason = "envelope"
    request = ""
    """Id of the request it is about, where that is known and can be written anywhere."""


class Malformed(EnvelopeError):
    """The bytes do not have the drawn shape."""

    reason = "malformed"


class OutOfRange(Malformed):
    """Authentic, but what it says is longer, larger or of other characters than the protocol allows."""

    reason = "out-of-range"

    def __init__(self, message: str, *, request: str = "") -> None:
        super().__init__(message)
        self.request = request


class UnknownVersion(EnvelopeError):
    """A wire version this program does not speak."""

    reason = "unknown-version"


class UnknownKey(EnvelopeError):
    """Signed by, or wrapped for, a key id that is not in the keyring (wrong key, retired, never trusted)."""

    reason = "unknown-key"


class BadSignature(EnvelopeError):
    """The sender named a trusted key, but the signature over the key wrap is not that key's."""

    reason = "bad-signature"


class Tampered(EnvelopeError):
    """The authenticated attributes or the sealed body were altered (the AEAD tag does not match)."""

    reason = "tampered"


class WrongKind(EnvelopeError):
    """A reply where a request belongs, or the other way round; or sent by a role that may not send it."""

    reason = "wrong-kind"


class WrongGroup(EnvelopeError):
    """It says that it is of, or for, another group of fronts than its key."""

    reason = "wrong-group"


class ForAnother(EnvelopeError):
    """Sealed to another group of fronts: of presence, which each group gets its own of, nothing is wrong with that."""

    reason = "for-another-group"


class Expired(EnvelopeError):
    """The deadline has passed: acting now would be work nobody waits for."""

    reason = "expired"


class Stale(EnvelopeError):
    """Dated outside the window in which messages are accepted (too old, or from the future)."""

    reason = "stale"


class Replayed(EnvelopeError):
    """This id was already taken within the window."""

    reason = "replayed"


class NotAdmitted(EnvelopeError):
    """Authentic, and of a front or an application that may not ask for it."""

    reason = "not-admitted"


class PoisonMessage(EnvelopeError):
    """The process died each of the three times this was opened."""

    reason = "kills-worker"


# --- the store --------------------------------------------------------------------------------------------


class Fenced(BridgeError):
    """This instance's lease was taken by another: it may write nothing more."""


# --- the link: why a message did not go out --------------------------------------------------------------


class LinkError(BridgeError):
    """The link could not do what was asked."""


class LinkDown(LinkError):
    """No connection to any broker at the moment. Nothing was sent."""


class OutcomeUnknown(LinkError):
    """Sent, but its receipt did not come (deadline passed or connection lost): resend with the same id."""


class SendRefused(LinkError):
    """The broker answered ERROR: not authorised, destination full, frame too large. Nothing was stored."""


class Overloaded(LinkError):
    """The bounded send queue is full. Nothing was queued; try later."""

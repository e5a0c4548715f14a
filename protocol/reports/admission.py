"""Who was turned away, or met a ceiling."""

from protocol.reports.part import Part


class DeniedReport(Part):
    """Requests of one kind that were turned away."""

    code: str
    application: str
    """Whose key it is, or says it is: a revoked key's too."""
    key: str
    """The first 8 hexadecimal digits of the key's SHA-256."""
    operation: str
    count: int
    last: int
    active: bool = False
    """The application has another key, which is valid."""


class CeilingReport(Part):
    """A ceiling of the bridge that a front met lately."""

    front: str
    """As the bridge's configuration names it, or, if it does not, as it calls itself; `*`: all together."""
    application: str = ""
    """Empty: all of the front's together."""
    ceiling: str
    """`front`, `application`: nobody knows it; `operation`: it may not ask for it; `rate`, `accounts`,
    `attachments`: too much."""
    limit: float = 0.0
    """Requests a second, different accounts an hour, or bytes; 0: there is no number."""
    operation: str = ""
    """The latest one asked for that may not be."""
    count: int
    """Requests refused, or made to wait, since then."""
    since: int
    last: int


class AdmissionStoreReport(Part):
    """Where a front counts limits together with others."""

    place: str
    trouble: str = ""
    """Why it cannot be reached; empty: it is."""
    since: int = 0
    """When that changed last."""

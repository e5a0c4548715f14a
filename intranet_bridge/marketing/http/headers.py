"""Header fields of the requests to the marketing system: names are compared without case (RFC 9110 §5.1)."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from protocol.runtime.settings import Misplaced

_REFUSED = {
    "content-length": "it is counted for each request",
    "transfer-encoding": "bodies are sent whole, with a Content-Length",
    "connection": "the bridge keeps its connections itself (marketing.idle_s)",
    "keep-alive": "the bridge keeps its connections itself (marketing.idle_s)",
    "proxy-connection": "the bridge keeps its connections itself (marketing.idle_s)",
    "expect": "the bridge waits for no interim answer",
    "upgrade": "the bridge speaks HTTP/1.1",
    "http2-settings": "the bridge speaks HTTP/1.1",
    "te": "the bridge takes no trailers",
    "trailer": "the bridge sends no trailers",
    "x-request-id": "the bridge sends each request's own",
    "traceparent": "the bridge sends each request's own",
}


def settable(name: str) -> str:
    """`name`, if a configuration may set it. Raises ValueError for what frames a message and what is sent anyway."""
    reason = _REFUSED.get(name.lower())
    if reason is not None:
        raise ValueError(f"the header {name} cannot be set: {reason}")
    return name


def distinct(headers: dict[str, str]) -> dict[str, str]:
    """`headers`. Raises Misplaced when two of its names differ in case only."""
    seen: dict[str, str] = {}
    for name in headers:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise Misplaced(f"{other} and {name} are the same header", (name,))
    return headers


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), AfterValidator(settable)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\t\x20-\x7e]*$")]
Headers = Annotated[dict[HeaderName, HeaderValue], AfterValidator(distinct)]


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """Every header once; a later layer's value counts, at the place of the first."""
    found: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in layer.items():
            found[name.lower()] = name, value
    return dict(found.values())

"""SOAP faults, and what the configuration makes of them.

A table (`[operations.X.faults]`) maps what says which fault it is to what it means. A fault says, most telling first:

1. ``name=text`` of an element within its detail that has only text: ``"rtnCode=1004"``;
2. the name of an element within its detail, at any depth, as of a fault the WSDL declares: ``"NoSuchAccount"``;
3. its code, SOAP 1.2's innermost subcode first, without prefix: ``"Client.NoSuchAccount"``, then ``"Client"``;
4. its text (faultstring, or the first Reason), whole.

The first of these that the table has decides; its order does not matter. One that the table does not have:

- our credentials were turned away (a code of WS-Security's), or the envelope as such was (MustUnderstand,
  VersionMismatch: such a message is not processed, SOAP 1.2 part 1, 2.6): surely nothing was applied;
- any other: what became of the request is unknown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from intranet_bridge.marketing.soap.envelope import SOAP_11, SOAP_12

_SECURITY = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
    "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd",
)
_TURNED_AWAY = frozenset({"MustUnderstand", "VersionMismatch"})
_STANDARD = frozenset({"Client", "Server", "Sender", "Receiver", "DataEncodingUnknown", *_TURNED_AWAY})
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault, of either version."""

    keys: tuple[str, ...] = field(repr=False)
    """What it says it is, most telling first."""
    text: str = field(repr=False)
    """For the caller of a refusal."""
    kind: str
    """The standard code without what refines it (`Client`, `Receiver`), or empty: fit for a log."""
    turned_away: bool
    """The message was not processed."""
    details: tuple[str, ...] = field(default=(), repr=False)
    """The names of the elements directly in its detail."""

    def found(self, table: Mapping[str, Any]) -> Any:
        """What a table makes of it; None if it is not in it."""
        return next((table[key] for key in self.keys if key in table), None)


def fault_of(body: Any) -> SoapFault | None:
    """The fault of an envelope's body; None if there is none."""
    element = next((child for child in body if child.tag in (f"{{{SOAP_11}}}Fault", f"{{{SOAP_12}}}Fault")), None)
    if element is None:
        return None
    parts = {_local(child.tag): child for child in element}
    codes: list[tuple[str, str]] = []
    if "Code" in parts:
        codes = list(_subcodes(parts["Code"]))[::-1]
        reason = parts.get("Reason")
        text = _text(reason[0]) if reason is not None and len(reason) else ""
    else:
        if (code := parts.get("faultcode")) is not None:
            codes = list(_refined(*_name(code)))
        text = _text(parts.get("faultstring"))
    detail = parts.get("detail", parts.get("Detail"))
    within = [] if detail is None else list(detail.iter())[1:]
    leaves = [f"{_local(one.tag)}={_text(one)}" for one in within if not len(one) and len(_text(one)) <= _LONGEST]
    keys = (*leaves, *(_local(one.tag) for one in within), *(code for _, code in codes), text)
    return SoapFault(
        tuple(dict.fromkeys(key for key in keys if key)),
        text,
        next((code for _, code in codes if code in _STANDARD), ""),
        any(space in _SECURITY or (code in _TURNED_AWAY and space in (SOAP_11, SOAP_12)) for space, code in codes),
        () if detail is None else tuple(_local(one.tag) for one in detail),
    )


def _refined(space: str, code: str) -> Iterator[tuple[str, str]]:
    """SOAP 1.1, 4.4.1: `Client.Authentication` is a `Client`."""
    while code:
        yield space, code
        code = code.rpartition(".")[0]


def _subcodes(code: Any) -> Iterator[tuple[str, str]]:
    """SOAP 1.2: the code and its subcodes, outermost first."""
    while code is not None:
        inner = None
        for child in code:
            if _local(child.tag) == "Value":
                yield _name(child)
            elif _local(child.tag) == "Subcode":
                inner = child
        code = inner


def _name(element: Any) -> tuple[str, str]:
    """Namespace and local name of the qualified name in an element."""
    prefix, _, local = _text(element).rpartition(":")
    return element.nsmap.get(prefix or None) or "", local


def _text(element: Any) -> str:
    return "" if element is None else (element.text or "").strip()


def _local(tag: str) -> str:
    return tag[tag.rfind("}") + 1 :]

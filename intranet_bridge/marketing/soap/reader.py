"""From an answer's XML to the value that expressions read, by the WSDL's schema. Compiled once for each type.

An element of a complex type is an object of its elements and attributes, by their local names:

- one that may come several times is a list, empty if it does not come;
- one that does not come is absent; ``xsi:nil`` is null;
- an element that the schema does not have, or ``xs:any``: by the rule below;
- one of simple content with attributes has its text as ``_value_1``, as zeep calls it.

Simple types: integers (``xs:int``, ``xs:long`` ...) are numbers, ``xs:boolean`` is true or false, ``xs:float`` and
``xs:double`` are numbers, null if not finite. **Everything else is text as it was written**: ``xs:decimal``, dates and
times, ``xs:base64Binary``; blanks around are left out, but of ``xs:string``. What is no value of its type is text too
(an ``xs:date`` of "2025/11/25"), so that expressions can read what old systems write. Empty is null, but ``""`` of
``xs:string``.

What no schema describes: an element without elements in it is its text, null if that is empty; else an object, of one
name's several elements a list; attributes are ``@name``, text beside them ``#text``. ``xsi:type`` is heeded where the
schema knows it.

The reading of zeep itself is not used: it takes "Y" of ``xs:boolean`` for false, makes null of what it cannot convert
and logs it, and costs several times as much.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree
from zeep.xsd import AnySimpleType, ComplexType, Element
from zeep.xsd.elements import Attribute
from zeep.xsd.elements.indicators import Group, OrderIndicator
from zeep.xsd.types.builtins import Boolean, Double, Float, Integer, NormalizedString, String
from zeep.xsd.types.collection import ListType, UnionType

from intranet_bridge.marketing.http.answer import AnswerError

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_NIL, _TYPE = _XSI + "nil", _XSI + "type"
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_BLANK = " \t\r\n"
_MOST_NAMESPACES = 256
"""Prefixes declared around an element that names its type: lxml makes a dictionary of them for each such element, and
4,000 elements within 4,000 prefixes, 130 KB, took 0.9 s.
"""

Read = Callable[[Any], Any]
Simple = Callable[[str], Any]


class Reader:
    """Reads elements of one schema's types."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._known: dict[int, tuple[Any, Read]] = {}

    def of(self, type: Any) -> Read:
        """A function that reads an element of a type."""
        read = self._plain(type)

        def checked(element: Any) -> Any:
            if element.attrib:
                if element.get(_NIL) in ("true", "1"):
                    return None
                if element.get(_TYPE) is not None and (other := self._named(element)) is not None:
                    return self._plain(other)(element)
            return read(element)

        return checked

    def anything(self, element: Any) -> Any:
        """An element that no schema describes."""
        if element.get(_NIL) in ("true", "1"):
            return None
        if element.get(_TYPE) is not None and (type := self._named(element)) is not None:
            return self._plain(type)(element)
        found: dict[str, Any] = {
            "@" + _local(name): value for name, value in element.attrib.items() if not name.startswith(_XSI)
        }
        text = (element.text or "").strip(_BLANK)
        if not len(element) and not found:
            return text or None
        for child in element:
            _add(found, _local(child.tag), self.anything(child))
        if text:
            found["#text"] = text
        return found

    def _plain(self, type: Any) -> Read:
        """The same, whatever `xsi:type` and `xsi:nil` say."""
        key = id(type)
        if key not in self._known:
            # a type may contain itself: until it is compiled, it is found when it is needed
            self._known[key] = type, lambda element: self._known[key][1](element)
            self._known[key] = type, self._compiled(type)
        return self._known[key][1]

    def _compiled(self, type: Any) -> Read:
        if isinstance(type, AnySimpleType):
            simple = _simple(type)
            return lambda element: simple(element.text or "")
        return self._complex(type) if isinstance(type, ComplexType) else self.anything

    def _complex(self, type: Any) -> Read:
        attributes = {
            attribute.qname.text: (name, _simple(attribute.type))
            for name, attribute in type.attributes
            if isinstance(attribute, Attribute) and attribute.name
        }
        content = type._element
        if isinstance(content, Element) and isinstance(content.type, AnySimpleType):
            name, simple = type.elements_nested[0][0], _simple(content.type)
            return lambda element: {name: simple(element.text or ""), **_attributes(element, attributes)}
        if type._array_type is not None:
            return lambda element: [self.anything(child) for child in element]
        members = {name: (self.of(member.type), many) for name, member, many in _members(content)}
        lists = [name for name, (_, many) in members.items() if many]

        def read(element: Any) -> Any:
            found: dict[str, Any] = {name: [] for name in lists}
            for child in element:
                tag = child.tag
                name = tag[tag.rfind("}") + 1 :]
                member = members.get(name)
                if member is None:
                    _add(found, name, self.anything(child))
                elif member[1]:
                    found[name].append(member[0](child))
                else:
                    _add(found, name, member[0](child))
            if attributes and element.attrib:
                found |= _attributes(element, attributes)
            return found

        return read

    def _named(self, element: Any) -> Any:
        """The type that `xsi:type` names; None for one that is not known."""
        prefix, _, name = element.get(_TYPE).strip().rpartition(":")
        namespaces = element.nsmap  # made anew at each element, of all that are declared around it
        if len(namespaces) > _MOST_NAMESPACES:
            raise AnswerError("the answer has more namespaces in one place than any envelope has")
        try:
            type = self._schema.get_type(etree.QName(namespaces.get(prefix or None), name), fail_silently=True)
        except Exception:  # zeep's own, and ValueError for what is no name
            return None
        return type if isinstance(type, AnySimpleType | ComplexType) else None


def _members(content: Any, many: bool = False) -> Iterator[tuple[str, Any, bool]]:
    """The elements of a content model: name, zeep's element, whether it may come several times."""
    if isinstance(content, Element):
        yield content.name, content, many or content.accepts_multiple
    elif isinstance(content, Group):
        yield from _members(content.child, many or content.accepts_multiple)
    elif isinstance(content, OrderIndicator):
        for part in content:
            yield from _members(part, many or content.accepts_multiple)


def _attributes(element: Any, known: dict[str, tuple[str, Simple]]) -> dict[str, Any]:
    return {known[name][0]: known[name][1](value) for name, value in element.attrib.items() if name in known}


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    """Put in a value; the second of a name makes a list of both."""
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]


def _simple(type: Any) -> Simple:
    """What reads the text of a simple type."""
    match type:
        case ListType():
            item = _simple(type.item_type)
            return lambda text: [item(part) for part in text.split()]
        case UnionType():
            return lambda text: text.strip(_BLANK) or None
        case Boolean():
            return lambda text: _BOOLEANS.get(text.strip(_BLANK), text.strip(_BLANK) or None)
        case Integer():
            return _integer
        case Float() | Double():
            return _number
        case String() if not isinstance(type, NormalizedString):
            return lambda text: text
    return lambda text: text.strip(_BLANK) or None


def _integer(text: str) -> Any:
    text = text.strip(_BLANK)
    return int(text) if _INTEGER.fullmatch(text) else text or None


def _number(text: str) -> Any:
    text = text.strip(_BLANK)
    try:
        number = float(text)
    except ValueError:
        return text or None
    return number if math.isfinite(number) else None


def _local(name: str) -> str:
    return name[name.rfind("}") + 1 :]

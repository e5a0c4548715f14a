"""XML to the value that expressions read, and from the value that an expression gave to XML.

An answer is its root element::

    <?xml version="1.0" encoding="GBK"?>
    <r:Response xmlns:r="urn:x" code="0000">    {"#root": "Response", "@code": "0000",
      <bill month="2025-11">12.00</bill>         "bill": [{"@month": "2025-11", "#text": "12.00"},
      <bill> 7.00 </bill>                                 "7.00"],
      <note/>                                    "note": null}
    </r:Response>

- An element is the text in it, null if that is empty. One with attributes or elements in it is an object of them, its
  own text being ``#text``. All values are texts: `to_number(x)` and `fen(x)` make numbers of them.
- Elements of one name in one element are a list where there are several: `list(x)` makes one of it where there is one,
  and of none the empty list.
- Attributes are ``@name``: in an expression in double quotes, ``"@code"``.
- Namespaces are left out: names are local names, `xmlns` and `xsi:` attributes are no members.
- White space around a text is left out; CDATA is text; comments and processing instructions are nothing.
- The root is always an object, its name is ``#root``.

A body is made by the reverse: an object's members are elements, attributes (``@name``) and text (``#text``), a list
is repeated elements, null is left out (with ``omit_nulls = false`` an empty element).

Refused: a document type declaration (so entities, and what is outside the document), more than DEPTH elements within
each other. Forgiven: characters that XML does not allow, which are U+FFFD, and an ampersand that begins no reference.
"""

import re
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.parsers.expat.errors import codes, messages

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from intranet_bridge.marketing.expressions.mapping import MappingError
from intranet_bridge.marketing.expressions.template import plain

DEPTH = 64
"""Elements within each other."""
ROOT, TEXT, ATTRIBUTE = "#root", "#text", "@"
_BLANK = " \t\r\n"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_DECLARED = re.compile(r"""<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NO_REFERENCE = re.compile(
    r"(<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z))|&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)",
    re.DOTALL,
)
"""A section that never ends reaches to the end of the text: looked for from each of many beginnings anew, its end would
hold the loop with the square of the text's length (144 KB of `<![CDATA[`: 6 s).
"""
_CONTROL_REFERENCE = re.compile(r"&#(?:x0*(?:[0-8bBcCeEfF]|1[0-9A-Fa-f])|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));")
_NAME = re.compile(r"(?:[^\W\d]|_)[\w.-]*(?::(?:[^\W\d]|_)[\w.-]*)?")
_ENDS = codes[messages[3]], codes[messages[5]]  # no element found; unclosed token


class XmlError(Exception):
    """There is no value in a document. Says nothing of its content."""


def declared_charset(start: str) -> str | None:
    """The encoding that an XML declaration names."""
    found = _DECLARED.match(start.lstrip(_BLANK))
    return found[1].lower() if found else None


def object_of(text: str) -> dict[str, Any]:
    """The value of a document. Raises XmlError."""
    text = text.strip(_BLANK + "\0\N{ZERO WIDTH NO-BREAK SPACE}")
    if not text:
        raise XmlError("the answer is empty")
    if text[0] != "<":
        raise XmlError("the answer is not XML: it does not begin with '<'")
    try:
        return _parsed(text)
    except ParseError as error:
        failed = error
    mended = _CONTROL_REFERENCE.sub("\N{REPLACEMENT CHARACTER}", _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text))
    mended = _NO_REFERENCE.sub(lambda found: found[1] or "&amp;", mended)
    if mended != text:
        try:
            return _parsed(mended)
        except ParseError as error:
            failed = error
    if failed.code in _ENDS:
        raise XmlError("the answer is not XML: it ends in the middle")
    line, column = failed.position
    words = messages.get(failed.code, "it cannot be read")
    raise XmlError(f"the answer is not XML: {words} at line {line}, column {column + 1}")


def _parsed(text: str) -> dict[str, Any]:
    target = _Target()
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    try:
        parser.feed(text)
        parser.close()
    except DefusedXmlException:
        raise XmlError("the answer has a document type declaration, which is not read") from None
    return target.root


class _Target:
    """Makes the value while the parser reads: no tree between."""

    root: dict[str, Any]

    def __init__(self) -> None:
        self._members: list[dict[str, Any]] = [{}]
        self._texts: list[list[str]] = [[]]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._members) > DEPTH:
            raise XmlError("the answer is nested too deeply")
        self._members.append({
            ATTRIBUTE + _local(name): value for name, value in attributes.items() if not name.startswith(_XSI)
        })  # fmt: skip
        self._texts.append([])

    def data(self, data: str) -> None:
        self._texts[-1].append(data)

    def end(self, tag: str) -> None:
        members, text = self._members.pop(), "".join(self._texts.pop()).strip(_BLANK)
        name = _local(tag)
        if len(self._members) == 1:
            self.root = {ROOT: name} | members | ({TEXT: text} if text else {})
            return
        value: Any = text or None
        if members:
            value = members | {TEXT: text} if text else members
        around = self._members[-1]
        if name not in around:
            around[name] = value
        elif type(around[name]) is list:
            around[name].append(value)
        else:
            around[name] = [around[name], value]

    def close(self) -> None: ...


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def document_of(value: Any, root: str, charset: str, *, omit_nulls: bool) -> bytes:
    """A document in a charset; what the charset lacks is written as numeric references. Raises MappingError."""
    if type(value) is list:
        raise MappingError("the body is a list, and a document has one root")
    parts: list[str] = [f'<?xml version="1.0" encoding="{charset.upper()}"?>']
    _write(parts, root, value, charset, omit_nulls)
    try:
        return "".join(parts).encode(charset, "xmlcharrefreplace")
    except UnicodeEncodeError:  # half a surrogate pair
        raise MappingError("the body holds what is no text") from None


def is_name(text: str) -> bool:
    """Whether it may name an element or attribute, with a prefix or without."""
    return _NAME.fullmatch(text) is not None


def _write(parts: list[str], name: str, value: Any, charset: str, omit_nulls: bool) -> None:
    _check_name(name, charset)
    if type(value) is list:
        for item in value:
            if type(item) is list:
                raise MappingError(f"{name}: a list in a list, which XML cannot say")
            _write(parts, name, item, charset, omit_nulls)
        return
    parts.append(f"<{name}")
    inner: Any = value
    if type(value) is dict:
        inner = value.get(TEXT)
        for member, item in value.items():
            if member.startswith(ATTRIBUTE) and item is not None:
                _check_name(member[1:], charset)
                text = _escaped(item, member).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")
                parts.append(f' {member[1:]}="{text}"')
    parts.append(">")
    if inner is not None:
        parts.append(_escaped(inner, name))
    if type(value) is dict:
        for member, item in value.items():
            if not (member.startswith(ATTRIBUTE) or member == TEXT or (item is None and omit_nulls)):
                _write(parts, member, item, charset, omit_nulls)
    parts.append(f"</{name}>")


def _escaped(value: Any, name: str) -> str:
    text = plain(value, name)
    if _NO_CHARACTER.search(text):
        raise MappingError(f"{name}: a character that XML does not have")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _check_name(name: str, charset: str) -> None:
    if not is_name(name):
        raise MappingError("the body has a name that is no name of an element")
    if not name.isascii():
        try:
            name.encode(charset)
        except UnicodeEncodeError:
            raise MappingError(f"the body has a name that {charset} cannot write") from None

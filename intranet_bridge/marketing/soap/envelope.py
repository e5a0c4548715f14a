"""An answer's bytes to its envelope: content codings undone, text decoded, XML parsed, fault or content found.

Which charset (first that applies): a byte order mark; the binding's ``answer_charset``; the charset of `Content-Type`,
but for ISO-8859-1 and US-ASCII, which application servers write by themselves; the XML declaration's; the binding's
``charset``. Labels are as in marketing/http/answer.py, and text that is not valid decodes with replacement, as there.

Refused: a document type declaration (SOAP forbids it, and so there are no entities and no other document), what is
nested deeper than libxml2 allows (256), what is no envelope, several parts (attachments). Forgiven: characters that XML
does not allow, which are U+FFFD: one of them must not hide what became of a command.
"""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from lxml import etree

from intranet_bridge.marketing.http.answer import AnswerError, declared, text_of, unpacked
from intranet_bridge.marketing.http.connection import Response

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_DECLARATION = re.compile(r"\s*<\?xml\s[^>]{0,200}\?>")
_ENCODING = re.compile(rb"""<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROL_REFERENCE = re.compile(r"&#(?:x0*(?:[0-8bBcCeEfF]|1[0-9A-Fa-f])|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));")
_AROUND = " \t\r\n\0\N{ZERO WIDTH NO-BREAK SPACE}"
_MULTIPART = b"multipart/"


class EnvelopeDecoder:
    """How the answers of one binding are read."""

    def __init__(self, charset: str, answer_charset: str | None, limit: int) -> None:
        """`limit` bounds what an answer unpacks to, in bytes."""
        self._charset, self._answer_charset, self._limit = charset, answer_charset, limit

    def decode(self, response: Response) -> Any:
        """The envelope's body element. Raises AnswerError."""
        if response.flaw:
            raise AnswerError(f"the answer is not whole: {response.flaw}")
        if response.content_type.lower().startswith(_MULTIPART):
            raise AnswerError("the answer has several parts (attachments), which are not read")
        if response.codings:
            response = replace(response, body=unpacked(response.body, response.codings, self._limit), codings=b"")
        return body_of(root_of(text_of_answer(response, self._charset, self._answer_charset)))


def text_of_answer(response: Response, charset: str, answer_charset: str | None) -> str:
    """The text of an answer whose content codings are undone."""
    body = response.body
    said = _ENCODING.match(body[:300].lstrip())
    in_document = codec_of(said[1].decode("ascii")) if said else None
    if answer_charset is not None:
        return text_of(body, (codec_of(answer_charset) or "utf-8",))
    own = codec_of(charset) or "utf-8"
    codec = declared(response.content_type) or in_document or own
    return text_of(body, tuple(dict.fromkeys((codec, in_document or codec, own, "utf-8"))))


@lru_cache(maxsize=64)
def codec_of(label: str) -> str | None:
    """The codec of a charset's label; None for one that says nothing (answer.py)."""
    return declared(b"x;charset=" + label.encode("ascii"))


def root_of(text: str) -> Any:
    """The root element of a document. Raises AnswerError, which says nothing of its content."""
    text = text.strip(_AROUND)
    if not text:
        raise AnswerError("the answer is empty")
    if text[0] != "<":
        raise AnswerError("the answer is not XML: it does not begin with '<'")
    declaration = _DECLARATION.match(text)
    text = text[declaration.end() :] if declaration else text
    if "<!DOCTYPE" in text[: text.find("Envelope") + 1 or None]:
        raise AnswerError("the answer has a document type declaration, which SOAP forbids")
    try:
        return _parsed(text)
    except etree.XMLSyntaxError as error:
        mended = _CONTROL_REFERENCE.sub(
            "\N{REPLACEMENT CHARACTER}", _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text)
        )
        if mended == text:
            raise AnswerError(_why(error)) from None
        try:
            return _parsed(mended)
        except etree.XMLSyntaxError as again:
            raise AnswerError(_why(again)) from None


def _parsed(text: str) -> Any:
    # a parser of its own: one may not be used by two threads at once
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        remove_comments=True, remove_pis=True, huge_tree=False, recover=False,
    )  # fmt: skip
    root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    if root.getroottree().docinfo.doctype:
        raise AnswerError("the answer has a document type declaration, which SOAP forbids")
    return root


def _why(error: Any) -> str:
    """Where it is wrong; libxml2's own words name elements and entities, which are content."""
    line, column = error.position
    return f"the answer is not XML: it is wrong at line {line}, column {column}"


def body_of(root: Any) -> Any:
    """The body element of an envelope, of either version. Raises AnswerError."""
    for namespace in (SOAP_11, SOAP_12):
        if root.tag == f"{{{namespace}}}Envelope":
            body = root.find(f"{{{namespace}}}Body")
            if body is None:
                raise AnswerError("the answer's envelope has no body")
            return body
    kind = "an HTML page" if str(root.tag).lower().endswith("html") else "something else"
    raise AnswerError(f"the answer is no SOAP envelope but {kind}")

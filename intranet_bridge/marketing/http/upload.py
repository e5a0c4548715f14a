"""Files to the marketing system before the command that names them: each handed over once, by an interface of its own.

::

    file ─► has it a reference? ─► yes: that one
                 │ no
                 ▼
            POST, multipart/form-data or the bytes alone ─► status ─► refusal? ─► reference ─► remembered

The command is not called before all its files have a reference, so whatever happens here, it was surely not applied: no
connection, a lost answer, 5xx and 408 are tried again like an interface that cannot be reached. A file whose answer was
lost is handed over again under the same id, which is also its `X-Request-Id`.
"""

import os
from collections.abc import Mapping
from typing import Any

from intranet_bridge.marketing import AttachedFile, MarketingRequest, NotApplied, Outcome, Rejected
from intranet_bridge.marketing.binding import RefusalSection
from intranet_bridge.marketing.expressions.mapping import MappingError, Tables, compiled, optional
from intranet_bridge.marketing.expressions.template import plain
from intranet_bridge.marketing.http.access import Access
from intranet_bridge.marketing.http.answer import AnswerError
from intranet_bridge.marketing.http.binding import AttachmentsSection, Formats
from intranet_bridge.marketing.http.connection import Response
from intranet_bridge.marketing.http.request import RequestTemplate, with_token
from intranet_bridge.marketing.http.status import DENIED
from intranet_bridge.marketing.judgement import RefusalReader

_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf"}
_LONGEST_REFERENCE = 200
_FIELD = b"--%b\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n"
_FILE = b"--%b\r\nContent-Disposition: form-data; name=%b; filename=%b\r\nContent-Type: %b\r\n\r\n%b\r\n--%b--\r\n"


class FileTemplate(RequestTemplate):
    """Renders requests that hand over a file."""

    def __init__(
        self,
        url: str,
        section: AttachmentsSection,
        formats: Formats,
        headers: Mapping[str, str],
        tables: Tables,
        access: Access,
    ) -> None:
        bare = section.model_copy(update={"request": None})  # the body is written here
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        super().__init__(url, bare, formats, headers, tables, place=access.place, signer=access.signer)
        self._fields = optional(section.request, tables)
        self._multipart, self._file_field = section.encoding == "multipart", section.file_field

    def of(self, file: AttachedFile, content: bytes) -> "FileRequest":
        """The request that hands over one file."""
        return FileRequest(self, file, content)

    def written(self, file: AttachedFile, content: bytes, trace: str, values: dict[str, Any], token: str) -> bytes:
        """The whole request. Raises MappingError."""
        kind, body = file.media_type.encode(), content
        if self._multipart:
            boundary = os.urandom(16).hex().encode()  # by no chance in the content
            kind, body = (
                b"multipart/form-data; boundary=" + boundary,
                self._multipart_body(boundary, file, content, values),
            )
        target = (self._prefix + self._path.fill(values)).encode()
        if self._query is not None:
            target += b"?" + self._encoded_form(self._query(values))
        tail = file.id.encode()
        if trace:
            tail += b"\r\ntraceparent: " + trace.encode()
        if self._place is not None:
            target, tail = with_token(self._place, target, tail, token)
        if self._signer is not None:
            tail += self._signer.lines(self._start[:-1], target, body, file.id.encode())
        return b"%b%b%b%b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            self._start, target, self._headers, tail, kind, len(body), body,
        )  # fmt: skip

    def _multipart_body(self, boundary: bytes, file: AttachedFile, content: bytes, values: dict[str, Any]) -> bytes:
        """RFC 7578: the fields, then the file."""
        fields = self._fields(values) if self._fields is not None else {}
        if type(fields) is not dict:
            raise MappingError("the fields that go with an attachment need an object")
        parts: list[bytes] = []
        for name, value in fields.items():
            if value is not None:
                try:
                    parts.append(_FIELD % (boundary, _quoted(name), plain(value, name).encode(self._charset)))
                except UnicodeEncodeError:
                    raise MappingError(f"{name}: a character that {self._charset} does not have") from None
        named = _quoted(self._file_field), _quoted(seen(file)["name"])
        return b"".join((*parts, _FILE % (boundary, *named, file.media_type.encode(), content, boundary)))


class FileRequest:
    """A request that hands over one file."""

    def __init__(self, template: FileTemplate, file: AttachedFile, content: bytes) -> None:
        self._template, self._file, self._content = template, file, content

    def render(self, asked: MarketingRequest, values: dict[str, Any], token: str = "") -> bytes:
        """As `RequestTemplate.render`."""
        return self._template.written(self._file, self._content, asked.traceparent, values, token)


class UploadJudgement:
    """What the answers of the interface for files mean."""

    def __init__(self, section: AttachmentsSection, refusal: RefusalSection | None, tables: Tables) -> None:
        """`refusal`: the operation's, which counts unless the section has its own."""
        said_no = section.refusal or refusal
        self._refusal = RefusalReader(said_no, tables) if said_no else None
        self._reference = compiled(section.reference, tables)

    def reference(self, response: Response, answer: Any) -> str | Outcome:
        """What the marketing system calls the file, or what comes of a command whose file it does not take. `answer`:
        the value, or the AnswerError that says why there is none.
        """
        status = response.status
        if status >= 500 or status == 408:
            return NotApplied(f"attachment: HTTP {status}", reached=False)
        if status in DENIED or 300 <= status < 400:
            return NotApplied(f"attachment: HTTP {status}", reached=False, denied=True)
        if status == 429:
            return NotApplied("attachment: HTTP 429", reached=True)
        turned_down = Rejected(f"attachment: HTTP {status}") if status >= 400 else None
        if isinstance(answer, AnswerError):
            return turned_down or NotApplied(f"attachment: {answer}", reached=True)
        try:
            refused = self._refusal.read(answer) if self._refusal is not None else None
            found = None if refused or turned_down else self._reference(answer)
        except MappingError as error:
            return turned_down or NotApplied(f"attachment: {error}", reached=True)
        if refused or turned_down:
            return refused or turned_down  # type: ignore[return-value]  # one of them is there
        text = plain(found, "reference").strip() if type(found) in (str, int) else ""
        if not text or len(text) > _LONGEST_REFERENCE:
            return NotApplied("attachment: an answer without a reference", reached=True)
        return text


def seen(file: AttachedFile) -> dict[str, Any]:
    """A file as expressions see it. Its name is made of its id: what a customer called it is nobody's concern."""
    extension = _EXTENSIONS[file.media_type]
    return {
        "id": file.id,
        "name": f"{file.id}.{extension}",
        "extension": extension,
        "media_type": file.media_type,
        "length": file.length,
        "sha256": file.sha256,
        "reference": file.reference,
    }


def _quoted(name: str) -> bytes:
    """A parameter of Content-Disposition (RFC 7578 section 4.2, as browsers write it)."""
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return f'"{escaped}"'.encode()

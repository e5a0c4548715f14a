"""JSON Schemas of what every operation's answers share, for the OpenAPI document (openapi.py).

Each value has its type beside its `enum` or `const`, and each object in a list a name: generators of clients want both.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from dmz_front.problems.codes import CODES
from protocol.media import MediaType
from protocol.notices import NoticeKind

Schema = dict[str, Any]
REF = "#/components/schemas/{model}"

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_ID: Schema = {"type": "string", "format": "uuid"}
_DATE: Schema = {"type": "string", "format": "date"}
_TIME: Schema = {"type": "string", "format": "date-time"}


class WithoutNull(GenerateJsonSchema):
    """Without defaults of null: that a field is not required says as much, and some generators of clients take a field
    with a default for one that is always there, and ask for it.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        return {name: value for name, value in found.items() if (name, value) != ("default", None)}


def ref(model: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": REF.format(model=model)}


def one_of(*values: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(values)}


def success(result: Mapping[str, Any]) -> Schema:
    """An answer with a result."""
    return _object({"request_id": _ID, "status": _always("succeeded"), "result": result})


def _always(value: str) -> Schema:
    return {"type": "string", "const": value}


def _object(properties: Mapping[str, Any], optional: Iterable[str] = (), description: str = "") -> Schema:
    """Of these, all are required but those that are `optional`."""
    said = {"description": description} if description else {}
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", **said, "required": required, "properties": dict(properties)}


def _words(description: str) -> Schema:
    """Names to words, as many as there are."""
    return {"type": "object", "description": description, "additionalProperties": _TEXT}


COMMON: dict[str, Schema] = {
    "Attachment": _object(
        {
            "attachment": _ID | {"description": "What a command names"},
            "status": one_of("uploading", "checking", "complete", "rejected"),
            "media_type": one_of(*sorted(MediaType)),
            "length": _NUMBER,
            "offset": _NUMBER | {"description": "Bytes that are here"},
            "expires_at": _TIME | {"description": "Unless a command names it"},
            "request_id": _ID | {"description": "The command that names it"},
            "failure": ref("Failure"),
        },
        optional=("expires_at", "request_id", "failure"),
    ),
    "Accepted": _object({"request_id": _ID, "status": one_of("accepted", "sent", "held"), "location": _TEXT}),
    "Status": _object(
        {
            "request_id": _ID,
            "operation": _TEXT,
            "status": one_of("accepted", "sent", "succeeded", "refused", "failed", "expired", "held"),
            "accepted_at": _TIME,
            "updated_at": _TIME,
            "result": {"description": "When succeeded: what the operation's own 200 carries"},
            "refusal": ref("Refusal"),
            "failure": ref("Failure"),
        },
        optional=("result", "refusal", "failure"),
    ),
    "Refusal": _object(
        {"code": _TEXT, "message": _TEXT},
        description="The marketing system's own no; its codes are those of the bridge's configuration",
    ),
    "Failure": _object(
        {"code": one_of(*sorted(CODES)), "message": _TEXT},
        description="Why the command was given up, or why its outcome is not known",
    ),
    "Operations": _object({"operations": {"type": "array", "items": ref("ListedOperation")}}),
    "ListedOperation": _object(
        {
            "name": _TEXT,
            "kind": one_of("query", "command"),
            "summary": _TEXT,
            "path": _TEXT,
            "scope": _TEXT,
            "deadline_ms": _NUMBER,
            "field_scopes": _words("Request fields that need a scope of their own, and which"),
            "deprecated": _object(
                {"since": _DATE, "sunset": _DATE, "successor": _TEXT},
                optional=("sunset",),
                description="It goes out of use: since when, when it may be gone, what to use",
            ),
        },
        optional=("field_scopes", "deprecated"),
    ),
    "Notices": _object(
        {
            "notices": {"type": "array", "items": ref("Notice")},
            "next": _TEXT,
            "more": {"type": "boolean"},
        }
    ),
    "Notice": _object(
        {
            "id": _TEXT,
            "type": one_of(*NoticeKind),
            "timestamp": {"type": "string", "format": "date-time"},
            "sequence": _NUMBER,
            "data": {"type": "object", "description": "By its type, as `/asyncapi.json` says"},
        }
    ),
    "Health": _object({"status": _always("ok")}),
    "Readiness": _object(
        {
            "status": one_of("ok", "not-ready"),
            "checks": _words("What the front needs: `ok`, or what is wrong with it"),
        }
    ),
    "Refused": _object({"request_id": _ID, "status": _always("refused"), "refusal": ref("Refusal")}),
    "FieldError": _object({"field": _TEXT, "message": _TEXT, "type": _TEXT}),
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri-reference", "description": "The path of the code's own page"},
            "title": _TEXT,
            "status": _NUMBER,
            "code": one_of(*sorted(code for code, told in CODES.items() if told.statuses)),
            "detail": _TEXT,
            "request_id": _ID,
            "errors": {"type": "array", "items": ref("FieldError")},
        },
        optional=("detail", "errors"),
        description="RFC 9457 problem details",
    ),
}

"""The OpenAPI document of the operations, written from the catalogue: one typed path an operation, with a
request example that works as it stands against the demo.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from dmz_front.problems import TITLES
from protocol.operations import Kind, Operation

_REF = "#/components/schemas/{model}"

_PROBLEMS: dict[int, tuple[str, ...]] = {
    400: ("malformed-json", "malformed-header", "idempotency-key-missing", "malformed-request"),
    401: ("unauthenticated",),
    403: ("forbidden-scope", "forbidden-network"),
    408: ("body-too-slow", "headers-too-slow"),
    409: ("idempotency-key-in-flight",),
    413: ("body-too-large",),
    415: ("unsupported-media-type",),
    417: ("expectation-failed",),
    422: ("invalid-request", "idempotency-key-reused"),
    429: ("too-many-requests",),
    431: ("headers-too-large",),
    502: ("no-bridge", "operation-not-served", "marketing-failed", "marketing-rejected"),
    503: (
        "overloaded",
        "backlog-full",
        "shutting-down",
        "broker-refused",
        "broker-unreachable",
        "operation-paused",
        "marketing-unavailable",
        "store-unavailable",
        "too-many-connections",
    ),
    504: ("no-answer-in-time", "marketing-timeout"),
    505: ("http-version-not-supported",),
}
_COMMAND_ONLY = {409}


def extend(document: dict[str, Any], operations: Iterable[Operation]) -> dict[str, Any]:
    """Add the operations' paths and schemas to an OpenAPI 3.1 document."""
    operations = list(operations)
    models = [(operation.request, "validation") for operation in operations]
    models += [(operation.response, "serialization") for operation in operations]
    refs, definitions = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(definitions.get("$defs", {}) | _COMMON_SCHEMAS)
    components.setdefault("securitySchemes", {})["ApplicationKey"] = {"type": "http", "scheme": "bearer"}
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; ours are problems
        components["schemas"].pop(name, None)
    for path, said in {"/v1/requests/{id}": _STATUS, "/v1/operations": _LISTING}.items():
        if path in document["paths"]:
            document["paths"][path]["get"] |= said
    for operation in operations:
        request = refs[operation.request, "validation"]
        response = refs[operation.response, "serialization"]
        document["paths"][f"/v1/{operation.name}"] = {"post": _path(operation, request, response)}
    return document


def _path(operation: Operation, request: Mapping[str, Any], response: Mapping[str, Any]) -> dict[str, Any]:
    command = operation.kind is Kind.COMMAND
    parameters: list[dict[str, Any]] = [_PREFER, _TRACEPARENT]
    responses: dict[str, Any] = {"200": _answer(response)}
    if command:
        parameters.insert(0, _IDEMPOTENCY_KEY)
        responses["202"] = _ACCEPTED
    for status, codes in _PROBLEMS.items():
        if command or status not in _COMMAND_ONLY:
            responses[str(status)] = _problem(codes)
    promise = (
        "A command: once answered 200 or 202 it is never lost and never applied twice. "
        "Repeat it with the same Idempotency-Key as often as you like."
        if command
        else "A query: an answer within its deadline, or a clear problem."
    )
    return {
        "operationId": operation.name,
        "tags": ["commands" if command else "queries"],
        "summary": operation.summary,
        "description": f"{promise} Needs the scope `{operation.scope}`.",
        "security": [{"ApplicationKey": []}],
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": request, "example": dict(operation.example)}},
        },
        "responses": responses,
    }


def _answer(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": "The outcome: the result, or the marketing system's own refusal",
        "headers": {"Request-Id": _REQUEST_ID},
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {
                            "type": "object",
                            "required": ["request_id", "status", "result"],
                            "properties": {
                                "request_id": {"type": "string", "format": "uuid"},
                                "status": {"const": "succeeded"},
                                "result": result,
                            },
                        },
                        {"$ref": "#/components/schemas/Refused"},
                    ]
                }
            }
        },
    }


def _problem(codes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "description": "; ".join(f"`{code}`: {TITLES[code]}" for code in codes),
        "headers": {"Request-Id": _REQUEST_ID},
        "content": _PROBLEM_REF,
    }


_PROBLEM_REF = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_STATUS: dict[str, Any] = {
    "security": [{"ApplicationKey": []}],
    "responses": {
        "200": {
            "description": "What became of the command; a final status never changes",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}},
        },
        **{
            str(status): {
                "description": "; ".join(f"`{code}`: {TITLES[code]}" for code in codes),
                "content": _PROBLEM_REF,
            }
            for status, codes in {
                401: ("unauthenticated",),
                403: ("forbidden-network",),
                404: ("unknown-request",),
                429: ("too-many-requests",),
                503: ("store-unavailable",),
            }.items()
        },
    },
}
_LISTING: dict[str, Any] = {"security": [{"ApplicationKey": []}]}
_REQUEST_ID = {"description": "The request's id", "schema": {"type": "string", "format": "uuid"}}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A value unique to this order, 1 to 255 visible ASCII characters",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~][ -~]*$"},
    "example": "order-20260301-0001",
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N` (seconds) or `respond-async` (RFC 7240)",
    "schema": {"type": "string"},
}
_TRACEPARENT = {
    "name": "traceparent",
    "in": "header",
    "description": "W3C Trace Context, passed on to the marketing system",
    "schema": {"type": "string"},
}
_ACCEPTED = {
    "description": "Written down and on its way; `Location` says where to look",
    "headers": {
        "Request-Id": _REQUEST_ID,
        "Location": {"schema": {"type": "string"}},
    },
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
}
_COMMON_SCHEMAS: dict[str, Any] = {
    "Accepted": {
        "type": "object",
        "required": ["request_id", "status", "location"],
        "properties": {
            "request_id": {"type": "string", "format": "uuid"},
            "status": {"enum": ["accepted", "sent", "held"]},
            "location": {"type": "string"},
        },
    },
    "Status": {
        "type": "object",
        "required": ["request_id", "operation", "status", "accepted_at", "updated_at"],
        "properties": {
            "request_id": {"type": "string", "format": "uuid"},
            "operation": {"type": "string"},
            "status": {"enum": ["accepted", "sent", "succeeded", "refused", "failed", "expired", "held"]},
            "accepted_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "result": {"description": "When succeeded: what the operation's own 200 carries"},
            "refusal": {"$ref": "#/components/schemas/Reason"},
            "failure": {"$ref": "#/components/schemas/Reason"},
        },
    },
    "Reason": {
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    },
    "Refused": {
        "type": "object",
        "required": ["request_id", "status", "refusal"],
        "properties": {
            "request_id": {"type": "string", "format": "uuid"},
            "status": {"const": "refused"},
            "refusal": {"$ref": "#/components/schemas/Reason"},
        },
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457 problem details",
        "required": ["type", "title", "status", "code", "request_id"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"enum": sorted(TITLES)},
            "detail": {"type": "string"},
            "request_id": {"type": "string", "format": "uuid"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string"},
                        "message": {"type": "string"},
                        "type": {"type": "string"},
                    },
                },
            },
        },
    },
}

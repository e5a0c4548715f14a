"""The OpenAPI document of the operations, written from the catalogue: one typed path an operation, with a
request example that works as it stands against the demo.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from dmz_front.admission.accounts import AccountForms
from dmz_front.http import channels, code_pages, schemas, texts
from dmz_front.http.texts import COMMAND, QUERY, about, said, title
from dmz_front.problems.codes import CODES, of_status
from protocol.attachments import MAX_BYTES, Manifest
from protocol.languages import Language
from protocol.operations import OFFERED_FAMILIES, Family, Kind, Operation

_CODES = "x-problem-codes"
"""Where the codes of an answer stand until its description is made from them."""
_AS_IT_IS = ("example", "examples")

_STATUSES = tuple(sorted({status for told in CODES.values() if told.kinds for status in told.statuses}))


def extend(
    document: dict[str, Any],
    operations: Iterable[Operation],
    accounts: AccountForms,
    language: Language = Language.ENGLISH,
) -> dict[str, Any]:
    """Add the operations' paths and schemas to an OpenAPI 3.1 document, with this front's forms of account numbers.

    Operations are grouped by family, in `language`.
    """
    chinese = language is Language.CHINESE
    operations = list(operations)
    models = [(operation.request, "validation") for operation in operations]
    models += [(operation.response, "serialization") for operation in operations]
    models.append((Manifest, "validation"))
    refs, definitions = models_json_schema(models, ref_template=schemas.REF, schema_generator=schemas.WithoutNull)  # type: ignore[arg-type]
    accounts.describe(definitions.get("$defs", {}), said("Customer account number.", language))
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(definitions.get("$defs", {}) | schemas.COMMON)
    components.setdefault("securitySchemes", {})["ApplicationKey"] = {"type": "http", "scheme": "bearer"}
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; ours are problems
        components["schemas"].pop(name, None)
    document.setdefault("info", {}).update(_INFO)
    document["info"]["description"] = about(language)
    document["servers"] = [{"url": "/", "description": said("This front", language)}]
    families = {
        name: family for family, entries in OFFERED_FAMILIES.items() for name in (entry.name for entry in entries)
    }
    shown = list(dict.fromkeys(families[operation.name] for operation in operations if operation.name in families))
    document["tags"] = [
        *({"name": family.title_zh, "description": family.description_zh} for family in shown if chinese),
        *({"name": family.title, "description": family.description} for family in shown if not chinese),
        *(
            {"name": said(name, language), "description": said(text, language)}
            for name, text in _TAGS.items()
            if name != "channels" or channels.PATH in document["paths"]
        ),
    ]
    for (path, method), told in _PAGES.items():
        if path in document["paths"]:
            page = document["paths"][path][method]
            page |= told
            page["summary"] = said(page["summary"], language)
            page["tags"] = [said(tag, language) for tag in page["tags"]]
    for operation in operations:
        request = refs[operation.request, "validation"]
        response = refs[operation.response, "serialization"]
        components["schemas"][_succeeded(operation)] = schemas.success(response)
        document["paths"][f"/v1/{operation.name}"] = {
            "post": _path(operation, families.get(operation.name), request, language)
        }
    translated: dict[str, Any] = _in_language(document, language)
    return translated


def _in_language(node: Any, language: Language) -> Any:
    """A part of the document with its descriptions in a language, and its problems described."""
    match node:
        case dict():
            found = {name: part if name in _AS_IT_IS else _in_language(part, language) for name, part in node.items()}
            if codes := found.pop(_CODES, None):
                found["description"] = "\n".join(
                    f"- [`{code}`]({code_pages.PATH}/{code}?lang={language}): {title(code, language)}" for code in codes
                )
            elif isinstance(text := found.get("description"), str):
                found["description"] = said(text, language)
            return found
        case list():
            return [_in_language(part, language) for part in node]
    return node


def _path(
    operation: Operation,
    family: Family | None,
    request: Mapping[str, Any],
    language: Language,
) -> dict[str, Any]:
    chinese = language is Language.CHINESE
    command = operation.kind is Kind.COMMAND
    parameters: list[dict[str, Any]] = [_PREFER, _TRACEPARENT]
    responses: dict[str, Any] = {"200": _answer(operation, language)}
    if command:
        # of its own: with that of another operation the two examples could not both be tried
        parameters.insert(0, {**_IDEMPOTENCY_KEY, "example": f"{operation.name}-20260301-0001"})
        responses["202"] = _ACCEPTED
        parameters.append(_CALLBACK)
    else:
        responses["200"]["headers"] |= _KEPT
    for status in _STATUSES:
        codes = of_status(
            status, operation.kind, attachments=bool(operation.attachments), guessed=bool(operation.guessed)
        )
        if codes:
            responses[str(status)] = _problem(status, codes)
    responses = {
        status: response | {"headers": response["headers"] | _LEFT} if status != "401" else response
        for status, response in responses.items()
    }
    if operation.deprecated is not None:
        responses = {
            status: response | {"headers": response["headers"] | _DEPRECATION} for status, response in responses.items()
        }
    promise, scope = said(COMMAND if command else QUERY, language), said("Needs the scope", language)
    family_title = (family.title_zh if chinese else family.title) if family else operation.kind.title()
    return {
        "operationId": operation.name,
        "tags": [family_title],
        "summary": (operation.summary_zh if chinese else "") or operation.summary,
        "description": _deprecation(operation, language)
        + f"{promise} {scope} `{operation.scope}`."
        + _field_scopes(operation, language)
        + _removed(operation, language)
        + _refusals(operation, language),
        **({"deprecated": True} if operation.deprecated else {}),
        "security": [{"ApplicationKey": []}],
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": request, "example": dict(operation.example)}},
        },
        "responses": responses,
    }


def _deprecation(operation: Operation, language: Language) -> str:
    """That it goes out of use, as a paragraph of Markdown."""
    told = operation.deprecated
    if told is None:
        return ""
    if language is Language.CHINESE:
        gone = f"，{told.sunset} 起可能停用" if told.sunset else ""
        return f"**自 {told.since} 起不再推荐使用{gone}，请改用 `{told.successor}`。**\n\n"
    gone = f"; from {told.sunset} on it may be gone" if told.sunset else ""
    return f"**Deprecated since {told.since}{gone}. Use `{told.successor}`.**\n\n"


def _field_scopes(operation: Operation, language: Language) -> str:
    if language is Language.CHINESE:
        return "".join(f"提供 `{name}` 时还需权限 `{scope}`。" for name, scope in operation.field_scopes.items())
    return "".join(
        f" To give `{name}` needs the scope `{scope}` too." for name, scope in operation.field_scopes.items()
    )


def _removed(operation: Operation, language: Language) -> str:
    """The fields of an earlier version, as a list of Markdown."""
    if not operation.removed:
        return ""
    chinese = language is Language.CHINESE
    lines = [f"- `{name}`: {told.said_zh if chinese else told.said}" for name, told in operation.removed.items()]
    return "\n\n" + said("Fields of an earlier version:", language) + "\n\n" + "\n".join(lines)


def _refusals(operation: Operation, language: Language) -> str:
    """The refusals an operation can give, as a list of Markdown."""
    if not operation.refusals:
        return ""
    chinese = language is Language.CHINESE
    lines = [f"- `{one.code}`: {one.title_zh if chinese else one.title}" for one in operation.refusals]
    return "\n\n" + said("The marketing system may refuse it:", language) + "\n\n" + "\n".join(lines)


def _succeeded(operation: Operation) -> str:
    """The name of the schema of an answer with a result: a name, so that generated clients have a type for it."""
    return "".join(word.capitalize() for word in re.split(r"\W", operation.name)) + "Succeeded"


def _answer(operation: Operation, language: Language) -> dict[str, Any]:
    models = (_succeeded(operation), "Refused")
    return {
        "description": "The outcome: the result, or the marketing system's own refusal",
        "headers": {"Request-Id": _REQUEST_ID, "Sandbox": _SANDBOX},
        "content": {
            "application/json": {
                "schema": {"oneOf": [schemas.ref(model) for model in models]},
                "examples": _examples(operation, language),
            }
        },
    }


def _examples(operation: Operation, language: Language) -> dict[str, Any]:
    """The recorded answer and each refusal, by the names under which a sandbox key can ask for them."""
    chinese, id = language is Language.CHINESE, {"request_id": _EXAMPLE_ID}
    examples: dict[str, Any] = {}
    if operation.example_answer is not None:
        answer = {**id, "status": "succeeded", "result": operation.example_answer}
        examples["succeeded"] = {"summary": said("Answered", language), "value": answer}
    for refusal in operation.refusals:
        title = refusal.title_zh if chinese else refusal.title
        answer = {**id, "status": "refused", "refusal": {"code": refusal.code, "message": refusal.title_zh}}
        examples[refusal.code] = {"summary": title, "value": answer}
    return examples


def _problem(status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    example = {
        "type": f"{code_pages.PATH}/{codes[0]}",
        "title": CODES[codes[0]].title,
        "status": status,
        "code": codes[0],
        "request_id": _EXAMPLE_ID,
    }
    return {
        _CODES: codes,
        "headers": {"Request-Id": _REQUEST_ID, "Sandbox": _SANDBOX}
        | ({"Retry-After": _RETRY_AFTER} if status in (429, 503) else {}),
        "content": {"application/problem+json": {"schema": schemas.ref("Problem"), "example": example}},
    }


def _page(
    id: str, description: str, answers: Mapping[int, tuple[str, str]], *problems: str, key: bool = True
) -> dict[str, Any]:
    """A path beside the operations: `answers` maps a status to its description and its schema's name; none: 204."""
    responses: dict[str, Any] = {
        str(status): {
            "description": told,
            "content": {"application/json": {"schema": schemas.ref(model)}},
        }
        for status, (told, model) in answers.items()
    }
    by_status: dict[int, tuple[str, ...]] = {}
    for code in (*problems, *(_OF_THE_KEY if key else ()), *_OF_THE_CONNECTION):
        status = CODES[code].statuses[0]
        by_status[status] = (*by_status.get(status, ()), code)
    if not answers:
        responses["204"] = {"description": "Done"}
    for status, codes in sorted(by_status.items()):
        responses.setdefault(str(status), _problem(status, codes))
    security: list[dict[str, list[str]]] = [{"ApplicationKey": []}] if key else []
    return {"operationId": id, "description": description, "security": security, "responses": responses}


def _upload(id: str, description: str, status: int, said: str, *problems: str, **more: Any) -> dict[str, Any]:
    """A method of the attachments' paths that answers with the attachment."""
    page = _page(id, description, {status: (said, "Attachment")}, *problems, "forbidden-scope", "store-unavailable")
    page["responses"][str(status)]["headers"] = _UPLOAD_HEADERS
    return page | more


_OF_THE_KEY = (
    "unauthenticated",
    "signature-invalid",
    "signature-required",
    "certificate-required",
    "forbidden-network",
    "too-many-requests",
    "address-paused",
)
_OF_THE_CONNECTION = ("malformed-request", "headers-too-slow", "headers-too-large", "too-many-connections")
_INFO: dict[str, Any] = {
    "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    "contact": {"name": "The operator of this front"},
}
_TAGS = {
    "attachments": "Files, uploaded in parts before a command names them",
    "notices": "What happened, for who asks for it",
    "requests": "What became of commands, and what a key may use",
    "channels": "Where payment channels notify",
    "health": "For load balancers and monitoring",
}
_EXAMPLE_ID = "01a22530-a130-7c97-a19d-0dc3ba22d104"
_SANDBOX = {
    "description": "`?1;example=NAME` if the answer is an example, to a sandbox key",
    "schema": {"type": "string"},
}
_DEPRECATION = {
    "Deprecation": {"description": "Since when (RFC 9745)", "schema": {"type": "string"}},
    "Sunset": {"description": "From when on it may be gone (RFC 8594)", "schema": {"type": "string"}},
    "Link": {"description": "Its successor, as `successor-version`", "schema": {"type": "string"}},
}
_KEPT = {
    "Cache-Status": {
        "description": "Where the answer came from, if answers to this query may be kept for a while (RFC 9211)",
        "schema": {"type": "string"},
    },
    "Age": {
        "description": "Of a kept answer: seconds since the marketing system was asked for it",
        "schema": {"type": "integer", "minimum": 0},
    },
}
_LEFT = {
    "RateLimit-Policy": {
        "description": "The limits of an application that has some: `q` requests in `w` seconds",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "What is left of them: `r` requests, all of them again in `t` seconds",
        "schema": {"type": "string"},
    },
}
_RETRY_AFTER = {"description": "Seconds to wait before it is repeated", "schema": {"type": "integer", "minimum": 1}}
_REQUEST_ID = {"description": "The request's id", "schema": {"type": "string", "format": "uuid"}}
_ATTACHMENT_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}
_OFFSET_SCHEMA = {"type": "integer", "minimum": 0, "maximum": MAX_BYTES}
_UPLOAD_HEADERS: dict[str, Any] = {
    "Upload-Offset": {"description": "Bytes of the file that are here", "schema": _OFFSET_SCHEMA},
    "Upload-Length": {"description": "Bytes of the whole file", "schema": _OFFSET_SCHEMA},
    "Upload-Complete": {"description": "`?1`: all of it is here", "schema": schemas.one_of("?0", "?1")},
    "Request-Id": _REQUEST_ID,
}
_PAGES: dict[tuple[str, str], dict[str, Any]] = {
    ("/v1/attachments", "post"): _upload(
        "begin-upload",
        texts.BEGIN,
        201,
        "Begun",
        "malformed-json",
        "unsupported-media-type",
        "body-too-large",
        "body-too-slow",
        "invalid-request",
        "too-many-attachments",
        "attachments-full",
        requestBody={
            "required": True,
            "content": {
                "application/json": {
                    "schema": schemas.ref("Manifest"),
                    "example": {
                        "length": 68,
                        "sha256": "f37df4ae1cc21efc9c33bec4fcd2b28d5ad63a4c4eae5db3fd6d1f0fb0cd5f9f",
                        "media_type": "image/png",
                    },
                }
            },
        },
    ),
    ("/v1/attachments/{id}", "get"): _upload(
        "upload-progress",
        texts.HOW_FAR,
        200,
        "How far it is",
        "malformed-header",
        "unknown-attachment",
        parameters=[_ATTACHMENT_ID],
    ),
    ("/v1/attachments/{id}", "patch"): _upload(
        "send-part",
        texts.SEND,
        200,
        "Taken",
        "malformed-header",
        "unknown-attachment",
        "upload-offset",
        "body-too-large",
        "body-too-slow",
        "unsupported-media-type",
        "part-too-small",
        "attachment-type",
        "attachment-damaged",
        "attachment-digest",
        parameters=[
            _ATTACHMENT_ID,
            {
                "name": "Upload-Offset",
                "in": "header",
                "required": True,
                "description": "At which byte of the file the part begins",
                "schema": _OFFSET_SCHEMA,
            },
        ],
        requestBody={
            "required": True,
            "content": {"application/partial-upload": {"schema": {"type": "string", "format": "binary"}}},
        },
    ),
    ("/v1/attachments/{id}", "delete"): {
        **_page(
            "forget-attachment",
            texts.FORGET,
            {},
            "malformed-header",
            "unknown-attachment",
            "forbidden-scope",
            "store-unavailable",
        ),
        "parameters": [_ATTACHMENT_ID],
    },
    (channels.PATH, "post"): channels.page(),
    ("/v1/requests/{id}", "get"): _page(
        "request-status",
        "The status document of a command that this application has sent.",
        {200: ("What became of the command; a final status never changes", "Status")},
        "unknown-request",
        "record-lost",
        "store-unavailable",
    ),
    ("/v1/operations", "get"): _page(
        "operations",
        "The operations whose scope the key has, with their paths and deadlines.",
        {200: ("The operations", "Operations")},
    ),
    ("/v1/notices", "get"): _page(
        "notices",
        "Needs the scope `notices`. Ask with `next` as `after` the next time; asking changes nothing.",
        {200: ("The notices after the cursor, the oldest first", "Notices")},
        "malformed-header",
        "forbidden-scope",
        "store-unavailable",
    ),
    ("/healthz", "get"): _page(
        "health", "Answers as long as the process does.", {200: ("Alive", "Health")}, "too-many-requests", key=False
    ),
    ("/readyz", "get"): _page(
        "readiness",
        "Whether this front can do its work: for a load balancer.",
        {200: ("Ready", "Readiness"), 503: ("Not ready; `checks` says why", "Readiness")},
        "too-many-requests",
        key=False,
    ),
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A value unique to this order, 1 to 255 visible ASCII characters",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~][ -~]*$"},
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N` (seconds) or `respond-async` (RFC 7240); with a sandbox key, `example=NAME`",
    "schema": {"type": "string"},
}
_CALLBACK = {
    "name": "Callback",
    "in": "header",
    "description": "The name of a callback of the application: the outcome goes there too",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$"},
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
        "Location": {"description": "Where its status document is", "schema": {"type": "string"}},
        "Sandbox": _SANDBOX,
    },
    "content": {
        "application/json": {
            "schema": schemas.ref("Accepted"),
            "example": {
                "request_id": _EXAMPLE_ID,
                "status": "accepted",
                "location": f"/v1/requests/{_EXAMPLE_ID}",
            },
        }
    },
}

"""The AsyncAPI 3 document of callbacks (`/asyncapi.json`), written from the kinds of notices."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import models_json_schema

from dmz_front.http.schemas import WithoutNull
from dmz_front.http.texts import said
from protocol.languages import Language, chosen
from protocol.notices import BODIES, EXAMPLES, SUMMARIES

PATH = "/asyncapi.json"
_REF = "#/components/schemas/{model}"
_HEADERS = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {
            "type": "string",
            "description": "The same in every attempt: what was seen before is taken as done",
        },
        "webhook-timestamp": {"type": "string", "description": "When this attempt was made, seconds since the epoch"},
        "webhook-signature": {
            "type": "string",
            "description": "Standard Webhooks: `v1,` and base64, one for each secret, separated by spaces",
        },
    },
}
_OUTCOME = {
    "type": "object",
    "required": ["type", "timestamp", "data"],
    "properties": {
        "type": {"const": "command-outcome"},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": {
            "type": "object",
            "description": "The status document, as `GET /v1/requests/{id}` gives it",
            "required": ["request_id", "operation", "status"],
            "properties": {
                "request_id": {"type": "string", "format": "uuid"},
                "operation": {"type": "string"},
                "status": {"type": "string", "enum": ["succeeded", "refused", "failed", "expired", "held"]},
                "result": {},
                "refusal": {"type": "object"},
                "failure": {"type": "object"},
            },
        },
    },
}


class _Document(BaseModel):
    """What an application gets of one notice."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="The notice's own, as in `webhook-id`")
    timestamp: str = Field(description="When it happened", json_schema_extra={"format": "date-time"})
    sequence: int = Field(ge=1, description="Of the account: grows by one from notice to notice")


def document(version: str, language: Language = Language.ENGLISH) -> dict[str, Any]:
    """The document."""
    chinese = language is Language.CHINESE
    models = {
        kind: create_model(
            "".join(part.title() for part in kind.split("-")) + "Notice", __base__=_Document,
            type=(str, Field(json_schema_extra={"const": kind.value})), data=(body, ...),
        )
        for kind, body in BODIES.items()
    }  # fmt: skip
    refs, schemas = models_json_schema(
        [(model, "validation") for model in models.values()], ref_template=_REF, schema_generator=WithoutNull
    )
    messages: dict[str, Any] = {
        kind.value: {
            "name": kind.value,
            "title": SUMMARIES[kind][1 if chinese else 0],
            "contentType": "application/json",
            "headers": {"$ref": "#/components/schemas/WebhookHeaders"},
            "payload": refs[model, "validation"],
            "examples": [{"payload": _example(kind)}],
        }
        for kind, model in models.items()
    }
    messages["command-outcome"] = {
        "name": "command-outcome",
        "title": said("What became of a command that named a callback", language),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/WebhookHeaders"},
        "payload": {"$ref": "#/components/schemas/CommandOutcome"},
    }
    names = list(messages)
    told: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "dmz-bridge",
            "version": version,
            "description": said(_ABOUT, language),
        },
        "defaultContentType": "application/json",
        "channels": {
            "callback": {
                "address": None,
                "title": said("The address that is configured for the application", language),
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
            }
        },
        "operations": {
            "deliver": {
                "action": "send",
                "channel": {"$ref": "#/channels/callback"},
                "summary": said("POST over HTTPS; any status of 2xx is success", language),
                "messages": [{"$ref": f"#/channels/callback/messages/{name}"} for name in names],
            }
        },
        "components": {
            "messages": messages,
            "schemas": {**schemas.get("$defs", {}), "WebhookHeaders": _HEADERS, "CommandOutcome": _OUTCOME},
        },
    }
    translated: dict[str, Any] = _in_language(told, language)
    return translated


_ABOUT = (
    "What the front calls an application for. At least once, with a stable id; in order for each account; "
    "signed as Standard Webhooks says; tried again for three days."
)


def _example(kind: Any) -> dict[str, Any]:
    return {
        "id": "01981c6e-8f2a-7c31-9a54-3f2b6f1c0d11", "type": kind.value, "timestamp": "2026-07-01T08:00:00+08:00",
        "sequence": 1, "data": EXAMPLES[kind],
    }  # fmt: skip


def _in_language(node: Any, language: Language) -> Any:
    match node:
        case dict():
            return {
                name: said(part, language) if name == "description" and isinstance(part, str)
                else part if name == "examples" else _in_language(part, language)
                for name, part in node.items()
            }  # fmt: skip
        case list():
            return [_in_language(part, language) for part in node]
    return node


def add(app: FastAPI, version: str) -> None:
    """Add the path."""
    written: dict[Language, bytes] = {}

    def build(language: Language) -> bytes:
        if language not in written:
            written[language] = json.dumps(
                document(version, language), ensure_ascii=False, separators=(",", ":")
            ).encode()
        return written[language]

    app.get(PATH, include_in_schema=False)(_answer(build))


def _answer(build: Callable[[Language], bytes]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        language = chosen(
            request.query_params.get("lang"), request.headers.get("accept-language", "").encode("latin-1")
        )
        headers = {"Content-Language": language, "Vary": "Accept-Language"}
        return Response(build(language), media_type="application/json", headers=headers)

    return answer

"""The HTTP API as pages, one a business family, from the same OpenAPI document that the front serves."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from typing import Any

from dmz_front.admission.accounts import AccountForms
from dmz_front.http.openapi import extend
from dmz_front.problems.chinese import CHINESE
from dmz_front.problems.codes import CODES
from protocol.languages import Language
from protocol.operations import OFFERED, OFFERED_FAMILIES, Family, Operation

FOLDER = "reference/http-api"
_METHODS = ("get", "head", "post", "patch", "delete")
_WORDS = {
    "title": ("HTTP API", "HTTP 接口"),
    "about": (
        "Every operation of the catalogue, with what it takes, what it answers, and an example of each. A front shows "
        "the same at `/docs`, to try it there, and the meaning of each problem at `/problems`. How callers are known, "
        "and what `Idempotency-Key` and `Prefer` do, is in [the overview](../../about.md).",
        "目录中的每个服务：要什么、答什么，各有示例。前置机在 `/docs` 上显示同样的内容，并可当场试用；"
        "各问题的含义见 `/problems`。"
        "如何识别调用方、`Idempotency-Key` 与 `Prefer` 的作用，见[概览](../../about.md)。",
    ),
    "operation": ("operation", "服务"),
    "kind": ("kind", "类别"),
    "scope": ("scope", "权限"),
    "summary": ("what it does", "用途"),
    "query": ("query", "查询"),
    "command": ("command", "办理"),
    "request": ("Request", "请求"),
    "answer": ("Answer", "答复"),
    "field": ("field", "字段"),
    "type": ("type", "类型"),
    "meaning": ("meaning", "含义"),
    "problems": ("Problems", "问题"),
    "status": ("status", "状态码"),
    "code": ("code", "代码"),
    "optional": (" (optional)", "（可选）"),
    "one of": ("one of", "取值"),
    "list of": ("list of ", "列表："),
    "of any": ("What any operation may answer beside its outcome.", "任何服务除结果之外可能给出的答复。"),
    "only": ("only", "仅"),
}


def pages(language: str) -> dict[str, str]:
    """Address → Markdown."""
    return {f"{FOLDER}/{_file(family)}": _family(family, Language(language)) for family in OFFERED_FAMILIES} | {
        f"{FOLDER}/index.md": _index(Language(language))
    }


@cache
def _document(language: Language) -> dict[str, Any]:
    return extend({"openapi": "3.1.0", "paths": {}}, OFFERED.values(), AccountForms(()), language)


def _said(word: str, language: Language) -> str:
    return _WORDS[word][language is Language.CHINESE]


def _file(family: Family) -> str:
    return family.title.lower().replace(" ", "-") + ".md"


def _index(language: Language) -> str:
    def word(name: str) -> str:
        return _said(name, language)

    lines = [f"# {word('title')}", "", word("about"), ""]
    for family, operations in OFFERED_FAMILIES.items():
        title = family.title_zh if language is Language.CHINESE else family.title
        lines += [f"## {title}", "", *_head(word("operation"), word("kind"), word("scope"), word("summary"))]
        for one in operations:
            link = f"[`{one.name}`]({_file(family)}#{_anchor(one)})"
            lines.append(_row(link, word(one.kind.value), f"`{one.scope}`", _summary(one, language)))
        lines.append("")
    lines += [f"## {word('problems')}", "", word("of any"), "", *_head(word("code"), word("status"), word("meaning"))]
    for code, told in CODES.items():
        title = CHINESE[code][0] if language is Language.CHINESE and code in CHINESE else told.title
        if told.statuses:
            only = "" if len(told.kinds) != 1 else f" ({word('only')} {word(next(iter(told.kinds)).value)})"
            lines.append(_row(f"`{code}`", ", ".join(map(str, told.statuses)), title + only))
    return "\n".join(lines) + "\n"


def _summary(operation: Operation, language: Language) -> str:
    return (operation.summary_zh if language is Language.CHINESE else "") or operation.summary


def _anchor(operation: Operation) -> str:
    return operation.name.replace(".", "-")


def _family(family: Family, language: Language) -> str:
    chinese = language is Language.CHINESE
    title, about = (family.title_zh, family.description_zh) if chinese else (family.title, family.description)
    lines = [f"# {title}", "", about, ""]
    for operation in OFFERED_FAMILIES[family]:
        lines += _operation(operation, language)
    return "\n".join(lines) + "\n"


def _operation(operation: Operation, language: Language) -> Iterator[str]:
    document = _document(language)
    told = document["paths"][f"/v1/{operation.name}"]["post"]
    answer = document["components"]["schemas"]
    heading = f"## {operation.name} {{ #{_anchor(operation)} }}"
    yield from (heading, "", f"**{told['summary']}** · `POST /v1/{operation.name}`", "", told["description"], "")
    body = told["requestBody"]["content"]["application/json"]
    yield from (f"### {_said('request', language)} {{ #{_anchor(operation)}-request }}", "")
    yield from _table(body["schema"], answer, language)
    yield from _example(body["example"])
    yield from (f"### {_said('answer', language)} {{ #{_anchor(operation)}-answer }}", "")
    outcome = told["responses"]["200"]["content"]["application/json"]
    succeeded = _resolved(outcome["schema"]["oneOf"][0], answer)
    yield from _table(succeeded["properties"]["result"], answer, language)
    for name, example in outcome["examples"].items():
        if name == "succeeded" or len(outcome["examples"]) == 1:
            yield from _example(example["value"])


def _example(value: Any) -> Iterator[str]:
    yield from ("```json", json.dumps(value, ensure_ascii=False, indent=2), "```", "")


def _table(schema: Mapping[str, Any], schemas: Mapping[str, Any], language: Language) -> Iterator[str]:
    yield from _head(*(_said(name, language) for name in ("field", "type", "meaning")))
    for name, type, optional, description in _fields(_resolved(schema, schemas), schemas, language, "", 0):
        meaning = description + (_said("optional", language) if optional else "")
        yield _row(f"`{name}`", type, meaning)
    yield ""


def _fields(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], language: Language, prefix: str, depth: int
) -> Iterator[tuple[str, str, bool, str]]:
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        whole = _resolved(part, schemas)
        inner, suffix = whole, ""
        if whole.get("type") == "array":
            inner, suffix = _resolved(whole.get("items", {}), schemas), "[]"
        description = part.get("description") or whole.get("description") or inner.get("description") or ""
        yield prefix + name, _type(whole, schemas, language), name not in required, " ".join(description.split())
        if "properties" in inner and depth < 3:
            yield from _fields(inner, schemas, language, f"{prefix}{name}{suffix}.", depth + 1)


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any], language: Language) -> str:
    if schema.get("type") == "array":
        return f"{_said('list of', language)}{_type(_resolved(schema.get('items', {}), schemas), schemas, language)}"
    if "enum" in schema:
        return f"{_said('one of', language)} " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", ""))
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"), ("minLength", "≥"), ("maxLength", "≤"))
        if key in schema
    ]
    # in HTML: a bar in a cell ends the cell, and in Markdown's code a backslash before it is shown
    pattern = f", <code>{escape(schema['pattern']).replace('|', '&#124;')}</code>" if "pattern" in schema else ""
    form = f", {schema['format']}" if "format" in schema else ""
    return kind + form + (f", {', '.join(bounds)}" if bounds else "") + pattern


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without references, and without the null of what may be left out."""
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        some = [part for part in schema["anyOf"] if part.get("type") != "null"]
        if len(some) == 1:
            return {**schema, **_resolved(some[0], schemas)}
    return schema


def _head(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

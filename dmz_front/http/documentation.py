"""The API's documentation: `/openapi.json` and `/docs`, in English and Chinese, without anything from the internet."""

import json
from collections.abc import Callable, Iterable
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles

from dmz_front.admission.accounts import AccountForms
from dmz_front.http import texts
from dmz_front.http.openapi import extend
from dmz_front.http.texts import switch
from protocol.languages import Language, chosen
from protocol.operations import Operation

PATHS = ("/docs", "/openapi.json")
_ASSETS = "/static-offline-docs"


def document(app: FastAPI, operations: Iterable[Operation], accounts: AccountForms) -> None:
    """Add the two paths, and the files the page needs, to an application."""
    written: dict[Language, tuple[int, bytes]] = {}
    """With the edition of the forms of account numbers that each says."""

    def build(language: Language) -> bytes:
        edition, held = written.get(language, (0, b""))
        if edition != accounts.edition:
            whole = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            whole = extend(whole, operations, accounts, language)
            held = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
            written[language] = accounts.edition, held
        return held

    def page(language: Language) -> bytes:
        html = get_swagger_ui_html(
            openapi_url=f"/openapi.json?lang={language}",
            title="dmz-bridge",
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
            swagger_ui_parameters={"defaultModelsExpandDepth": 0, "docExpansion": "list"},
        )
        text = bytes(html.body).decode()
        text = text.replace("<html>", f'<html lang="{language}">', 1)
        text = text.replace("</head>", f"<style>{texts.file('docs.css')}</style></head>", 1)
        if language is Language.CHINESE:  # before Swagger UI begins to draw
            text = text.replace("<script>", f"<script>{texts.file('labels.zh.js')}</script><script>", 1)
        return text.replace("<body>", f"<body>{switch('/docs', language)}", 1).encode()

    app.mount(_ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="documentation")
    app.get("/openapi.json", include_in_schema=False)(_in_language(build, "application/json"))
    app.get("/docs", include_in_schema=False)(_in_language(page, "text/html"))


def _in_language(build: Callable[[Language], bytes], media: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        language = chosen(
            request.query_params.get("lang"), request.headers.get("accept-language", "").encode("latin-1")
        )
        headers = {"Content-Language": language, "Vary": "Accept-Language"}
        return Response(build(language), media_type=media, headers=headers)

    return answer

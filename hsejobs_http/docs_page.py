"""GET /docs: every route with examples. The page loads everything from the shim itself."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, Response

from hsejobs_http.problems import Problem

#: The files that the page loads: package, path in it, media type. Only the copy of Swagger UI in
#: fastapi-offline is used.
_FILES = {
    "docs.js": ("hsejobs_http", "docs.js", "text/javascript"),
    "swagger-ui.js": ("fastapi_offline", "static/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("fastapi_offline", "static/swagger-ui.css", "text/css"),
}
#: Swagger UI sets styles on elements, and its icons are data URLs in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>hsejobs: the HTTP API</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="api"></div>
<noscript>This page needs scripts;
<a href="/openapi.json">the description</a> itself does not.</noscript>
<script src="/docs/swagger-ui.js"></script><script src="/docs/docs.js"></script></body></html>
"""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def page() -> Response:
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.get("/docs/{name}")
def asset(name: str) -> Response:
    """Serves a script or style of the page."""
    if name not in _FILES:
        raise Problem(404, "not_found", "there is nothing at this path")
    package, path, kind = _FILES[name]
    headers = {**_HEADERS, "Cache-Control": "public, max-age=3600"}
    return FileResponse(str(files(package).joinpath(path)), media_type=kind, headers=headers)

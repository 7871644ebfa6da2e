"""The OpenAPI document: every route as its table says, and a path for each queue's creating."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import huey_config
from hsejobs.engine.register import describe
from hsejobs_http.openapi_schemas import (
    EXAMPLES,
    JOB_ID,
    QUEUE,
    ROUTES,
    SCHEMAS,
    options_of,
    ref,
    responses,
)

_ABOUT = (
    "Jobs that are never lost and can always be seen. Every error is application/problem+json;"
    " a path or method that is none is 404 or 405. Send X-Request-ID and traceparent, and find"
    " them in the workers' logs."
)
_KEY = {
    "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": JOB_ID},
    "description": "acts as jobId; the same key with another body is 409",
}  # fmt: skip


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    made: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=_ABOUT, routes=app.routes
    )
    schemas = dict(SCHEMAS)
    made["components"] = {
        "schemas": schemas,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    }
    paths = made["paths"]
    for (method, path), route in ROUTES.items():
        if path == "/api/jobs/{queue}":
            paths[path] = {method: _creating("{queue}", {"type": "object"}, None)}
            continue
        operation = paths[path][method]
        operation["responses"] = responses(route, path)
        operation["parameters"] = [*_in_path(path), *route.query]
        if route.body is not None:
            content = {"application/json": {"schema": ref(route.body)}}
            operation["requestBody"] = {"required": True, "content": content}
    for name, huey in huey_config.QUEUES.items():
        text = json.dumps(describe(huey).task(None).schema or {"type": "object"})
        payload = json.loads(text.replace("#/$defs/", "#/components/schemas/"))
        schemas.update(payload.pop("$defs", {}))
        title = "".join(word.capitalize() for word in name.split("-"))
        schemas[f"{title}Payload"] = payload
        options = options_of(outbound=huey.outbound)
        flat = {**payload, "properties": {**options, **payload.get("properties", {})}}
        schemas[f"{title}Job"] = flat
        # Where a payload has a field of that name, only `options` tells the two forms apart.
        told_apart = "payload" in payload.get("properties", {})
        wrapped = {
            "type": "object",
            "required": ["payload", "options"] if told_apart else ["payload"],
            "additionalProperties": False,
            "properties": {
                "payload": ref(f"{title}Payload"),
                "options": {
                    "type": "object" if told_apart else ["object", "null"],
                    "additionalProperties": False,
                    "properties": {**options, "task": {"type": ["string", "null"]}},
                },
            },
        }  # fmt: skip
        schema = {"anyOf": [ref(f"{title}Job"), wrapped]}
        paths[f"/api/jobs/{name}"] = {"post": _creating(name, schema, EXAMPLES.get(name))}
    for path, item in paths.items():
        for operation in item.values():
            if path.startswith("/api/jobs"):
                operation["security"] = [{"token": []}]
    app.openapi_schema = made
    return made


def _in_path(path: str) -> list[dict[str, Any]]:
    known = {"queue": QUEUE, "job_id": JOB_ID, "token": None}
    found = []
    for name, pattern in known.items():
        if f"{{{name}}}" in path:
            schema = {"type": "string", **({"pattern": pattern} if pattern else {})}
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _creating(name: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    generic = name == "{queue}"
    content = {"schema": schema, **({} if example is None else {"example": example})}
    path = f"/api/jobs/{name}"
    return {
        "summary": "Add a job to any queue" if generic else f"Add a job to {name}",
        "description": "Options lie beside the payload, or apart: {payload, options}.",
        "operationId": "create" if generic else f"create_{name.replace('-', '_')}",
        "parameters": [*_in_path(path), _KEY],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": responses(ROUTES["post", "/api/jobs/{queue}"], path),
    }

"""The OpenAPI document: every route as its table says, and a path for each queue's creating."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from hsejobs.application import Application
from hsejobs.described import document_schema
from hsejobs.engine.huey import JobHuey
from hsejobs.model import RESERVED_QUEUE_NAMES
from hsejobs_http.openapi_routes import OTHER_QUEUES, ROUTES, responses, without_options
from hsejobs_http.openapi_schemas import JOB_ID, QUEUE, SCHEMAS, options_of, ref

_ABOUT = (
    "Jobs that are never lost and can always be seen. Every error is application/problem+json;"
    " a path or method that is none is 404 or 405. Send X-Request-ID and traceparent, and find"
    " them in the workers' logs."
)
_CREATING = (
    "Options lie beside the payload, or apart: {payload, options}. An `Idempotency-Key` header acts"
    " as `jobId` does: send one of the two. The same key with another body is 409."
)


def document(app: FastAPI, application: Application) -> dict[str, Any]:
    """The whole document, made once; of the application's queues with their models and examples."""
    if app.openapi_schema:
        return app.openapi_schema
    made: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=_ABOUT, routes=app.routes
    )
    queues, examples = application.queues, application.hook("examples") or {}
    schemas = dict(SCHEMAS)
    # Addresses of the document are below where it was loaded from.
    made["servers"] = [{"url": "/"}]
    made["components"] = {
        "schemas": schemas,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    }
    paths = made["paths"]
    for (method, path), route in ROUTES.items():
        if path == OTHER_QUEUES:
            paths[path] = {method: _creating("{other_queue}", {"type": "object"}, queues)}
            continue
        operation = paths[path][method]
        operation["responses"] = responses(route, path)
        operation["parameters"] = [*_in_path(path, queues), *route.query]
        if route.body is not None:
            content = {"application/json": {"schema": ref(route.body)}}
            operation["requestBody"] = {"required": True, "content": content}
    for name, huey in queues.items():
        paths[f"/api/jobs/{name}"] = {
            "post": _creating(name, _bodies(name, huey, schemas), queues, examples.get(name))
        }
    for path, item in paths.items():
        for operation in item.values():
            operation["security"] = [{"token": []}] if path.startswith("/api/jobs") else []
    app.openapi_schema = made
    return made


def _in_path(path: str, queues: Iterable[str]) -> list[dict[str, Any]]:
    # The words of the routes are no queues: to add to one is another method of that route.
    own = "|".join(sorted({*queues, *RESERVED_QUEUE_NAMES}))
    patterns = {
        "queue": QUEUE,
        "other_queue": f"^(?!(?:{own})$){QUEUE[1:]}",
        "job_id": JOB_ID,
        "token": None,
    }
    found = []
    for name, pattern in patterns.items():
        if f"{{{name}}}" in path:
            schema = {"type": "string", **({"pattern": pattern} if pattern else {})}
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _bodies(name: str, huey: JobHuey, schemas: dict[str, Any]) -> dict[str, Any]:
    """The two forms of a queue's creating body; what they are made of is added to ``schemas``."""
    task = huey.describe().task(None)
    model = huey.wrappers[task.name].model
    found = {"type": "object"} if model is None else document_schema(model, huey.runtime.settings)
    payload = json.loads(json.dumps(found).replace("#/$defs/", "#/components/schemas/"))
    schemas.update(payload.pop("$defs", {}))
    title = "".join(word.capitalize() for word in name.split("-"))
    schemas[f"{title}Payload"] = payload
    fields = payload.get("properties", {})
    options = options_of(outbound=huey.outbound)
    schemas[f"{title}Job"] = {**payload, "properties": {**options, **fields}}
    # What is a field of the payload may stand there alone, or else in both places alike.
    apart = {name: option for name, option in options.items() if name not in fields}
    # Where a payload has a field of that name, only `options` tells the two forms apart.
    told_apart = "payload" in fields
    tasks = [task.name.rpartition(".")[2], task.name]
    schemas[f"{title}Wrapped"] = {
        "type": "object",
        "description": "The payload, and its options apart.",
        "required": ["payload", "options"] if told_apart else ["payload"],
        "additionalProperties": False,
        "properties": {
            "payload": ref(f"{title}Payload"),
            "options": {
                "type": "object" if told_apart else ["object", "null"],
                "additionalProperties": False,
                "properties": {**apart, "task": {"enum": [*tasks, None]}},
            },
        },
    }
    return {"anyOf": [ref(f"{title}Job"), ref(f"{title}Wrapped")]}


def _creating(
    name: str,
    schema: dict[str, Any],
    queues: Iterable[str],
    example: dict[str, Any] | None = None,
) -> dict[str, Any]:
    generic = name == "{other_queue}"
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["examples"] = {
            "flat": {"summary": "options beside the payload", "value": example},
            "wrapped": {
                "summary": "options apart",
                "value": {"payload": without_options(example), "options": {"priority": 2}},
            },
        }
    path = f"/api/jobs/{name}"
    return {
        "summary": "Add a job to the queue of another program"
        if generic
        else f"Add a job to {name}",
        "description": _CREATING,
        "operationId": "create" if generic else f"create_{name.replace('-', '_')}",
        "parameters": _in_path(path, queues),
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": responses(ROUTES["post", OTHER_QUEUES], path),
    }

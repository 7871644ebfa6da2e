"""The OpenAPI document: every route from the table ``ROUTES``, and one path per queue for adding jobs."""

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
from hsejobs_http.openapi_history import HISTORY_SCHEMAS
from hsejobs_http.openapi_operators import OPERATOR_SCHEMAS
from hsejobs_http.openapi_routes import OTHER_QUEUES, ROUTES, responses, without_options
from hsejobs_http.openapi_schemas import (
    JOB_ID,
    ORGANIZATION,
    QUEUE,
    SCHEMAS,
    TASK,
    options_of,
    ref,
)

_DESCRIPTION = (
    "Add, inspect and manage background jobs. Every error is application/problem+json;"
    " an unknown path is 404, an unknown method 405. Send X-Request-ID and traceparent to find"
    " a request in the workers' logs."
)
_ADD_DESCRIPTION = (
    "Options may be given next to the payload's fields, or separately: {payload, options}. An"
    " `Idempotency-Key` header works like `jobId`: send only one of them. The same key with another"
    " body is 409."
)


def document(app: FastAPI, application: Application) -> dict[str, Any]:
    """Returns the document, built once; the application's queues appear with their models and examples."""
    if app.openapi_schema:
        return app.openapi_schema
    result: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
    )
    queues, examples = application.queues, application.hook("examples") or {}
    schemas = {**SCHEMAS, **HISTORY_SCHEMAS, **OPERATOR_SCHEMAS}
    # Relative to the address that the document was loaded from.
    result["servers"] = [{"url": "/"}]
    result["components"] = {
        "schemas": schemas,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    }
    paths = result["paths"]
    for (method, path), route in ROUTES.items():
        if path == OTHER_QUEUES:
            paths[path] = {method: _add_operation("{other_queue}", {"type": "object"}, queues)}
            continue
        operation = paths[path][method]
        operation["responses"] = responses(route, path)
        operation["parameters"] = [*_in_path(path, queues), *route.query]
        if route.body is not None:
            content = {"application/json": {"schema": ref(route.body)}}
            operation["requestBody"] = {"required": not route.optional_body, "content": content}
    for name, huey in queues.items():
        paths[f"/api/jobs/{name}"] = {
            "post": _add_operation(name, _bodies(name, huey, schemas), queues, examples.get(name))
        }
    for path, item in paths.items():
        for operation in item.values():
            operation["security"] = [{"token": []}] if path.startswith("/api/jobs") else []
    app.openapi_schema = result
    return result


def _in_path(path: str, queues: Iterable[str]) -> list[dict[str, Any]]:
    # Reserved words and known queues are excluded: they have paths of their own.
    own = "|".join(sorted({*queues, *RESERVED_QUEUE_NAMES}))
    patterns = {
        "queue": QUEUE,
        "other_queue": f"^(?!(?:{own})$){QUEUE[1:]}",
        "job_id": JOB_ID,
        "organization_id": ORGANIZATION,
        "task": TASK,
        "token": None,
    }
    found = []
    for name, pattern in patterns.items():
        if f"{{{name}}}" in path:
            schema = {"type": "string", **({"pattern": pattern} if pattern else {})}
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _bodies(name: str, huey: JobHuey, schemas: dict[str, Any]) -> dict[str, Any]:
    """Returns the two body forms of a queue's add, and adds their parts to ``schemas``."""
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
    # A field of the payload may be given there only, or in both places with the same value.
    separate = {name: option for name, option in options.items() if name not in fields}
    # If the payload has a field called payload, only `options` distinguishes the two forms.
    needs_options = "payload" in fields
    tasks = [task.name.rpartition(".")[2], task.name]
    schemas[f"{title}Wrapped"] = {
        "type": "object",
        "description": "The payload and its options, separately.",
        "required": ["payload", "options"] if needs_options else ["payload"],
        "additionalProperties": False,
        "properties": {
            "payload": ref(f"{title}Payload"),
            "options": {
                "type": "object" if needs_options else ["object", "null"],
                "additionalProperties": False,
                "properties": {**separate, "task": {"enum": [*tasks, None]}},
            },
        },
    }
    return {"anyOf": [ref(f"{title}Job"), ref(f"{title}Wrapped")]}


def _add_operation(
    name: str,
    schema: dict[str, Any],
    queues: Iterable[str],
    example: dict[str, Any] | None = None,
) -> dict[str, Any]:
    generic = name == "{other_queue}"
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["examples"] = {
            "flat": {"summary": "options next to the payload's fields", "value": example},
            "wrapped": {
                "summary": "options separately",
                "value": {"payload": without_options(example), "options": {"priority": 2}},
            },
        }
    path = f"/api/jobs/{name}"
    return {
        "summary": "Add a job to the queue of another program"
        if generic
        else f"Add a job to {name}",
        "description": _ADD_DESCRIPTION,
        "operationId": "create" if generic else f"create_{name.replace('-', '_')}",
        "parameters": [*_in_path(path, queues), *ROUTES["post", OTHER_QUEUES].query],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": responses(ROUTES["post", OTHER_QUEUES], path),
    }

"""The OpenAPI document: FastAPI's own, and a path for each queue's creating route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import huey_config
from hsejobs.engine.register import describe

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "code": {"type": "string"}, "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}  # fmt: skip
_CREATED = {
    "type": "object",
    "required": ["jobId", "queue", "status", "created"],
    "properties": {
        "jobId": {"type": "string"}, "queue": {"type": "string"}, "status": {"type": "string"},
        "created": {"type": "boolean"},
    },
}  # fmt: skip
_OPTIONS: dict[str, Any] = {
    "priority": {"type": "integer", "minimum": 1, "maximum": 5},
    "attempts": {"type": "integer", "minimum": 1, "maximum": 1000},
    "delay": {"type": "integer", "minimum": 0, "description": "ms"},
    "backoff": {"type": "integer", "minimum": 0, "description": "ms"},
    "timeout": {"type": "integer", "minimum": 1, "description": "ms"},
    "jobId": {"type": "string", "maxLength": 200},
}
EXAMPLES: dict[str, Any] = {
    "email": {"to": "user@example.com", "subject": "Test Email", "html": "<p>Hello!</p>",
              "text": "Hello!", "priority": 2},
    "reports": {"type": "audits", "filters": {"status": "Completed"}, "format": "json",
                "notifyEmail": "user@example.com"},
    "data-exports": {"entities": ["stations", "audits", "incidents"], "format": "json",
                     "notifyEmail": "user@example.com"},
    "webhooks": {"url": "https://api.example.com/webhook", "payload": {"event": "test"},
                 "secret": "webhook-secret", "eventType": "test.event"},
    "tenant-onboarding": {"organizationName": "Acme Corp", "adminEmail": "admin@acme.com",
                          "adminName": "John Doe", "tier": "professional"},
    "cleanup": {"completedHours": 24, "failedHours": 168},
}  # fmt: skip
_STATUSES = ("400", "401", "403", "404", "405", "409", "413", "422", "503")


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    made: dict[str, Any] = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = _PROBLEM
    for name, huey in huey_config.QUEUES.items():
        made["paths"].setdefault(f"/api/jobs/{name}", {})["post"] = _creating(name, huey, schemas)
    made["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    problem = {"$ref": "#/components/schemas/Problem"}
    for path, item in made["paths"].items():
        for operation in item.values():
            if path.startswith("/api/jobs"):
                operation["security"] = [{"token": []}]
            for status in _STATUSES:
                operation["responses"][status] = {
                    "description": "a problem",
                    "content": {"application/problem+json": {"schema": problem}},
                }
    if "/api/jobs/{queue}/clean" in made["paths"]:
        made["paths"]["/api/jobs/{queue}/clean"]["post"]["requestBody"] = _clean_body()
    app.openapi_schema = made
    return made


def _clean_body() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["grace", "status"],
        "properties": {
            "grace": {"type": "integer", "minimum": 0, "description": "ms"},
            "status": {"enum": ["completed", "failed", "delayed", "waiting"]},
        },
        "example": {"grace": 3600000, "status": "completed"},
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _creating(name: str, huey: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    info = describe(huey)
    schema = dict(info.task(None).schema or {"type": "object"})
    for title, inner in schema.pop("$defs", {}).items():
        schemas[title] = inner
    schema["properties"] = {**_OPTIONS, **schema.get("properties", {})}
    return {
        "summary": f"Add a job to {name}",
        "operationId": f"create_{name.replace('-', '_')}",
        "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": EXAMPLES.get(name)}},
        },
        "responses": {
            "202": {
                "description": "the job is in Redis",
                "content": {"application/json": {"schema": _CREATED}},
            }
        },
    }

"""The OpenAPI document is complete, and the server behaves as it says, for each role."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import huey_config
from hsejobs.control.options import TENANT_ATTEMPTS, TENANT_BACKOFF_MS
from hsejobs_http.openapi_examples import ANSWER_EXAMPLES
from hsejobs_http.openapi_routes import ROUTES
from tasks.shared.examples import EXAMPLES
from tests.http.conftest import Shim, token

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,negative_data_rejection,"
    "positive_data_acceptance,missing_required_header,"
    "unsupported_method,ignored_auth,use_after_free"
)
#: ``make fuzz``: each role sends all.
FUZZ_ALL = os.environ.get("FUZZ") == "all"
PHASES = ("examples", "fuzzing", "stateful")
#: The phase that makes nine of ten requests, most of which no role may send, and three of four of these
#: to queues: one role sends them, to two of the queues, and not to acts by filter, for whose pattern it
#: takes a minute to find texts.
COVERAGE = "coverage"
LEFT_OUT = (
    "/api/jobs/(email|reports|data-exports|tenant-onboarding)",
    "/[{]queue[}]/(cancel|promote|remove|retry)",
)
RUNS = [
    *(
        (role, (*PHASES, COVERAGE) if FUZZ_ALL else PHASES)
        for role in ("member", "admin", "operator")
    ),
    *([] if FUZZ_ALL else [("operator", (COVERAGE,))]),
]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def document(shim: Shim) -> dict[str, Any]:
    found: dict[str, Any] = shim.client.get("/openapi.json").json()
    return found


def test_every_route_and_queue_is_there(document: dict[str, Any]) -> None:
    there = {(method, path) for path, item in document["paths"].items() for method in item}
    queues = {("post", f"/api/jobs/{name}") for name in huey_config.QUEUES}
    assert there == set(ROUTES) | queues
    assert set(EXAMPLES) == set(huey_config.QUEUES)


def test_references_resolve_and_errors_are_problems(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    refs = set(re.findall(r'"\$ref": "([^"]+)"', text))
    assert refs == {
        f"#/components/schemas/{name}" for name in (one.rpartition("/")[2] for one in refs)
    }
    assert {one.rpartition("/")[2] for one in refs} <= set(document["components"]["schemas"])
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["operationId"], (path, method)
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)
                else:
                    assert bool(answer.get("content")) == (status != "204"), (path, status)
                assert ("Location" in answer.get("headers", {})) == (status == "202")
                assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))
            if path.startswith("/api/jobs"):
                assert operation["security"] == [{"token": []}]
                assert {"401", "403", "503"} <= set(operation["responses"])
            else:
                assert operation["security"] == []


def test_operations_keep_their_names(document: dict[str, Any]) -> None:
    """Generated clients name their methods by these: a new route adds a name, none changes."""
    names = [o["operationId"] for item in document["paths"].values() for o in item.values()]
    assert sorted(names) == [
        "add_mark",
        "artifact",
        "cancel",
        "cancel_matching",
        "clean",
        "create",
        "create_cleanup",
        "create_data_exports",
        "create_email",
        "create_reports",
        "create_tenant_onboarding",
        "create_webhooks",
        "family",
        "healthy",
        "job",
        "job_events",
        "jobs",
        "linked_artifact",
        "list_alerts",
        "list_audit",
        "list_marks",
        "list_tasks",
        "list_tenants",
        "logs",
        "metrics",
        "pause",
        "promote",
        "promote_matching",
        "queue_events",
        "quiet_workers",
        "read_history",
        "ready",
        "remove",
        "remove_artifact",
        "remove_matching",
        "restart_workers",
        "resume",
        "retry",
        "retry_matching",
        "schedules",
        "set_task",
        "set_tenant",
        "show_dashboard",
        "stats",
        "wake_workers",
        "workers",
    ]


def examples(holder: dict[str, Any]) -> list[Any]:
    """Yields the examples of a schema, or of the content of a body or an answer."""
    found = [holder["example"]] if "example" in holder else []
    named = holder.get("examples", {})
    return found + (named if isinstance(named, list) else [one["value"] for one in named.values()])


def reached(document: dict[str, Any], schema: Any, seen: set[str]) -> Iterator[dict[str, Any]]:
    """Yields every schema inside one, also behind references."""
    if isinstance(schema, list):
        for one in schema:
            yield from reached(document, one, seen)
    elif isinstance(schema, dict):
        yield schema
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            yield from reached(document, document["components"]["schemas"][name], seen)
        for key, one in schema.items():
            if key not in ("examples", "example", "enum", "const"):
                inner = list(one.values()) if key in ("properties", "$defs") else one
                yield from reached(document, inner, seen)


def test_no_field_of_a_request_has_a_default(document: dict[str, Any]) -> None:
    """Client generators take a field with a default for one that is always present."""
    looked = 0
    for path, item in document["paths"].items():
        for operation in item.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for schema in reached(document, content["schema"], set()):
                    assert "default" not in schema, (path, schema)
                    looked += 1
            for parameter in operation["parameters"]:
                assert "default" not in parameter["schema"], (path, parameter["name"])
    assert looked > 500


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    def check(schema: Any, example: Any) -> None:
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.validator_for(whole, validate_formats=True).validate(example)

    seen = 0
    for item in document["paths"].values():
        for operation in item.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for body in bodies:
                for content in body.get("content", {}).values():
                    for example in examples(content):
                        check(content["schema"], example)
                        seen += 1
    assert seen > 30
    for name, schema in document["components"]["schemas"].items():
        for example in examples(schema):
            check({"$ref": f"#/components/schemas/{name}"}, example)
        for field in schema.get("properties", {}).values():
            for example in field.get("examples", []):
                check(field, example)
    for name in ("Problem",):
        check({"$ref": f"#/components/schemas/{name}"}, ANSWER_EXAMPLES[name])


def as_operators_may(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the document with an operator's bounds, which it only describes in words."""
    wide: dict[str, Any] = json.loads(json.dumps(document))
    for schema in wide["components"]["schemas"].values():
        _widen(schema)
    _widen(wide["paths"])
    return wide


def _widen(node: Any) -> None:
    if isinstance(node, list):
        for one in node:
            _widen(one)
    elif isinstance(node, dict):
        if "an operator may use" in node.get("description", ""):
            if node.get("maximum") == TENANT_ATTEMPTS:
                node["maximum"] = 1000
            for one in node.get("anyOf", []):
                for bounds in (one, one.get("properties", {}).get("delay", {})):
                    if bounds.get("minimum") == TENANT_BACKOFF_MS:
                        bounds["minimum"] = 0
        for one in node.values():
            _widen(one)


@pytest.mark.timeout(2_000 if FUZZ_ALL else 420)
@pytest.mark.parametrize(
    ("role", "phases"), RUNS, ids=[f"{role}-{'-'.join(phases)}" for role, phases in RUNS]
)
def test_schemathesis_finds_nothing(
    role: str, phases: tuple[str, ...], shim: Shim, document: dict[str, Any], tmp_path: Path
) -> None:
    # They do not end; tests/http/test_waiting.py has them.
    excluded = "/events$"
    if phases == (COVERAGE,):
        excluded += "".join(f"|{one}$" for one in LEFT_OUT)
    where = [f"{shim.url}/openapi.json"]
    if role == "operator":
        (tmp_path / "openapi.json").write_text(json.dumps(as_operators_may(document)))
        where = ["openapi.json", "--url", shim.url]
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            *where,
            "--exclude-path-regex",
            excluded,
            "--checks",
            CHECKS,
            "--max-examples",
            os.environ.get("FUZZ_EXAMPLES", "50" if FUZZ_ALL else "8"),
            "--phases",
            ",".join(phases),
            # The same requests in each run; set another seed to find others.
            "--seed",
            os.environ.get("FUZZ_SEED", "1"),
            "--header",
            f"Authorization: Bearer {token(role)}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=1_900 if FUZZ_ALL else 400,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.http.fuzz_hooks"},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    paths = document["paths"].items()
    operations = sum(len(item) for path, item in paths if not re.search(excluded, path))
    assert f"Tested: {operations}" in done.stdout
    assert "unexpected" not in shim.log.read_text()

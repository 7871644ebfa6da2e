"""The check of a payload that a person wrote, before it is added."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from hsejobs.control import patterns
from hsejobs.control.schema import problems, sample
from huey_config import QUEUES

MAIL: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["to"],
    "$defs": {
        "File": {
            "type": "object",
            "required": ["artifactId"],
            "additionalProperties": False,
            "properties": {"artifactId": {"type": "string", "pattern": "^[a-z]+$"}},
        }
    },
    "properties": {
        "to": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "subject": {
            "anyOf": [{"type": "string", "minLength": 1, "maxLength": 5}, {"type": "null"}]
        },
        "kind": {"type": "string", "enum": ["a", "b"]},
        "hours": {"type": "number", "minimum": 0, "maximum": 10},
        "count": {"type": "integer"},
        "replyTo": {"type": "string"},
        "files": {"type": "array", "maxItems": 1, "items": {"$ref": "#/$defs/File"}},
        "context": {"type": "object", "additionalProperties": {"$ref": "#/$defs/JsonValue"}},
        "odd": {"type": "string", "pattern": "(?<broken"},
    },
}


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"to": "x"}, []),
        ({"to": ["x"], "subject": None, "kind": "b", "hours": 0.5, "count": 3, "replyTo": "x"}, []),
        (
            {"to": "x", "reply_to": "y", "files": [{"artifact_id": "abc"}], "context": {"a": [1]}},
            [],
        ),
        ({"to": "x", "odd": "anything", "hours": "0.5", "count": "3"}, []),
        ({"to": {"$sealed": "x"}}, []),
        ({"to": "x", "count": "***"}, [("count", "must be an integer")]),
        ({}, [("to", "is required")]),
        ({"to": 1}, [("to", "must be a string")]),
        ({"to": ["x", 1]}, [("to[1]", "must be a string")]),
        (
            {"to": "x", "subject": "too long"},
            [("subject", "must be at least 1 and at most 5 characters")],
        ),
        ({"to": "x", "kind": "c"}, [("kind", "must be one of: a, b")]),
        ({"to": "x", "hours": 11}, [("hours", "must be at least 0 and at most 10")]),
        ({"to": "x", "hours": True}, []),
        ({"to": "x", "hours": [1]}, [("hours", "must be a number")]),
        ({"to": "x", "count": 1.5}, [("count", "must be an integer")]),
        ({"to": "x", "reply_to": 1}, [("reply_to", "must be a string")]),
        ({"to": "x", "files": [{}]}, [("files[0].artifactId", "is required")]),
        (
            {"to": "x", "files": [{"artifactId": "A"}]},
            [("files[0].artifactId", "must match ^[a-z]+$")],
        ),
        ({"to": "x", "files": [{"artifactId": "a"}] * 2}, [("files", "must be at most 1 items")]),
        ([], [("payload", "must be an object")]),
    ],
)
def test_problems_name_the_field_and_no_value(data: Any, wrong: list[tuple[str, str]]) -> None:
    assert problems(data, MAIL) == wrong


def test_an_unknown_field_is_reported_with_the_known_ones() -> None:
    [(field, what)] = problems({"to": "x", "sbject": "x"}, MAIL)
    assert field == "sbject"
    assert what.startswith("is not a known field; known are: to, subject, kind")


GOOD: dict[str, dict[str, Any]] = {
    "email": {"to": ["a@example.com"], "template": "welcome", "context": {"name": "Ann"}},
    "webhooks": {
        "url": "https://example.com/",
        "payload": {"event": "x"},
        "eventType": "x.y",
        "secret": "whsec_x",
        "organizationId": "org-1",
    },
    "reports": {"type": "audits", "organizationId": "org-1", "filters": {"a": 1}, "format": "pdf"},
    "data-exports": {"entities": ["audits"], "format": "csv", "organizationId": "org-1"},
    "tenant-onboarding": {"organizationName": "A", "adminEmail": "a@example.com", "adminName": "A"},
    "cleanup": {"completedHours": 1.5},
}


@pytest.mark.parametrize("queue", sorted(QUEUES))
def test_good_payloads_of_every_queue_pass(queue: str) -> None:
    info = QUEUES[queue].describe()
    schema = info.task(None).schema
    assert schema is not None
    assert problems(GOOD[queue], schema) == []
    assert problems({**GOOD[queue], "mispelled": 1}, schema)[0][0] == "mispelled"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(a+)+$"},
        {"type": "string", "pattern": "^(a|aa)+$"},
        {"type": "string", "pattern": "(.*)(.*)(.*)(.*)x"},
        {"$ref": "#"},
        {
            "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}},
            "$ref": "#/$defs/a",
        },
    ],
    ids=str,
)
def test_a_schema_that_would_take_forever_is_left_to_the_worker(schema: dict[str, Any]) -> None:
    """Without a bound each takes longer than any test may."""
    assert problems("a" * 5_000 + "!", schema) == []


def test_a_payload_that_branches_without_end_is_left_to_the_worker() -> None:
    tree: dict[str, Any] = {"type": "array", "items": {"$ref": "#"}}
    schema = {"anyOf": [tree, {**tree, "minItems": 1}, {**tree, "maxItems": 9}, {"type": "string"}]}
    payload: Any = 1
    for _ in range(60):
        payload = [payload, payload]
    assert problems(payload, schema) == []


def test_words_that_are_not_known_refuse_nothing() -> None:
    schema = {
        "not": {"type": "object"},
        "if": {},
        "then": False,
        "format": "email",
        "type": "thing",
        "propertyNames": {"pattern": "^b"},
        "uniqueItems": True,
        "$ref": "https://example.com/x",
        "enum": "a",
        "required": "b",
        "properties": 5,
        "minimum": "5",
        "pattern": 5,
    }
    for data in ({"a": 1}, [1, 1], "x", 3, None):
        assert problems(data, schema) == []


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"a": 1, "s-1": "x"}, []),
        ({"a": 1, "t": "x"}, [("t", "is not a known field; known are: a, b")]),
        ({"a": 2}, [("a", "must be 1")]),
        ({"a": 1, "b": [1, "x", True]}, []),
        ({"a": 1, "b": [[], "x"]}, [("b[0]", "must be an integer")]),
        (
            {"a": 1, "b": ["x", "x", 5]},
            [("b[0]", "must be an integer"), ("b[2]", "must be a boolean or null")],
        ),
        ({}, [("a", "is required"), ("payload", "must be at least 1 fields")]),
    ],
)
def test_other_words(data: Any, wrong: list[tuple[str, str]]) -> None:
    schema = {
        "allOf": [{"required": ["a"]}, {"minProperties": 1}],
        "additionalProperties": False,
        "patternProperties": {"^s-": {}},
        "properties": {
            "a": {"const": 1},
            "b": {
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "items": {"type": ["boolean", "null"]},
            },
        },
    }
    assert problems(data, schema) == wrong


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, 1),
        ({"type": "number", "minimum": 2.5}, 2.5),
        ({"type": "string", "examples": ["ann"], "minLength": 3}, "ann"),
        ({"type": "string", "enum": ["bob"]}, "bob"),
        ({"const": "fixed"}, "fixed"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({"anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}]}, {"count": 0}),
        ({"type": ["string", "null"]}, ""),
        (True, ""),
    ],
)
def test_a_sample_has_the_required_fields_and_is_accepted(part: Any, expected: Any) -> None:
    line = {
        "type": "object",
        "required": ["count"],
        "properties": {"count": {"type": "integer"}, "note": {"type": "string"}},
    }
    schema = {
        "required": ["it"],
        "properties": {"it": part, "other": part},
        "$defs": {"Line": line},
    }
    assert sample(schema) == {"it": expected}
    assert problems(sample(schema), schema) == []


def test_a_sample_of_a_schema_that_refers_to_itself_ends() -> None:
    tree = {"required": ["child"], "properties": {"child": {"$ref": "#"}}, "type": "object"}
    assert problems({"child": {}}, tree) != []
    assert "child" in sample(tree)


@pytest.mark.parametrize("parser", [None, SimpleNamespace(parse=lambda pattern: "another form")])
def test_without_the_private_parser_patterns_are_left_to_the_worker(
    monkeypatch: pytest.MonkeyPatch, parser: Any
) -> None:
    schema = {"type": "string", "pattern": "^[a-z]+$"}
    patterns._read.cache_clear()
    assert problems("5", schema) != []
    patterns._read.cache_clear()
    monkeypatch.setattr(patterns, "parser", parser)
    assert patterns.cost("^[a-z]+$", 1) == math.inf
    assert problems("5", schema) == []
    patterns._read.cache_clear()


def test_the_engine_parses_patterns_in_the_form_that_is_read_here() -> None:
    assert patterns.cost("^[a-z]+$", 100) < 10_000
    assert patterns.cost("^(a+)+$", 100) == math.inf

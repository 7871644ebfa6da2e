"""The schemas of payloads against the models, for each queue and in both directions.

The registry's schema may refuse only what the model refuses (a form must not stand in the way);
what the OpenAPI document describes the model must accept (a client that follows it is served).
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, assume, given, settings

import huey_config
from hsejobs.control.schema import problems
from hsejobs.described import document_schema
from hsejobs.errors import InvalidInput, InvalidPayload
from hsejobs.model import check_organization
from hsejobs.services.mail.render import render, template_names, template_variables
from hsejobs.settings import load_settings
from hsejobs_http.openapi_routes import without_options
from tasks.shared.examples import EXAMPLES
from tests.http.fuzz_hooks import filter_body

MAIL = without_options(EXAMPLES["email"])
STARTS: dict[str, list[dict[str, Any]]] = {
    name: [without_options(example)] for name, example in EXAMPLES.items()
}
STARTS["email"] += [
    {"to": ["a@example.com"], "template": "welcome", "context": {"name": "Ann"}},
    {
        **MAIL,
        "cc": None,
        "bcc": [],
        "replyTo": "A B <a@b.example>",
        "from": "a@hse.digital",
        "attachments": [{"artifactId": "5fa0c17be94d3286" * 2, "filename": "a.pdf"}],
    },
    {
        **MAIL,
        "to": {"name": "Doe, Ann", "address": "a@b.example"},
        "cc": [{"address": "c@d.example"}],
        "replyTo": ["A B <a@b.example>", {"name": None, "address": "c@d.example"}],
        "from": {"name": "HSE", "address": "a@hse.digital"},
    },
    {"to": "a@b.c", "template": "tenant-welcome", "context": {"name": ["x"], "organization": 7}},
]
STARTS["reports"] += [
    {"type": "incidents", "filters": {"severity": ["High"], "startDate": "2026-01-31"}},
    {"type": "compliance", "filters": {"endDate": "2026-01-31T08:00:00Z", "stationId": "s-1"}},
]
STARTS["webhooks"] += [
    {**STARTS["webhooks"][0], "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    {**STARTS["webhooks"][0], "secret": "whsec_YQ==", "url": "http://localhost.example:8080/?a#b"},
]
STARTS["tenant-onboarding"] += [
    {**STARTS["tenant-onboarding"][0], "stripeCustomerId": "cus_1", "stripeSubscriptionId": "sub_1"}
]
#: Values that people and programs put into fields; each is accepted or refused by some rule.
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    2**53,
    1e300,
    "",
    " ",
    "x",
    " x ",
    "x" * 201,
    "a\nb",
    "a\u2028b",
    "\u200b",
    "\ufeff",
    "\u202e",
    "\x85",
    "\u00df" * 200,
    "\ufb03" * 200,
    "\u65e5\u672c",
    "\U0001d4e3\U0001d4f1\U0001d4ee",
    "\u0378",
    "a@b",
    "a@b.c",
    " a@b.c ",
    "a@b.c\n",
    "A <a@b.c>",
    '"A, B" <a@b.c>',
    "a@b.c, d@e.f",
    "a@1.2.3.4",
    "a@b.7",
    "a@-b.c",
    "a..b@c.d",
    "a@xn--mnchen-3ya.de",
    "j\u00f6rg@m\u00fcnchen.de",
    "a" * 65 + "@b.c",
    "a@" + "b" * 64 + ".c",
    "@b.c",
    "a@",
    "https://a.example/",
    "HTTP://A.EXAMPLE:80/?x#y",
    "http://a",
    "http://a:0/",
    "http://a:65536/",
    "http://127.0.0.1:9/x",
    "http://[::1]/",
    "http://u:p@a.example/",
    "http://a b/",
    "ftp://a/",
    "https://m\u00fcnchen.de/\u00fc?\u00df",
    "http://a.example/\u00a0",
    "http://1.2.3/",
    "//a",
    "cus_1",
    "cus_",
    "sub_1\n",
    "audits",
    "Completed",
    "completed",
    "2026-02-30",
    "2026-02-28",
    "2026-01-31T08:00:00Z",
    "welcome",
    "2026-01-31T08:00:60Z",
    "9999-12-31T23:59:59-13:00",
    "csv",
    "pdf",
    "free",
    "gold",
    "test.event",
    " e ",
    "e" * 200,
    "e" * 201,
    [],
    {},
    [1],
    ["a@b.c"],
    ["a@b.c"] * 50,
    ["a@b.c"] * 51,
    ["stations"],
    ["stations", "stations"],
    ["users", "audits"],
    ["High", "Low"],
    {"name": "Ann"},
    {"name": 1},
    {"name": "a\nb"},
    {"status": "Open"},
    {"status": []},
    {"no": 1},
    {"a": {"b": [2**60]}},
    {"a": [2**53, -(2**53)]},
    {"a": 2**53 + 1},
    {"a": -(2**53) - 1},
    {"a": 10**20},
    {"a": 1e20},
    {"startDate": "2026-02-01", "endDate": "2026-01-31"},
    {"stationId": "a\u200b"},
    {"name": "A", "address": "a@b.c"},
    {"address": "a@hse.digital"},
    {"name": "A <a@b.c>"},
    {"address": "A <a@b.c>"},
    {"name": "a\nb", "address": "a@b.c"},
    {"name": "\\", "address": "a@b.c"},
    {"name": 'A "B" <c@d.e>, ', "address": "a@hse.digital"},
    {"name": " ", "address": "a@b.c"},
    {"name": "x" * 201, "address": "a@b.c"},
    {"name": "\U0001d4e3" * 190, "address": "a@b.c"},
    {"name": "A", "address": "a@b.c", "other": 1},
    ["a@b.c, d@e.f", {"address": "a@b.c"}],
    [{"address": "nobody"}],
    "A, B <a@hse.digital>",
    "a@b.c;",
    "x" * 998,
    "x" * 999,
    " " * 9,
    "whsec_",
    "whsec_YQ==",
    "whsec_YQ",
    "whsec_Y",
    "whsec_YQ=",
    "whsec_a b",
    "Whsec_!",
    "whsec_" + "YWFh" * 240,
    "whsec_YWFhYW==",
    "whsec_YWFh\n",
    "whsec_\u00e9",
    "http://localhost/",
    "http://a.LocalHost:8/",
    "http://localhost.a/",
    "https://127.1/",
    "http://10.0.0.1/",
    "http://localhost./",
    "http://8.8.8.8/",
    {"name": "x" * 999},
    {"name": ""},
    {"name": None},
    {"name": ["x"]},
    {"title": "x" * 500, "organization": 1},
    [{"artifactId": "a"}],
    [{"artifactId": ".a"}],
    [{"artifactId": "a", "filename": ""}],
]


class Queue:
    """A queue's model and the two schemas that describe it."""

    def __init__(self, name: str) -> None:
        huey = huey_config.QUEUES[name]
        self.task = huey.describe().task(None)
        self.wrapper = huey.wrappers[self.task.name]
        chosen = load_settings({"SMTP_FROM_ALLOWED": "hse.digital"})
        document = document_schema(self.wrapper.model, chosen)
        self.schema = document
        self.fields = sorted(document["properties"])
        self.document = jsonschema_rs.validator_for(document, validate_formats=True)
        self.forms: dict[str, Any] = self.task.schema or {}
        self.form = jsonschema_rs.validator_for(self.forms)

    def accepts(self, payload: dict[str, Any]) -> bool:
        try:
            data = self.wrapper.data_of(payload)
            for name in ("organizationId", "userId"):
                check_organization(data.get(name), name)
        except InvalidInput:
            return False
        return True


#: Payloads of several changes, for each queue.
MIXED = 500


def changed(name: str, fields: list[str]) -> Iterator[dict[str, Any]]:
    """Each value in each field of some start, then several changes at once, which differ in each run."""
    starts = cycle(STARTS[name])
    for field in fields:
        for value in VALUES:
            yield {**next(starts), field: value}
    for _ in range(MIXED):
        payload = dict(next(starts))
        for field in random.sample(fields, random.randrange(3)):
            payload.pop(field, None)
        for field in random.sample(fields, random.randrange(1, 4)):
            payload[field] = random.choice(VALUES)
        yield payload


@pytest.mark.parametrize("name", sorted(huey_config.QUEUES))
def test_schemas_and_models_agree(name: str) -> None:
    queue = Queue(name)
    verdicts: set[tuple[bool, bool, bool]] = set()
    for payload in changed(name, [*queue.fields, "other"]):
        # The one rule that JSON Schema cannot express without listing every way to share fifty.
        lists = [payload.get(field) for field in ("to", "cc", "bcc")]
        if sum(len(one) for one in lists if isinstance(one, list)) >= 48:
            continue
        accepted = queue.accepts(copy.deepcopy(payload))
        described, form = queue.document.is_valid(payload), queue.form.is_valid(payload)
        verdicts.add((accepted, described, form))
        shown = json.dumps(payload)
        assert accepted or not described, f"described, but refused: {shown}"
        assert form or not accepted, f"accepted, but the registry's schema refuses it: {shown}"
        found = problems(payload, queue.forms)
        assert not found or not accepted, f"accepted, but a form refuses it: {found} {shown}"
    assert {(True, True, True), (False, False, False)} <= verdicts


#: How many bodies are generated from the schema of each queue: this many take a second or two.
GENERATED = 30


@pytest.mark.parametrize("name", sorted(huey_config.QUEUES))
def test_what_the_document_describes_is_accepted(name: str) -> None:
    """Payloads that the fuzzer's own generator makes from the document."""
    queue = Queue(name)
    moved = json.loads(json.dumps(queue.schema).replace("#/$defs/", "#/components/schemas/"))
    operation = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": moved}},
        },
        "responses": {"200": {"description": "accepted"}},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": name, "version": "1"},
        "paths": {"/": {"post": operation}},
        "components": {"schemas": moved.pop("$defs", {})},
    }
    import schemathesis

    schema: Any = schemathesis.openapi.from_dict(document)

    @given(case=schema["/"]["post"].as_strategy())
    @settings(max_examples=GENERATED, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        assume(filter_body(None, case.body))
        payload = json.loads(json.dumps(case.body))
        assert queue.accepts(payload), f"described, but refused: {json.dumps(payload)}"

    check()


#: Payloads that no generator finds in the time of a test, and that the document once described.
ONCE_DESCRIBED: dict[str, list[dict[str, Any]]] = {
    "email": [
        {"to": "a@b.c", "template": "welcome", "context": {"name": ["x" * 990]}},
        {"to": "a@b.c", "template": "welcome", "context": {"name": {"x": 1}}},
        {**MAIL, "replyTo": ["a@b.c"] * 51},
    ],
    "reports": [{"type": "audits", "filters": {"startDate": "0000-02-28"}}],
}


@pytest.mark.parametrize("name", sorted(ONCE_DESCRIBED))
def test_refused_payloads_are_not_described(name: str) -> None:
    queue = Queue(name)
    for payload in ONCE_DESCRIBED[name]:
        assert not queue.document.is_valid(payload), payload
        assert not queue.accepts(payload), payload


def test_values_of_a_subject_are_text_numbers_and_booleans() -> None:
    queue = Queue("email")
    for value in ("Ann", 7, 1.5, True, None):
        payload = {"to": "a@b.c", "template": "welcome", "context": {"name": value}}
        assert queue.document.is_valid(payload), value
        assert queue.accepts(payload), value
    with pytest.raises(InvalidPayload, match=r"context\.name: is used in the subject"):
        queue.wrapper.data_of({"to": "a@b.c", "template": "welcome", "context": {"name": []}})


@pytest.mark.parametrize("name", sorted(huey_config.QUEUES))
def test_each_start_is_described_and_accepted(name: str) -> None:
    queue = Queue(name)
    for start in STARTS[name]:
        queue.document.validate(start)
        queue.form.validate(start)
        assert queue.accepts(start)


def test_a_template_needs_what_the_document_says() -> None:
    assert set(template_variables()) == set(template_names())
    for name, known in template_variables().items():
        assert render(name, dict.fromkeys(known.needed, "x"))
        assert render(name, {key: ["x"] for key in [*known.needed, *known.possible]})
        for one in known.needed:
            with pytest.raises(InvalidInput, match=one):
                render(name, dict.fromkeys({*known.needed} - {one}, "x"))
    assert template_variables()["report-ready"].subject == {"title", "organization"}


def test_a_form_describes_the_contents_of_a_mail() -> None:
    queue = Queue("email")
    assert problems({"to": "a@b.c"}, queue.forms) == [
        ("payload", "must have html, text or template")
    ]
    told = dict(problems({"to": "nobody", "text": "x"}, queue.forms))
    assert told == {
        "to": "must be a mail address: user@example.com or A Name <user@example.com>; separate"
        " several with commas"
    }

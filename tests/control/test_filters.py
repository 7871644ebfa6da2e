"""The filter grammar: what a line means, what it finds, and what is refused."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsejobs.control.filters import FIELDS, PATTERN, PATTERN_OF_ACT, Filter, parse
from hsejobs.control.moments import EXPECTED, parse_moment
from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord, State

NOW = 1_800_000_000_000
HOUR = 3_600_000
JOB = JobRecord(
    id="a-1",
    queue="q",
    name="tasks.email.send_email",
    status=State.FAILED,
    organization_id="org-7",
    user_id="ann",
    priority=2,
    attempts_made=3,
    attempts=5,
    backoff=0,
    timeout=0,
    created_at=NOW - 5 * HOUR,
    finished_at=NOW - HOUR // 2,
    stalls=1,
    request_id="req-7F+a=b",
    code="timeout",
    errors=({"error": "Timeout: read\nof 30 s"},),
    data={
        "to": ["ann@example.com", "bob@example.com"],
        "n": 7,
        "user": {"name": "Ann B"},
        "x": None,
    },
)


def found(text: str, **other: Any) -> bool:
    return parse(text, NOW).matches(replace(JOB, **other))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "error~timeout org=org-7 since=1h",
        "TIMEOUT",
        "ann@example.com",
        "id=a-1",
        "id~A-",
        "name=send_email name=tasks.email.send_email name~email",
        'error="Timeout: read" error~"of 30" error!=timeout',
        "code=TIMEOUT user=ann priority=2 attempts=3 stalls=1",
        "priority!=3",
        "data.to=ann@example.com data.to=bob@example.com data.to~@example",
        "data.n=7 data.user.name~ann data.x=null data~example",
        'data.user.name="ann b"',
        "data.to!=eve@example.com data.gone!~x",
        "since=2027-01-15T07:29:59Z until=2027-01-15T07:30:00.001+00:00",
        "since=2027-01-15 until=90s",
        'since=00:10 since="yesterday 14:00" until=07:31 until=now',
        "org!=org-70 org!~eu",
        "request=req-7F+a=b request~REQ-7f request!=req-7 request!~x",
        '"req-7f+a=b"',
    ],
)
def test_what_matches(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "text",
    [
        "org=org-70",
        "org=org",
        "org=ORG-7",
        "org!=org-7",
        "request=req-7f+a=b",
        "request=req-7F",
        "request~req-8",
        "req-7f",
        "id=a",
        "name=email",
        "error=timeout",
        "data.n=70",
        "data.n=1",
        "data.to=ann",
        "data.to.name=ann",
        "data.user=ann",
        "since=29m",
        "until=30m",
        "since=2027-01-16",
        "attempts=5",
        "timeout nowhere",
        "error!~timeout",
    ],
)
def test_what_does_not_match(text: str) -> None:
    assert not found(text)


def test_a_job_that_has_not_ended_is_as_old_as_its_adding() -> None:
    waiting: dict[str, Any] = {"status": State.WAITING, "finished_at": None}
    assert found("until=4h since=5h", **waiting)
    assert not found("since=4h", **waiting)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("org-7 orgg=org-7", "the unknown field orgg; use id, name, error"),
        ("foo~bar", "the unknown field foo"),
        ("c2VjcmV0MTIz==", "an unknown field; use"),
        ("organizationId=x", "the unknown field organizationId"),
        ("größe=3", "the unknown field größe; use id, name, error"),
        ("поле~1", "the unknown field поле; use"),
        ("tries2!=5", "the unknown field tries2; use"),
        ("a.b=1", "the unknown field a.b; use"),
        ("Org=1", "the unknown field Org; use"),
        ("→=1", "an unknown field; use"),
        ("SGVsbG8=", "an unknown field; use"),
        ("org=", "without a value"),
        ("data.=x", "without a name"),
        ('error~"timed out', "unclosed quote"),
        ("priority=high", "whole number after priority="),
        ("priority~2", "wrong operator after priority; use = or !="),
        ("since!=1h", "wrong operator after since; use ="),
        ("since=yesterday", f"needs {EXPECTED} after since="),
        ("until=2026", f"needs {EXPECTED} after until="),
        ("until=20260131", f"needs {EXPECTED} after until="),
        ("since=99999d", f"needs {EXPECTED} after since="),
        ("x" * 2001, "at most 2,000 characters"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        parse(text, NOW)
    [(field, message)] = refused.value.problems
    assert field == "where"
    assert problem in message


MOMENTS = (
    "now 90s 1.5h -3h 2027-01-01 2027-01-01T08:00Z 20270101T080000Z 03:05 today_03:05"
    " yesterday_14:00:01 2027-01-01_08:00 0 30 2026 20260131 yesterday 24:00 99999d 2027-13-01 x"
)


@pytest.mark.parametrize("moment", [one.replace("_", " ") for one in MOMENTS.split()])
def test_filters_take_the_moments_of_all_other_doors(moment: str) -> None:
    def value(parse_one: Callable[[], int]) -> int | str:
        try:
            return parse_one()
        except InvalidOption as error:
            return str(EXPECTED in str(error))

    want = value(lambda: parse_moment(moment, NOW, "since"))
    # The pattern has the plain forms, and nothing that is refused.
    plain = moment not in ("1.5h", "20270101T080000Z") and want != "True"
    assert " " in moment or bool(re.search(PATTERN, f"since={moment}")) is plain
    assert value(lambda: parse(f'since="{moment}"', NOW).since) == want != "False"


def test_an_unknown_field_lists_the_fields_and_repeats_no_value() -> None:
    with pytest.raises(InvalidOption) as refused:
        parse("passwort=hunter2", NOW)
    assert "hunter2" not in str(refused.value)
    assert all(field in str(refused.value) for field in FIELDS)


def test_urls_and_quoted_text_are_words() -> None:
    """A field is made like a name; what is made otherwise, or is in quotes, is a word."""
    texts = ["https://x.example/?a=b", "a=b~c", "größe=3", "2x=4", "a/b=1", "a[0]=1", "=SUM(a1)"]
    job = {"data": {"texts": texts}}
    for text in texts:
        assert found(f'"{text}"', **job)
    for text in ("https://x.example/?a=b", "2x=4", "a/b=1", "a[0]=1", "=SUM(a1)", 'größe"=3"'):
        assert found(text, **job), text
    assert not found('"a=c"', **job)


def test_what_a_reader_may_skip() -> None:
    wanted = parse("org=org-7 since=1h since=2h error~x data.n=7", NOW)
    assert (wanted.organization_id, wanted.since, wanted.needs_payload) == (
        "org-7",
        NOW - HOUR,
        True,
    )
    assert wanted.may_match(replace(JOB, data=None, errors=()))
    assert not wanted.may_match(replace(JOB, organization_id="org-8"))
    assert (Filter().organization_id, Filter().since, Filter().needs_payload) == (None, 0, False)
    assert parse("org!=a org~b until=1h").organization_id is None


def test_the_pattern_for_other_programs_is_the_grammar() -> None:
    fields = ["id", "data", "data.x", "data.", "error", "code", "priority=3", "since=2h"]
    words = [*fields, *"~=!.-aé=/2→[", "!=", "data.größe", "größe", '"', '""', " ", " ", "\n"]
    chosen, pattern, of_act = random.Random(1), re.compile(PATTERN), re.compile(PATTERN_OF_ACT)
    seen = set()
    for _ in range(20_000):
        text = "".join(chosen.choices(words, k=chosen.randint(0, 7)))
        try:
            parse(text, NOW)
            valid = True
        except InvalidOption as error:
            if "whole number" in str(error) or "duration" in str(error):
                continue
            valid = False
        if re.search("priority=3|since=2h", text) and valid:
            continue  # of numbers and times, the pattern has only the plain forms
        assert bool(pattern.search(text)) is valid, text
        if of_act.search(text):
            assert valid, text
            assert parse(text, NOW).terms, text
        seen.add(valid)
    assert seen == {True, False}
    assert of_act.search('error~timeout "a b" since=1h')

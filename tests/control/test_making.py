"""One making of jobs: the same rules hold for a job at every door."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.control import making, options, schedules, sealing
from hsejobs.errors import InvalidJobId, InvalidOption, InvalidPayload, PayloadTooLarge
from hsejobs.masking import SEALED
from hsejobs.store.write import NewJob
from hsejobs_tui.core import compose
from tests.control.conftest import MAIL

SEND = making.described(MAIL, MAIL.task(None))
OTHER = making.described(MAIL, MAIL.task("other"))


def held(new: NewJob) -> tuple[int, ...]:
    return new.priority, new.attempts, new.backoff, new.timeout, new.delay


def test_a_task_s_own_options_hold_at_every_door() -> None:
    written = compose.new_job(
        MAIL, MAIL.task(None), '{"to": "ann"}', organization_id=None, sealed=False
    )
    assert held(written) == held(making.make(SEND, {"to": "ann"})) == (2, 1, 70, 5000, 0)
    assert held(schedules.new_run(MAIL, MAIL.schedules[0])) == (3, 1, 5000, 7000, 0)
    # A description of a release that did not list its schedules' tasks: the queue's own.
    assert held(schedules.new_run(MAIL, MAIL.schedules[1])) == (3, 3, 5000, 60_000, 0)


def test_what_the_add_asks_for_comes_first() -> None:
    asked = options.in_seconds(priority=5, attempts=9, backoff=0, timeout=0.5, delay=1.5)
    assert held(making.make(SEND, {"to": "ann"}, asked)) == (5, 9, 0, 500, 1500)


@pytest.mark.parametrize(
    "asked",
    [
        {"priority": 0},
        {"priority": True},
        {"attempts": 0},
        {"attempts": 1.5},
        {"backoff": -1},
        {"timeout": 0},
        {"delay": math.nan},
        {"delay": "1"},
        {"timeout": 10**9},
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(asked: dict[str, Any]) -> None:
    (name,) = asked
    with pytest.raises(InvalidOption, match=rf"^{name}: "):
        options.in_seconds(**asked)


def test_a_new_job_is_complete_and_cannot_be_changed() -> None:
    new = making.make(SEND, {"to": "ann"}, job_id="a", nonce="n", trace="t", role="member")
    assert (new.id, new.nonce, new.trace, new.role) == ("a", "n", "t", "member")
    for name in NewJob._fields:
        with pytest.raises(AttributeError):
            setattr(new, name, "else")


def test_ids_and_nonces() -> None:
    own = making.make(SEND, {"to": "ann"})
    given = making.make(SEND, {"to": "ann"}, job_id="welcome-42")
    assert (own.nonce, given.id, len(given.nonce)) == ("", "welcome-42", 11)
    assert own.id != making.make(SEND, {"to": "ann"}).id
    for wrong in ("sys:x", "periodic:x", "a b", ""):
        with pytest.raises(InvalidJobId):
            making.make(SEND, {"to": "ann"}, job_id=wrong)
    assert making.make(SEND, {"to": "ann"}, job_id="sys:x", internal=True).id == "sys:x"


class Running:
    organization_id, user_id, trace = "parents", "parents-user", "request-1"

    def family(self, organization_id: str | None) -> str:
        return f"queue/parent for {organization_id}"


@pytest.mark.parametrize(
    ("given", "payload", "parent", "found"),
    [
        ({}, {}, None, (None, None)),
        ({}, {"organizationId": "o", "userId": "u"}, None, ("o", "u")),
        ({}, {"organization_id": "o", "user_id": "u"}, None, ("o", "u")),
        ({}, {"organizationId": "", "userId": None}, None, (None, None)),
        ({}, {"organizationId": 5}, None, (None, None)),
        ({"organization_id": "g"}, {"organizationId": "o", "userId": "u"}, None, ("g", "u")),
        ({}, {"organizationId": "o"}, Running(), ("o", "parents-user")),
        ({"user_id": "g"}, {}, Running(), ("parents", "g")),
    ],
)
def test_whose_a_job_is(given: Any, payload: Any, parent: Any, found: Any) -> None:
    new = making.make(OTHER, payload, parent=parent, **given)
    assert (new.organization_id, new.user_id) == found
    assert new.trace == ("" if parent is None else "request-1")
    assert new.family == ("" if parent is None else f"queue/parent for {found[0]}")


def test_an_owner_that_cannot_be_is_named_as_it_was_written() -> None:
    for payload in ({"organizationId": "\n"}, {"organization_id": "\n"}):
        (name,) = payload
        with pytest.raises(InvalidOption, match=f"^{name}: "):
            making.make(OTHER, payload)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({}, "to: is required"),
        ([], "payload: must be a JSON object"),
        ({"to": 5}, "to: must be a string"),
        ({"to": "a", "lines": [{"n": 1}, {}]}, "lines[1].n: is required"),
        ({"to": "a", "subject": ""}, "subject: is not a known field; known are: to, lines"),
    ],
)
def test_a_payload_is_checked_whole_where_its_code_is_elsewhere(payload: Any, says: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        making.make(SEND, payload)
    assert str(caught.value).startswith(says)


def test_a_task_without_a_schema_takes_any_json_and_nothing_else() -> None:
    assert making.make(OTHER, {"a": 1}).signature == making.PLAIN
    listed = making.make(OTHER, [1])
    assert (listed.signature, listed.payload) == (making.VALUE, b"[1]")
    deep: Any = 0
    for _ in range(codec.DEEPEST + 1):
        deep = [deep]
    for value in (math.inf, {1, 2}, deep, {"a": object()}):
        with pytest.raises(InvalidPayload):
            making.make(OTHER, value)
    with pytest.raises(PayloadTooLarge):
        making.make(OTHER, "x" * 102_400)


def test_a_schedule_s_task_takes_nothing() -> None:
    target = making.described(MAIL, MAIL.task("nightly"))
    for nothing in (None, {}, making.NOTHING):
        new = making.make(target, nothing)
        assert (codec.loads(new.payload), new.signature) == (making.NOTHING, making.ARGUMENTS)
    with pytest.raises(InvalidPayload, match=r"^payload: must be left out or empty"):
        making.make(target, {"a": 1})


def test_secrets_are_sealed_where_there_is_a_key() -> None:
    payload = {"to": "ann", "apiKey": "k1", "lines": [{"n": 1, "password": "p1"}]}
    assert codec.loads(making.make(SEND, payload).payload) == payload
    target = making.described(MAIL, MAIL.task(None), "a-key-of-ours")
    assert "a-key-of-ours" not in repr(target)
    new = making.make(target, payload)
    stored = codec.loads(new.payload)
    assert list(stored["apiKey"]) == list(stored["lines"][0]["password"]) == [SEALED]
    assert b'"k1' not in new.payload
    assert b'"p1' not in new.payload
    assert sealing.unseal(stored, ["a-key-of-ours"]) == payload


def test_all_payloads_are_checked_before_a_job_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left to do after the check may overlap with the sending; the check may not."""
    numbers, made = iter(range(10)), list[Any]()
    monkeypatch.setattr(
        making, "new_job_ids", lambda number: [f"made-{next(numbers)}" for _ in range(number)]
    )
    with pytest.raises(InvalidPayload, match=r"^to: "):
        making.make_many(SEND, [{"to": "ann"}, {"to": "bob"}, {"to": 3}])
    with pytest.raises(PayloadTooLarge):
        making.make_many(SEND, [{"to": "ann"}, {"to": "b" * 200_000}])
    with pytest.raises(InvalidJobId):
        making.make_many(SEND, [{"to": "ann"}, {"to": "bob"}], ids=["one", "not one"])
    payload = {"to": "ann"}
    jobs = making.make_many(SEND, [payload, {"to": "bob"}, {"to": "eve"}])
    payload["to"] = "changed after the check"
    assert next(numbers) == 0
    assert len(jobs) == 3
    assert next(iter(jobs)).id == "made-1"
    # Each is made once, however often they are read.
    assert [one.id for one in jobs] == [one.id for one in jobs] == ["made-1", "made-2", "made-3"]
    assert next(numbers) == 4
    assert [codec.loads(one.payload)["to"] for one in jobs] == ["ann", "bob", "eve"]
    assert (jobs[-1].id, [one.id for one in jobs[:2]]) == ("made-3", ["made-1", "made-2"])

    def seal(data: Any) -> Any:
        made.append(data)
        return data

    sealed = SEND._replace(seal=seal)
    one_by_one = iter(making.make_many(sealed, [{"to": "ann"}, {"to": "bob"}]))
    assert made == []
    assert next(one_by_one).payload == b'{"to":"ann"}'
    assert made == [{"to": "ann"}]

"""What an add refuses: each with the name of the option, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsejobs.client import Client
from hsejobs.engine import JobFailed, JobHuey, runtime
from hsejobs.errors import InvalidOption, InvalidPayload
from tests.engine import jobs
from tests.engine.conftest import Consumer, counts


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 10**400},
        {"delay": float("nan")},
        {"timeout": 0},
        {"backoff": -1},
        {"organization_id": ""},
        {"organization_id": 0},
        {"user_id": ""},
        {"priority": 9},
        {"attempts": True},
    ],
    ids=str,
)
def test_a_bad_option_is_named(trial: Path, options: dict[str, Any]) -> None:
    (name,) = options
    for add in (jobs.echo.add, lambda payload, **given: jobs.echo.add_many([payload], **given)):
        with pytest.raises(InvalidOption, match=rf"^{name}: "):
            add({}, **options)
    assert sum(counts().values()) == 0


@pytest.mark.parametrize("ids", [["one"], ["one", "two", "three"], "ab", []])
def test_ids_of_a_bulk_add_are_one_for_each_payload(trial: Path, ids: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^ids: "):
        jobs.echo.add_many(({"n": n} for n in range(2)), ids=ids)
    assert sum(counts().values()) == 0
    assert [job.id for job in jobs.echo.add_many([{}, {}], ids=iter(["one", "two"]))] == [
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    "options",
    [{"workers": "greenlets"}, {"concurrency": 0}, {"concurrency": "5"}, {"enqueue": "boss"}],
    ids=str,
)
def test_a_queue_that_cannot_be_is_refused_where_it_is_written(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidOption, match=rf"^{name}: "):
        JobHuey("never", **options)


def test_a_model_and_no_payload_at_all_are_given_as_the_function_takes_them(
    consumer: Callable[..., Consumer],
) -> None:
    consumer("-k", "thread", "-w", "1")
    assert jobs.pay(jobs.Amount(cents=3), 2).get(blocking=True, timeout=20) == 6
    untyped: Any = jobs.pay
    assert untyped({"cents": 3}, times=3).get(blocking=True, timeout=20) == 9
    with pytest.raises(InvalidPayload, match=r"^cents: "):
        untyped({"cents": "many"}, 2)
    assert jobs.nothing.add().wait(20) == "done"
    assert jobs.nothing.add({}).wait(20) == "done"
    with pytest.raises(
        InvalidPayload, match=r"^payload: must be left out: this task takes no payload"
    ):
        jobs.nothing.add({"n": 1})


def test_a_decorator_takes_precedence_over_the_queue_but_not_the_variables(
    trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(job: Any) -> tuple[int, ...]:
        seen = runtime.runtime().reader.job("trial", job.id)
        return seen.priority, seen.attempts, seen.backoff, seen.timeout

    added: tuple[Callable[..., Any], ...] = (
        lambda **said: jobs.special.add({}, **said),
        lambda **said: jobs.special.add_many([{}], **said)[0],
        lambda **said: Client().add("trial", {}, task="special", **said),
    )
    assert [held(add()) for add in added] == [(1, 5, 2000, 7000)] * 3
    assert held(jobs.special({})) == (1, 5, 2000, 7000)
    assert [held(add(priority=2, attempts=9)) for add in added] == [(2, 9, 2000, 7000)] * 3
    options: dict[str, Any] = {"priority": 2, "retries": 8}
    assert held(jobs.special({}, **options)) == (2, 9, 2000, 7000)
    monkeypatch.setenv("QUEUE_TRIAL_ATTEMPTS", "7")
    monkeypatch.setenv("QUEUE_MAX_RETRIES", "8")
    runtime.reset_runtime()
    jobs.huey.register(again=True)
    assert [held(add()) for add in added] == [(1, 7, 2000, 7000)] * 3
    assert held(jobs.special({})) == (1, 7, 2000, 7000)


def test_expires_of_a_decorator_holds_for_added_jobs(
    consumer: Callable[..., Consumer], trial: Path
) -> None:
    late = jobs.special.add({}, delay=0.5)
    many = jobs.special.add_many([{}], delay=0.5)
    consumer("-k", "thread", "-w", "1")
    for job in (late, *many):
        with pytest.raises(JobFailed) as caught:
            job.wait(20)
        assert caught.value.failure_code == "expired"
    assert "special" not in trial.read_text()


def test_a_decorator_is_checked_where_it_is_written() -> None:
    with pytest.raises(InvalidOption, match=r"^attempts: "):
        jobs.huey.task(retries=-1)(lambda payload: payload)


def test_the_payload_names_the_owner_for_every_way_to_add(trial: Path) -> None:
    payload = {"organizationId": "org-1", "userId": "user-1"}
    for made in (jobs.echo.add(payload), jobs.echo(payload), *jobs.echo.add_many([payload])):
        seen = runtime.runtime().reader.job("trial", made.id)
        assert (seen.organization_id, seen.user_id) == ("org-1", "user-1")

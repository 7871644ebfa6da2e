"""What an add refuses: each with the name of the option, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine import JobHuey
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
    assert jobs.pay({"cents": 3}, times=3).get(blocking=True, timeout=20) == 9
    with pytest.raises(InvalidPayload, match=r"^cents: "):
        jobs.pay({"cents": "many"}, 2)
    assert jobs.nothing.add().wait(20) == "done"
    assert jobs.nothing.add({}).wait(20) == "done"
    with pytest.raises(InvalidPayload, match=r"^payload: this task takes none"):
        jobs.nothing.add({"n": 1})

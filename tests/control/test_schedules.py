"""The list of schedules, and a manual run."""

from __future__ import annotations

import json
from typing import Any

from hsejobs.control import schedules
from tests.control.conftest import MAIL, Place
from tests.support.commands import run_command


def listed(place: Place) -> dict[str, Any]:
    return {one["name"]: one for one in schedules.list_schedules(place.reader, [MAIL])}


def test_a_text_that_cannot_be_understood_hides_no_other(place: Place) -> None:
    found = listed(place)
    assert list(found) == ["nightly", "old", "broken", "code"]
    assert found["broken"] == {
        "name": "broken",
        "queue": "mail",
        "cron": "at noon",
        "next": None,
        "last": None,
        "lastJob": None,
        "outcome": None,
    }
    assert found["code"]["next"] is None
    assert found["nightly"]["next"].endswith("T03:00:00.000Z")
    assert found["old"]["next"].endswith("T04:00:00.000Z")


def test_the_command_lists_them_all_and_runs_one(place: Place) -> None:
    def cli(*words: str) -> str:
        done = run_command(*words)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode()

    shown = {one["name"] for one in json.loads(cli("schedules", "--json"))}
    assert {"nightly", "old", "broken", "code", "hourly_cleanup"} <= shown
    job = place.job(cli("schedules", "run", "nightly").strip())
    assert (job.attempts, job.timeout, job.backoff) == (1, 7000, 5000)


def test_a_manual_run_has_its_own_task_s_options_and_is_the_last(place: Place) -> None:
    added = schedules.run(place.writer, MAIL, MAIL.schedules[0])
    job = place.job(added.id)
    assert added.id.startswith("sys:run:nightly:")
    assert (job.name, job.attempts, job.timeout, job.priority) == ("m.nightly", 1, 7000, 3)
    assert place.payload(added.id) == {"args": [], "kwargs": {}}
    assert listed(place)["nightly"]["lastJob"] == added.id

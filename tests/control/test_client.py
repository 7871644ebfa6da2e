"""Jobs from programs that do not have the queue's code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from hsejobs import client
from hsejobs.client import Client
from hsejobs.errors import (
    InvalidOption,
    InvalidPayload,
    SettingsError,
    UnknownQueue,
    UnknownTask,
)
from hsejobs.masking import SEALED
from hsejobs.settings import load_settings
from hsejobs.store import registry
from tests.control.conftest import MAIL, Place


def test_a_job_is_added_as_its_queue_describes_it(place: Place) -> None:
    job = Client().add("mail", {"to": "ann", "organizationId": "org-1"}, user_id="u", delay=60)
    seen = job.refresh()
    assert (job.queue, job.created, job.status) == ("mail", True, "delayed")
    assert (seen.name, seen.organization_id, seen.user_id) == ("m.send", "org-1", "u")
    assert (seen.priority, seen.attempts, seen.backoff, seen.timeout) == (2, 1, 70, 5000)
    again = [Client().add("mail", {"to": "ann"}, job_id="once") for _ in range(2)]
    assert [(one.id, one.created) for one in again] == [("once", True), ("once", False)]


def test_many_are_checked_before_the_first_is_added(place: Place) -> None:
    adding = Client()
    with pytest.raises(InvalidPayload, match=r"^to: is required"):
        adding.add_many("mail", [{"to": "a"}, {}])
    for ids in (["a"], "ab"):
        with pytest.raises(InvalidOption, match=r"^ids: "):
            adding.add_many("mail", [{"to": "a"}], ids=[*ids, "b"] if ids == ["a"] else ids)
    assert place.count() == 0
    made = adding.add_many("mail", ({"to": to} for to in "ab"), ids=["a", "b"], priority=1)
    assert [job.id for job in made] == ["a", "b"]
    assert place.job("b").priority == 1


def test_errors_name_what_is_wrong(place: Place) -> None:
    adding = Client()
    with pytest.raises(UnknownQueue, match="known queues: mail"):
        adding.add("post", {})
    with pytest.raises(UnknownTask, match="it has: send, other"):
        adding.add("mail", {}, task="receive")
    with pytest.raises(InvalidOption, match=r"^timeout: "):
        adding.add("mail", {"to": "a"}, timeout=0)
    with pytest.raises(InvalidPayload, match="Object of type set is not JSON"):
        adding.add("mail", {"to": {1}})
    with pytest.raises(SettingsError, match=r"^url: "):
        Client("http://localhost")
    wrong: Any = {"priorty": 1}
    with pytest.raises(TypeError, match="priorty"):
        adding.add("mail", {"to": "a"}, **wrong)


def test_a_description_that_changed_is_read_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    adding = Client()
    adding.add("mail", {"to": "a"})
    registry.save(place.redis, "hsejobs", replace(MAIL, tasks=[replace(MAIL.tasks[0], attempts=7)]))
    monkeypatch.setattr("hsejobs.client.CACHE_SECONDS", 0.0)
    assert adding.add("mail", {"to": "a"}).refresh().attempts == 7


def test_secrets_are_sealed_with_the_environment_s_key(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_SECRET_KEY", "a-secret-key-of-16-or-more")
    job = Client().add("mail", {"to": "ann", "apiKey": "k1"})
    assert list(place.payload(job.id)["apiKey"]) == [SEALED]


def test_a_job_is_cancelled_and_noted(place: Place) -> None:
    job = Client().add("mail", {"to": "ann"})
    record = job.cancel("not today")
    assert (record.status, record.code, job.status) == ("failed", "cancelled", "failed")
    assert record.cancel is not None
    (entry,) = map(json.loads, (load_settings().jobs_home / "audit.log").read_text().splitlines())
    assert (entry["door"], entry["act"], entry["ids"]) == ("python", "cancel", [job.id])
    assert (entry["who"], entry["reason"]) == (record.cancel["by"], "not today")
    with pytest.raises(InvalidOption, match="one line"):
        job.cancel("two\nlines")


def test_the_module_s_own_functions_go_by_the_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_client", None)
    client.add("mail", {"to": "a"})
    client.add_many("mail", [{"to": "a"}] * 2, task="send")
    assert place.count() == 3


PROGRAM = """
import sys
from hsejobs import client
from hsejobs.control import cron, durations, making, options, schedules, schema
job = client.add("mail", {"to": "ann"})
heavy = {"huey", "pydantic", "typer", "rich", "textual", "fastapi", "sqlalchemy"}
print(job.id, *sorted(heavy & set(sys.modules)))
"""


def test_it_loads_neither_huey_nor_pydantic(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    (job_id,) = done.stdout.split()
    assert place.job(job_id).name == "m.send"

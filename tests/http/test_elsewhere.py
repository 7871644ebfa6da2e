"""A queue with its code in another program: the shim uses its description in Redis."""

from __future__ import annotations

from hsejobs.engine.runtime import runtime
from hsejobs.store import registry
from tests.control.conftest import MAIL
from tests.http.conftest import Shim

WHO = ("operator", None, "platform")


def test_a_foreign_queue_is_described_checked_and_listed(shim: Shim) -> None:
    registry.save(runtime().redis, "hsejobs", MAIL)
    body = {"payload": {"to": 5, "lines": [{"n": 1}, {}], "more": 1}, "options": {"priority": 9}}
    refused = shim.ask("POST", "/mail", *WHO, json=body)
    assert refused.status_code == 422
    fields = [error["field"] for error in refused.json()["errors"]]
    assert fields == ["priority", "to", "lines[1].n", "more"]
    made = shim.ask("POST", "/mail", *WHO, json={"payload": {"to": "ann"}, "options": {}}).json()
    job = runtime().reader.job("mail", made["jobId"])
    assert (job.attempts, job.timeout, job.priority, job.backoff) == (1, 5000, 2, 70)
    listed = shim.ask("GET", "/schedules", *WHO)
    assert listed.status_code == 200
    following = {one["name"]: one["next"] for one in listed.json()}
    assert following["broken"] is None
    assert following["old"]
    assert following["hourly_cleanup"]
    runtime().redis.close()

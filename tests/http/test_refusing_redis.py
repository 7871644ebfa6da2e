"""Each way in which Redis refuses writes: what shim and CLI answer, and what still works."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.test_commands import run
from tests.http.conftest import MAIL, Shim
from tests.support.faults import FAULTS, full, read_only
from tests.support.server import Server

#: The error codes, where they are not `redis_unavailable`.
CODES = {"full": "redis_full", "no rights": "redis_refused"}
NO = ["full", "misconf", "no replicas", "no rights", "read only"]
READS = ("/stats", "/email/jobs", "/email/jobs/{id}", "/workers", "/schedules", "/alerts")


@pytest.mark.parametrize("name", NO)
def test_adds_are_refused_by_503_and_exit_3(
    name: str, own_shim: Shim, redis_server: Server, redis_url: str
) -> None:
    shim = own_shim  # The command reads the description that it writes at its start.
    assert shim.ask("POST", "/email", json=MAIL).status_code == 202
    code = CODES.get(name, "redis_unavailable")
    with FAULTS[name](redis_server):
        for done in (shim.ask("POST", "/email", json=MAIL), shim.client.get("/readyz")):
            assert (done.status_code, done.json()["code"]) == (503, code), done.text
            assert int(done.headers["retry-after"]) > 0
        assert shim.client.get("/healthz").status_code == 200
        added = run("enqueue", "email", json.dumps(MAIL))
        assert (added.returncode, code in added.stderr) == (3, True), added.stderr
        assert "Traceback" not in added.stderr
    assert shim.client.get("/readyz").status_code == 200
    assert shim.ask("POST", "/email", json=MAIL).status_code == 202


@pytest.mark.parametrize("fault", [full, read_only])
def test_reads_work_when_writes_are_refused(fault: Any, shim: Shim, redis_server: Server) -> None:
    made = shim.ask("POST", "/email", json=MAIL).json()["jobId"]
    with fault(redis_server):
        for path in READS:
            done = shim.ask("GET", path.format(id=made), "operator", None)
            assert done.status_code == 200, (path, done.text)


def test_removing_jobs_works_on_a_full_server(shim: Shim, redis_server: Server) -> None:
    made = [shim.ask("POST", "/email", json=MAIL).json()["jobId"] for _ in range(4)]
    with full(redis_server):

        def ask(method: str, path: str, **options: Any) -> int:
            done = shim.ask(method, path, "operator", None, **options)
            assert done.status_code < 500, done.text
            return done.status_code

        assert ask("DELETE", f"/email/jobs/{made[0]}") < 300
        assert ask("POST", "/email/pause") < 300
        assert ask("POST", "/email/resume") < 300
        assert ask("POST", "/email/clean", json={"status": "waiting", "grace": 3_600_000}) == 200
    assert shim.ask("GET", "/stats").json() is not None

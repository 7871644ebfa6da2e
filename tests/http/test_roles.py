"""Every route x role x own, a colleague's and another tenant's job, by the table in docs/http.md."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import huey_config
from hsejobs.engine.runtime import Runtime
from hsejobs.services.artifacts import Artifact
from hsejobs.services.artifacts.links import link_for
from hsejobs.services.artifacts.store import open_store
from hsejobs.settings import load_settings
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.work import Claim, WorkerStore
from hsejobs_http.app import all_routes, create_app
from hsejobs_http.bodies import OPTIONS
from tasks.shared.examples import EXAMPLES
from tests.http.conftest import MAIL, SECRET, Shim
from tests.support import wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
ROLES = ("member", "admin", "operator")
TABLE = {
    (method, path): (member, admin, operator)
    for method, path, member, admin, operator in re.findall(
        r"^\| `([A-Z]+) (/\S+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
    )
}
#: The lowest role for each queue, and what needs the role admin.
QUEUES = dict(
    re.findall(r"^\| `([a-z-]+)` \| ((?:member|admin|operator)[^|]*) \|$", PAGE, re.MULTILINE)
)
#: The caller is ann of org-1: her own job, a colleague's, another tenant's.
OWNERS = {"own": ("org-1", "ann"), "colleague": ("org-1", "bob"), "foreign": ("org-2", "eve")}
HIDDEN = ("data", "result", "errors", "failedReason", "progressMessage", "cancel")
#: A stream of events does not end; tests/http/test_waiting.py has it.
JOB_ROUTES = sorted(key for key in TABLE if "{job_id}" in key[1] and not key[1].endswith("/events"))
OPERATORS = sorted(key for key in TABLE if TABLE[key] == ("no", "no", "yes"))


class Jobs:
    """Jobs of the email queue in the state that a route needs."""

    def __init__(self, shim: Shim, url: str) -> None:
        self.shim, self.redis = shim, RedisClient(url)
        self.work = WorkerStore(self.redis, "hsejobs", "email", patience=2)
        self.reader = JobReader(self.redis, "hsejobs")
        self.numbers = itertools.count()

    def make(self, owner: str, path: str) -> str:
        """Returns a job of that owner, ready for that route."""
        org, user = OWNERS[owner]
        delay = (
            {}
            if path.endswith(("/retry", "/artifact", "/logs", "{job_id}"))
            else {"delay": 3_600_000}
        )
        body = {**MAIL, **delay, "jobId": f"{user}-{next(self.numbers)}"}
        job_id = str(
            self.shim.ask("POST", "/email", "member", org, user, json=body).json()["jobId"]
        )
        if not delay:
            _, claims = self.work.step([], 9, f"t{next(self.numbers)}", 30_000)
            # Retried jobs may be before it.
            claim = next(one for one in claims if one.id == job_id)
            if path.endswith("/artifact"):
                self.artifact(claim)
            self.work.log(claim.id, claim.token, ["a line"])
            self.work.fail(
                claim.id,
                claim.token,
                code="error",
                error=b'{"error":"no"}',
                run_us=1,
                final=True,
                delay_ms=None,
            )
        return job_id

    def artifact(self, claim: Claim) -> Artifact:
        """Stores a file of the job, as its attempt does."""
        settings = load_settings()
        expires, org = int(time.time() * 1000) + 60_000, claim.organization_id or ""
        name = self.work.artifact(claim.id, claim.token, "f" * 32, expires) or ""
        store = open_store(settings.artifacts_url, settings.jobs_home)
        with store.write(
            org,
            name,
            name="report ü.csv",
            content_type="text/csv",
            expires_at=expires,
            queue="email",
            job_id=claim.id,
        ) as writer:
            writer.write(f"file of {claim.id}".encode())
        self.made = store.get(org, name)
        return self.made


@pytest.fixture
def jobs(shim: Shim, redis_url: str) -> Iterator[Jobs]:
    found = Jobs(shim, redis_url)
    yield found
    found.redis.close()


def test_the_table_has_every_route_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_JWT_SECRET", SECRET)
    from hsejobs.engine import runtime

    monkeypatch.setattr(runtime, "_runtime", Runtime(load_settings()))
    app = create_app().app
    there = {
        (method, one.path_format)
        for one in all_routes(app)
        for method in one.methods - {"HEAD", "OPTIONS"}
    }
    assert there == set(TABLE)
    assert set(QUEUES) == set(huey_config.QUEUES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("key", JOB_ROUTES, ids=" ".join)
def test_jobs_by_owner(key: tuple[str, str], role: str, jobs: Jobs) -> None:
    method, path = key
    may = TABLE[key][ROLES.index(role)]
    for owner in OWNERS:
        job_id = jobs.make(owner, path)
        before = jobs.reader.job("email", job_id)
        where = path.removeprefix("/api/jobs").format(queue="email", job_id=job_id)
        done = jobs.shim.ask(method, where, role)
        if may == "no":
            wanted = 403
        elif may == "all":
            wanted = 200
        elif owner == "foreign":
            wanted = 404
            missing = jobs.shim.ask(
                method,
                path.removeprefix("/api/jobs").format(queue="email", job_id="org-2:never"),
                role,
            )
            assert missing.content == done.content
        else:
            wanted = 403 if may == "own jobs" and owner == "colleague" else 200
        if method == "DELETE" and wanted == 200:
            wanted = 204
        assert done.status_code == wanted, (owner, done.text)
        if wanted >= 400:
            assert jobs.reader.job("email", job_id) == before, "it was changed all the same"
        elif method == "GET":
            hidden = may.endswith("contents of own jobs") and owner == "colleague"
            contents(path, job_id, done, hidden=hidden)
        elif method == "POST":
            assert done.json()["status"] == ("failed" if path.endswith("/cancel") else "waiting")


def contents(path: str, job_id: str, done: Any, *, hidden: bool) -> None:
    if path.endswith("/artifact"):
        assert done.content == f"file of {job_id}".encode()
        assert (
            done.headers["content-disposition"]
            == "attachment; filename*=UTF-8''report%20%C3%BC.csv"
        )
        assert done.headers["x-content-type-options"] == "nosniff"
    elif path.endswith("/logs"):
        assert done.json() == {"lines": None if hidden else ["a line"], "total": 1}
    elif path.endswith("/family"):
        assert (done.json()["jobId"], done.json()["children"]) == (job_id, [])
    else:
        shown = done.json()
        assert (shown["errors"] is None) == (shown["data"] is None) == hidden
        if hidden:
            assert [shown[name] for name in HIDDEN] == [None] * len(HIDDEN)


@pytest.mark.parametrize("role", ROLES)
def test_counts_and_lists(role: str, jobs: Jobs) -> None:
    for owner in OWNERS:
        jobs.make(owner, "/promote")
    place = ROLES.index(role)
    for path in ("/stats", "/dashboard", "/{queue}/jobs"):
        may = TABLE["GET", f"/api/jobs{path}"][place]
        seen = 3 if may == "all" else 2
        url = path.format(queue="email") + "?status=delayed" * path.endswith("jobs")
        done = jobs.shim.ask("GET", url, role)
        if path == "/stats":
            assert done.json()["email"]["delayed"] == seen
        elif path == "/dashboard":
            [row] = re.findall(r"<tr><td>email</td>(.*?)</tr>", done.text)
            assert re.findall(r"<td>(.*?)</td>", row)[4] == str(seen)
        else:
            listed = done.json()
            assert listed["total"] == len(listed["jobs"]) == seen
            for job in listed["jobs"]:
                hidden = may.endswith("contents of own jobs") and job["userId"] != "ann"
                assert (job["data"] is None) == hidden
        # An operator may choose an organization; other roles may name only their own.
        sign = "&" if "?" in url else "?"
        for org, n in (("org-2", 1), ("org-1", 2)):
            chosen = jobs.shim.ask("GET", f"{url}{sign}organizationId={org}", role)
            if may != "all" and org == "org-2":
                assert chosen.status_code == 403
            elif path == "/stats":
                assert chosen.json()["email"]["delayed"] == n


@pytest.mark.parametrize("role", ROLES)
def test_clean_is_limited_to_the_own_organization(role: str, jobs: Jobs) -> None:
    made = {owner: jobs.make(owner, "/promote") for owner in OWNERS}
    may = TABLE["POST", "/api/jobs/{queue}/clean"][ROLES.index(role)]
    done = jobs.shim.ask("POST", "/email/clean", role, json={"grace": 0, "status": "delayed"})
    left = {owner for owner, job_id in made.items() if jobs.reader.status("email", job_id)}
    if may == "no":
        assert (done.status_code, left) == (403, set(OWNERS))
    else:
        removed = 3 if may == "all" else 2
        assert (done.status_code, done.json()) == (200, {"removed": removed})
        assert left == (set() if may == "all" else {"foreign"})


@pytest.mark.parametrize("role", ROLES)
def test_routes_for_operators_only(role: str, jobs: Jobs) -> None:
    assert len(OPERATORS) == 13
    for method, path in OPERATORS:
        names = {"queue": "email", "organization_id": "org-1", "task": "send_email"}
        url = path.removeprefix("/api/jobs").format(**names)
        sent = {"paused": True} if "tasks" in path else {"weight": 2}
        body: dict[str, Any] = {"json": sent} if method == "PUT" else {}
        if url == "/marks":
            body = {"json": {"text": "deploy 4f1c"}}
        success = 201 if url == "/marks" else 200
        if url.startswith("/workers/"):
            body, success = {"json": {"host": "nowhere"}}, 404
        done = jobs.shim.ask(method, url, role, **body)
        assert done.status_code == (success if role == "operator" else 403), (path, done.text)
        if role != "operator":
            assert jobs.shim.ask("GET", "/stats").json()["email"]["isPaused"] is False


@pytest.mark.parametrize("role", ROLES)
def test_adding_by_queue(role: str, jobs: Jobs) -> None:
    for queue, least in QUEUES.items():
        payload = {name: one for name, one in EXAMPLES[queue].items() if name not in OPTIONS}
        done = jobs.shim.ask("POST", f"/{queue}", role, json=payload)
        enough = ROLES.index(role) >= ROLES.index(least.partition(";")[0])
        assert done.status_code == (202 if enough else 403), (queue, done.text)
        if "entity `users`" in least:
            done = jobs.shim.ask("POST", f"/{queue}", role, json={"entities": ["users"]})
            assert done.status_code == (202 if role != "member" else 403)
        # For another organization than the token's.
        if enough and queue != "tenant-onboarding":
            other = jobs.shim.ask(
                "POST", f"/{queue}", role, json={**payload, "organizationId": "org-2"}
            )
            assert other.status_code in ((202, 422) if role == "operator" else (403,)), other.text
    assert jobs.shim.ask("GET", "/stats", "admin", "org-2").json()["webhooks"]["total"] == (
        1 if role == "operator" else 0
    )


def test_only_open_routes_need_no_token(jobs: Jobs) -> None:
    for (method, path), words in TABLE.items():
        name = "docs.js" if path.startswith("/docs/") else "mono.ttf"
        url = path.format(
            queue="email",
            job_id="a",
            token="a.b",
            name=name,
            organization_id="org-1",
            task="send_email",
            path="failures",
            act="pause",
            job="a",
        )
        done = jobs.shim.client.request(method, url)
        if words[0] == "open":
            assert done.status_code == 200, url
        elif words[0] == "signed link":
            assert done.status_code == 404
        elif path.endswith("/login"):
            assert done.status_code == 403
        else:
            assert done.status_code == 401
            assert done.headers["www-authenticate"] == "Bearer"


def test_a_signed_link_is_for_one_file_and_anybody(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_PUBLIC_URL", jobs.shim.url)
    monkeypatch.setenv("JOBS_JWT_SECRET", SECRET)
    job_id = jobs.make("foreign", "/api/jobs/{queue}/jobs/{job_id}/artifact")
    client = link_for(load_settings(), jobs.made)
    assert client is not None
    path = client.removeprefix(jobs.shim.url)
    done = jobs.shim.client.get(path)
    assert (done.status_code, done.content) == (200, f"file of {job_id}".encode())
    wait_until(lambda: '"/artifacts/***"' in jobs.shim.log.read_text(), 10, "the line")
    assert path not in jobs.shim.log.read_text()
    for wrong in (path[:-1], path + "A", path.replace(".", "A.", 1)):
        assert jobs.shim.client.get(wrong).status_code == 404
    monkeypatch.setenv("JOBS_JWT_SECRET", "another-secret-of-32-bytes-or-more!")
    forged = link_for(load_settings(), jobs.made)
    assert forged is not None
    assert jobs.shim.client.get(forged.removeprefix(jobs.shim.url)).status_code == 404

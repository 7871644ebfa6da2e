"""The dashboard without a terminal: what a phone can see and do, with which rights."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.shares import Shares
from hsejobs.store.work import WorkerStore
from tests.http.conftest import MAIL, Shim, token
from tests.http.test_dashboard import PAGE, PATH, cookie

PLAIN = f"{PATH}/plain"
OPERATOR, ADMIN, MEMBER = token("operator", None), token("admin"), token()


class Phone:
    """A browser without scripts, and a worker whose jobs fail."""

    def __init__(self, shim: Shim, url: str) -> None:
        self.shim, self.redis = shim, RedisClient(url)
        self.work = WorkerStore(self.redis, "hsejobs", "email", patience=2)
        self._numbers = itertools.count()

    def get(self, path: str, who: str = OPERATOR) -> httpx.Response:
        return self.shim.client.get(PLAIN + path, headers={**PAGE, **cookie(who)})

    def post(
        self, path: str, who: str = OPERATOR, origin: str | None = None, **form: str
    ) -> httpx.Response:
        headers = {**PAGE, **cookie(who), "Origin": origin or self.shim.url}
        return self.shim.client.post(PLAIN + path, data=form, headers=headers)

    def press(self, page: httpx.Response, label: str, who: str = OPERATOR) -> httpx.Response:
        """Submits the form whose button has this label, as the page has it."""
        for action, inside in re.findall(
            r"<form method=post action='([^']*)'>(.*?)</form>", page.text
        ):
            if f"<button>{label}</button>" in inside:
                found = re.findall(r"name=(\w+) value='([^']*)'", inside)
                form = {name: html.unescape(value) for name, value in found}
                return self.post(html.unescape(action).removeprefix(PLAIN), who, **form)
        raise AssertionError((label, page.text))

    def fail(self, name: str, org: str = "org-1", user: str = "ann") -> str:
        """Adds a job that fails; returns its id."""
        body = {**MAIL, "jobId": name}
        added = self.shim.ask("POST", "/email", "member", org, user, json=body)
        assert added.status_code == 202, added.text
        _, claims = self.work.step([], 9, f"t{next(self._numbers)}", 30_000)
        for one in claims:
            error = json.dumps({"error": f"<b>no</b> {user}@example.com \u202e"}).encode()
            self.work.fail(
                one.id, one.token, code="error", error=error, run_us=1, final=True, delay_ms=None
            )
        return str(added.json()["jobId"])

    def status(self, job_id: str) -> str:
        return str(self.shim.ask("GET", f"/email/jobs/{job_id}", "operator", None).json()["status"])

    def audit(self) -> list[tuple[str, ...]]:
        entries = self.shim.ask("GET", "/audit", "operator", None).json()["entries"]
        names = ("door", "who", "act", "queue")
        return [(*(one[name] for name in names), str(one["count"])) for one in entries]


@pytest.fixture
def phone(shim: Shim, redis_url: str) -> Iterator[Phone]:
    found = Phone(shim, redis_url)
    yield found
    found.redis.close()


def test_an_operator_pauses_and_retries_what_the_page_showed(phone: Phone) -> None:
    first, second = phone.fail("a"), phone.fail("b", "org-2", "eve")
    page = phone.get("")
    assert "2 failed" in page.text
    assert "<script" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    paused = phone.press(phone.get("/email"), "Pause")
    assert "email is paused" in paused.text
    assert "<span class=paused>paused</span>, <span class=failed>2 failed</span>" in paused.text
    page = phone.get("/email")
    assert "&lt;b&gt;no&lt;/b&gt;" in page.text
    assert "\u202e" not in page.text
    # What fails after the page was made is not of its question.
    phone.press(page, "Resume")
    late = phone.fail("late")
    done = phone.press(page, "Retry 2 failed jobs")
    assert "retried 2 of 2" in done.text
    assert [phone.status(one) for one in (first, second, late)] == ["waiting", "waiting", "failed"]
    assert "retried 0 of 0" in phone.press(page, "Retry 2 failed jobs").text
    acts = [entry for entry in phone.audit() if entry[0] == "dashboard"]
    assert ("dashboard", "ann", "retry", "email", "2") in acts
    assert {entry[2] for entry in acts} == {"pause", "resume", "retry"}


def test_one_job_is_retried_as_it_was_shown(phone: Phone) -> None:
    job = phone.fail("a")
    page = phone.get(f"/email/jobs/{job}")
    assert "&lt;b&gt;no&lt;/b&gt; ann@example.com" in page.text
    assert "retried" in phone.press(page, "Retry this job").text
    assert phone.status(job) == "waiting"
    again = phone.press(page, "Retry this job")
    assert again.status_code == 409
    assert phone.post(f"/email/jobs/{job}/retry").status_code == 422
    for form in ({}, {"asOf": "x"}, {"asOf": "1" * 16}):
        assert phone.post("/email/retry", **form).status_code == 422


def test_the_role_decides(phone: Phone) -> None:
    own, colleague, foreign = (
        phone.fail("a"),
        phone.fail("b", user="bob"),
        phone.fail("c", "org-2", "eve"),
    )
    for who, labels in (
        (MEMBER, []),
        (ADMIN, ["Retry 2 failed jobs"]),
        (OPERATOR, ["Pause", "Retry 3 failed jobs"]),
    ):
        page = phone.get("/email", who).text
        found = re.findall(r"<button>([^<]*)</button>", page)
        assert found == ["Log out", *labels]
        assert (f"{foreign}</a>" in page) == (who == OPERATOR)
        assert ("bob@example.com" in page) == (who != MEMBER)
        job = phone.get(f"/email/jobs/{colleague}", who).text
        assert ("bob@example.com" in job) == (who != MEMBER)
        missing, other = (phone.get(f"/email/jobs/{one}", who) for one in ("org-2:no", foreign))
        assert missing.status_code == 404
        assert (other.text == missing.text) == (who != OPERATOR)
    as_of = {"asOf": "9" * 14}
    for who, act, status in (
        (MEMBER, "retry", 403),
        (MEMBER, "pause", 403),
        (ADMIN, "pause", 403),
        (ADMIN, "retry", 200),
    ):
        assert phone.post(f"/email/{act}", who, **as_of).status_code == status, (who, act)
    assert [phone.status(one) for one in (own, colleague, foreign)] == [
        "waiting",
        "waiting",
        "failed",
    ]
    # An operator may look at one organization, and then acts on its jobs only.
    chosen = phone.get("/email?organizationId=org-2")
    assert re.findall(r"<button>([^<]*)</button>", chosen.text)[1:] == ["Retry 1 failed job"]
    assert phone.post("/email/pause?organizationId=org-2").status_code == 409
    assert phone.get("/email?organizationId=org-2", ADMIN).status_code == 403


def test_other_sites_and_unknown_pages(phone: Phone) -> None:
    for path in ("/email/pause", "/email/retry", "/email/jobs/x/retry"):
        done = phone.post(path, OPERATOR, "https://evil.example", asOf="1", version="1")
        assert (done.status_code, done.json()["code"]) == (403, "foreign_origin")
    assert not phone.shim.ask("GET", "/stats", "operator", None).json()["email"]["isPaused"]
    for path in ("/no-such-queue", "/Email", "/email/jobs/.", "/email/jobs/a%2Fb", "/email/x/y"):
        assert phone.get(path).status_code == 404, path
    for path in ("/no-such-queue/pause", "/email/obliterate", "/email/remove"):
        assert phone.post(path).status_code == 404, path
    for path in ("", "/email", "/email/jobs/x"):
        done = phone.shim.client.get(PLAIN + path, headers=PAGE)
        assert done.status_code == 401
        assert f"name=next value='{PLAIN}{path}'" in done.text


def test_what_is_held_is_not_forgotten(phone: Phone) -> None:
    shares = Shares(phone.redis, "hsejobs")
    shares.set("email", "org-2", paused=True)
    for path in ("", "/email"):
        page = phone.get(path).text
        assert "org-2 is held" in page
        assert "let it go" in page
        # Another organization does not learn who is.
        assert "org-2" not in phone.get(path, ADMIN).text
    shares.set("email", "org-1", paused=True)
    own = phone.get("/email", ADMIN).text
    assert "org-1 is held" in own
    # Only an operator can let it go.
    assert "let it go" not in own


def test_an_open_circuit_is_an_alert(phone: Phone) -> None:
    Circuits(phone.redis, "hsejobs").open("smtp:mail.example.com:25")
    page = phone.get("").text
    assert "mail.example.com:25: circuit held open by a person: calls are postponed" in page
    assert "close it" in page

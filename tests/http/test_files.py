"""Artifacts through every interface: one rule for access, withdrawal, ranges and conditional requests."""

from __future__ import annotations

import email
import email.policy
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hsejobs.engine import JobFailed
from hsejobs.services.artifacts import Artifact, artifact_id
from hsejobs.services.artifacts.access import Files
from hsejobs.services.artifacts.links import link_for
from hsejobs.services.artifacts.removal import delete_due
from hsejobs.services.artifacts.store import Store, open_store
from hsejobs.services.artifacts.writer import PART_BYTES
from hsejobs.settings import load_settings
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.work import Claim, Done, WorkerStore
from hsejobs.store.write import JobWriter
from tasks.email import queue_email
from tests.http.conftest import MAIL, SECRET, Shim
from tests.support import wait_until
from tests.support.consumers import Consumers

CONTENT = bytes(range(256)) * 40


class Makers:
    """Completed reports with their files, as a worker makes them."""

    def __init__(self, shim: Shim, url: str, home: Path) -> None:
        self.shim, self.redis, self.home = shim, RedisClient(url), home
        self.work = WorkerStore(self.redis, "hsejobs", "reports", patience=2)
        self.writer, self.reader = (
            JobWriter(self.redis, "hsejobs"),
            JobReader(self.redis, "hsejobs"),
        )
        store = open_store(None, home)
        assert isinstance(store, Store)
        self.store = store
        self.files = Files(store, self.redis, "hsejobs")
        self.numbers = itertools.count()

    def claim(self, role: str, user: str) -> Claim:
        body = {"type": "audits"}
        answer = self.shim.ask("POST", "/reports", role, "org-1", user, json=body).json()
        _, claims = self.work.step([], 9, f"t{next(self.numbers)}", 30_000)
        return next(one for one in claims if one.id == answer["jobId"])

    def report(
        self, role: str = "member", user: str = "ann", content: bytes = CONTENT, old: bool = False
    ) -> Artifact:
        claim, expires = self.claim(role, user), int(time.time() * 1000) + 600_000
        made: dict[str, Any] = {"queue": "reports", "job_id": claim.id}
        if old:
            name, made = artifact_id("hsejobs", "reports", claim.id, claim.created_at), {}
        else:
            fresh = f"{next(self.numbers):032x}"
            name = self.work.artifact(claim.id, claim.token, fresh, expires) or ""
        with self.store.write(
            "org-1", name, name="r.csv", content_type="text/csv", expires_at=expires, **made
        ) as out:
            out.write(content)
        self.job = claim.id
        self.work.step([Done(claim.id, claim.token, 1, b"null")], 0, "", 30_000)
        return self.store.get("org-1", name)

    def of_job(self, *who: str, method: str = "GET", **options: Any) -> httpx.Response:
        return self.shim.ask(method, f"/reports/jobs/{self.job}/artifact", *who, **options)

    def linked(self, found: Artifact, method: str = "GET", **options: Any) -> httpx.Response:
        url = link_for(load_settings(), found)
        assert url is not None
        return self.shim.client.request(method, url, **options)

    def mail(self, found: str, *who: str) -> httpx.Response:
        body = {**MAIL, "attachments": [{"artifactId": found}]}
        return self.shim.ask("POST", "/email", *who, json=body)

    def on_disk(self) -> list[Path]:
        return [path for path in (self.home / "artifacts").rglob("*") if path.is_file()]


@pytest.fixture
def makers(
    shim: Shim, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Makers]:
    monkeypatch.setenv("JOBS_PUBLIC_URL", shim.url)
    monkeypatch.setenv("JOBS_JWT_SECRET", SECRET)
    found = Makers(shim, redis_url, tmp_path)
    yield found
    found.redis.close()


@pytest.mark.parametrize("old", [False, True], ids=["random", "computed"])
def test_a_mail_takes_only_files_that_its_sender_may_read(
    old: bool, makers: Makers, platform_workers: Consumers, tmp_path: Path
) -> None:
    found = makers.report("admin", "boss", old=old)
    record = makers.reader.job("reports", makers.job)
    computed = artifact_id("hsejobs", "reports", record.id, record.created_at)
    assert (found.id == computed) is old
    for who, loaded, status in (
        (("member", "org-1", "ann"), 403, 422),
        (("admin", "org-2", "eve"), 404, 422),
        (("admin", "org-1", "cid"), 200, 202),
        (("member", "org-1", "boss"), 200, 202),
    ):
        assert makers.of_job(*who).status_code == loaded
        answer = makers.mail(found.id, *who)
        assert answer.status_code == status, (who, answer.text)
        if status == 422:
            # Another user's file gets the same answer as one that never existed.
            never = makers.mail("0" * 32, *who)
            assert never.json() == answer.json()
            assert answer.json()["errors"] == [
                {"field": "attachments.0.artifactId", "problem": "there is no such artifact"}
            ]
    # Python does not check when the job is added; the attempt does.
    body = {**MAIL, "attachments": [{"artifactId": found.id}]}
    platform_workers.start("huey_config.email")
    with pytest.raises(JobFailed, match="no such artifact"):
        queue_email(body, organization_id="org-1", user_id="ann").wait(30)
    for user_id in ("boss", None):
        path = queue_email(body, organization_id="org-1", user_id=user_id).wait(30)["path"]
        text = (tmp_path / "outbox" / path).read_bytes()
        message = email.message_from_bytes(text, policy=email.policy.default)
        assert next(message.iter_attachments()).get_payload(decode=True) == CONTENT
    # And the two that were accepted over HTTP.
    wait_until(lambda: makers.reader.stats(["email"])[0].completed == 4, 30, "the mails")


def test_the_id_is_random_and_the_same_in_each_attempt(makers: Makers) -> None:
    claim = makers.claim("member", "ann")
    first = makers.work.artifact(claim.id, claim.token, "a" * 32, 1)
    makers.work.release([(claim.id, claim.token)])
    assert makers.work.artifact(claim.id, claim.token, "b" * 32, 1) is None
    _, [again] = makers.work.step([], 1, "later", 30_000)
    assert makers.work.artifact(again.id, "later", "b" * 32, 1) == first == "a" * 32


@pytest.mark.parametrize("old", [False, True], ids=["random", "computed"])
def test_removal_deletes_file_and_link_and_undo_restores_them(old: bool, makers: Makers) -> None:
    found = makers.report(old=old)
    assert makers.linked(found).content == makers.of_job().content == CONTENT
    removed = makers.writer.remove("reports", makers.job)
    assert makers.linked(found).status_code == makers.of_job().status_code == 404
    assert makers.mail(found.id, "admin").status_code == 422
    assert delete_due(makers.files, ["reports"]) == 0
    makers.writer.restore(removed)
    assert makers.linked(found).content == makers.of_job().content == CONTENT
    assert makers.redis.command("EXISTS", "hsejobs:{reports}:gone") == 0
    makers.writer.remove("reports", makers.job)
    # The minute for an undo is over.
    [entry] = makers.redis.command("ZRANGE", "hsejobs:{reports}:gone", 0, -1)
    makers.redis.command("ZADD", "hsejobs:{reports}:gone", 1, entry)
    assert delete_due(makers.files, ["reports"]) == 1
    assert makers.on_disk() == []
    assert makers.redis.command("EXISTS", "hsejobs:{reports}:gone") == 0


@pytest.mark.parametrize("old", [False, True], ids=["random", "computed"])
@pytest.mark.parametrize("door", ["remove", "clean", "file"])
def test_every_http_route_can_withdraw_a_file(door: str, old: bool, makers: Makers) -> None:
    found = makers.report("admin", "boss", old=old)
    if door == "remove":
        done = makers.shim.ask("DELETE", f"/reports/jobs/{makers.job}", "admin")
    elif door == "clean":
        cleaning = {"grace": 0, "status": "completed"}
        done = makers.shim.ask("POST", "/reports/clean", "admin", json=cleaning)
    else:
        assert makers.of_job("member", "org-1", "boss", method="DELETE").status_code == 403
        done = makers.of_job("admin", method="DELETE")
        assert makers.of_job("admin", method="DELETE").status_code == 404
    assert done.status_code == (200 if door == "clean" else 204)
    assert makers.linked(found).status_code == makers.of_job("admin").status_code == 404
    assert makers.on_disk() == []
    assert (makers.reader.status("reports", makers.job) is None) == (door != "file")


def test_the_file_of_an_active_job_is_kept(makers: Makers) -> None:
    claim = makers.claim("member", "ann")
    name = makers.work.artifact(claim.id, claim.token, "a" * 32, 10**13 - 1) or ""
    with makers.store.write(
        "org-1",
        name,
        name="r",
        content_type="text/csv",
        expires_at=10**13 - 1,
        queue="reports",
        job_id=claim.id,
    ):
        pass
    makers.job = claim.id
    done = makers.of_job("admin", method="DELETE")
    assert (done.status_code, done.json()["code"]) == (409, "active")
    assert makers.of_job("admin").status_code == 200


@pytest.mark.parametrize("door", ["job", "link"])
def test_ranges_and_conditional_requests(door: str, makers: Makers) -> None:
    content = CONTENT * (PART_BYTES // len(CONTENT) + 2)
    found = makers.report(content=content)

    def ask(method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if door == "link":
            return makers.linked(found, method, headers=named)
        return makers.of_job(method=method, headers=named)

    whole, head = ask(), ask("HEAD")
    assert (whole.status_code, head.status_code, head.content) == (200, 200, b"")
    assert whole.content == content
    for name in ("content-length", "etag", "accept-ranges", "content-type", "content-disposition"):
        assert whole.headers[name] == head.headers[name]
    assert head.headers["content-length"] == str(len(content))
    size, etag = len(content), whole.headers["etag"]
    border = PART_BYTES - 10
    for text, start, end in (
        ("0-0", 0, 1),
        ("5-", 5, size),
        ("-7", size - 7, size),
        (f"-{size + 9}", 0, size),
        (f"{border}-{border + 99}", border, border + 100),
        (f"{PART_BYTES}-{PART_BYTES}", PART_BYTES, PART_BYTES + 1),
        (f"{size - 1}-{size + 50}", size - 1, size),
    ):
        part = ask(range=f"bytes={text}")
        assert part.status_code == 206, text
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.content == content[start:end]
    for text in (f"{size}-", "9-5", "-0"):
        none = ask(range=f"bytes={text}")
        assert (none.status_code, none.json()["code"]) == (416, "range_not_satisfiable")
        assert none.headers["content-range"] == f"bytes */{size}"
    for text in ("bytes=0-1,5-6", "lines=1-2", "bytes=", "bytes=a-b"):
        assert ask(range=text).content == content
    assert ask(range="bytes=1-2", if_range=etag).status_code == 206
    assert ask(range="bytes=1-2", if_range='"other"').status_code == 200
    assert ask(if_none_match=etag).status_code == 304

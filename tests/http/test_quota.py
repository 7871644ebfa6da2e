"""An organization's quota at the doors: 429 over HTTP, exit status 1 of the command line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hsejobs.engine.runtime import runtime
from hsejobs.store import registry
from tests.cli.test_commands import run
from tests.control.conftest import MAIL as DESCRIBED
from tests.http.conftest import MAIL, running


def test_a_full_backlog_is_429_for_tenants_only(redis_url: str, tmp_path: Path) -> None:
    with running(tmp_path, QUEUE_EMAIL_TENANT_BACKLOG="2") as shim:
        for delay, key in ((0, "one"), (60_000, "two")):
            sent = {**MAIL, "delay": delay}
            made = shim.ask("POST", "/email", json=sent, headers={"Idempotency-Key": key})
            assert made.status_code == 202
        for role in ("member", "admin"):
            full = shim.ask("POST", "/email", role, json=MAIL)
            assert (full.status_code, full.json()["code"]) == (429, "backlog_full")
            assert int(full.headers["Retry-After"]) > 0
            assert "2 waiting and delayed jobs in queue 'email'" in full.json()["detail"]
            assert "org-1" not in full.text
        again = shim.ask(
            "POST", "/email", json=MAIL | {"delay": 0}, headers={"Idempotency-Key": "one"}
        )
        assert (again.status_code, again.json()["created"]) == (202, False)
        assert shim.ask("POST", "/email", "member", "org-2", json=MAIL).status_code == 202
        owned = {**MAIL, "organizationId": "org-1"}
        assert shim.ask("POST", "/email", "operator", None, json=owned).status_code == 202
    quota = {"QUEUE_EMAIL_TENANT_BACKLOG": "2"}
    text = '{"to":"user@example.com","subject":"Hi","text":"there"}'
    done = run("enqueue", "email", text, "--org", "org-1", **quota)
    assert (done.returncode, done.stdout) == (1, "")
    assert "its quota is 2" in done.stderr
    assert "(backlog_full)" in done.stderr
    assert run("enqueue", "email", text, **quota).returncode == 0
    assert run("enqueue", "email", text, "--org", "org-1").returncode == 0


def test_a_program_without_the_code_takes_the_quota_of_the_description(
    redis_url: str, tmp_path: Path
) -> None:
    described = dataclasses.replace(DESCRIBED, enqueue="member", tenant_backlog=1)
    registry.save(runtime().redis, "hsejobs", described)
    sent = {"payload": {"to": "ann"}, "options": {}}
    with running(tmp_path) as shim:
        answers = [shim.ask("POST", "/mail", json=sent).status_code for _ in range(2)]
        assert answers == [202, 429]
    with running(tmp_path, QUEUE_MAIL_TENANT_BACKLOG="0") as shim:
        assert shim.ask("POST", "/mail", json=sent).status_code == 202
    assert run("enqueue", "mail", '{"to":"ann"}', "--org", "org-1").returncode == 1
    runtime().redis.close()

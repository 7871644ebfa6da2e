"""The audit log: one form, one writer, and what happens when it cannot be written."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts, Hooks
from hsejobs.control.audit import FILE, IDS, AuditEntry, FileLog, forget, note
from hsejobs.errors import Forbidden
from hsejobs.store.client import RedisClient
from hsejobs.store.write import JobWriter, NewJob


def test_an_entry_says_who_did_what_through_which_door(tmp_path: Path) -> None:
    log, actor = FileLog(tmp_path, "redis"), Actor("http", "admin", "org-1", "ann")
    assert note(log, actor, "retry", "email", count=1, ids=["a", "b"], of=2, refused={"gone": 1})
    [line] = (tmp_path / FILE).read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "user": "ann",
        "role": "admin",
        "door": "http",
        "act": "retry",
        "queue": "email",
        "count": 1,
        "ids": ["a", "b"],
        "redis": "redis",
        "organizationId": "org-1",
        "of": 2,
        "refused": {"gone": 1},
    }
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_an_act_on_many_lists_no_ids(tmp_path: Path) -> None:
    log = FileLog(tmp_path, "redis")
    note(log, Actor("cli"), "retry", "email", count=IDS, ids=[str(n) for n in range(IDS)])
    note(log, Actor("cli"), "retry", "email", count=IDS + 1, ids=[str(n) for n in range(IDS + 1)])
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [len(one["ids"]) for one in lines] == [IDS, 0]


def test_what_is_about_an_organization_is_forgotten(tmp_path: Path) -> None:
    log = FileLog(tmp_path, "redis")
    note(log, Actor("http", "admin", "org-1", "ann"), "clean", "email", count=3)
    note(log, Actor("cli"), "remove", "email", count=1, ids=["org-1:m1"])
    note(log, Actor("cli"), "circuit open", "", circuit="webhook:org-1:a.example:443")
    note(log, Actor("cli"), "remove", "email", count=1, ids=["org-12:m1"])
    assert forget(tmp_path, "org-1") == 3
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [one.get("erased", False) for one in lines] == [True, True, True, False]
    assert [one["act"] for one in lines] == ["clean", "remove", "circuit open", "remove"]
    assert "org-1:" not in (tmp_path / FILE).read_text()


class _Kept:
    """A log of another kind, as one in Redis will be."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def append(self, entry: AuditEntry) -> bool:
        self.entries.append(entry)
        return True


@pytest.fixture
def client(redis_url: str) -> Iterator[RedisClient]:
    made = RedisClient(redis_url)
    for job_id in ("a", "b"):
        new = NewJob(
            id=job_id,
            name="t",
            payload=b"{}",
            priority=3,
            attempts=1,
            backoff=0,
            timeout=0,
            nonce="n",
        )
        JobWriter(made, "t").add("q", new)
    yield made
    made.close()


def test_where_entries_go_can_be_another_place(client: RedisClient) -> None:
    kept = _Kept()
    acts = Acts(client, "t", Actor("cli"), kept)
    acts.one("remove", "q", "a")
    acts.pause("q", True)
    told = [(one.act, one.queue, one.count, one.ids, one.actor.door) for one in kept.entries]
    assert told == [("remove", "q", 1, ("a",), "cli"), ("pause", "q", 0, (), "cli")]


def test_an_act_is_done_and_said_when_the_log_cannot_be_written(
    client: RedisClient, tmp_path: Path
) -> None:
    (tmp_path / FILE).mkdir()
    unwritten: list[bool] = []
    gone: list[tuple[str, str | None]] = []
    hooks = Hooks(
        lambda queue, job_id: gone.append((queue, job_id)), lambda: unwritten.append(True)
    )
    acts = Acts(client, "t", Actor("cli"), FileLog(tmp_path, "redis"), hooks=hooks)
    acts.one("remove", "q", "a")
    assert (unwritten, gone) == ([True], [("q", "a")])
    (*_, drained) = acts.sweep("drain", "q", acts.select("drain", "q"))
    assert (drained.done, gone[1:], len(unwritten)) == (1, [("q", None)], 2)


def test_what_is_forbidden_leaves_no_entry(client: RedisClient) -> None:
    kept = _Kept()
    acts = Acts(client, "t", Actor("http", "admin", "org-1", "ann"), kept)
    for act in ("drain", "obliterate"):
        with pytest.raises(Forbidden, match="operator"):
            acts.select(act, "q")
    with pytest.raises(Forbidden, match="operator"):
        acts.circuit("smtp:mail.example:25", "open")
    assert kept.entries == []

"""An act that was refused: its entry in the audit log names the jobs, and is their organization's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hsejobs.control import audit
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts
from hsejobs.control.audit import AuditEntry
from hsejobs.errors import JobActive, JobsError
from hsejobs.store import keys, scripts
from hsejobs.store.artifacts import ArtifactRecords
from hsejobs.store.client import RedisClient
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import NewJob
from tests.control.conftest import MAIL, Place
from tests.support.proxy import FlakyProxy


class NoCopy:
    """A second place for entries that keeps none."""

    def append(self, entry: AuditEntry, organization_id: str | None) -> bool:
        return True


def acts(client: RedisClient, actor: Actor | None = None) -> Acts:
    return Acts(client, "hsejobs", actor or Actor("cli", user_id="olga"), NoCopy(), undo=True)


def add(place: Place, *ids: str, org: str | None = "org-1") -> None:
    for job_id in ids:
        place.writer.add("mail", new(job_id, org))


def new(job_id: str, org: str | None = "org-1", nonce: str = "n") -> NewJob:
    return NewJob(job_id, "m.send", b"{}", 3, 1, 0, 0, nonce=nonce, organization_id=org)


def newest(place: Place, org: str | None = None) -> AuditEntry:
    found = audit.entries(place.redis, "hsejobs", ["mail"], organization_id=org)
    return next(found)


def many(act: str, *ids: str) -> Callable[[Acts], Any]:
    return lambda one: list(one.many(act, "mail", [(job_id, "") for job_id in ids]))


def undo(one: Acts) -> None:
    """Removes the job, whose id another one takes then."""
    one.one("remove", "mail", "a")
    one.add(MAIL, new("a", nonce="other"))
    list(one.undo())


REFUSED: dict[str, Callable[[Acts], Any]] = {
    "retry": many("retry", "a", "gone"),
    "promote": many("promote", "a"),
    "remove": lambda one: list(one.many("remove", "mail", [("a", "f1")])),
    "cancel": lambda one: list(one.many("cancel", "mail", [("a", "d1")])),
    "undo": undo,
    "enqueue": lambda one: one.add(MAIL, new("a", nonce="other")),
    "supersede": lambda one: one.supersede(MAIL, new("b"), "a"),
}


@pytest.mark.parametrize("act", REFUSED)
def test_the_entry_names_the_job_and_belongs_to_its_organization(act: str, place: Place) -> None:
    add(place, "a")
    try:
        REFUSED[act](acts(place.redis))
    except JobsError:
        assert act == "supersede"
    entry = newest(place)
    assert (entry.act, entry.count, entry.queue, entry.ids) == (act, 0, "mail", ("a",))
    assert entry.organization_id == "org-1"
    assert newest(place, "org-1") == entry


def test_a_file_that_is_not_removed(place: Place) -> None:
    add(place, "a")
    work = WorkerStore(place.redis, "hsejobs", "mail", patience=1)
    [claim] = work.step([], 1, "t", 30_000)[1]
    one = acts(place.redis)
    with one.recorded("remove file", "mail", where="file=x") as record, pytest.raises(JobActive):
        ArtifactRecords(place.redis, "hsejobs").withdraw("mail", claim.id, entry=record.packed)
    assert (newest(place).count, newest(place).ids) == (0, ("a",))


def test_jobs_of_several_organizations_are_nobodys(place: Place) -> None:
    add(place, "a", "b")
    add(place, "c", org="org-2")
    many("retry", "a", "b", "c")(acts(place.redis))
    entry = newest(place)
    assert (entry.ids, entry.organization_id) == (("a", "b", "c"), None)


def test_an_entry_lists_what_was_changed_if_anything_was(place: Place) -> None:
    """Of an act in steps, the first may change nothing."""
    ids = [f"j{number:04}" for number in range(250)]
    add(place, *ids[:125])
    add(place, *ids[125:], org="org-2")
    seen = [(job_id, "f1" if at < 125 else "") for at, job_id in enumerate(ids)]
    steps = acts(place.redis).many("remove", "mail", seen)
    next(steps)
    assert (newest(place).ids, newest(place).organization_id) == (tuple(ids[:50]), "org-1")
    list(steps)
    entry = newest(place)
    assert (entry.count, entry.ids) == (125, tuple(ids[125:175]))
    assert entry.organization_id == "org-2"
    assert not list(audit.entries(place.redis, "hsejobs", ["mail"], organization_id="org-1"))


def test_a_refused_call_that_is_sent_again_names_a_job_once(redis_url: str, place: Place) -> None:
    add(place, "a")
    with FlakyProxy(redis_url) as proxy:
        shaky = RedisClient(proxy.url)
        proxy.cut_reply(partial(_contains, scripts.RETRY.sha.encode()))
        many("retry", "a")(acts(shaky))
        shaky.close()
    assert newest(place).ids == ("a",)


def _contains(part: bytes, whole: bytes) -> bool:
    return part in whole


def test_the_ids_are_bounded(place: Place) -> None:
    ids = [f"{number:02}{'x' * 190}" for number in range(40)]
    add(place, *ids)
    many("retry", *ids)(acts(place.redis))
    assert 1 < len(newest(place).ids) <= keys.AUDIT_BYTES // 192


def test_what_an_actor_may_not_see_or_touch_leaves_no_entry(place: Place) -> None:
    add(place, "a", org="org-2")
    admin = Actor("http", "admin", "org-1", "ann")
    many("retry", "a")(acts(place.redis, admin))
    member = Actor("http", "member", "org-2", "bob")
    many("cancel", "a")(acts(place.redis, member))
    assert not list(audit.entries(place.redis, "hsejobs", ["mail"]))

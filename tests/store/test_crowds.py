"""Whose jobs wait, and who is held: read in calls of limited size, whatever the number of organizations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hsejobs.store import crowds
from hsejobs.store.crowds import Crowd, Crowds
from hsejobs.store.holds import Holds
from hsejobs.store.shares import Shares
from tests.store.test_acts import Store


@pytest.fixture
def store(redis_url: str) -> Iterator[Store]:
    made = Store(redis_url)
    yield made
    made.redis.close()


def test_who_has_most_and_who_is_held(store: Store) -> None:
    for n in range(20):
        store.add(f"j{n}", organization_id="org-7" if n < 15 else f"org-{n}")
    read = Crowds(store.redis, "t").read
    found = read(["q"])["q"]
    assert (found.waiting, found.top, found.top_jobs, found.held) == (20, "org-7", 15, ())
    assert found.floods
    Shares(store.redis, "t").set("q", "org-7", paused=True, who="ann b")
    # Somebody without jobs may be held, too.
    Shares(store.redis, "t").set("q", "org-0", paused=True)
    found = read(["q"])["q"]
    assert (found.held_jobs, found.floods) == (15, False)
    assert [(one.name, one.jobs, one.who) for one in found.held] == [
        ("org-7", 15, "ann b"),
        ("org-0", 0, ""),
    ]
    seconds, _ = store.redis.command("TIME")
    assert 0 <= int(seconds) * 1000 + 1000 - found.held[0].since < 60_000
    assert found.held_ms >= 0
    own = Crowds(store.redis, "t", "org-7").read(["q"])["q"]
    # Since when, but not by whom.
    assert (own.waiting, own.top) == (0, None)
    assert own.held == (("org-7", 15, found.held[0].since, ""),)
    assert Crowds(store.redis, "t", "org-1").read(["q"])["q"] == Crowd()


def test_how_long_the_jobs_of_a_held_task_have_waited(store: Store) -> None:
    store.add("a")
    Holds(store.redis, "t").set("q", "m.task", paused=True, who="ann")
    assert store.claim(1) == []
    store.redis.command("HSET", "t:{q}:j:a", "ct", 1)
    assert Crowds(store.redis, "t").read(["q"])["q"].aside_ms > 1_000_000


def test_many_organizations_are_looked_through_in_steps(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = Shares(store.redis, "t")
    # More than Redis keeps in one piece, which a step would read as a whole.
    for n in range(400):
        shares.set("q", f"org-{n}", weight=2)
    for n in (3, 250):
        shares.set("q", f"org-{n}", paused=True)
    monkeypatch.setattr(crowds, "STEP", 50)
    sent: list[int] = []
    run_many = store.redis.run_many

    def counted(calls: Any, **given: Any) -> Any:
        sent.append(len(calls))
        return run_many(calls, **given)

    monkeypatch.setattr(store.redis, "run_many", counted)
    whole = Crowds(store.redis, "t").read(["q"], whole=True)["q"]
    assert {name for name, *_ in whole.held} == {"org-3", "org-250"}
    assert len(sent) > 4
    # One call at a time finds them after a while, and then does not lose them.
    sent.clear()
    reader = Crowds(store.redis, "t")
    seen: set[str] = set()
    for _ in range(20):
        now = {name for name, *_ in reader.read(["q"])["q"].held}
        assert seen <= now
        seen = now
    assert seen == {"org-3", "org-250"}
    assert sent == [1] * 20
    shares.set("q", "org-3", paused=False)
    assert [name for name, *_ in reader.read(["q"])["q"].held] == ["org-250"]


def test_no_more_than_some_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(6):
        Shares(store.redis, "t").set("q", f"org-{n}", paused=True)
    monkeypatch.setattr(crowds, "MOST_HELD", 4)
    found = Crowds(store.redis, "t").read(["q"], whole=True)["q"]
    assert (len(found.held), found.more) == (4, True)

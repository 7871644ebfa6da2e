"""What an alert says to do follows from why it is on, through every door."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.services.alerts.channels import line
from hsejobs.store.crowds import Crowd, HeldTenant
from hsejobs.store.holds import HeldTask, Holds
from hsejobs.store.read import QueueStats
from hsejobs.store.shares import Shares
from hsejobs.watch.advice import TODO, advise
from hsejobs.watch.alerts import CALM_LOOKS, stored
from tests.alerts.conftest import Scene

NOW = 1_800_000_000_000
HELD = [HeldTask("m.send", NOW - 60_000, "ann", 80)]


def stats(**values: Any) -> QueueStats:
    given: dict[str, Any] = {"waiting": 100, "is_paused": False, "oldest_waiting": 900_000} | values
    given = {"active": 0, "delayed": 0, "completed": 0, "failed": 0, "next_due": None, **given}
    return QueueStats(name="mail", consumers=1, now=NOW, minutes=[], **given)


FLOOD = Crowd(100, "org-7", 62)
TENANT = Crowd(100, "org-7", 62, (HeldTenant("org-7", 62),), held_ms=890_000)
BY_ANN = Crowd(100, "org-7", 62, (HeldTenant("org-7", 62, 5, "ann"),), held_ms=890_000)
FEW = Crowd(100, None, 0, (HeldTenant("org-7", 3), HeldTenant("org-8", 1)), held_ms=890_000)


@pytest.mark.parametrize(
    ("rule", "one", "crowd", "quiet", "cause", "todo"),
    [
        ("waiting", stats(), None, False, "", "add workers, or see what they run"),
        ("waiting", stats(is_paused=True), FLOOD, False, "the queue is paused", "resume it"),
        (
            "waiting",
            stats(held_tasks=HELD),
            Crowd(100),
            False,
            "the task send is held by ann, 80 jobs of it wait",
            "let it go",
        ),
        ("waiting", stats(), TENANT, False, "org-7 is held, 62 jobs of it wait", "let it go"),
        (
            "waiting",
            stats(),
            BY_ANN,
            False,
            "org-7 is held by ann, 62 jobs of it wait",
            "let it go",
        ),
        (
            "waiting",
            stats(),
            FLOOD,
            False,
            "org-7 has 62 % of what waits",
            "hold or limit it, or add workers",
        ),
        # Few of the jobs are held: workers help the others, but not the one that waits longest.
        (
            "waiting",
            stats(),
            FEW,
            False,
            "2 organizations are held, 4 jobs of them wait",
            TODO["waiting"].format(workers=""),
        ),
        (
            "oldest",
            stats(),
            FEW,
            False,
            "2 organizations are held, 4 jobs of them wait",
            "let them go",
        ),
        (
            "oldest",
            stats(held_tasks=HELD, waiting=1_000),
            Crowd(1_000, aside_ms=900_000),
            False,
            "the task send is held by ann, 80 jobs of it wait",
            "let it go",
        ),
        ("oldest", stats(), Crowd(100), True, "all workers are quiet", "wake one"),
        ("failures", stats(is_paused=True), TENANT, False, "", "see the shared errors"),
    ],
)
def test_advice_follows_the_cause(
    rule: str, one: QueueStats, crowd: Crowd | None, quiet: bool, cause: str, todo: str
) -> None:
    found = advise(rule, one, crowd, quiet=quiet)
    assert (found.cause, found.todo) == (cause, todo)
    # A door with keys names them, and every text has them in the same places.
    keys = advise(rule, one, crowd, quiet=quiet, keys=dict.fromkeys(("hold", "tenant"), " (H)"))
    assert keys.todo.replace(" (H)", "") == todo


def messages(scene: Scene) -> dict[str, str]:
    """What the HTTP shim and `hsejobs alerts` show."""
    return {one["rule"]: one["message"] for one in stored(scene.store.redis, "t")}


def test_the_message_of_every_door_says_why_and_what_to_do(scene: Scene) -> None:
    told: list[str] = []
    scene.channel.send = lambda alerts: told.extend(map(line, alerts))  # type: ignore[method-assign]
    for n in range(101):
        scene.store.add(f"j{n}", organization_id="org-7")
    scene.watch.look()
    flood = "101 jobs wait: org-7 has 100 % of what waits; hold or limit it, or add workers"
    assert messages(scene) == {"waiting": flood}
    # So do mails and webhooks.
    assert flood in told[0]
    Shares(scene.store.redis, "t").set("q", "org-7", paused=True)
    scene.watch.look()
    held = "101 jobs wait: org-7 is held, 101 jobs of it wait; let it go"
    assert messages(scene) == {"waiting": held}
    Shares(scene.store.redis, "t").set("q", "org-7", paused=False)
    Holds(scene.store.redis, "t").set("q", "m.task", paused=True, who="ann")
    assert scene.store.claim(1) == []
    scene.watch.look()
    held = "101 jobs wait: the task task is held by ann, 101 jobs of it wait; let it go"
    assert messages(scene) == {"waiting": held}
    scene.store.writer.remove_many("q", [f"j{n}" for n in range(101)])
    for _ in range(CALM_LOOKS):
        scene.watch.look()
    # What is over needs no advice.
    assert messages(scene) == {"waiting": "0 jobs wait"}

"""An act of a person is one line, on however many queues, and what was done is never what is cut off."""

from __future__ import annotations

from functools import partial

import pytest

from hsejobs.control import consumers, sharing
from hsejobs.control.act_table import ACTS
from hsejobs.control.act_words import acts_together, words
from hsejobs.control.audit import entries
from hsejobs.control.history import list_marks, public_mark
from hsejobs.store import registry
from hsejobs.store.audits import AuditEntry
from hsejobs.store.marks import Mark
from hsejobs.store.registry import QueueInfo
from hsejobs.store.shares import Shares
from hsejobs.store.work import WorkerStore
from hsejobs_tui.core import panes
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.past import Past
from hsejobs_tui.core.text import fitted
from hsejobs_tui.screens.overview import PANES
from tests.tui.conftest import Stage
from tests.tui.driving import shows, text_of, until

MINUTE = 60_000
#: The width of "what changed" in the narrowest terminal that shows it.
WIDTH = panes.widths(PANES[0], 3)[-1]
QUEUES = ["mail", *(f"queue-{n}" for n in range(1, 8))]
#: What an act is about, where it is not jobs or a queue; long, as it may be.
LONG = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
WHERE = {
    "tenants set": (f"org={LONG} paused=true", f"org={LONG} paused=false", f"org={LONG} weight=3"),
    "tasks set": (f"task=shop.{LONG} paused=true", f"task=shop.{LONG} paused=false"),
    "run": (f"schedule={LONG}",),
    "circuit open": (f"circuit=webhook:{LONG}",),
    "circuit close": (f"circuit=webhook:{LONG}",),
    "workers quiet": ("worker=a b",),
    "workers wake": ("worker=a b",),
    "workers restart": ("worker=a b",),
}


def entry(act: str, where: str | None = None, queue: str = "customer-notifications") -> AuditEntry:
    org = LONG if act == "tenants set" else None
    who = "dispatcher.anna@example.com"
    return AuditEntry("e1", 0, who, "tui", act, queue, 212, (), where, None, org)


def lines_of(marks: list[Mark]) -> list[str]:
    past = Past(0, 180 * MINUTE, MINUTE, marks=marks)
    found = panes.change_lines(past, {}, WIDTH - 1, 30, ascii_only=False)
    cut = [panes.cut(line, WIDTH, ascii_only=False) for line in found]
    return ["".join(text for text, _ in line).rstrip() for line in cut]


def test_every_act_has_words_of_its_own_in_the_width_of_its_pane() -> None:
    every = [entry(act, where) for act in ACTS for where in WHERE.get(act, (None,))]
    seen = set()
    for one in every:
        mark = Mark(MINUTE, "act", one.act, one.who, one.queue, entry=one)
        (line,) = lines_of([mark])
        told = words([one])
        assert f"• {told.done}" in line, f"{one.act}: {line!r}"
        assert line.endswith("m"), f"{one.act} without who: {line!r}"
        seen.add(line)
    # Bulk acts on jobs may say the same: removed; they differ in nothing that a line of history tells.
    same = {"clean", "drain", "obliterate"}
    assert len(seen) == len(every) - len(same)


def test_names_are_shortened_in_the_middle_and_the_longest_first() -> None:
    parts = [("held ", False), ("org-0000000000000017", True), (", ", False), ("ann", True)]
    assert fitted(parts, 99, ascii_only=False) == "held org-0000000000000017, ann"
    assert fitted(parts, 20, ascii_only=False) == "held org-0…0017, ann"
    assert fitted(parts, 20, ascii_only=True) == "held org-0~0017, ann"


def all_held(stage: Stage, held: bool) -> bool:
    return all(Shares(stage.redis, "t").get(name, "org-7").paused is held for name in QUEUES)


@pytest.mark.anyio
async def test_hold_and_let_go_in_eight_queues_are_two_lines(stage: Stage) -> None:
    for name in QUEUES[1:]:
        registry.save(stage.redis, "t", QueueInfo(name))
    stage.add("job-1", org="org-7")
    for name in QUEUES:
        Shares(stage.redis, "t").set(name, "org-7", weight=2)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "8 queues", "what changed")
        await pilot.press("8")
        await shows(pilot, "org-7")
        for held in (True, False):
            await pilot.press("H")
            await until(pilot, partial(all_held, stage, held), "the act in all queues")
        await pilot.press("1")
        await shows(pilot, "held org-7 in 8 queues", "let go org-7 in 8 queues")
        shown = text_of(app)
        assert shown.count("org-7 in 8 queues") == 2, shown
        assert "tenants set" not in shown
    # The log has an entry for each queue, as it always had.
    assert len(list(entries(stage.redis, "t", QUEUES))) == 16


def test_acts_of_other_doors_that_go_over_queues_are_one_each(stage: Stage) -> None:
    acts = acts_of(stage.options(), stage.redis)
    chosen = []
    for name in QUEUES:
        registry.save(stage.redis, "t", QueueInfo(name))
        WorkerStore(stage.redis, "t", name).heartbeat(f"w-{name}", b'{"release":"1"}', 60_000)
        chosen.append((name, f"w-{name}"))
    consumers.order(acts, "quiet", chosen)
    now = {name: Shares(stage.redis, "t").get(name, "org-7") for name in QUEUES}
    assert set(sharing.set_in_queues(acts, "org-7", now, limit=2).values()) == {None}
    sharing.set_tenant(acts, "mail", "org-7", limit=3)
    found = list_marks(stage.redis, "t", 0, 2**50, acts.actor)
    assert len(found) == 17
    assert "together" not in str(public_mark(found[0]))
    told = [act for _, act in acts_together(found) if act is not None]
    assert [(one.done, one.whom, one.queues) for one in told] == [
        ("quieted 8 consumers", "", 8),
        ("set limit 2 of", "org-7", 8),
        ("set limit 3 of", "org-7", 1),
    ]

"""With a part of the window chosen, every list and figure of Insight is of that part alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.control.findings import Chosen, Finder
from hsejobs.model import State, iso_time
from hsejobs.store import registry
from hsejobs.store.minutes import Minute
from hsejobs.store.periods import By, Period
from hsejobs.store.registry import QueueInfo
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import NewJob
from hsejobs_tui.core.acting import actor_of
from hsejobs_tui.core.failures import name_of
from hsejobs_tui.core.groups import Group, gather
from hsejobs_tui.screens.insight import Insight
from hsejobs_tui.screens.queue import QueueView
from hsejobs_tui.session.places import InsightPlace
from tests.support.waiting import redis_ms
from tests.tui import past
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.failed_past import fail

MINUTE = 60_000
ALPHA, BETA = "alpha broke", "beta broke"


@dataclass
class Both:
    """Two queues in which two tenants, tasks and errors take turns, of which one has far more."""

    stage: Stage

    def fail(self, queue: str, name: str, job_id: str) -> None:
        """A job of ``alpha`` or ``beta`` that failed; nothing else may wait in the queue."""
        stage, work = self.stage, WorkerStore(self.stage.redis, "t", queue, patience=1)
        stage.writer.add(
            queue,
            NewJob(
                id=job_id,
                name=f"m.{name}",
                payload=codec.dumps({"to": "x"}),
                priority=3,
                attempts=1,
                backoff=1000,
                timeout=0,
                delay=0,
                organization_id=f"org-{name}",
                nonce="n",
            ),
        )
        _, [claim] = work.step([], 1, f"token-{job_id}", 30_000)
        text = f"{name} broke"
        error = codec.dumps({"error": text, "attempt": 1, "code": name})
        given: dict[str, Any] = {"run_us": 10, "final": True, "delay_ms": None, "group": text}
        work.fail(claim.id, claim.token, code=name, error=error, **given)


def minute(queue: str, _: int) -> Period:
    """A minute: alpha has ten jobs, two of which fail, all in crm; beta a hundred, all in mail."""
    name, added, failed = ("alpha", 10, 2) if queue == "crm" else ("beta", 100, 40)
    made = Period()

    def one() -> Minute:
        return Minute(added=added, completed=added - failed, failed=failed)

    made.whole = one()
    made.parts[By.TASK] = {f"m.{name}": one()}
    made.parts[By.ORG] = {f"org-{name}": one()}
    made.parts[By.ERROR] = {f"{name} {name} broke": Minute(failed=failed)}
    return made


@pytest.fixture
def both(stage: Stage) -> Both:
    registry.save(stage.redis, "t", QueueInfo("crm"))
    made = Both(stage)
    for n in range(3):
        made.fail("mail", "beta", f"job-beta-{n}")
    made.fail("crm", "alpha", "job-alpha-0")
    now = redis_ms(stage.redis)
    for queue in ("mail", "crm"):
        past.write(stage.redis, queue, 170, partial(minute, queue), now)
    return made


PARTS = [
    ("tenant", "org-alpha"),
    ("task", "m.alpha"),
    ("error", f"alpha {ALPHA}"),
    ("queue", "crm"),
]


def place(division: str, part: str) -> InsightPlace:
    return InsightPlace(part) if division == "queue" else InsightPlace(None, division, part)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
@pytest.mark.parametrize(("division", "part"), PARTS)
async def test_each_list_is_of_the_part(
    both: Both, division: str, part: str, size: tuple[int, int]
) -> None:
    app = both.stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(pilot, "2 queues")
        app.open(place(division, part))
        await shows(pilot, "job-alpha-0", "broke" if division == "queue" else "alpha")
        await settle(pilot)
        for key in ("", "c", "r"):
            await pilot.press(*key)
            await shows(pilot, "as long before it" if key else "UTC", "alpha")
            await settle(pilot)
            # The list of parts, which is what one is chosen from, has the others too.
            lists = listed(text_of(app), division, size)
            assert "beta" not in lists, f"{key}\n{text_of(app)}"
            figures = re.findall(r"(?: in|failed attempts) ([\d,]+)", lists)
            assert len(figures) == 1 + (key != "")
            assert all(int(one.replace(",", "")) <= 10 * 61 for one in figures), text_of(app)


def listed(text: str, division: str, size: tuple[int, int]) -> str:
    """What the focus shows, without the list of parts."""
    lines = text.splitlines()
    first = next(
        n for n, line in enumerate(lines) if re.match(r" .*\d\d:\d\d UTC  ", line) and n > 2
    )
    found = lines[first:-2]
    if size[0] < 100:
        return "\n".join(line for line in found if not line.startswith(f" {division}"))
    head = next(n for n, line in enumerate(found) if f"by {division}" in line)
    width = 46 if size[0] >= 150 else 36 if division == "error" else 28
    return "\n".join([*found[:head], *(line[width:] for line in found[head:])])


@pytest.mark.anyio
@pytest.mark.parametrize(("division", "part"), PARTS)
async def test_enter_lists_the_jobs_of_the_part_where_they_are(
    both: Both, division: str, part: str
) -> None:
    """Not where most jobs of all failed, and never those of all."""
    app = both.stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        app.open(place(division, part))
        await shows(pilot, "job-alpha-0")
        await settle(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, QueueView), "the queue")
        assert isinstance(app.screen, QueueView)
        assert app.screen.queue == "crm"
        await shows(pilot, "1 found in 1 failed", "job-alpha-0")


@pytest.mark.anyio
async def test_a_part_that_no_filter_finds_lists_nothing_in_its_stead(both: Both) -> None:
    app = both.stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        app.open(InsightPlace(None, "error", ""))
        await until(pilot, lambda: isinstance(app.screen, Insight), "the screen")
        screen = app.screen
        assert isinstance(screen, Insight)
        await until(pilot, lambda: not screen.reading and screen.jobs is not None, "the part")
        assert "beta" not in listed(text_of(app), "error", (120, 36))
        steps = {"mail": screen.state.window.whole} if screen.state.window else {}
        screen.state.steps = steps
        await pilot.press("enter")
        await shows(pilot, "no filter finds these jobs alone")
        assert app.screen is screen


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("part", "words"),
    [
        (PARTS[0], "Only jobs of the organization `org-alpha`."),
        (PARTS[1], "Only jobs of the task `m.alpha`."),
        (PARTS[2], f"Only failures with the error `alpha {ALPHA}`."),
    ],
)
async def test_the_report_is_of_the_part(both: Both, part: tuple[str, str], words: str) -> None:
    app = both.stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        app.open(place(*part))
        await shows(pilot, "job-alpha-0")
        await settle(pilot)
        await pilot.press("w")
        await shows(pilot, "wrote ")
    [path] = (both.stage.home / "reports").glob("*.md")
    page = path.read_text()
    assert words in page
    # The title names the part, too.
    assert (
        words.removeprefix("Only jobs of the ").split(".")[0].split("`")[1] in page.split("\n")[0]
    )
    assert "job-alpha-0" in page
    assert ALPHA in page
    assert "beta" not in page, page
    assert "those of the whole queues" in page


def test_the_figures_before_are_of_the_part_too(both: Both) -> None:
    stage = both.stage
    actor = actor_of(stage.options())
    finder = Finder(stage.redis, "t", actor)
    end = redis_ms(stage.redis) // MINUTE * MINUTE - 60 * MINUTE
    start = end - 30 * MINUTE
    for by, name in ((By.ORG, "org-alpha"), (By.TASK, "m.alpha")):
        found = finder.read(["mail", "crm"], start, end, Chosen(by, name))
        assert (found.whole.added, found.before.added) == (300, 300)
        assert not found.errors
        assert not found.tenants
    found = finder.read(["mail", "crm"], start, end, Chosen(By.ERROR, f"alpha {ALPHA}"))
    assert (found.whole.failed, found.before.failed) == (60, 60)
    [error] = found.errors
    assert (error.queue, error.code, error.text, error.count) == ("crm", "alpha", ALPHA, 60)


def test_what_jobs_tell_says_whether_it_is_all(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = both.stage
    finder = Finder(stage.redis, "t", actor_of(stage.options()))
    end = redis_ms(stage.redis) + MINUTE
    span = (["mail", "crm"], end - 60 * MINUTE, end)
    found = finder.jobs(*span, waiting=True, only=Chosen(By.ORG, "org-beta"))
    assert found.errors == {f"beta {BETA}": 3}
    assert (found.tenants, found.ended, found.whole) == ({"org-beta": 3}, 3, True)
    monkeypatch.setattr("hsejobs.control.findings._PAGE", 1)
    monkeypatch.setattr("hsejobs.control.findings.READ_OF_EACH", 2)
    found = finder.jobs(*span, waiting=True, only=Chosen(By.ORG, "org-beta"))
    assert (found.ended, found.whole) == (2, False)


@pytest.mark.parametrize("code", ["", "error", "timeout"])
def test_a_group_of_errors_has_one_name_in_the_history_and_in_its_jobs(
    stage: Stage, code: str
) -> None:
    fail(stage, "job-1", "multi", code=code)
    source = stage.app().session.source
    end = redis_ms(stage.redis) + MINUTE
    times: dict[str, Any] = {"start": iso_time(end - 60 * MINUTE), "end": iso_time(end)}
    series = source.history(["mail"], by=By.ERROR.value, marks=False, **times).series
    (name,) = (one.name for one in series if one.name)
    found = source.span_jobs(
        ["mail"], end - 60 * MINUTE, end, waiting=False, only=Chosen(By.ERROR, name)
    )
    assert found.errors == {name: 1} == {f"{code} multi": 1}
    gathered: dict[str, Group] = {}
    gather(gathered, stage.reader.page("mail", State.FAILED, limit=9, errors=1).jobs)
    (group,) = gathered.values()
    assert name_of(group) == ("mail", code, "multi")

"""What an operator must be able to do, on the demo's data, by keys alone and with few of them.

Each task begins on the overview. A text that is typed (an address, a time) does not count, nor does the
edit of a payload.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hsejobs.control.audit import entries
from hsejobs.model import JobRecord, State
from hsejobs.store.holds import Holds
from hsejobs.store.read import JobReader
from hsejobs.store.registry import names
from hsejobs.store.shares import Shares
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.commands import keys_shown
from hsejobs_tui.widgets.rows import Rows
from tests.support.stopped import StoppedClient
from tests.tui.demo import NOW, DemoServer
from tests.tui.driving import ALL, settle, shows, text_of, until

SIZES = [(80, 24), (120, 36)]


@pytest.fixture(scope="module")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    base = tmp_path_factory.getbasetemp()
    # The processes of one run have folders next to each other.
    with DemoServer(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as server:
        yield server


@dataclass
class Operator:
    """Presses keys, and counts them."""

    pilot: Pilot[Any]
    server: DemoServer
    home: Path
    pressed: int = 0

    @property
    def screen(self) -> str:
        return text_of(self.pilot.app)

    @property
    def client(self) -> StoppedClient:
        client: StoppedClient = self.pilot.app.session.redis  # type: ignore[attr-defined]
        return client

    @property
    def reader(self) -> JobReader:
        return JobReader(self.client, "t")

    async def press(self, *keys: str) -> None:
        """Presses keys. The user who does not know them reads them on the screen: j is known."""
        for key in keys:
            self.pressed += 1
            assert key == "j" or self.names(key), f"{key} is not named\n{self.screen}"
            await self._press([key])

    def names(self, key: str) -> bool:
        """Whether the screen says what the key does: ``e Export``, ``D compares them``, ``Yes (y)``."""
        shown = re.escape(keys_shown(Command("", key, "", "", ())))
        return bool(re.search(rf"(?<![\w.,]){shown}( [A-Za-z]|[);])", self.screen))

    async def type(self, text: str) -> None:
        """Types a text."""
        await self._press(list(text))

    async def move(self, *keys: str) -> None:
        """Keys that are part of an edit."""
        await self._press(keys)

    async def _press(self, keys: Any) -> None:
        await self.pilot.press(*keys)
        await settle(self.pilot)

    async def sees(self, *words: str) -> None:
        """Waits until the words are on the screen."""
        await shows(self.pilot, *words)

    async def until(self, seen: Callable[[], bool], what: str) -> None:
        await until(self.pilot, seen, what)

    def stats(self, queue: str) -> Any:
        return self.reader.stats([queue])[0]


async def trouble(operator: Operator) -> None:
    """Which queue is in trouble, and why."""
    await operator.sees("billing", "31 %", "KeyError", "new after release 4f1c")


async def commonest(operator: Operator) -> None:
    """The commonest error of the last ten minutes."""
    await operator.press("2")
    await operator.sees("KeyError", "10m")
    rows = [line for line in operator.screen.splitlines() if line.startswith(">")]
    assert "KeyError" in rows[0]


async def mail(operator: Operator) -> None:
    """One customer's mail by its address."""
    await operator.press("slash")
    await operator.type("maria.k@")
    await operator.press("enter")
    await operator.sees("1 failed in email")
    await operator.press("enter")
    await operator.sees(operator.server.jobs["mail"])


async def retry_some(operator: Operator) -> None:
    """Retry only the jobs that timed out."""
    before = operator.stats("email")
    await operator.press("2", "j", "r")
    await operator.sees("gave")
    count = operator.screen.partition("Retry all ")[2].partition(" ")[0].replace(",", "")
    await operator.press("y")
    await operator.until(
        lambda: operator.stats("email").waiting == before.waiting + int(count), "the retry"
    )
    after = operator.stats("email")
    assert after.failed == before.failed - int(count)
    left = [job for page in operator.reader.walk("email", State.FAILED) for job in page]
    assert {job.code for job in left} == {"smtp_refused"}


async def why(operator: Operator) -> None:
    """Why a job waits: the first of the queue that is in trouble because its jobs wait."""
    await operator.press("j", "enter")
    await operator.sees("wait 40", "all workers are busy (slots_busy)")


async def oldest(operator: Operator) -> None:
    """The job that has run for longest: its worker, task and progress."""
    await operator.press("3")
    await operator.sees("22m", "sync_contacts", "org-007", "worker-1", "92 %", "page 37 of 40")


async def incident(operator: Operator) -> None:
    """What happened in ten minutes of the past."""
    await operator.press("4", "t")
    await operator.type("20:52")
    await operator.press("enter")
    await operator.sees("release 3d8a", "ConnectionRef", "org-007", "20:52 to 20:53")


async def flood(operator: Operator) -> None:
    """Which tenant floods."""
    await operator.press("8")
    await operator.sees("org-007 floods")


async def direction(operator: Operator) -> None:
    """Whether it gets better or worse."""
    await operator.sees("failed 18 %", "oldest", "worse")


async def stop_queue(operator: Operator) -> None:
    """Stop the damage in a queue."""
    await operator.press("P", "y")
    await operator.until(lambda: operator.stats("billing").is_paused, "the pause")


async def stop_tenant(operator: Operator) -> None:
    """Stop the damage that a tenant does."""
    await operator.press("8", "H")
    shares = Shares(operator.client, "t")
    await operator.until(lambda: shares.get("crm-sync", "org-007").paused, "the hold")


async def stop_task(operator: Operator) -> None:
    """Stop the damage that a task does."""
    await operator.press("H", "enter")
    holds = Holds(operator.client, "t")
    await operator.until(
        lambda: [one.task for one in holds.of("billing")] == ["shop.charge"], "the hold"
    )


async def before_deploy(operator: Operator) -> None:
    """Whether an error was there before the deploy."""
    await operator.press("2")
    await operator.sees("KeyError", "new since deploy 4f1c", "not seen before it")


async def compare(operator: Operator) -> None:
    """Compare two jobs."""
    await operator.press("enter", "space", "j", "space", "D")
    await operator.sees("differences in", "data.invoice", "created")


async def follow(operator: Operator) -> None:
    """Follow a job that runs."""
    await operator.press("3", "enter", "F")
    await operator.sees("FOLLO", "page 37, 100 contacts")


async def cancel(operator: Operator) -> None:
    """Cancel a job that runs."""
    await operator.press("3", "K", "y")
    await operator.sees("cancelling")
    [done] = [one for one in entries(operator.client, "t", ["crm-sync"]) if one.act == "cancel"]
    assert operator.reader.job("crm-sync", done.ids[0]).cancel is not None


async def export(operator: Operator) -> None:
    """A file with all failed jobs of an error."""
    await operator.press("2", "e", "enter")
    folder = operator.home / "exports"
    await operator.until(lambda: any(folder.glob("*.*")), "the file")
    await operator.sees("253")
    [file] = folder.glob("*.*")
    lines = file.read_text().splitlines()
    assert len([line for line in lines if "KeyError" in line]) >= 253


async def family(operator: Operator) -> None:
    """Everything that one request caused, by its id: in five queues, and nothing else."""
    request = operator.server.jobs["request"]
    await operator.press("slash")
    await operator.type(f"request={request}")
    await operator.press("enter")
    await operator.sees("5 jobs", "provision", "send", "sync_contacts", "export", "charge")
    await operator.until(lambda: "searched" not in operator.screen, "the end of the search")
    assert {job.queue for job in caused_by(operator, request)} == {
        *("onboarding", "email", "crm-sync", "data-exports", "billing")
    }
    assert_lists(operator, request)


async def family_of_failure(operator: Operator) -> None:
    """Everything that the request of a failure caused: of the newest job of the group."""
    await operator.press("2")
    [newest] = operator.reader.page("billing", State.FAILED, limit=1).jobs
    assert newest.request_id
    await operator.press("R")
    await operator.sees(f"request={newest.request_id}")
    await operator.until(lambda: "searched" not in operator.screen, "the end of the search")
    assert_lists(operator, newest.request_id)


async def family_of_job(operator: Operator) -> None:
    """Everything that the request of a job caused: of the first one in a queue's list."""
    await operator.press("enter", "R")
    await operator.sees("all queues", "/request=")
    await operator.until(lambda: "searched" not in operator.screen, "the end of the search")
    assert_lists(operator, operator.screen.partition("/request=")[2].split()[0])


def caused_by(operator: Operator, request: str) -> list[JobRecord]:
    """All jobs in Redis that the request caused."""
    return [
        job
        for queue in names(operator.client, "t")
        for state in State
        for page in operator.reader.walk(queue, state)
        for job in page
        if job.request_id == request
    ]


def assert_lists(operator: Operator, request: str) -> None:
    """The screen lists exactly the jobs that the request caused."""
    jobs = caused_by(operator, request)
    assert jobs
    rows = operator.pilot.app.screen.query_one(Rows)
    listed = [row.key for _, row in sorted(rows.at.items())]
    jobs.sort(key=lambda job: (job.created_at, job.queue, job.id))
    assert listed == [f"{job.queue}\0{job.id}" for job in jobs]


async def edit(operator: Operator) -> None:
    """Edit a failed job and run it again."""
    await operator.press("enter", "E")
    await operator.sees('"country"')
    await operator.move(*["down"] * 6, "end")
    await operator.type(',"vat":"A 1"')
    await operator.move("ctrl+s")
    await operator.sees("instead of")
    await operator.press("y")
    await operator.until(lambda: operator.stats("billing").waiting == 4, "the copy")
    jobs = [job for page in operator.reader.walk("billing", State.WAITING) for job in page]
    assert sum("A 1" in json.dumps(job.data) for job in jobs) == 1


Steps = Callable[[Operator], Awaitable[None]]
#: The tasks, and how many keys each may take.
TASKS: list[tuple[Steps, int]] = [
    (trouble, 0),
    (commonest, 1),
    (mail, 3),
    (retry_some, 4),
    (why, 2),
    (oldest, 1),
    (incident, 4),
    (flood, 1),
    (direction, 0),
    (stop_queue, 2),
    (stop_tenant, 2),
    (stop_task, 2),
    (before_deploy, 2),
    (compare, 5),
    (follow, 3),
    (cancel, 3),
    (export, 3),
    (family, 3),
    (family_of_failure, 3),
    (family_of_job, 3),
    (edit, 3),
]


#: What cannot be done within these keys yet.
MISSING: dict[Steps, str] = {}


def chosen() -> Iterator[Any]:
    """Each task with its limit and a size."""
    for number, (steps, most) in enumerate(TASKS):
        for size in SIZES if ALL else [SIZES[number % 2]]:
            name = f"{steps.__name__}-{size[0]}x{size[1]}"
            missing = MISSING.get(steps)
            marks = [pytest.mark.xfail(strict=True, reason=missing)] if missing else []
            if not missing or ALL:
                yield pytest.param(steps, most, size, id=name, marks=marks)


@pytest.mark.anyio
@pytest.mark.parametrize(("steps", "most", "size"), chosen())
async def test_task(
    demo_server: DemoServer, tmp_path: Path, steps: Steps, most: int, size: tuple[int, int]
) -> None:
    demo_server.reset()
    app = demo_server.app(tmp_path)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        operator = Operator(pilot, demo_server, tmp_path)
        await steps(operator)
        assert operator.pressed <= most, f"{operator.pressed} keys\n{operator.screen}"


def test_the_clock_stands_still(demo_server: DemoServer) -> None:
    client = StoppedClient(demo_server.server.url, NOW)
    assert JobReader(client, "t").now("billing") == NOW

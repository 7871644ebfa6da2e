"""The overview: what it answers without a key, what folds, sorts and fits, and what it reads."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsejobs.control.history import History
from hsejobs.store.read_live import Snapshot
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.charts import Value
from hsejobs_tui.core.options import DashboardUser
from hsejobs_tui.core.overview import Figure, QueueView, verdict
from hsejobs_tui.core.past import AGAIN, MINUTE_MS, PastReader
from hsejobs_tui.core.steady import Moves, Places
from hsejobs_tui.core.time_window import TimeWindow
from hsejobs_tui.core.view import queue_row
from hsejobs_tui.screens.overview import Overview
from hsejobs_tui.widgets import sorting
from tests.tui import frozen_history
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.frozen import GLANCE, NOW, Frozen, _stats, frozen_app

pytestmark = pytest.mark.anyio


class Many(Frozen):
    """Queues in trouble, and quiet ones."""

    def snapshot(self) -> Snapshot:
        quiet = [
            replace(_stats(f"calm-{n:02}", 0, 0, 1), active=0, oldest_waiting=None, minutes=[])
            for n in range(40)
        ]
        self.infos = GLANCE.infos
        return replace(GLANCE, queues=[*quiet[:20], *GLANCE.queues, *quiet[20:]])


def many_app(home: Path, **values: Any) -> JobsApp:
    made = frozen_app(home, **values)
    made.session.source = Many(made.options, made.session.redis)
    return made


def overview(app: JobsApp) -> Overview:
    assert isinstance(app.screen, Overview)
    return app.screen


def listed(app: JobsApp) -> list[str]:
    """The keys of the rows, from the top."""
    rows = overview(app).rows
    return [rows.at[n].key for n in range(rows.total)]


async def test_without_a_key_it_says_what_is_in_trouble_why_and_whether_it_gets_worse(
    tmp_path: Path,
) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = " ".join(text_of(app).split())
        assert "3 in trouble; worse" in text
        assert "data-exports: 12 jobs wait and there is no worker" in text
        assert "since 07:49 KeyError: <text>, 154 failures, new after release 4f1c" in text
        assert "webhooks: paused by ann, 7 jobs wait" in text
        assert listed(app)[:2] == ["data-exports", "email"]
        for figure in ("failed 12 % ▁", "oldest 13m ▂", "wait 145k ▃", "in 190/m █", "out 170/m ▇"):
            assert figure in text


class PausedForDays(Frozen):
    """The paused queue's jobs have waited for days."""

    def snapshot(self) -> Snapshot:
        self.infos = GLANCE.infos
        queues = [
            replace(one, oldest_waiting=90 * 3_600_000) if one.is_paused else one
            for one in GLANCE.queues
        ]
        return replace(GLANCE, queues=queues)


async def test_what_a_person_has_paused_makes_nothing_late(tmp_path: Path) -> None:
    app = frozen_app(tmp_path)
    app.session.source = PausedForDays(app.session.options, app.session.redis)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = " ".join(text_of(app).split())
        assert "oldest 13m" in text
        # Its own row says how long they have waited.
        assert "4d" in text


def test_a_queue_that_gets_worse_is_not_hidden_by_others_that_get_better() -> None:
    stats = _stats("mail", 9, 9, 1)
    rising: list[Value] = [*[0.1] * 8, *[0.2] * 2, *[0.5] * 4]
    view = QueueView(queue_row(stats), stats, "critical", failing=rising)
    all_better = [Figure("failed", "9 %", [], word="better")]
    assert verdict(all_better, [view]) == ("getting worse in mail: failed", "bold fail")
    # One that is in no trouble does not matter.
    assert verdict(all_better, [replace(view, level="busy")])[0] == "getting better: failed"


@pytest.mark.parametrize("size", [(120, 36), (200, 50)])
@pytest.mark.parametrize("given", [{}, {"organization_id": "org-1"}], ids=["whole", "organization"])
async def test_few_lines_are_blank(
    tmp_path: Path, size: tuple[int, int], given: dict[str, str]
) -> None:
    app = frozen_app(tmp_path, **given)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        lines = text_of(app).split("\n")
        assert sum(not line.strip() for line in lines) < 0.2 * len(lines)


async def test_the_panes_tell_who_uses_the_workers_and_what_changed(tmp_path: Path) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await shows(
            pilot, "org-007  58 %", "more", "07:47 ▲ release 4f1c", "07:10 • paused webhooks, ann"
        )
        await shows(pilot, "07:36 ✓ email: failures ended", "07:49 ✗ email: KeyError")


async def test_the_navigation_shows_news_place_time_and_window(tmp_path: Path) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await shows(pilot, "5 Alerts 7", "6 Circuits 1 open", "prod-eu 08:00 [1h]")
        await pilot.press("minus")
        await shows(pilot, "prod-eu 08:00 [3h]", "depth, 3h", "who, 3h")
        await pilot.press("less_than_sign")
        await shows(pilot, "[3h 03:30 - 06:30]", "what to do now")
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert text_of(app).split("\n")[-2].endswith("08:00 [3h 03:30 - 06:30] . now ")


async def test_quiet_queues_are_one_line_that_opens_and_has_no_acts(tmp_path: Path) -> None:
    app = many_app(tmp_path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "40 quiet: calm-00, calm-01")
        assert len(listed(app)) == 5
        await pilot.press("G", "P", "c")
        await settle(pilot)
        assert isinstance(app.screen, Overview)
        assert overview(app).queue is None
        await pilot.press("enter")
        await settle(pilot)
        assert len(listed(app)) == 45
        # The cursor stays on the line, and the first rows are still those in trouble.
        assert listed(app)[overview(app).rows.cursor] == listed(app)[-1]
        assert overview(app).rows.page >= 5
        await pilot.press("enter")
        await shows(pilot, "40 quiet: calm-00")


async def test_s_and_a_letter_sort_and_again_reverse(tmp_path: Path) -> None:
    app = many_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        trouble = listed(app)
        await pilot.press("s")
        await shows(pilot, "Sort by the column with the marked letter")
        await pilot.press("w")
        await shows(pilot, "▼wait")
        waits = ["email", "data-exports", "webhooks", "tenant-onboarding"]
        assert listed(app) == [*waits, trouble[-1]]
        await pilot.press("s", "w")
        await shows(pilot, "▲wait")
        assert listed(app) == [*waits[::-1], trouble[-1]]
        # A poll keeps the order, Esc and unknown letters change nothing, s restores the order.
        await pilot.press("ctrl+r")
        await settle(pilot)
        await pilot.press("s", "escape", "s", "z")
        await settle(pilot)
        assert listed(app) == [*waits[::-1], trouble[-1]]
        await pilot.press("s", "s")
        await settle(pilot)
        assert listed(app) == trouble
        assert "▲" not in text_of(app).split("\n")[4]
        await pilot.press("s", "q", "x")
        await settle(pilot)
        assert listed(app)[:2] == ["data-exports", "email"]


async def test_the_first_frame_does_not_wait_for_the_history(tmp_path: Path) -> None:
    go_on = threading.Event()

    class Slow(Frozen):
        def history(self, queues: Any, **given: Any) -> History:
            assert go_on.wait(20)
            return super().history(queues, **given)

    app = frozen_app(tmp_path)
    app.session.source = Slow(app.options, app.session.redis)
    async with app.run_test(size=(80, 24)) as pilot:
        try:
            await shows(pilot, "145,019 waiting", "email", "47→57", "35 %", "no worker")
            assert "since 07:49" not in text_of(app)
            # Keys work meanwhile.
            await pilot.press("j")
            await until(
                pilot, lambda: overview(app).rows.cursor == 1, "the cursor on the second row"
            )
        finally:
            go_on.set()
        await shows(pilot, "since 07:49")


async def test_a_member_has_figures_without_a_history(tmp_path: Path) -> None:
    viewer = DashboardUser("ann", "member")
    app = frozen_app(tmp_path, organization_id="org-1", viewer=viewer)
    asked: list[object] = []

    class Forbidding(Frozen):
        def history(self, queues: Any, **given: Any) -> History:
            asked.append(queues)
            return super().history(queues, **given)

        def paused_by(self, queue: str, paused_at: int | None) -> str | None:
            asked.append(queue)
            return None

    app.session.source = Forbidding(app.options, app.session.redis)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "READ-ONLY EXCEPT K", "ORG org-1", "145,019 waiting", "█ 145k")
        await settle(pilot)
        assert not asked


async def test_sorting_values_are_those_that_are_shown(tmp_path: Path) -> None:
    app = many_app(tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        await pilot.press("s", "f")
        await settle(pilot)
        assert listed(app)[0] == "email"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("145k", 145_000),
        ("1,234", 1_234),
        ("1.2h", 4_320_000),
        ("31 % ▁▂", 31),
        ("for 2.5s", "for 2.5s"),
        ("<1ms", 1),
        ("4/5 ██", 4),
        ("-", None),
        ("Email", "email"),
    ],
)
def test_a_cell_sorts_by_what_it_shows(text: str, value: float | str | None) -> None:
    assert sorting.value_of(text) == value


def test_every_column_has_a_letter_of_its_own_and_none_has_s() -> None:
    titles = ["", "queue", "wait", "depth, 1h", "slots", "oldest", "s", "p95 wait", "p95 run"]
    assert sorting.letters(titles) == ["", "q", "w", "d", "l", "o", "", "p", "r"]


def test_cells_without_a_value_are_last_in_both_orders() -> None:
    values = {"none": None, "one": 1, "b": "b", "three": 3, "a": "a"}
    for reverse, order in ((False, "three one a b none"), (True, "one three b a none")):
        assert sorting.arranged(values, Places(Moves()), reverse=reverse) == order.split()


def test_a_window_that_moves_on_reads_only_what_is_new(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    class Counting(Frozen):
        now = NOW

        def history(self, queues: Any, **given: Any) -> History:
            asked.append(given)
            return frozen_history.history(queues, self.now, marked=NOW, **given)

    app = frozen_app(tmp_path)
    source = Counting(app.options, app.session.redis)
    reader, window, queues = PastReader(source), TimeWindow(), ["email", "webhooks"]
    reader.read(window, NOW, queues)
    source.now = NOW + 7 * MINUTE_MS
    moved = reader.read(window, source.now, queues)
    fresh = PastReader(source).read(window, source.now, queues)
    assert [moved.start, moved.end, moved.step] == [fresh.start, fresh.end, fresh.step]
    assert list(moved.queues["email"]) == list(fresh.queues["email"])
    assert {one.at for one in fresh.marks} == {one.at for one in moved.marks}
    began = asked[1]["start"]
    assert began == "2027-01-15T07:57:00.000Z"
    assert AGAIN == 3
    # A window that is over is read once, another one fresh.
    over = TimeWindow("1h", NOW - 3_600_000)
    for _ in range(3):
        reader.read(over, source.now, queues)
    assert len(asked) == 4

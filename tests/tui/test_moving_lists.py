"""A list that changes between the look and the key: the key means what was seen."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from hsejobs.store.circuits import Circuit
from hsejobs_tui.core import failures, held, insight, overview, parts, running, tenants
from hsejobs_tui.core.failures import Trend
from hsejobs_tui.core.groups import Group
from hsejobs_tui.core.held import Held
from hsejobs_tui.core.insight import Part
from hsejobs_tui.core.overview import QueueView
from hsejobs_tui.core.parts import Share
from hsejobs_tui.core.steady import COUNT, SHARE, Moves, Places, Rank
from hsejobs_tui.core.tenants import TenantRow
from hsejobs_tui.core.view import queue_row
from hsejobs_tui.dialogs.counting import Counted
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView as QueueScreen
from hsejobs_tui.widgets import look, sorting
from hsejobs_tui.widgets.rows import Rows
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, until
from tests.tui.frozen import _stats

FIRST, SECOND, THIRD = "alpha broke", "beta broke", "gamma broke"


def names(app: Any) -> list[str]:
    """The errors in the order of the list."""
    view = app.screen
    return [view.shown[row.key].error for _, row in sorted(view.rows.at.items())]


async def opened(stage: Stage, pilot: Pilot[Any]) -> None:
    """Opens the failures screen with three groups, and looks at it."""
    await pilot.press("2")
    await settle(pilot)
    assert names(pilot.app) == [FIRST, SECOND, THIRD]


async def overtaken(stage: Stage, pilot: Pilot[Any]) -> None:
    """Then the third group becomes the worst by far."""
    app: Any = pilot.app
    for n in range(20):
        stage.fail(f"late-{n}", THIRD)
    app.screen._due = app.screen._past_due = float("-inf")
    app.session.poll_soon()
    await until(pilot, lambda: names(app) == [THIRD, FIRST, SECOND], "the new order")
    await settle(pilot)


def filled(stage: Stage) -> None:
    for text, count in ((FIRST, 9), (SECOND, 6), (THIRD, 3)):
        for n in range(count):
            stage.fail(f"{text[:5]}-{n}", text)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("keys", "unseen", "wanted"),
    [
        ("", 1e9, FIRST),
        ("j", 1e9, SECOND),
        ("jj", 1e9, THIRD),
        ("jjk", 1e9, SECOND),
        # The user who has seen the new order, and has not moved the cursor, has it on the worst group.
        ("", 0.0, THIRD),
        ("j", 0.0, FIRST),
    ],
)
async def test_an_act_is_about_the_group_that_was_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, keys: str, unseen: float, wanted: str
) -> None:
    monkeypatch.setattr(look, "UNSEEN", unseen)
    filled(stage)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await opened(stage, pilot)
        await overtaken(stage, pilot)
        await pilot.press(*keys, "r")
        await until(pilot, lambda: isinstance(app.screen, Counted), "the question")
        await shows(pilot, wanted)
        await pilot.press("escape")


@pytest.mark.anyio
async def test_a_cursor_that_was_moved_stays_on_its_group(stage: Stage) -> None:
    filled(stage)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await opened(stage, pilot)
        await pilot.press("j")
        key = app.screen.rows.key  # type: ignore[attr-defined]
        await overtaken(stage, pilot)
        assert app.screen.rows.key == key  # type: ignore[attr-defined]
        assert app.screen.rows.cursor == 2  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_enter_opens_the_job_that_was_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a list of which only a part is loaded, and to which jobs are added at the top."""
    monkeypatch.setattr(look, "UNSEEN", 1e9)
    for n in range(4):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "4 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 4", "job-3")
        await settle(pilot)
        for n in range(3):
            stage.fail(f"late-{n}")
        await shows(pilot, "1 / 7", "late-2")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JobView), "the job")
        assert app.screen.job_id == "job-3"  # type: ignore[attr-defined]
        await pilot.press("escape")
        await settle(pilot)
        # From here on, the cursor follows that job.
        assert app.screen.rows.key == "job-3"  # type: ignore[attr-defined]


def group(name: str, count: int) -> Group:
    return Group("mail", "error", name, count=count)


@pytest.mark.parametrize(
    ("before", "recents", "after"),
    [
        ({}, {"a": 96, "b": 97}, "ba"),
        ({"a": 97, "b": 96}, {"a": 96, "b": 97}, "ab"),
        ({"a": 97, "b": 96}, {"a": 96, "b": 119}, "ab"),
        ({"a": 97, "b": 96}, {"a": 96, "b": 140}, "ba"),
        ({"a": 2, "b": 1}, {"a": 2, "b": 4}, "ab"),
        ({"a": 97, "b": 96}, {"a": 88, "b": 76}, "ab"),
        ({"a": 1, "b": 0}, {"a": 0, "b": 1}, "ba"),
        ({"a": 3, "b": 2, "c": 1}, {"a": 50, "b": 10, "c": 30}, "acb"),
        ({"a": 3, "b": 2, "c": 1}, {"a": 50, "b": 10, "n": 200, "c": 30}, "nacb"),
        # Each is about as frequent as its neighbor, but the last clearly more than the first.
        ({"a": 3, "b": 2, "c": 1}, {"a": 100, "b": 120, "c": 140}, "cab"),
    ],
)
def test_groups_that_are_about_equally_frequent_keep_their_places(
    before: dict[str, int], recents: dict[str, int], after: str
) -> None:
    places: Places[str] = Places(*failures.MOVES)

    def order(recents: dict[str, int]) -> str:
        # How many jobs are still there does not matter while errors come.
        groups = [group(name, 1_000 // (recent + 1)) for name, recent in recents.items()]
        found = places.order(
            groups,
            lambda one: one.error,
            lambda one: failures.rank(
                Trend(failed=recents[one.error], recent=recents[one.error]), one
            ),
        )
        return "".join(one.error for one in found)

    assert order(before) == "".join(before)
    assert order(recents) == after
    # What is shown once stays, as long as the figures do.
    assert order(recents) == after


def test_a_row_of_another_group_goes_to_its_place_at_once() -> None:
    places: Places[str] = Places(Moves(1))
    calm = {name: Rank((1,), (0.0,), (name,)) for name in "abcd"}

    def order(ranks: dict[str, Rank], about: str = "") -> str:
        return "".join(places.order(ranks, str, ranks.__getitem__, about))

    assert order(calm) == "abcd"
    assert order(calm | {"c": Rank((0,), (0.0,), ("c",))}) == "cabd"
    # Calm again, it is where it was, not first among the calm ones.
    assert order(calm) == "abcd"
    assert order(calm | {"d": Rank((1,), (5.0,), ("d",))}) == "dabc"
    assert order(calm) == "dabc"
    assert order(calm, "another list") == "abcd"


def test_a_figure_that_does_not_count_leaves_it_to_the_next() -> None:
    """Failures of 1 % or less, beside which a longer wait is what matters."""
    places: Places[str] = Places(*overview.MOVES)
    hour = 3_600_000.0

    def order(**figures: tuple[float, float]) -> str:
        ranks = {name: Rank((), pair, (name,)) for name, pair in figures.items()}
        return "".join(places.order(ranks, str, ranks.__getitem__))

    assert order(a=(0.009, 3 * hour), b=(0.0, hour)) == "ab"
    assert order(a=(0.009, 3 * hour), b=(0.0, 3.5 * hour)) == "ab"
    assert order(a=(0.009, 3 * hour), b=(0.0, 4 * hour)) == "ba"
    # Around the limit, they do not change places at each read.
    assert order(a=(0.011, 3 * hour), b=(0.009, 4 * hour)) == "ba"
    assert order(a=(0.05, 3 * hour), b=(0.009, 4 * hour)) == "ab"
    assert order(a=(0.011, 3 * hour), b=(0.009, 4 * hour)) == "ab"
    assert order(a=(0.009, 3 * hour), b=(0.009, 4 * hour)) == "ba"


def test_a_list_that_a_column_sorts_does_not_change_places_for_little() -> None:
    places: Places[str] = Places(Moves())

    def order(*, reverse: bool = False, **values: float) -> str:
        return "".join(sorting.arranged(values, places, reverse=reverse))

    assert order(a=90, b=100, c=0) == "bac"
    assert order(a=101, b=100, c=0) == "bac"
    assert order(a=126, b=100, c=0) == "abc"
    places.forget()
    assert order(reverse=True, a=90, b=100, c=0) == "cab"
    assert order(reverse=True, a=101, b=100, c=0) == "cab"
    assert order(reverse=True, a=140, b=100, c=0) == "cba"


def test_the_order_of_consumers_does_not_follow_each_job() -> None:
    def worker(name: str, busy: int, **more: Any) -> dict[str, Any]:
        slots = [{"job": str(n)} for n in range(busy)] + [None] * (4 - busy)
        return {"id": name, "queue": "mail", "concurrency": 4, "slots": slots, **more}

    for busy in (0, 4):
        workers = [worker("a", busy), worker("b", 4 - busy), worker("c", 0, heartbeatAge=60_000)]
        assert [one["id"] for one in sorted(workers, key=running.worker_order)] == ["c", "a", "b"]


def view(failing: float, oldest: float) -> QueueView:
    """A queue in trouble."""
    stats = _stats("mail", 1, 0, 1)
    row = queue_row(stats)._replace(failing=failing, oldest=int(oldest))
    return QueueView(row, stats, "warning")


CIRCUIT = Circuit("smtp:mail.example.com:587", "open", 2, None, None, False, None)


@pytest.mark.parametrize(
    ("moves", "rank"),
    [
        ((SHARE,), lambda x: tenants.rank(TenantRow("one", added_share=x / 1_000))),
        ((COUNT,), lambda x: insight.part_rank(Part("one", "one", x, []))),
        ((COUNT,), lambda x: parts._rank(Share("error", "one", x, 0, "one"))),
        ((COUNT,), lambda x: held.rank(CIRCUIT, Held(Counter(mail=x)))),
        (overview.MOVES, lambda x: view(x / 1_000, 0).rank),
        (overview.MOVES, lambda x: view(0, x * 60_000).rank),
    ],
    ids=["tenants", "insight", "shares", "circuits", "failing queues", "waiting queues"],
)
def test_each_list_in_the_order_of_a_figure_follows_the_rule(
    moves: tuple[Moves, ...], rank: Callable[[int], Rank]
) -> None:
    places: Places[str] = Places(*moves)
    for first, second, order in ((310, 300, "ab"), (300, 310, "ab"), (300, 500, "ba")):
        ranks = {"a": rank(first), "b": rank(second)}
        assert "".join(places.order(ranks, str, ranks.__getitem__)) == order


def held_read(app: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Asks for the rows of the list; returns what is set once they are read, and what lets them come."""
    begun, go, window = threading.Event(), threading.Event(), app.session.source.window

    def slow(*args: Any, **options: Any) -> Any:
        found = window(*args, **options)
        begun.set()
        assert go.wait(30)
        return found

    monkeypatch.setattr(app.session.source, "window", slow)
    app.session.poll_soon()
    return begun, go


@pytest.mark.anyio
async def test_a_read_that_began_before_a_key_does_not_put_the_cursor_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test() as pilot:
        await shows(pilot, "5 failed")
        await pilot.press("enter", "j")
        await shows(pilot, "2 / 5")
        await settle(pilot)
        view = app.screen
        assert isinstance(view, QueueScreen)
        placed, place = threading.Event(), Rows.place

        def noted(*args: Any, **options: Any) -> None:
            place(*args, **options)
            placed.set()

        monkeypatch.setattr(Rows, "place", noted)
        begun, go = held_read(app, monkeypatch)
        await until(pilot, begun.is_set, "the read for the second row")
        view.do_down()
        view.do_down()
        assert view.rows.key == "job-1"
        go.set()
        await until(pilot, placed.is_set, "the rows of that read")
        assert (view.rows.cursor, view.rows.key) == (3, "job-1")


@pytest.mark.anyio
async def test_a_read_of_the_list_that_was_asked_for_before_is_not_shown(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        stage.add(f"job-{n}", delay=7_200_000 * (n + 1))
    app = stage.app()
    async with app.run_test() as pilot:
        await shows(pilot, "mail")
        await pilot.press("enter")
        await shows(pilot, "1 / 3, next first", "in 2.0h")
        await settle(pilot)
        view = app.screen
        assert isinstance(view, QueueScreen)
        rows = view.rows
        orders, place = [rows.key], Rows.place

        def placed(*args: Any, **options: Any) -> None:
            place(*args, **options)
            orders.append(rows.key)

        monkeypatch.setattr(Rows, "place", placed)
        begun, go = held_read(app, monkeypatch)
        await until(pilot, begun.is_set, "the read in the usual order")
        view.do_order()
        go.set()
        await until(pilot, lambda: rows.read, "the list in the other order")
        # A later read places the same list again.
        assert orders[:2] == ["job-0", "job-2"]

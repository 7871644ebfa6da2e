"""A figure under a window of time is of that window, or its head says that it is of now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsejobs_tui.core import tenants
from hsejobs_tui.core.text import short
from hsejobs_tui.core.time_window import TimeWindow
from hsejobs_tui.widgets.rows import Rows
from tests.tui.demo import NOW, DemoServer
from tests.tui.driving import settle, text_of

DAY = 86_400_000
#: A window in which nothing happened: the demo's history has not begun.
NOTHING = TimeWindow("15m", NOW - 20 * DAY)
#: Columns without a figure of some time: names, ages, settings and the time of an alert that is on.
OTHERS = {
    "overview": {"", "queue"},
    "tenants": {"", "tenant", "weight", "limit", "queues"},
    "failures": {"queue", "kind", "since", "last", "error"},
}


@pytest.fixture(scope="module")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    base = tmp_path_factory.getbasetemp()
    # The processes of one run have folders next to each other.
    with DemoServer(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as server:
        yield server


@pytest.mark.anyio
@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize(("key", "name"), [("1", "overview"), ("8", "tenants"), ("2", "failures")])
async def test_where_nothing_happened_only_figures_of_now_are_shown(
    demo_server: DemoServer, tmp_path: Path, width: int, key: str, name: str
) -> None:
    app = demo_server.app(tmp_path)
    async with app.run_test(size=(width, 50)) as pilot:
        await settle(pilot)
        await pilot.press(key)
        await settle(pilot)
        app.session.show_window(NOTHING)
        await settle(pilot)
        rows = app.screen.query_one(Rows)
        found = {}
        for n, column, _ in rows.widths():
            if column.title in OTHERS[name] or "now" in column.title:
                continue
            cells = [str(row.cells[n]) for row in rows.at.values() if row.line is None]
            assert cells
            if any(re.search(r"[1-9]", cell) for cell in cells):
                found[column.title] = cells
        assert found == {}
        if name == "overview":
            strip = str(app.screen.query_one("#figures").render())
            assert not re.search(r"[1-9]", strip), strip
        head = text_of(app).splitlines()[1]
        assert "now" in head or name == "tenants", head


@pytest.mark.anyio
@pytest.mark.parametrize("width", [80, 120])
async def test_the_strip_of_a_queue_is_of_the_window(
    demo_server: DemoServer, tmp_path: Path, width: int
) -> None:
    app = demo_server.app(tmp_path)
    async with app.run_test(size=(width, 36)) as pilot:
        await settle(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        strip = text_of(app).splitlines()[2]
        assert re.search("wait 40 .*oldest 2[0-9]m", strip), strip
        app.session.show_window(NOTHING)
        await settle(pilot)
        strip = text_of(app).splitlines()[2].replace("[15m]", "")
        assert "wait" in strip
        assert not re.search(r"[1-9]", strip), strip


@pytest.mark.anyio
async def test_a_tenants_failures_are_those_of_the_window(
    demo_server: DemoServer, tmp_path: Path
) -> None:
    app = demo_server.app(tmp_path)
    source = app.session.source
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("8")
        counts = []
        for window in (TimeWindow("15m"), TimeWindow("3h")):
            app.session.show_window(window)
            await settle(pilot)
            rows = app.screen.query_one(Rows)
            place = next(n for n, column, _ in rows.widths() if column.title == "failed")
            bounds = window.bounds(NOW)
            read = tenants.read(source, list(source.infos), *bounds, live=True)
            shown = {row.key: str(row.cells[place]) for row in rows.at.values()}
            assert shown == {one.key: short(one.total.failed) for one in read.rows}
            counts.append(shown)
        assert counts[0] != counts[1]
    app.session.close()


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["1", "2", "4", "7", "8"])
async def test_a_span_is_shown_in_the_shortest_window_that_holds_it(
    demo_server: DemoServer, tmp_path: Path, key: str
) -> None:
    """A longer one that reaches until now would change nothing, and seem to ignore the key."""
    app = demo_server.app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.press(key, "t")
        await pilot.press(*"30m to 20m", "enter")
        await settle(pilot)
        window = app.session.window
        assert window.name == "15m"
        start, end = window.bounds(NOW)
        assert start <= NOW - 1_800_000
        assert NOW - 1_200_000 <= end < NOW
        assert "[15m " in text_of(app)


@pytest.mark.anyio
async def test_what_to_do_is_of_now_whatever_the_window(
    demo_server: DemoServer, tmp_path: Path
) -> None:
    app = demo_server.app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "what to do now" not in text_of(app)
        app.session.show_window(NOTHING)
        await settle(pilot)
        assert "what to do now:" in text_of(app)

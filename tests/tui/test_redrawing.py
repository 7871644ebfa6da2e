"""What a refresh draws: only what it found, and each line once."""

from __future__ import annotations

import ast
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget

import hsejobs_tui
from hsejobs_tui import gate
from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.events import Events
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView
from hsejobs_tui.widgets.cells import segments
from hsejobs_tui.widgets.rows import Rows
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, until
from tests.tui.frozen import frozen_app
from tests.tui.test_gate import burst


class Drawn:
    """What is asked to be drawn, by widget, and how often the screen is divided again."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.widgets: Counter[str] = Counter()
        self.layouts = 0
        refresh, layout = Widget.refresh, Screen._refresh_layout

        def drawn(widget: Widget, *regions: Region, **options: Any) -> Widget:
            self.widgets[widget.id or type(widget).__name__] += 1
            return refresh(widget, *regions, **options)

        def divided(screen: Screen[Any], *args: Any, **options: Any) -> None:
            self.layouts += 1
            layout(screen, *args, **options)

        patch.setattr(Widget, "refresh", drawn)
        patch.setattr(Screen, "_refresh_layout", divided)


@pytest.mark.anyio
@pytest.mark.parametrize("key", list("123456789"))
async def test_a_refresh_that_found_nothing_new_draws_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press(key)
        for _ in range(3):
            # What is found by one read may start another one.
            app.session.poll_soon()
            await settle(pilot)
            await until(
                pilot,
                lambda: all(one.name == "poll" or one.is_finished for one in app.workers),
                "the end of the reads beside the polls",
            )
        drawn = Drawn(monkeypatch)
        for ms in (1.3, 0.9, 1.7):
            # A refresh never takes as long as the last one.
            assert app.session.snapshot is not None
            app.session.snapshot = replace(app.session.snapshot, cost=(19, ms))
            app.session.redraw()
            app.session.poll_soon()
            await settle(pilot)
        assert (dict(drawn.widgets), drawn.layouts) == ({}, 0)


@pytest.mark.anyio
async def test_of_a_running_job_only_what_moves_with_the_clock_is_drawn(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.add("job-1")
    app = stage.app()
    async with app.run_test(size=(120, 36)) as pilot:
        await shows(pilot, "mail")
        view = JobView("mail", "job-1")
        await app.push_screen(view)
        await shows(pilot, "Timeline", "Log", "waited")
        drawn = Drawn(monkeypatch)
        await until(pilot, lambda: drawn.widgets["facts"] > 1, "the time for which it waits")
        assert not {"past", "log", "errors"} & drawn.widgets.keys()


@pytest.mark.anyio
async def test_new_events_are_placed_once_with_their_reasons(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = stage.app()
    placed: list[list[str]] = []
    place = Rows.place

    def seen(rows: Rows, total: int, at: Any, *args: Any, **options: Any) -> None:
        placed.append([str(row.cells[3]) for row in at.values()])
        place(rows, total, at, *args, **options)

    async with app.run_test(size=(120, 36)) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(Events())
        await shows(pilot, "0 events")
        monkeypatch.setattr(Rows, "place", seen)
        stage.add("job-1")
        await shows(pilot, "1 event ")
        assert all("" not in tasks for tasks in placed)
        assert any(placed)


def test_a_line_of_cells_is_what_rich_makes_of_it() -> None:
    console = Console(theme=Theme({"fail": "bold red", "faint": "grey50", "plain": "not bold"}))
    pick = random.Random(7)

    def text() -> Text:
        found = Text(
            "".join(pick.choices("ab漢é ", k=pick.randrange(9))),
            pick.choice(["", "fail", "faint", "bold", "no such style"]),
        )
        for _ in range(pick.randrange(3)):
            found.append("".join(pick.choices("xy字", k=3)), pick.choice([None, "", "plain"]))
        if pick.random() < 0.3:
            # Over others, and beyond the end.
            start = pick.randrange(len(found) + 1)
            found.stylize("underline", start, start + 4)
        return found

    def cells(found: Any) -> list[tuple[str, Style | None]]:
        return [(one, part.style) for part in found for one in part.text]

    for _ in range(2_000):
        parts: list[Text | str] = [
            text() if pick.random() < 0.6 else "p" * pick.randrange(3) for _ in range(5)
        ]
        base = Style.parse(pick.choice(["white on black", "bold on blue", "not bold"]))
        line = Text(no_wrap=True, end="")
        for part in parts:
            line.append(part)
        line.stylize_before(base)
        wanted: list[Segment] = list(line.render(console, end=""))
        assert cells(segments(parts, base, console)) == cells(wanted)


@pytest.mark.anyio
async def test_keys_in_one_read_draw_what_they_changed_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(12):
        stage.fail(f"job-{n:02}")
    monkeypatch.setattr(gate, "DRAWS", float("inf"))
    drawn: list[int] = []
    draw = QueueView.draw_cursor

    def counted(view: QueueView) -> None:
        drawn.append(view.rows.cursor)
        draw(view)

    monkeypatch.setattr(QueueView, "draw_cursor", counted)
    app = stage.app()
    async with app.run_test(size=(120, 36)) as pilot:
        await shows(pilot, "12 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 12")
        await settle(pilot)
        drawn.clear()
        burst(app, "jjjjjjjjkj")
        await until(pilot, lambda: app.settled and bool(drawn), "the end of the keys")
        assert drawn == [8]
        await shows(pilot, "9 / 12")


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["1", "2", "3", "5", "6", "7", "8"])
async def test_a_key_that_moves_draws_once_and_reads_nothing_of_all_queues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press(key)
        await settle(pilot)
        assert app.view is not None
        moves, drawn, polls = app.view.lists[0].total > 1, Counter[str](), Counter[str]()
        for one in type(app.view).__mro__:
            if "draw_cursor" in vars(one):
                own = note(drawn, one.__name__, vars(one)["draw_cursor"])
                monkeypatch.setattr(one, "draw_cursor", own)
        monkeypatch.setattr(app.session, "poll_soon", lambda: polls.update(["asked"]))
        await pilot.press("j")
        await settle(pilot)
        assert moves or key in "368", "the list to move in is empty"
        assert set(drawn.values()) == {1}
        assert not polls


def note(drawn: Counter[str], name: str, draw: Callable[[View], None]) -> Callable[[View], None]:
    """``draw``, counted under a name."""

    def counted(view: View) -> None:
        drawn[name] += 1
        draw(view)

    return counted


def test_no_handler_calls_the_one_of_its_base() -> None:
    # Textual calls the handlers of a class and of all its bases: with super() a base's work is done twice.
    calls = [
        f"{path.name}: {node.name}"
        for path in sorted(Path(hsejobs_tui.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        # What is not dispatched as a message: all events of the app, and the bytes of a browser.
        if node.name.startswith(("on_", "_on_")) and node.name not in ("on_event", "on_meta")
        if f"super().{node.name}" in ast.unparse(node)
    ]
    assert calls == []

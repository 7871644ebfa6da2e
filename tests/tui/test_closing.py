"""A read beside the polls ends after its screen was closed: no message names widgets that are gone."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from textual.css.query import NoMatches
from textual.worker import WorkerFailed, WorkerState

from hsejobs_tui.screens.base import View
from tests.tui.driving import settle, until
from tests.tui.frozen import frozen_app


@pytest.mark.anyio
async def test_a_read_that_ends_while_its_screen_closes_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("2")
        await settle(pilot)
        view = app.view
        assert view is not None
        closing = asyncio.Event()
        failed: list[NoMatches] = []

        async def read() -> None:
            await closing.wait()
            try:
                view.rows.fill([])
            except NoMatches as error:
                failed.append(error)
                raise

        worker = view.run_worker(read, name="test", exit_on_error=False)

        async def unmounted(closed: View) -> None:
            # The widgets are gone by now, and Textual has not cancelled the screen's workers yet.
            if closed is view:
                closing.set()
                with contextlib.suppress(WorkerFailed):
                    await worker.wait()

        monkeypatch.setattr(View, "on_unmount", unmounted)
        await pilot.press("escape")
        await settle(pilot)
        assert (len(failed), worker.state) == (1, WorkerState.SUCCESS)


@pytest.mark.anyio
async def test_a_fault_of_an_open_screen_is_shown(tmp_path: Path) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        view = app.view
        assert view is not None

        async def read() -> None:
            view.query_one("#nowhere")

        worker = view.run_worker(read, name="test", exit_on_error=False)
        await until(pilot, lambda: worker.is_finished, "the end of the read")
        assert worker.state is WorkerState.ERROR
        await until(pilot, lambda: bool(app._notifications), "the message")

"""Quitting works from everywhere, at once: no way out waits for a dialog, a read, an act or Redis."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from hsejobs_tui.session.threads import Threads
from tests.support.server import Server
from tests.tui.conftest import Stage
from tests.tui.demo import DemoServer
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.test_gate import burst
from tests.tui.test_terminal import LEFT, Terminal

#: The modules of screens that are only the bases of others.
BASES = (
    *(".base", ".marking", ".finding", ".shares", ".one_queue"),
    *(".insight_reading", ".keeping"),
)
#: The keys that lead from the overview to each screen and dialog.
WAYS = (
    "",
    "question_mark",
    "enter slash",
    "enter space",
    "enter enter question_mark",
    "2",
    "3",
    "4",
    "4 t",
    "5",
    "6",
    "7",
    "7 slash",
    "8",
    "8 W",
    "9",
    "s",
    "ctrl+p",
    "colon",
    "n enter",
    "n enter ctrl+e",
    "n enter a escape",
    "O",
    "2 x",
    "2 R",
    "enter space j space D",
    "enter enter y",
    "enter enter F",
    "2 r y",
)


@pytest.fixture(scope="module")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    base = tmp_path_factory.getbasetemp()
    # The processes of one run have folders next to each other.
    with DemoServer(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as server:
        yield server


def every_screen() -> set[str]:
    """The names of all screens and dialogs that can be shown."""
    found, left = set(), list(Screen.__subclasses__())
    while left:
        one = left.pop()
        left += one.__subclasses__()
        if one.__module__.startswith("hsejobs_tui") and not one.__module__.endswith(BASES):
            found.add(one.__name__)
    return found


@pytest.mark.anyio
async def test_ctrl_q_quits_from_every_screen_and_dialog(
    demo_server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = demo_server.app(tmp_path)
    quits: list[Any] = []
    monkeypatch.setattr(app, "exit", lambda *a, **k: quits.append(a))
    reached, stuck = set(), []
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        for way in WAYS:
            await pilot.press(*way.split())
            await settle(pilot)
            reached.add(type(app.screen).__name__)
            quits.clear()
            await pilot.press("ctrl+q")
            await settle(pilot)
            if len(quits) != 1:
                stuck.append((way, type(app.screen).__name__))
            for _ in range(12):
                await pilot.press("escape")
                await settle(pilot)
                if len(app.screen_stack) == 1:
                    break
            assert len(app.screen_stack) == 1, (way, text_of(app))
    assert stuck == []
    assert every_screen() - reached == set()


@pytest.mark.anyio
async def test_one_ctrl_q_quits_behind_a_command_that_hangs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key came before the command counted as hung, and no other key comes."""
    stage.fail("job-0")
    app = stage.app()
    go = threading.Event()
    monkeypatch.setattr(app.session.acts, "select_clean", lambda *a: go.wait())
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        burst(app, "c\x15failed 0\rxxx\x11")
        await until(pilot, lambda: not app.is_running, "the end")
        go.set()
    assert stage.counts()["failed"] == 1


@pytest.mark.anyio
async def test_ctrl_q_asks_once_before_it_ends_everything(stage: Stage) -> None:
    stage.add("job-0")
    app = stage.app(front=True)
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 waiting")
        await pilot.press("question_mark", "ctrl+q", "ctrl+q")
        await settle(pilot)
        assert [type(one).__name__ for one in app.screen_stack] == ["Overview", "Help", "Confirm"]
        await pilot.press("n", "ctrl+q", "y")
        await until(pilot, lambda: not app.is_running, "the end")


@pytest.mark.parametrize("keys", ["", "?", "\r\r?", "\r\rF", "c\x15failed 0\r"])
def test_it_ends_while_redis_hangs(stage: Stage, redis_server: Server, keys: str) -> None:
    stage.fail("job-0")
    terminal = Terminal(stage)
    terminal.until("1 failed")
    redis_server.freeze()
    try:
        os.write(terminal.fd, keys.encode() + b"\x11")
        terminal.until(LEFT)
        assert terminal.status() == 0
    finally:
        redis_server.thaw()


def test_the_end_of_the_process_waits_for_no_call() -> None:
    """One that never returns, in a process of its own."""
    words = """
import threading
from hsejobs_tui.session.threads import Threads
begun, ended = threading.Event(), []
threads = Threads(2, "test", lambda: ended.append(1))
threads.submit(lambda: begun.set() or threading.Event().wait())
assert begun.wait(60) and threads.submit(lambda: 7).result(60) == 7
threads.shutdown(wait=False)
threads.join(0.01)
print("end")
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_threads_end_after_the_calls_that_are_queued() -> None:
    ended: list[str] = []
    threads = Threads(2, "test", lambda: ended.append(threading.current_thread().name))
    made = [threads.submit(pow, n, 2) for n in range(40)]
    threads.shutdown()
    assert [one.result(0) for one in made] == [n * n for n in range(40)]
    assert set(ended) == {"test"}
    with pytest.raises(ZeroDivisionError):
        Threads(1, "test", ended.clear).submit(divmod, 1, 0).result()

"""The key gate: forty keys in one read do the same as forty keys typed one by one."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from textual.widgets import Input, TextArea

from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs_tui import gate
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView
from tests.tui.conftest import Stage
from tests.tui.driving import ALL, settle, shows, text_of, until
from tests.tui.test_terminal import LEFT, Terminal

#: A burst that is split once in some runs would be found by many.
RUNS = 8 if ALL else 2
#: Opens a search, then types text in which each letter is a command elsewhere.
SEARCH = "/xrPxryDOqncuR1234567 x r P x r y *!"


def burst(app: Any, text: str) -> None:
    """Sends the keys as a terminal that reads them all at once: nothing runs in between."""
    from textual import events
    from textual.keys import _character_to_key

    names = {
        "\r": "enter",
        "\x1b": "escape",
        "\x13": "ctrl+s",
        "\t": "tab",
        "\x11": "ctrl+q",
        "\x15": "ctrl+u",
        "\x05": "ctrl+e",
        "\x10": "ctrl+p",
    }
    for char in text:
        key = names.get(char) or _character_to_key(char)
        event = events.Key(key, None if char in names else char)
        event.set_sender(app)
        app._driver.process_message(event)


@pytest.mark.anyio
@pytest.mark.parametrize("opened", [False, True], ids=["from the overview", "over a list"])
async def test_a_search_in_one_read_is_a_search(stage: Stage, opened: bool) -> None:
    for n in range(3):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "3 failed")
        if opened:
            await pilot.press("enter")
            await shows(pilot, "1 / 3", "job-2")
        burst(app, SEARCH)
        await until(pilot, lambda: isinstance(app.screen, QueueView), "the queue")
        await settle(pilot)
        assert app.screen.query_one("#search", Input).value == SEARCH[1:]
        assert len(app.screen_stack) == 2
    assert stage.counts()["failed"] == 3
    assert not stage.reader.stats(["mail"])[0].is_paused


@pytest.mark.anyio
@pytest.mark.parametrize("keys", ["23", "3", "4", "5", "6", "8", "9"])
async def test_what_is_typed_after_the_search_key_is_a_text_on_every_screen(
    stage: Stage, keys: str
) -> None:
    """Also where there is nothing to search: the letters would be commands."""
    stage.fail("job-0")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press(*keys)
        await settle(pilot)
        burst(app, SEARCH)
        await until(pilot, lambda: isinstance(app.screen, QueueView), "the queue")
        await settle(pilot)
        assert app.screen.query_one("#search", Input).value == SEARCH[1:]
    assert stage.counts()["failed"] == 1
    assert not stage.reader.stats(["mail"])[0].is_paused


@pytest.mark.anyio
async def test_a_search_from_a_job_is_one_in_its_queue(stage: Stage) -> None:
    stage.fail("job-0")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 1", "job-0")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JobView), "the job")
        burst(app, SEARCH + "\x15unknown\r")
        await shows(pilot, "0 found", "/unknown")
        assert isinstance(app.screen, QueueView)
    assert stage.counts()["failed"] == 1


@pytest.mark.anyio
async def test_from_the_first_key_on(stage: Stage) -> None:
    """Keys before the first poll wait for the data that they need."""
    stage.fail("job-0")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        burst(app, "\rxy")
        await until(pilot, lambda: stage.counts()["failed"] == 0, "the removal")
        await settle(pilot)


@pytest.mark.anyio
async def test_an_edit_and_its_save_in_one_read(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n", "ctrl+e")
        await until(pilot, lambda: bool(app.screen.query(TextArea)), "the editor")
        await settle(pilot)
        app.screen.query_one(TextArea).text = ""
        burst(app, '{"to":"ann@example.com"}\x13y')
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the job")
    (made,) = stage.reader.page("mail", State.WAITING).jobs
    assert made.data == {"to": "ann@example.com"}


@pytest.mark.anyio
async def test_a_count_is_typed_into_its_question(stage: Stage) -> None:
    """``*``, the act, the count, Enter, Enter: the second closes the report, and cancels nothing."""
    for n in range(12):
        stage.fail(f"job-{n:02}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "12 failed")
        burst(app, "\r*r12\r\r")
        await until(pilot, lambda: stage.counts()["waiting"] == 12, "the retry")
        await settle(pilot)
        assert len(app.screen_stack) <= 3


@pytest.mark.anyio
async def test_keys_wait_for_the_reads_of_a_command(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean counts between its input and its question: keys typed meanwhile go to the question."""
    import threading

    for n in range(3):
        stage.fail(f"job-{n}")
    app = stage.app()
    go, inner = threading.Event(), app.session.acts.select_clean
    monkeypatch.setattr(app.session.acts, "select_clean", lambda *a: go.wait(30) and inner(*a))
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "3 failed")
        burst(app, "c\x15failed 0\r3\rq")
        await until(pilot, lambda: app.busy and len(app.screen_stack) == 1, "the count")
        go.set()
        await until(pilot, lambda: stage.counts()["failed"] == 0, "the clean")


@pytest.mark.anyio
async def test_ctrl_q_works_when_a_command_hangs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(gate, "HUNG_AFTER", 0.0)
    stage.fail("job-0")
    app = stage.app()
    go, inner = threading.Event(), app.session.acts.select_clean
    monkeypatch.setattr(app.session.acts, "select_clean", lambda *a: go.wait(30) and inner(*a))
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        burst(app, "c\x15failed 0\rxxx")
        await until(pilot, lambda: app.busy and len(app.screen_stack) == 1, "the count")
        burst(app, "\x11")
        await until(pilot, lambda: not app.is_running, "the end")
        go.set()
    assert stage.counts()["failed"] == 1


@pytest.mark.anyio
async def test_a_paste_goes_to_the_input_that_the_key_before_it_opened(stage: Stage) -> None:
    from textual import events

    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        burst(app, "/")
        app._driver.process_message(events.Paste("ann@example.com"))  # type: ignore[union-attr]
        burst(app, "x")
        await until(pilot, lambda: isinstance(app.screen, QueueView), "the queue")
        await settle(pilot)
        assert app.screen.query_one("#search", Input).value == "ann@example.comx"


@pytest.mark.anyio
async def test_a_burst_does_what_the_keys_do_one_by_one(stage: Stage) -> None:
    """Forty keys through screens, dialogs and lists: both ways give the same result."""
    registry.save(stage.redis, "t", QueueInfo("archive", [TaskInfo("a.b", {}, [])], "a.b"))
    for n in range(9):
        stage.fail(f"job-{n}")
    keys = "j\rjj kx\x1b2\r\x1b1j\rjjj\rG\x1b?\x1b7 \x1b1j\r/job-5\r\x1b\x1bP\x1b:job-3\r"
    ends = []
    for at_once in (False, True):
        app = stage.app()
        async with app.run_test(notifications=True) as pilot:
            await shows(pilot, "9 failed")
            for part in [keys] if at_once else keys:
                burst(app, part)
                await settle(pilot)
            assert isinstance(app.screen, JobView), text_of(app)
            ends.append([type(one).__name__ for one in app.screen_stack] + [app.screen.job_id])
    assert ends[0] == ends[1]
    assert stage.counts()["failed"] == 9


@pytest.mark.parametrize("run", range(RUNS))
def test_one_write_to_a_real_terminal(stage: Stage, run: int) -> None:
    """A search, its text, and leaving it."""
    for n in range(3):
        stage.fail(f"job-{n}")
    terminal = Terminal(stage)
    terminal.until("3 failed")
    os.write(terminal.fd, b"\r")
    terminal.until("1 / 3")
    # The list has a job under the cursor, so each letter of the text would be a command.
    os.write(terminal.fd, b"/xrPxry\r")
    terminal.until("none in any queue")
    assert stage.counts()["failed"] == 3
    assert not stage.reader.stats(["mail"])[0].is_paused
    os.write(terminal.fd, b"\x11")
    terminal.until(LEFT)
    assert terminal.status() == 0


def test_an_edit_and_its_save_in_one_write_to_a_real_terminal(stage: Stage) -> None:
    terminal = Terminal(stage)
    terminal.until("1 queue,")
    os.write(
        terminal.fd, b'n\x05\x01\x0b\x1b[3~\x0b\x1b[3~\x0b\x1b[3~\x0b{"to":"ann@example.com"}\x13y'
    )
    terminal.until(", waiting")
    (made,) = stage.reader.page("mail", State.WAITING).jobs
    assert made.data == {"to": "ann@example.com"}
    os.write(terminal.fd, b"\x11")
    terminal.until(LEFT)
    assert terminal.status() == 0


@pytest.mark.anyio
async def test_a_question_that_opens_has_the_focus_before_a_key_comes(stage: Stage) -> None:
    for n in range(2):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "2 failed")
        burst(app, "Omail")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await settle(pilot)
        assert app.screen.query_one(Input).value == "mail"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        # The first key answers, in every question; nothing that comes after another letter does.
        ("Ky", ""),
        ("Kby mistake\r", "by mistake"),
        ("K\tyes, by ann\r", "yes, by ann"),
        ("Kn", None),
        ("K\r", None),
        ("Kjjy", None),
        ("K y\x1b", ""),
    ],
)
async def test_a_burst_into_the_question_of_a_cancel(
    stage: Stage, keys: str, reason: str | None
) -> None:
    stage.add("job-1", delay=7_200_000)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(JobView("mail", "job-1"))
        await shows(pilot, "delayed")
        burst(app, keys)
        await settle(pilot)
        if reason is not None:
            await until(pilot, lambda: stage.counts()["failed"] == 1, "the cancel")
            cancel = stage.reader.job("mail", "job-1").cancel
            assert cancel is not None
            assert (cancel["reason"] or "") == reason
        else:
            assert stage.counts()["delayed"] == 1


@pytest.mark.anyio
async def test_a_paste_into_the_question_of_a_cancel_is_a_reason(stage: Stage) -> None:
    from textual import events

    stage.add("job-1", delay=7_200_000)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(JobView("mail", "job-1"))
        await shows(pilot, "delayed")
        burst(app, "K")
        app._driver.process_message(events.Paste("yes, as ann said\nand bob"))  # type: ignore[union-attr]
        await shows(pilot, "yes, as ann said", "Yes (Enter)")
        assert stage.counts()["delayed"] == 1
        assert app.screen.query_one(Input).value == "yes, as ann said and bob"


@pytest.mark.anyio
async def test_the_gate_knows_which_pumps_are_at_work(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test() as pilot:
        await settle(pilot)
        await until(pilot, lambda: not app.gate._at_work(), "the rest of all pumps")
        goes_on = asyncio.Event()
        # A handler that waits has no message left in its queue.
        app.screen.call_later(goes_on.wait)
        await asyncio.sleep(0)
        await until(pilot, lambda: not app.screen.message_queue_size, "the handler")
        assert app.screen in app.gate._at_work()
        goes_on.set()
        await until(pilot, lambda: not app.gate._at_work(), "the end of the handler")

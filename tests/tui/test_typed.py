"""What was typed is not lost to one key, to a refusal, or without a word to an input that takes less."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import pkgutil
from typing import Any

import pytest
from textual import events
from textual.document._document import Document
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea

from hsejobs.model import State
from hsejobs_tui import dialogs
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core import compose
from hsejobs_tui.dialogs.discard import Discard
from hsejobs_tui.dialogs.editor import Editor
from hsejobs_tui.dialogs.job_form import FormLine, JobForm
from hsejobs_tui.dialogs.keeping import Keeping
from hsejobs_tui.dialogs.questions import Ask, Confirm
from hsejobs_tui.screens.queue import QueueView
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.test_form import described as described
from tests.tui.test_gate import burst
from tests.tui.test_terminal import ENTERED, LEFT, Terminal

pytestmark = pytest.mark.anyio

#: Dialogs of one line, or of a question that one Esc must leave: after it, no key may answer the question.
SHORT = {"Ask", "Confirm", "Counted", "TenantSettings"}
NAMES = {"\x1b": "escape", "\r": "enter", "\x13": "ctrl+s", "\x05": "ctrl+e", "\x11": "ctrl+q"}


def fields(app: JobsApp) -> list[str]:
    found = [one.value for one in app.screen.query(Input)]
    return found + [one.text for one in app.screen.query(TextArea)]


async def pasted(pilot: Pilot[None], text: str) -> None:
    app: Any = pilot.app
    event = events.Paste(text)
    event.set_sender(app)
    app._driver.process_message(event)
    await settle(pilot)


async def failed_job(pilot: Pilot[None], stage: Stage) -> None:
    """Opens the list with the cursor on a failed job."""
    app: Any = pilot.app
    await shows(pilot, "1 failed")
    await app.push_screen(QueueView("mail", State.FAILED))
    await shows(pilot, "1 / 1", "job-1")


def test_every_dialog_with_a_text_keeps_it_or_is_short() -> None:
    written = set()
    for module in pkgutil.iter_modules(dialogs.__path__):
        found = importlib.import_module(f"{dialogs.__name__}.{module.name}")
        for one in vars(found).values():
            if inspect.isclass(one) and issubclass(one, ModalScreen):
                lines = "".join(inspect.getsource(base) for base in one.__mro__[:2])
                if "Line(" in lines or "Lines(" in lines:
                    written.add(one)
    kept = {one.__name__ for one in written if issubclass(one, Keeping)}
    assert kept == {"JobForm", "Editor"}
    assert {one.__name__ for one in written} - kept == SHORT


#: Keys from the overview on, and the dialog and the texts that they lead to.
BURSTS = [
    pytest.param("n\x1b", None, id="nothing typed"),
    pytest.param("nann\x1b", "Discard", id="asked once"),
    pytest.param("nann\x1b\x1b", None, id="thrown away"),
    pytest.param("nann\x1bx", "JobForm", id="another key goes back"),
    pytest.param("nann\x1bxxPO\x1b\x1b", None, id="it goes back to the text"),
    pytest.param("nann\x1byyy", "JobForm", id="y throws nothing away"),
    pytest.param("nann\x1b\r\x1b", "Discard", id="nor does Enter"),
    pytest.param("nann\x1b\x13y", "JobForm", id="nor is anything added"),
    pytest.param("nann\x05\x1b", "JobForm", id="the editor, unchanged"),
    pytest.param("nann\x05z\x1b", "Discard", id="the editor"),
    pytest.param("nann\x05z\x1b\x1b", "JobForm", id="from the editor to the form"),
    pytest.param("nann\x05z\x1b\x1b\x1b", "Discard", id="both"),
    pytest.param("nann\x05z\x1bqqq", "Editor", id="back to the editor"),
    pytest.param("nann\x13\x1b", "Discard", id="after it was refused"),
]


@pytest.mark.parametrize(("keys", "leads_to"), BURSTS)
async def test_a_burst_at_the_question_does_what_the_keys_do_one_by_one(
    described: Stage, keys: str, leads_to: str | None
) -> None:
    ends = []
    for at_once in (False, True):
        app = described.app()
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await shows(pilot, "mail")
            await settle(pilot)
            if at_once:
                burst(app, keys)
            else:
                for key in keys:
                    await pilot.press(NAMES.get(key, key))
                    await settle(pilot)
            await settle(pilot)
            names = [type(one).__name__ for one in app.screen_stack]
            assert names[-1] == (leads_to or "Overview"), text_of(app)
            ends.append((names, fields(app)))
    assert ends[0] == ends[1]
    assert not any(described.counts().values())


async def test_the_payload_of_a_job_is_not_lost_to_one_key(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await failed_job(pilot, stage)
        for key in ("E", "d"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, QueueView), "the list")
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
            app.screen.query_one(TextArea).text = '{"to": "é漢@example.com"}'
            await pilot.press("escape")
            await shows(pilot, "Throw away what you typed?", "any other key")
            # A paste is no answer, and is not lost: the clipboard still has it.
            await pasted(pilot, "x" * 5_000)
            assert isinstance(app.screen, Discard)
            await pilot.press("space")
            await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
            assert fields(app) == ['{"to": "é漢@example.com"}']
            # Also after it was shown again.
            await pilot.press("ctrl+s")
            await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Discard), "the question")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, QueueView), "the list")
    assert stage.counts()["failed"] == 1


async def test_a_text_is_not_lost_when_the_job_is_refused(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await failed_job(pilot, stage)
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
        app.screen.query_one(TextArea).text = '{"to": "ann@example.com"}'
        await pilot.press("ctrl+s")
        await shows(pilot, "Run this job instead of job-1")
        stage.writer.retry("mail", "job-1")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
        assert fields(app) == ['{"to": "ann@example.com"}']
        assert len(app._notifications) == 1
    assert stage.counts()["waiting"] == 1


async def test_an_empty_text_is_refused_and_not_taken_for_a_cancel(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await failed_job(pilot, stage)
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
        app.screen.query_one(TextArea).text = ""
        await pilot.press("ctrl+s")
        await shows(pilot, "Edit job-1", "payload:")
        assert isinstance(app.screen, Editor)


@pytest.mark.parametrize("first", ["ctrl+q", "escape"])
async def test_ctrl_q_asks_once_where_a_text_was_typed(described: Stage, first: str) -> None:
    app = described.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n", *"ann", "ctrl+q")
        await shows(pilot, "Throw away what you typed and quit?")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, JobForm), "the form")
        assert fields(app)[0] == "ann"
        await pilot.press(first, "ctrl+q")
        await until(pilot, lambda: not app.is_running, "the end")


LINES = '{\r\n  "a": "é漢",\n\n  "b": 1\n}\n'


async def test_a_line_takes_all_lines_of_a_paste_and_says_so(described: Stage) -> None:
    """Each of them; an input takes the first one, and that is often a brace or nothing."""
    described.fail("job-1")
    app = described.app()
    one = '{   "a": "é漢",   "b": 1 }'
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, JobForm), "the form")
        await pasted(pilot, "\n" + LINES)
        assert fields(app)[0] == one
        await shows(pilot, "4 lines were pasted as one", "Ctrl+E")
        await pilot.press("tab")
        await pasted(pilot, "x" * 5_000)
        assert fields(app)[1].endswith("x" * 5_000)
        await pilot.press("escape", "escape", "colon")
        await until(pilot, lambda: isinstance(app.screen, Ask), "the line")
        await pasted(pilot, "\nid-1\n")
        assert fields(app) == ["id-1"]
        await pilot.press("escape", "enter", "slash")
        await pasted(pilot, LINES)
        assert fields(app) == [one]
        await pilot.press("escape")
        await shows(pilot, "1 / 1")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "a question")
        await pilot.press("escape")
        stage = described
        stage.add("job-2")
        await app.push_screen(QueueView("mail", State.WAITING))
        await shows(pilot, "job-2")
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pasted(pilot, "the customer\nasked for it")
        assert fields(app) == ["the customer asked for it"]


@pytest.mark.parametrize("text", ["²", "9" * 5_000, "-1", "1e9", "é漢", "\u202e1"])
async def test_what_is_no_number_is_refused_by_name_and_stays(described: Stage, text: str) -> None:
    app = described.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        for name in ("attempts", "count"):
            await pilot.press("n", *"ann")
            await until(pilot, lambda: isinstance(app.screen, JobForm), "the form")
            lines = {one.field.name: one for one in app.screen.query(FormLine)}
            lines["place.city"].value, lines[name].value = "Rome", text
            await pilot.press("ctrl+s")
            await shows(pilot, f"{name}: must be")
            assert text in fields(app)
            await pilot.press("escape", "escape")
            await settle(pilot)


async def test_the_limit_of_a_clean_that_is_no_number_is_refused(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("c")
        for text in ("failed 0 ²", f"failed 0 {'9' * 5_000}", "failed 0 0"):
            app.screen.query_one(Input).value = text
            await pilot.press("enter")
            await shows(pilot, "limit: must be a whole number")
            assert fields(app) == [text]


async def test_a_required_field_that_was_overlooked_is_named(described: Stage) -> None:
    app = described.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        burst(app, "nann\x13")
        await shows(pilot, "place.city: is required", "Ctrl+E")
        # The cursor is in its line.
        await pilot.press(*"Rome", "ctrl+s")
        await shows(pilot, "Add this job to mail", "Rome")


async def test_the_wrong_text_is_answered(stage: Stage) -> None:
    stage.add("job-1")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "1 waiting")
        await pilot.press("O", *"mial", "enter")
        await shows(pilot, "That is not it. Type mail to continue")
        await pilot.press(*["backspace"] * 4, *"mail", "enter")
        await shows(pilot, "removed 1 of 1")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/nowhere/editor", "cannot be run"),
        ("'unclosed", "cannot be run"),
        ("false", "ended with status 1"),
    ],
)
async def test_an_editor_that_fails_leaves_the_text_and_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", command)
    stage.fail("job-1")
    app = stage.app()
    monkeypatch.setattr(app, "suspend", contextlib.nullcontext)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await failed_job(pilot, stage)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
        app.screen.query_one(TextArea).text = "{}"
        await pilot.press("ctrl+e")
        await shows(pilot, words)
        assert fields(app) == ["{}"]


def test_the_terminal_comes_back_from_an_editor_that_cannot_be_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    stage.fail("job-1")
    terminal = Terminal(stage)
    terminal.until("1 failed")
    os.write(terminal.fd, b"\r")
    terminal.until("job-1")
    os.write(terminal.fd, b"d")
    terminal.until("Copy of job-1")
    os.write(terminal.fd, b"\x05")
    terminal.until(ENTERED)
    terminal.until("cannot be run")
    os.write(terminal.fd, b"typed")
    terminal.until("typed")
    os.write(terminal.fd, b"\x11\x11")
    terminal.until(LEFT)
    assert terminal.status() == 0


def test_an_editor_that_only_shows_a_payload_changes_nothing() -> None:
    data = {"say": "a\u2028b\u2029c\x85d\x0be\nf\r\n\x1c", "\u2028": 1}
    text = compose.pretty(data)
    assert Document(text).text == text
    assert compose.parse(text) == data

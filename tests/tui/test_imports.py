"""What the TUI imports, as it is memory that it holds for as long as it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.conftest import Stage
from tests.tui.test_terminal import LEFT, Terminal

#: Not even after every screen was shown. Textual imports Rich's tracebacks when a read of ours fails.
NEVER = (
    *("redis.client", "redis.asyncio", "redis.cluster", "redis.sentinel", "redis.commands"),
    *(
        "opentelemetry.metrics._internal",
        "rich.traceback",
        "rich.syntax",
        "rich.markdown",
        "pygments",
        "attr",
    ),
    *(
        "hsejobs.engine",
        "huey",
        "pydantic",
        "httpx",
        "cryptography.hazmat",
        "jinja2",
        "fastapi",
        "typer",
    ),
)
#: Not before something needs it: what the first frame imports is also time until it is seen.
LATER = ("ctypes", "textual.widgets._text_area", "hsejobs_tui.dialogs", "hsejobs_tui.flows")
#: Only with the first act, the first slow read, a search, a profile or in a browser: the first frame is drawn
#: without them. Of redis-py's imports, what it looks up its own version with.
AFTER = (
    *("hsejobs.control.acts", "hsejobs.control.audit", "hsejobs.control.filters"),
    *("hsejobs.control.history", "hsejobs.control.making", "hsejobs.control.progress"),
    *("hsejobs.store.circuits", "hsejobs.store.feed", "hsejobs.store.history"),
    *("hsejobs.store.marks", "hsejobs.store.periods", "hsejobs.store.recording"),
    *("hsejobs.store.work", "hsejobs.store.write", "hsejobs.watch.alerts", "hsejobs.watch.logs"),
    *("hsejobs_tui.core.groups", "hsejobs_tui.session.addresses"),
    *("importlib.metadata", "email", "tomllib"),
)
#: Ends with what was imported when the first figures were drawn.
DRAWN = """
import sys
before = set(sys.modules)
from hsejobs.store.lean import import_redis
import_redis()
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.options import load
redraw = JobsApp.redraw
def first(app):
    redraw(app)
    if app.session.snapshot is not None:
        print(*sorted(set(sys.modules) - before), file=sys.__stdout__)
        app.exit()
JobsApp.redraw = first
JobsApp(load()).run(headless=True)
"""
#: Opens every numbered screen, a queue, a job and its help.
SCREENS = b"234567891\r\r?"


@pytest.fixture
def errors(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program's standard error goes: Python writes there what it imports."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    return stage.home / "errors"


def imported(errors: Path) -> set[str]:
    """The names of the modules, and those of their packages."""
    found = set()
    for line in errors.read_text().splitlines():
        if line.startswith("import time:"):
            found.add(line.rpartition("|")[2].strip())
    assert "hsejobs_tui.start" in found
    return found


def unwanted(found: set[str], names: tuple[str, ...]) -> list[str]:
    return sorted(one for one in found if any(f"{one}.".startswith(f"{name}.") for name in names))


def test_the_first_frame_imports_nothing_that_it_does_not_show(stage: Stage, errors: Path) -> None:
    stage.add("job-1")
    terminal = Terminal(stage, to=f"2>{errors}")
    terminal.until("1 waiting")
    os.write(terminal.fd, b"\x11")
    terminal.until(LEFT)
    assert terminal.status() == 0
    found = imported(errors)
    assert "hsejobs_tui.screens.overview" in found
    screens = {one for one in found if one.startswith("hsejobs_tui.screens.")}
    known = ("base", "one_queue", "overview")
    assert screens == {f"hsejobs_tui.screens.{name}" for name in known}
    # The command that ends it has questions: for `hsejobs up`, and about a text that was typed.
    asked = {f"hsejobs_tui.dialogs.{name}" for name in ("questions", "discard", "keeping")}
    asked |= {"hsejobs_tui.dialogs", "hsejobs_tui.flows", "hsejobs_tui.flows.quitting"}
    assert unwanted(found - asked, (*NEVER, *LATER)) == []


def test_the_first_figures_are_drawn_before_what_only_later_reads_and_acts_need(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.add("job-1")
    monkeypatch.setenv("QUEUE_REDIS_URL", stage.url)
    monkeypatch.setenv("QUEUE_REDIS_PREFIX", "t")
    command = [sys.executable, "-c", DRAWN]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = set(done.stdout.split())
    assert {"hsejobs_tui.screens.overview", "hsejobs.store.read_live"} <= found
    assert unwanted(found, (*NEVER, *LATER, *AFTER)) == []


def test_one_frame_as_text_imports_no_toolkit(stage: Stage, errors: Path) -> None:
    stage.add("job-1")
    terminal = Terminal(stage, to=f"</dev/null 2>{errors}")
    terminal.until("mail ")
    assert terminal.status() == 0
    assert unwanted(imported(errors), (*NEVER, *LATER, "textual", "rich")) == []


def test_no_screen_imports_what_none_needs(stage: Stage, errors: Path) -> None:
    stage.add("job-1")
    terminal = Terminal(stage, to=f"2>{errors}")
    terminal.until("1 waiting")
    os.write(terminal.fd, SCREENS)
    terminal.until("Keys: job")
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.until(LEFT)
    assert terminal.status() == 143
    found = imported(errors)
    assert {"hsejobs_tui.screens.insight", "hsejobs_tui.screens.job"} <= found
    assert unwanted(found, NEVER) == []

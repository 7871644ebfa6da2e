"""Confirmation on a terminal: the command does what the question output, while another client acts."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.model import State
from hsejobs.services.artifacts.store import open_store
from hsejobs.settings import load_settings
from hsejobs.store.write import NewJob
from tests.support.waiting import tick


class Terminal:
    """The command on a pseudo-terminal."""

    def __init__(self, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            argv = [sys.executable, "-m", "hsejobs_cli", *words]
            os.execv(argv[0], argv)  # noqa: S606
        self.seen = ""

    def until(self, words: str) -> None:
        while words not in self.seen:
            try:
                self.seen += os.read(self.fd, 65_536).decode()
            except OSError:
                raise AssertionError(f"ended without {words!r}: {self.seen!r}") from None

    def answer(self, text: str) -> None:
        os.write(self.fd, text.encode() + b"\n")

    def status(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def add(*ids: str, delay: int = 0) -> None:
    for job_id in ids:
        runtime().writer.add(
            "email", NewJob(job_id, "m.task", b"{}", 3, 1, 1000, 0, delay=delay, nonce="n")
        )


@pytest.fixture
def three(redis_url: str) -> Iterator[None]:
    # Another test may have left a runtime that points to another Redis.
    reset_runtime()
    add("a", "b")
    add("c", delay=600_000)
    yield
    runtime().redis.close()
    reset_runtime()


@pytest.mark.parametrize(
    ("words", "question", "answer", "output"),
    [
        (
            ["drain", "email"],
            "Remove 3 jobs",
            "y",
            "removed 3 jobs; 2 skipped: added in the meantime",
        ),
        (["obliterate", "email"], "Remove all 3 jobs", "email", "removed 3 jobs; 2 skipped"),
        (
            ["clean", "email", "--status", "waiting", "--grace", "0s"],
            "Remove 2 waiting",
            "y",
            "removed 2 jobs",
        ),
    ],
    ids=["drain", "obliterate", "clean"],
)
def test_jobs_added_after_the_question_are_kept(
    three: None, words: list[str], question: str, answer: str, output: str
) -> None:
    terminal = Terminal(*words)
    terminal.until(question)
    tick(runtime().redis)
    add("late")
    add("later", delay=600_000)
    terminal.answer(answer)
    terminal.until(output)
    assert terminal.status() == 0
    for job_id in ("late", "later"):
        assert runtime().reader.status("email", job_id)
    for job_id in ("a", "b"):
        assert runtime().reader.status("email", job_id) is None


def test_remove_refuses_a_job_that_changed_after_the_question(three: None) -> None:
    terminal = Terminal("remove", "email", "c")
    terminal.until("Remove job c of email, which is delayed?")
    runtime().writer.promote("email", "c")
    terminal.answer("y")
    terminal.until("is waiting now; check it again")
    assert terminal.status() == 1
    assert runtime().reader.status("email", "c") is State.WAITING


def test_clean_with_a_limit_takes_no_others_instead(three: None) -> None:
    terminal = Terminal("clean", "email", "--status", "waiting", "--grace", "0s", "--limit", "1")
    terminal.until("Remove 1 waiting")
    runtime().writer.remove("email", "a")
    terminal.answer("y")
    terminal.until("removed 0 jobs; 1 skipped: they left that state")
    assert terminal.status() == 0
    assert runtime().reader.status("email", "b") is State.WAITING


def test_a_file_that_was_replaced_is_not_removed(three: None) -> None:
    settings, ids = load_settings(), "f" * 32
    store = open_store(settings.artifacts_url, settings.jobs_home)

    def save(content: bytes) -> None:
        about: dict[str, Any] = {"name": "a.csv", "content_type": "text/csv"}
        with store.write("org-1", ids, expires_at=2**42, **about) as out:
            out.write(content)

    save(b"one")
    terminal = Terminal("artifacts", "remove", ids)
    terminal.until("Remove a.csv of org-1?")
    save(b"two")
    terminal.answer("y")
    terminal.until("replaced since it was shown")
    assert terminal.status() == 1
    assert store.get("org-1", ids).bytes == 3


def test_clean_reports_jobs_that_left_the_state(three: None) -> None:
    terminal = Terminal("clean", "email", "--status", "delayed", "--grace", "0s")
    terminal.until("Remove 1 delayed")
    runtime().writer.promote("email", "c")
    terminal.answer("y")
    terminal.until("removed 0 jobs; 1 skipped: they left that state")
    assert terminal.status() == 0
    assert runtime().reader.status("email", "c") is State.WAITING

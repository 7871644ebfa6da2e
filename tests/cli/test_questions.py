"""The command asks in a terminal, and does what it asked: another client acts before the answer."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.model import State
from hsejobs.store.write import NewJob
from tests.support.waiting import tick


class Terminal:
    """The command on a terminal of its own."""

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
    runtime().link.close()
    reset_runtime()


@pytest.mark.parametrize(
    ("words", "question", "answer", "said"),
    [
        (["drain", "email"], "Remove 3 jobs", "y", "removed 3 jobs; 2 stay: they came later"),
        (["obliterate", "email"], "Remove all 3 jobs", "email", "removed 3 jobs; 2 stay"),
        (
            ["clean", "email", "--status", "waiting", "--grace", "0s"],
            "Remove 2 waiting",
            "y",
            "removed 2 jobs",
        ),
    ],
    ids=["drain", "obliterate", "clean"],
)
def test_what_came_after_the_question_stays(
    three: None, words: list[str], question: str, answer: str, said: str
) -> None:
    terminal = Terminal(*words)
    terminal.until(question)
    tick(runtime().link)
    add("late")
    add("later", delay=600_000)
    terminal.answer(answer)
    terminal.until(said)
    assert terminal.status() == 0
    for job_id in ("late", "later"):
        assert runtime().reader.status("email", job_id)
    for job_id in ("a", "b"):
        assert runtime().reader.status("email", job_id) is None


def test_a_removal_takes_the_job_that_was_asked_about(three: None) -> None:
    terminal = Terminal("remove", "email", "c")
    terminal.until("Remove job c of email, which is delayed?")
    runtime().writer.promote("email", "c")
    terminal.answer("y")
    terminal.until("is waiting now; check it again")
    assert terminal.status() == 1
    assert runtime().reader.status("email", "c") is State.WAITING


def test_a_clean_says_what_moved_on(three: None) -> None:
    terminal = Terminal("clean", "email", "--status", "delayed", "--grace", "0s")
    terminal.until("Remove 1 delayed")
    runtime().writer.promote("email", "c")
    terminal.answer("y")
    terminal.until("removed 0 jobs; 1 stay: they moved on")
    assert terminal.status() == 0
    assert runtime().reader.status("email", "c") is State.WAITING

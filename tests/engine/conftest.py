"""A real consumer, and the queue as the test's own process sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.model import State
from tests.engine import jobs
from tests.support import wait_until
from tests.support.consumers import power_off, start_consumer


class Consumer:
    """A ``huey_consumer`` process in its own session."""

    def __init__(
        self,
        *options: str,
        log: Path,
        place: str = "tests.engine.jobs.huey",
        fork: bool = True,
        **env: str,
    ) -> None:
        self.log = log
        self.process = start_consumer(place, *options, log=log, env=env, fork=fork)

    def send(self, signum: int) -> None:
        self.process.send_signal(signum)

    def stop(self, timeout: float = 20) -> int:
        self.process.terminate()
        return self.process.wait(timeout)

    def kill_all(self) -> None:
        """Kills the consumer and its workers, as a power failure would."""
        power_off(self.process)


@pytest.fixture
def trial(
    redis_url: str, no_leaks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The file in which the tasks note their runs."""
    file = tmp_path / "trial"
    file.touch()
    monkeypatch.setenv("TRIAL_FILE", str(file))
    monkeypatch.setenv("QUEUE_LEASE_MS", "1500")
    reset_runtime()
    jobs.huey._registered = None
    yield file
    runtime().redis.close()
    reset_runtime()


@pytest.fixture
def consumer(trial: Path, tmp_path: Path) -> Iterator[Callable[..., Consumer]]:
    """Starts consumers; what still runs at the end is killed."""
    started: list[Consumer] = []

    def start(*options: str, **env: Any) -> Consumer:
        one = Consumer(*options, log=tmp_path / "consumer.log", **env)
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill_all()


def counts() -> dict[str, int]:
    """The queue's counts by state."""
    stats = runtime().reader.stats(["trial"])[0]
    return {state.value: getattr(stats, state.value) for state in State}


def wait_for(state: str, n: int, timeout: float = 30) -> None:
    """Waits until exactly ``n`` jobs are in a state; fails after ``timeout`` seconds."""
    try:
        wait_until(lambda: counts()[state] == n, timeout=timeout, what=f"{n} {state}")
    except AssertionError as error:
        raise AssertionError(f"{error}; there are {counts()}") from None


def begun(trial: Path, word: str = "begin:1") -> None:
    """Waits until a task has noted its beginning: an active job may not have begun yet."""
    wait_until(lambda: word in trial.read_text(), timeout=20, what="the job to begin")


def note(trial: Path, word: str) -> None:
    """Adds a word that a job waits for."""
    with trial.open("a") as file:
        file.write(f"{word}\n")

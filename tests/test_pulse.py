"""A consumer's pulse: who may write it, and where it is looked for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsejobs import pulse
from hsejobs.pulse import Phase, Pulse


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pulse]:
    """A supervisor's page that this process uses."""
    made = Pulse.create("trial", "here")
    monkeypatch.setenv(pulse.VARIABLE, str(os.dup(made.fd)))
    pulse.attach("trial", "here")
    yield made
    pulse.detach()
    made.close()


def test_the_main_thread_shows_what_it_does(page: Pulse) -> None:
    assert (page.read().phase, page.pid, page.owner) == (
        Phase.STARTING,
        os.getpid(),
        ("trial", "here"),
    )
    pulse.beat()
    first = page.read()
    assert first.phase is Phase.RUNNING
    with pulse.connecting():
        assert page.read().phase is Phase.CONNECTING
        pulse.beat()
        assert page.read().phase is Phase.RUNNING
    assert page.read().at > first.at
    assert pulse.VARIABLE not in os.environ


#: A program with a pulse whose child, a worker process, beats; prints whether that can be seen.
FORKING = """
import os
from hsejobs import pulse
pulse.attach("trial", "forking")
pulse.beat()
before = pulse.find("forking")
child = os.fork()
if child == 0:
    pulse.beat()
    os._exit(0)
os.waitpid(child, 0)
print(pulse.find("forking") == before, len(before))
"""


def test_another_thread_and_a_child_show_nothing(page: Pulse) -> None:
    pulse.beat()
    before = page.read()
    thread = threading.Thread(target=pulse.beat)
    thread.start()
    thread.join()
    assert page.read() == before
    done = subprocess.run([sys.executable, "-c", FORKING], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"True 1\n"


def test_it_is_found_by_installation(page: Pulse) -> None:
    pulse.beat()
    assert [(one.queue, one.pid, one.frozen) for one in pulse.find("here")] == [
        ("trial", os.getpid(), False)
    ]
    assert pulse.find("there") == []


def test_another_file_under_the_inherited_number_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"x" * 4096)
    with file.open("r+b") as other:
        monkeypatch.setenv(pulse.VARIABLE, str(other.fileno()))
        pulse.attach("trial", "here")
        pulse.beat()
        pulse.detach()
    assert file.read_bytes() == b"x" * 4096

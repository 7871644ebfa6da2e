"""A signal reaches the process that was read, and no other that has got its id since."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsejobs import process_tree

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def shell() -> Iterator[subprocess.Popen[bytes]]:
    """A shell that waits for two sleeps."""
    command = "sleep 60 & sleep 60 & echo begun; wait"
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("pidfd", [True, False])
def test_only_the_process_that_was_read_gets_the_signal(
    shell: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, pidfd: bool
) -> None:
    if not pidfd:

        def refused(pid: int) -> int:
            raise OSError(errno.ENOSYS, "an old kernel, or a sandbox")

        monkeypatch.setattr(os, "pidfd_open", refused)
    one = process_tree.read(shell.pid)
    assert one is not None
    assert not process_tree.send(one._replace(started=one.started - 1), signal.SIGSTOP)
    assert process_tree.read(shell.pid) == one
    below = process_tree.children(shell.pid)
    assert process_tree.send(below[0], signal.SIGTERM)
    assert process_tree.send(below[1], signal.SIGTERM)
    assert shell.wait(20) == 0
    # Waited for: no process has the id now.
    assert not process_tree.send(one, signal.SIGKILL)


def test_descendants_come_after_their_parents(shell: subprocess.Popen[bytes]) -> None:
    found = process_tree.descendants(os.getpid())
    assert [one.parent for one in found if one.parent == shell.pid] == [shell.pid] * 2
    places = {one.pid: at for at, one in enumerate(found)}
    assert all(places.get(one.parent, -1) < at for at, one in enumerate(found))
    without = process_tree.descendants(os.getpid(), lambda one: one.pid == shell.pid)
    assert {one.pid for one in found} - {one.pid for one in without} >= {
        shell.pid,
        *(one.pid for one in process_tree.children(shell.pid)),
    }

"""The exit code of a guard tells how its worker ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Prints the guard's exit code.
PROGRAM = """
import os, signal, subprocess, threading, time
from hsejobs.engine.guard import guarded

def work():
    {work}

life, kept = os.pipe()
pid = os.fork()
if not pid:
    os.close(kept)
    guarded(work, life)
else:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize(
    ("work", "code"),
    [
        ("pass", 0),
        # The guard kills the worker, which has ended its work.
        ("threading.Thread(target=time.sleep, args=(60,)).start()", 0),
        ("subprocess.Popen(['/bin/sleep', '60'])", 0),
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + 9),
        # What the consumer sends to make an end of it.
        ("os.kill(os.getppid(), signal.SIGUSR2); time.sleep(60)", 128 + 9),
    ],
)
def test_the_code_tells_how_the_worker_ended(work: str, code: int) -> None:
    program = PROGRAM.format(work=work)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == (f"{code}\n", "")

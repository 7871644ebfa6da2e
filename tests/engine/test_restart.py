"""Signals that arrive while a consumer executes itself again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.engine import jobs
from tests.engine.conftest import Consumer, begun, counts
from tests.support.programs import wait_for_log

#: A program that executes itself again after its first line. The signals in its arguments arrive at the
#: moments of the same name; the second program ends when it is stopped.
PROGRAM = """
import os, signal, sys, threading, time
from hsejobs.engine import restart

before, last, mode = sys.argv[1:]
stopped = []
read, write = os.pipe()
os.set_blocking(read, False)
os.set_blocking(write, False)

def send(name):
    if name != "-":
        os.kill(os.getpid(), getattr(signal, name))

def stop(*_):
    stopped.append(True)

def execv(path, words):
    send(last)
    execute(path, [*words[:-3], "-", "-", "second"])

if mode == "second":
    restart.listen(stop, lambda *_: print("hung up"), write)
    print("second", flush=True)
    end = time.monotonic() + 10
    while not stopped and time.monotonic() < end:
        time.sleep(0.01)
    print("stopped" if stopped else "lost")
    sys.exit(0)
restart.listen(stop, lambda *_: None, write)
execute, os.execv = os.execv, execv
if mode == "threads":
    # Threads that hang may receive a signal for the process.
    for _ in range(3):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
send(before)
restart.replace(lambda: bool(stopped), read, supervised=False)
print("stopped at once")
"""


def restarted(path: Path, before: str, last: str, mode: str) -> tuple[int, list[str]]:
    file = path / "program.py"
    file.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(file), before, last, mode],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.split("\n")[:-1]


def test_a_stop_just_before_the_restart_prevents_it(tmp_path: Path) -> None:
    assert restarted(tmp_path, "SIGTERM", "-", "first") == (0, ["stopped at once"])


def test_a_stop_at_the_last_moment_reaches_the_new_program(tmp_path: Path) -> None:
    assert restarted(tmp_path, "-", "SIGTERM", "first") == (0, ["second", "stopped"])


def test_a_stop_that_another_thread_receives_ends_the_process(tmp_path: Path) -> None:
    status, _ = restarted(tmp_path, "-", "SIGTERM", "threads")
    assert status == -signal.SIGTERM


def test_a_stop_during_a_restart_wins(consumer: Callable[..., Consumer], trial: Path) -> None:
    one = consumer("-w", "1")
    jobs.huey.submit({"n": 1, "seconds": 0.7}, task="work")
    begun(trial)
    # The job runs on: both signals arrive before the restart.
    one.send(signal.SIGTERM)
    one.send(signal.SIGHUP)
    assert one.process.wait(30) == 0
    assert counts()["completed"] == 1
    two = consumer("-w", "1")
    jobs.huey.submit({"n": 2, "seconds": 0.7}, task="work")
    begun(trial, "begin:2")
    two.send(signal.SIGHUP)
    two.send(signal.SIGTERM)
    assert two.process.wait(30) == 0
    assert counts()["completed"] == 2


#: An application that gets SIGHUP while it is imported for the first time.
APPLICATION = """
import os, signal
from pathlib import Path
if not Path("imported").exists():
    Path("imported").touch()
    os.kill(os.getpid(), signal.SIGHUP)
    raise SystemExit("goes on")
from hsejobs.engine import JobHuey
huey = JobHuey("early")
"""


def test_a_hang_up_while_the_application_is_imported_begins_again(
    redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "early.py").write_text(APPLICATION)
    log = tmp_path / "early.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "hsejobs_cli.consumer.huey_consumer", "early.huey"],
            cwd=tmp_path,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for_log(process, log, "processor started")
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()

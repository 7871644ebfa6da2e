"""Tasks that start real programs; a consumer imports this module instead of ``jobs``."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.engine.jobs import huey

#: Marks, in the environment, what a test's jobs have started.
MARK = "TRIAL_FILE"
_KEPT: list[bytes] = []

if seconds := os.environ.get("HELPER_SECONDS"):
    #: A process that the application starts for itself.
    HELPER = subprocess.Popen(["/bin/sleep", seconds])

match os.environ.get("AT_EXIT"):
    case "pool":
        #: Its process holds a lock while it waits, and waits always: one that is killed never gives it back.
        POOL = multiprocessing.Pool(1)
    case "thread":
        threading.Thread(target=threading.Event().wait).start()
    case "executor":
        concurrent.futures.ThreadPoolExecutor(1).submit(threading.Event().wait)


def _square(n: int) -> int:
    return n * n


@huey.task()
def pool(payload: dict[str, Any]) -> dict[str, Any]:
    """Works with four processes; ``seconds``: they sleep afterwards."""
    with multiprocessing.Pool(4) as workers:
        squares = workers.map(_square, range(10))
        _begun()
        workers.map(time.sleep, [payload["seconds"]] * 4, chunksize=1)
    child = multiprocessing.Process(target=_square, args=(2,))
    child.start()
    child.join()
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        cubes = list(executor.map(_square, range(3)))
    return {"squares": sum(squares), "code": child.exitcode, "more": sum(cubes)}


@huey.task()
def shell(payload: dict[str, Any]) -> int:
    """A shell that starts a sleep, in a session of its own if asked to, and one that leaves it behind.

    ``deaf``: the worker ignores every interrupt meanwhile.
    """
    command = f"sleep {payload['seconds']} & sleep {payload['seconds']}"
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], start_new_session=payload.get("session", False)
    )
    if payload.get("orphans"):
        subprocess.run(["/bin/sh", "-c", f"setsid -f sleep {payload['seconds']}"], check=True)
    if payload.get("deaf"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    _begun()
    return process.wait()


@huey.task()
def browser(payload: dict[str, Any]) -> str:
    """The text of a page as a headless browser draws it; ``hang``: a page that never ends."""
    profile = Path(payload["folder"], "profile")
    script = "while (true) {}" if payload.get("hang") else "document.body.textContent = 6 * 7"
    page = f"<body><script>{script}</script></body>"
    process = subprocess.Popen(
        [
            str(shutil.which("chromium")),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--dump-dom",
            f"data:text/html,{page}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    _begun()
    return process.communicate()[0]


@huey.task()
def terminated(payload: dict[str, Any]) -> list[int]:
    """The exit codes of children that got SIGTERM: a program, and a forked process."""
    program = subprocess.Popen(
        [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    program.stdout.readline()
    program.terminate()
    forked = multiprocessing.Process(target=time.sleep, args=(60,))
    forked.start()
    forked.terminate()
    forked.join()
    return [program.wait(), forked.exitcode or 0]


@huey.task()
def eat(payload: dict[str, Any]) -> int:
    """Takes and touches that many MB of memory."""
    return len(b"x" * (payload["mb"] * 2**20))


@huey.task()
def grow(payload: dict[str, Any]) -> None:
    """Takes memory and keeps it."""
    _begun()
    _KEPT.append(b"x" * (payload["mb"] * 2**20))


@huey.task()
def leaves(payload: dict[str, Any]) -> int:
    """Ends and leaves a process running."""
    return subprocess.Popen(["/bin/sleep", str(payload["seconds"])]).pid


def _begun() -> None:
    with Path(os.environ["TRIAL_FILE"]).open("a") as file:
        file.write(f"begun {os.getpid()}\n")

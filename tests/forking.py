"""A program for ``test_forks``: forks children while three threads add jobs and log.

Prints how many children hung; its log lines go to the file in ``sys.argv[1]``.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading

from hsejobs.engine.runtime import runtime
from hsejobs.model import new_job_id
from hsejobs.store.write import NewJob
from hsejobs.watch import logs

CHILDREN = int(sys.argv[2])
#: Seconds after which a child that has not ended counts as hung.
PATIENCE = 20


def add(who: str, number: int) -> None:
    job = NewJob(new_job_id(), f"{who}.{number}", b"{}", 3, 1, 0, 0)
    runtime().writer.add("forks", job)
    logs.job("added", "forks", job.id, f"{who}.{number}", None)
    logs.job("noted", "forks", job.id, "", None, {"line": f"note.{who}.{number}"})
    if number % 2:
        logs.flush()
    logs.emit("told", line=f"told.{who}.{number}")


def keep_adding(who: str, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        add(who, number)
        for _ in range(200):
            new_job_id()
    runtime().redis.close()


def child(number: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.dump_traceback_later(PATIENCE - 2)
    signal.alarm(PATIENCE)
    status = 1
    try:
        add(f"child{number}", 1)
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    logs.configure("INFO", "json", open(sys.argv[1], "a", encoding="utf-8"))  # noqa: SIM115
    stop = threading.Event()
    threads = [threading.Thread(target=keep_adding, args=(f"t{n}", stop)) for n in range(3)]
    for thread in threads:
        thread.start()
    ended = []
    for start in range(0, CHILDREN, 20):
        pids = []
        for number in range(start, start + 20):
            pid = os.fork()
            if not pid:
                child(number)
            pids.append(pid)
        ended += [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    stop.set()
    for thread in threads:
        thread.join()
    logs.flush()
    sys.stdout.write(f"{ended.count(0)} ended, {ended.count(-signal.SIGALRM)} hung\n")


main()

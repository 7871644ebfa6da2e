"""The demo's workers: fills its Redis, then runs a consumer for each queue and adds jobs to them.

``python -m hsejobs_cli.demo.workers [--still]`` writes a line when Redis is filled. It ends, with all its
consumers, when its standard input is closed: the demo that started it has ended, however it did.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import sys
import time
from typing import Any

from hsejobs.engine.runtime import runtime
from hsejobs.errors import JobsError
from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.watch.alerts import Watch
from hsejobs_cli.demo import scene
from hsejobs_cli.demo.filling import fill
from hsejobs_cli.demo.payloads import PAYLOADS, charge, deliver, send
from hsejobs_cli.demo.scene import FLOODER, FLOWS
from hsejobs_cli.demo.shop import DEAD_HOST, QUEUES, RELEASE

#: Seconds between two additions, and between two removals of old jobs.
_STEP, _CLEANING = 0.5, 60.0
#: ms for which jobs that have ended are kept.
_COMPLETED_MS, _FAILED_MS = 900_000, 10_800_000


def main() -> None:
    """Fills Redis; without ``--still``, also runs the consumers until standard input is closed."""
    still = "--still" in sys.argv
    session = runtime()
    now_us = session.redis.command("TIME")
    fill(session.redis, session.prefix, int(now_us[0]) * 1000 + int(now_us[1]) // 1000, still=still)
    if not still:
        registry.note_start(session.redis, session.prefix, list(QUEUES))
    sys.stdout.write(f"{RELEASE}\n")
    sys.stdout.flush()
    if still:
        return
    # A consumer ends by itself when this process has gone.
    os.environ["HSEJOBS_PARENT_PID"] = str(os.getpid())
    session.redis.close()
    consumers = [_start(queue) for queue in QUEUES.values()]
    try:
        _feed()
    finally:
        # Their jobs, and the Redis that has them, are thrown away.
        for pid in consumers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in consumers:
            os.waitpid(pid, 0)


def _start(queue: Any) -> int:
    """Starts the consumer of a queue in a copy of this process; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        queue.create_consumer(periodic=True).run()
        status = 0
    finally:
        os._exit(status)


class _Feeder:
    """Adds the jobs that an ordinary minute brings, a part of them at each step."""

    def __init__(self) -> None:
        self.rng = random.Random()
        self._due = dict.fromkeys(FLOWS, 0.0)

    def step(self, seconds: float) -> None:
        """Adds what has come in these seconds. Raises RedisUnavailable."""
        for name, flow in FLOWS.items():
            if name == "cleanup":
                # Its jobs are those of its schedules.
                continue
            self._due[name] += flow.rate * seconds / 60
            while self._due[name] >= 1:
                self._due[name] -= 1
                self._add(name)

    def _add(self, name: str) -> None:
        flow = FLOWS[name]
        task = self.rng.choices(list(flow.tasks), weights=list(flow.tasks.values()))[0]
        org = self._organization(name)
        if task == "charge":
            payload = charge(self.rng, org, without_vat=self._lot(scene.KEY_ERROR.share / 0.85))
        elif task == "send":
            payload = send(self.rng, org, refused=self._lot(scene.MAILBOX.share))
        elif task == "deliver":
            org, host = ("org-004", DEAD_HOST) if self._lot(0.25) else (org, "")
            payload = deliver(self.rng, org, host)
        else:
            payload = PAYLOADS[task](self.rng, org)
        QUEUES[name].submit(payload, task=task, organization_id=org)

    def _organization(self, name: str) -> str:
        shares = {"crm-sync": 0.8, "billing": 0.4}
        if self._lot(shares.get(name, 0.0)):
            return FLOODER
        return self.rng.choice(scene.ORGS)

    def _lot(self, share: float) -> bool:
        return self.rng.random() < share


def _feed() -> None:
    """Adds jobs, checks the rules of alerts and removes old jobs, until standard input is closed."""
    session, feeder = runtime(), _Feeder()
    watch = Watch(session.redis, session.settings)
    last = cleaned = time.monotonic()
    while not select.select([sys.stdin], [], [], _STEP)[0]:
        now = time.monotonic()
        with contextlib.suppress(JobsError):
            # After a pause of the machine, not all that was missed at once.
            feeder.step(min(5.0, now - last))
            watch.tick()
            if now - cleaned > _CLEANING:
                cleaned = now
                for name in FLOWS:
                    session.writer.clean(name, State.COMPLETED, _COMPLETED_MS)
                    session.writer.clean(name, State.FAILED, _FAILED_MS)
        last = now


if __name__ == "__main__":
    main()

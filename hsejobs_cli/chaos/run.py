"""One run: adds the jobs, strikes the blows, and judges the result."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs.errors import RedisUnavailable, Refused
from hsejobs.model import State
from hsejobs_cli.chaos import refusals
from hsejobs_cli.chaos.consumers import GRACE_MS, Consumer
from hsejobs_cli.chaos.ledger import VARIABLE, Ledger
from hsejobs_cli.chaos.plan import CONSUMERS, OF_CONNECTIONS, OF_CONSUMERS, Blow, Plan
from hsejobs_cli.chaos.verdict import InjectedBlow, Verdict, judge

if TYPE_CHECKING:
    from hsejobs_cli.chaos.guard import Guard
    from hsejobs_cli.chaos.proxy import Proxy

#: Seconds for the first consumers to start; and seconds without any progress after which unfinished
#: jobs count as lost.
START_TIME, STILL = 60.0, 20.0
#: Seconds in which a worker process must be found in the middle of a job.
AT_WORK = 2.0


class Chaos:
    """A run of a plan on one Redis. ``url`` leads through the proxy, if there is one.

    ``refused``: the commands of each blow to the server. ``say`` prints a line of progress.
    """

    def __init__(
        self,
        plan: Plan,
        guard: Guard,
        folder: Path,
        *,
        url: str,
        proxy: Proxy | None,
        admin: Any,
        refused: dict[str, refusals.Refusal],
        server_pid: int | None,
        say: Callable[[str], None],
    ) -> None:
        self.plan, self.guard = plan, guard
        self.proxy, self.admin, self.refused = proxy, admin, refused
        self.server_pid = server_pid
        self.say = say
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.injected: list[InjectedBlow] = []
        self.died = 0
        own = {
            "QUEUE_REDIS_URL": url,
            "QUEUE_REDIS_PREFIX": guard.order.prefix,
            "QUEUE_LEASE_MS": str(plan.lease_ms),
            "QUEUE_SHUTDOWN_GRACE_MS": str(GRACE_MS),
            # Many blows hit the same job; in production none stalls that often.
            "QUEUE_MAX_STALLS": "1000",
            "JOBS_HOME": str(folder),
            "JOBS_LOG_FORMAT": "json",
            "JOBS_LOG_LEVEL": "INFO",
            VARIABLE: str(self.ledger.path),
        }
        # This process adds the jobs, as a producer would.
        os.environ.update(own)
        self.consumers = {
            kind: Consumer(kind, plan.workers, dict(os.environ), folder) for kind in CONSUMERS
        }
        self._adding: threading.Thread | None = None
        self._stop_adding = threading.Event()
        self._failure: list[Exception] = []

    # -- the run

    def run(self) -> Verdict:
        """Runs the plan and returns the verdict. Raises RedisUnavailable, Refused."""
        from hsejobs.engine.runtime import reset_runtime, runtime

        reset_runtime()
        for consumer in self.consumers.values():
            self._start(consumer)
        self._wait_for_workers()
        self.say(f"running for {self.plan.seconds:g} s: {len(self.plan.blows)} blows")
        began = time.monotonic()
        self._adding = threading.Thread(target=self._add_all, args=(began,), name="adder")
        self._adding.start()
        for blow in self.plan.blows:
            self._sleep_until(began + blow.at)
            self._strike(blow)
        self._sleep_until(began + self.plan.seconds)
        self._settle()
        for consumer in self.consumers.values():
            if not consumer.stop(lambda: None):
                self.died += 1
            self._update_groups()
        completed, failed = (
            {
                job.id
                for page in runtime().reader.walk("chaos", state, payload_bytes=0)
                for job in page
            }
            for state in (State.COMPLETED, State.FAILED)
        )
        return judge(
            self.ledger.read(),
            completed,
            failed,
            self.injected,
            self.plan.lease_ms / 1000,
            self.died,
        )

    def end(self) -> None:
        """Kills the consumers that still run, and stops adding."""
        self._stop_adding.set()
        for consumer in self.consumers.values():
            consumer.kill()
        with contextlib.suppress(OSError):
            self._update_groups()
        if self._adding is not None:
            self._adding.join(30)

    def _wait_for_workers(self) -> None:
        from hsejobs.engine.runtime import runtime

        until = time.monotonic() + START_TIME
        while len(runtime().reader.workers(["chaos"])) < len(self.consumers):
            if time.monotonic() > until or not all(one.alive for one in self.consumers.values()):
                raise Refused("the consumers did not start; see their logs")
            time.sleep(0.05)

    def _sleep_until(self, when: float) -> None:
        while (left := when - time.monotonic()) > 0:
            self._check_consumers()
            time.sleep(min(0.1, left))

    def _settle(self) -> None:
        """Waits until every accepted job has ended, or nothing makes progress any more."""
        still = time.monotonic()
        seen = -1
        while time.monotonic() - still < STILL + self.plan.lease_ms / 1000:
            self._check_consumers()
            lines = self.ledger.read()
            if len(lines) != seen:
                seen, still = len(lines), time.monotonic()
            ids: dict[str, set[str]] = {"accepted": set(), "end": set()}
            for line in lines:
                if line["what"] in ids:
                    ids[line["what"]].add(line["job"])
            adding = self._adding is not None and self._adding.is_alive()
            if not adding and ids["accepted"] <= ids["end"]:
                return
            time.sleep(0.2)
        self._stop_adding.set()

    # -- adding

    def _add_all(self, began: float) -> None:
        try:
            self._add_each(began)
        except Exception as error:  # raised again by the main thread
            self._failure.append(error)

    def _add_each(self, began: float) -> None:
        from hsejobs_cli.chaos.queue import huey

        for job in self.plan.jobs():
            self._stop_adding.wait(max(0.0, began + job.at - time.monotonic()))
            while not self._stop_adding.is_set():
                try:
                    huey.submit(
                        {"seconds": job.seconds},
                        task=job.task,
                        job_id=job.id,
                        priority=job.priority,
                        delay=job.delay or None,
                    )
                except RedisUnavailable:
                    # The outcome is unknown, so the job is added again with the same id.
                    self._stop_adding.wait(0.1)
                    continue
                self.ledger.write("accepted", job.id, due=time.time() + job.delay)
                break

    # -- consumers

    def _start(self, consumer: Consumer) -> None:
        consumer.start()
        self._update_groups()

    def _update_groups(self) -> None:
        self.guard.order.groups = [one.group for one in self.consumers.values() if one.alive]
        self.guard.send_order()

    def _check_consumers(self) -> None:
        """Counts and restarts each consumer that ended without a blow; raises an error of the adder."""
        if self._failure:
            raise self._failure[0]
        for consumer in self.consumers.values():
            if not consumer.alive:
                self.died += 1
                self._start(consumer)

    # -- blows

    def _strike(self, blow: Blow) -> None:
        self.say(f"{blow.at:8.2f} s  {blow.blow} {blow.target or ''}".rstrip())
        one = InjectedBlow(blow, time.time())
        self.injected.append(one)
        until = time.monotonic() + blow.seconds
        if blow.blow in OF_CONSUMERS:
            self._disrupt_consumer(one, self.consumers[blow.target or ""], until)
        else:
            try:
                with self._refusing(blow.blow):
                    one.start = time.time()
                    self._sleep_until(until)
            except Refused as error:
                one.skipped = str(error)
        one.end = one.end or time.time()

    def _disrupt_consumer(self, one: InjectedBlow, consumer: Consumer, until: float) -> None:
        one.group = consumer.group
        if one.blow.blow == "kill-worker":
            self._kill_worker(one, consumer)
            return
        if one.blow.blow == "freeze":
            consumer.send(signal.SIGSTOP)
            try:
                # Without _check_consumers: a frozen consumer has not ended.
                time.sleep(max(0.0, until - time.monotonic()))
            finally:
                consumer.send(signal.SIGCONT)
            return
        if one.blow.blow == "kill":
            consumer.kill()
        elif not consumer.stop(lambda: None):
            self.died += 1
        one.end = time.time()
        self._start(consumer)
        one.next_group = consumer.group

    def _kill_worker(self, one: InjectedBlow, consumer: Consumer) -> None:
        until = time.monotonic() + AT_WORK
        while time.monotonic() < until:
            running: dict[str, int] = {}
            for line in self.ledger.read():
                if line["what"] == "begin" and line["group"] == consumer.group:
                    running[line["run"] + line["job"]] = line["pid"]
                elif line["what"] == "end":
                    running.pop(line["run"] + line["job"], None)
            for pid in reversed(running.values()):
                one.pid, one.start = pid, time.time()
                if consumer.kill_worker(pid):
                    return
            time.sleep(0.005)
        one.skipped = "no worker process was in the middle of a job"

    @contextlib.contextmanager
    def _refusing(self, name: str) -> Iterator[None]:
        if name in OF_CONNECTIONS:
            with _disrupt_connections(self.proxy, name):
                yield
            return
        order = self.guard.order
        if name == "frozen" and self.server_pid is not None:
            order.frozen = self.server_pid
            self.guard.send_order()
            os.kill(self.server_pid, signal.SIGSTOP)
            try:
                yield
            finally:
                os.kill(self.server_pid, signal.SIGCONT)
            order.frozen = None
            self.guard.send_order()
            return
        refusal = self.refused[name]
        order.undo = [list(words) for words in refusal.end]
        self.guard.send_order()
        try:
            _send(self.admin, refusal.begin)
            yield
        finally:
            _send(self.admin, refusal.end)
        order.undo = []
        self.guard.send_order()


def _send(admin: Any, commands: tuple[refusals.Words, ...]) -> None:
    from redis.exceptions import RedisError

    try:
        refusals.run(admin, commands)
    except RedisError as error:
        raise Refused(f"the server refused {' '.join(commands[0][:2])}: {error}") from None


@contextlib.contextmanager
def _disrupt_connections(proxy: Proxy | None, name: str) -> Iterator[None]:
    if proxy is None:
        raise Refused("connections can be disrupted with a single server only")
    if name == "cut":
        proxy.cut_all()
        yield
        return
    begin, end = (proxy.down, proxy.up) if name == "refuse" else (proxy.hole, proxy.fill)
    begin()
    try:
        yield
    finally:
        end()

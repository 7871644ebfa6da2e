"""The demo's jobs: those that the history tells of and that are still kept, in every state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from hsejobs.model import State
from hsejobs.store.circuits import webhook_circuit
from hsejobs.store.registry import QueueInfo
from hsejobs_cli.demo import scene
from hsejobs_cli.demo.past import divide, shares_of
from hsejobs_cli.demo.payloads import PAYLOADS, charge, deliver, send
from hsejobs_cli.demo.records import DemoJob, traceback_of
from hsejobs_cli.demo.scene import FLOODER, FLOWS, Beat, Failing

#: Minutes for which completed and failed jobs of a queue are kept.
KEPT = {"billing": (4, 180), "email": (4, 60)}
KEPT_ELSEWHERE = (180, 180)
#: The machine that runs the workers.
HOST = "worker-1"
#: The circuit that holds the webhooks, and how long it is still open, in ms.
DEAD_CIRCUIT = webhook_circuit("org-004", "hooks.example.com:443")
OPEN_MS = 480_000
HELD = 178


class Jobs:
    """Makes the jobs of one queue. ``now``: ms since the epoch."""

    def __init__(self, info: QueueInfo, now: int, rng: random.Random) -> None:
        self.info, self.now, self.rng = info, now, rng
        self.flow = FLOWS[info.name]

    def ago(self, minutes: float) -> int:
        """The time in ms that many minutes ago."""
        return self.now - int(minutes * 60_000)

    def make(self, task: str, state: State, org: str, created: int, **more: Any) -> DemoJob:
        """A job of a task, by its short name, with the options of its queue."""
        info = self.info.task(task)
        payload = more.pop("payload", None)
        return DemoJob(
            self.info.name,
            info.name,
            state,
            org,
            created,
            PAYLOADS[task](self.rng, org) if payload is None else payload,
            **{
                "priority": self.info.effective_option(info, "priority"),
                "attempts": self.info.effective_option(info, "attempts"),
                "backoff": self.info.effective_option(info, "backoff"),
                "timeout": self.info.effective_option(info, "timeout"),
                "user": f"user-{self.rng.randrange(1, 90)}",
                "request": f"req-{self.rng.getrandbits(40):010x}",
                **more,
            },
        )

    # -- jobs that ended

    def ended(self, beats: list[Beat]) -> Iterator[DemoJob]:
        """The completed and failed jobs of the minutes, as far as they are kept."""
        done, failed = KEPT.get(self.info.name, KEPT_ELSEWHERE)
        for beat in beats:
            if not beat.ago:
                continue
            orgs = shares_of(beat)
            if beat.ago <= done:
                for org, count in divide(beat.completed, orgs, self.rng).items():
                    for _ in range(count):
                        yield self._completed(beat, org)
            if beat.ago <= failed:
                for kind, (count, _) in beat.errors.items():
                    for org, number in divide(count, orgs, self.rng).items():
                        for _ in range(number):
                            yield self.failed(beat.ago - self.rng.random(), kind, org)

    def _completed(self, beat: Beat, org: str) -> DemoJob:
        tasks = list(self.flow.tasks)
        task = self.rng.choices(tasks, weights=list(self.flow.tasks.values()))[0]
        run = int(beat.run * self.rng.lognormvariate(0, 0.35))
        finished = min(self.now - 50, self.ago(beat.ago - self.rng.random()))
        started = finished - run
        wait = int(beat.wait * self.rng.lognormvariate(0, 0.5))
        job = self.make(
            task,
            State.COMPLETED,
            org,
            started - wait,
            started=started,
            finished=finished,
            made=1,
            token=f"{self.rng.getrandbits(48):012x}",
        )
        job.result, job.logs = _outcome(task, job.payload, self.rng)
        return job

    def failed(self, minutes: float, kind: Failing, org: str, **more: Any) -> DemoJob:
        """A job that failed permanently that long ago."""
        if kind is scene.KEY_ERROR:
            task, payload = "charge", charge(self.rng, org, without_vat=True)
        elif kind is scene.MAILBOX:
            task, payload = "send", send(self.rng, org, refused=True)
        else:
            task = next(iter(self.flow.tasks))
            payload = PAYLOADS[task](self.rng, org)
        job = self.make(task, State.FAILED, org, 0, payload=payload, **more)
        final = kind.retries == 0
        job.made = 1 if final else job.attempts
        job.finished = min(self.now - 150, self.ago(minutes))
        ends = [job.finished]
        for attempt in range(job.made - 1, 0, -1):
            run = self._run_of(kind)
            ends.insert(0, ends[0] - run - job.backoff * 5 ** (attempt - 1))
        for attempt, end in enumerate(ends, 1):
            job.errors.append(self.error(kind, job.payload, attempt, end))
        job.started = job.errors[-1]["startedAt"]
        job.created = job.errors[0]["startedAt"] - int(self.flow.wait * (1 + self.rng.random()))
        job.token = f"{self.rng.getrandbits(48):012x}"
        if "invoice" in job.payload:
            about = f"invoice {job.payload['invoice']}: {job.payload['amount']:.2f} EUR"
            job.logs = [about] * job.made
        return job

    def _run_of(self, kind: Failing) -> int:
        ms = 30_000 if kind is scene.TIMEOUT else 130
        return int(ms * self.rng.uniform(1, 1.2))

    def error(
        self, kind: Failing, payload: dict[str, Any], attempt: int, end: int
    ) -> dict[str, Any]:
        """The error of an attempt that ended then."""
        text = kind.text(payload)
        return {
            "attempt": attempt,
            "error": text,
            "code": kind.code,
            "traceback": traceback_of(
                kind.frames, f"{kind.raised}: {text}" if kind.raised else text
            ),
            "startedAt": end - self._run_of(kind),
            "failedAt": end,
            "worker": f"{HOST}:{4100 + self.rng.randrange(4)}:demo1",
        }

    # -- jobs that have not ended

    def open(self) -> Iterator[DemoJob]:
        """The waiting and delayed jobs."""
        if self.info.name == "billing":
            for n in range(3):
                yield self.make("charge", State.WAITING, self._org(), self.now - 40 * (3 - n))
            for _ in range(9):
                yield self._retrying(scene.KEY_ERROR)
        elif self.info.name == "crm-sync":
            for n in range(40):
                # The last one is another organization's: it waits behind all the others.
                org = FLOODER if n < 30 or n % 3 else self._org()
                created = self.ago(scene.FLOOD * (1 - n / 42))
                yield self.make("sync_contacts", State.WAITING, org, created)
        elif self.info.name == "webhooks":
            for n in range(HELD):
                yield self._held(self.ago(scene.DEAD * (1 - n / (HELD + 4))))
        elif self.info.name == "onboarding":
            for n in range(7):
                org = f"org-{35 + n:03}"
                created = self.ago(scene.PAUSED - 1 - n * 5.3)
                yield self.make("provision", State.WAITING, org, created)
        elif self.info.name == "email":
            for _ in range(4):
                yield self._retrying(scene.TIMEOUT)
            for n in range(3):
                due = self.now + (2 + 3 * n) * 3_600_000
                made = self.ago(50 - n)
                yield self.make("send", State.DELAYED, self._org(), made, run_at=due)

    def _org(self) -> str:
        return scene.ORGS[self.rng.randrange(len(scene.ORGS))]

    def _retrying(self, kind: Failing) -> DemoJob:
        job = self.failed(0.05 + self.rng.random() / 20, kind, self._org())
        job.state, job.finished = State.DELAYED, None
        last = job.errors.pop()
        job.made = len(job.errors)
        job.run_at = max(last["startedAt"], self.now + self.rng.randrange(400, 9_000))
        job.started = job.errors[-1]["startedAt"]
        del job.logs[job.made :]
        return job

    def _held(self, created: int) -> DemoJob:
        """A webhook that the open circuit of its receiver holds."""
        due = self.now + OPEN_MS + self.rng.randrange(1_000)
        return self.make(
            "deliver",
            State.DELAYED,
            "org-004",
            created,
            payload=deliver(self.rng, "org-004", "hooks.example.com"),
            run_at=due,
            started=max(created, self.ago(9)),
            more={"pf": created, "wy": f"{due} circuit_open {DEAD_CIRCUIT}"[:64]},
        )

    def running(self) -> list[DemoJob]:
        """The jobs that run, for a picture without workers; their leases have begun now."""
        plan: dict[str, list[tuple[str, str, float, float, str]]] = {
            "billing": [
                ("charge", FLOODER, 0.030, 60, "asking the payment provider"),
                ("charge", "org-009", 0.022, 60, "asking the payment provider"),
                ("charge", FLOODER, 0.012, 60, "asking the payment provider"),
                ("remind", "org-018", 0.003, 0, ""),
            ],
            "crm-sync": [
                ("sync_contacts", FLOODER, 22.4, 92.5, "page 37 of 40"),
                ("sync_contacts", FLOODER, 14.1, 57.5, "page 23 of 40"),
                ("sync_contacts", FLOODER, 6.2, 25, "page 10 of 40"),
            ],
            "email": [("send", "org-022", 0.004, 0, "")],
        }
        found = []
        for task, org, minutes, percent, message in plan.get(self.info.name, ()):
            started = self.ago(minutes)
            job = self.make(
                task,
                State.ACTIVE,
                org,
                started - int(self.flow.wait),
                started=started,
                run_at=self.now + 30_000,
                made=1,
                progress=percent,
                message=message,
                token=f"{self.rng.getrandbits(48):012x}",
            )
            if task == "sync_contacts":
                pages = int(percent * 0.4)
                account = job.payload["account"]
                job.logs = [f"{account}: page {page}, 100 contacts" for page in range(1, pages + 1)]
            found.append(job)
        return found


def _outcome(task: str, payload: dict[str, Any], rng: random.Random) -> tuple[Any, list[str]]:
    """The result and the log of a job that was completed."""
    number = rng.getrandbits(32)
    if task == "charge":
        about = f"invoice {payload['invoice']}: {payload['amount']:.2f} EUR"
        return {"payment": f"pay_{number:08x}"}, [about]
    if task == "send":
        return {"message": f"{number:08x}@mail.example.com"}, [f"250 2.0.0 queued as {number:06X}"]
    if task == "sync_contacts":
        pages = payload["pages"]
        account = payload["account"]
        lines = [f"{account}: page {page}, 100 contacts" for page in range(1, pages + 1)]
        return {"contacts": 100 * pages}, lines
    if task == "deliver":
        return {"status": 204}, []
    if task == "render":
        return {"pages": 3 + number % 40}, []
    if task == "export":
        return {"rows": payload["rows"]}, [f"{payload['rows']:,} rows"]
    return None, []

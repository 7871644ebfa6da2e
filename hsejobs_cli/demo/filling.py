"""Fills a Redis with the demo: three hours of history, jobs in every state, marks, acts, alerts."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from hsejobs import codec
from hsejobs.control import cron
from hsejobs.engine.periodic import newest_due, run_id, time_of
from hsejobs.model import State
from hsejobs.store import keys, registry
from hsejobs.store.client import RedisClient
from hsejobs.store.formats import FORMAT
from hsejobs.store.registry import QueueInfo
from hsejobs_cli.demo import scene
from hsejobs_cli.demo.jobs import DEAD_CIRCUIT, HOST, OPEN_MS, Jobs
from hsejobs_cli.demo.past import Past
from hsejobs_cli.demo.pipe import Pipe
from hsejobs_cli.demo.records import DemoJob, Records
from hsejobs_cli.demo.scene import FLOWS
from hsejobs_cli.demo.shop import QUEUES, RELEASE

#: ms since the last heartbeat of the workers of a picture.
_HEARTBEAT = 700
_FAILING = "31 % of the jobs that ended in 5 minutes failed"
#: Rule, queue, value, limit, message, and how many minutes ago each alert began and ended.
_ALERTS: tuple[tuple[str, str, float, float, str, float, float | None], ...] = (
    ("failures", "billing", 31.0, 10, _FAILING, scene.DEPLOY - 1, None),
    ("oldest", "crm-sync", 23 * 60_000, 600_000, "a job has waited for 23 minutes", 13, None),
    ("waiting", "billing", 1_214, 100, "1,214 jobs wait", scene.REFUSED, scene.REFUSED_OVER),
    ("waiting", "email", 2_610, 100, "2,610 jobs wait", scene.NEWSLETTER, scene.NEWSLETTER - 5),
    ("no_worker", "reports", 41_000, 30_000, "2 jobs wait and there is no worker", 171, 168),
)
#: The heartbeats of a picture are kept for as long as somebody looks at it, in seconds.
_STILL_TTL = 86_400


@dataclass(frozen=True, slots=True)
class Filled:
    """Ids of the jobs that tests and pictures need, by what they are."""

    jobs: dict[str, str]


def fill(
    client: RedisClient, prefix: str, now_ms: int, *, still: bool = False, seed: int = 19
) -> Filled:
    """Fills an empty Redis, the same way for the same time and seed; returns some ids.

    ``now_ms``: Redis time, or the time that its scripts are made to return. ``still``: with running
    jobs and their workers, for a picture; otherwise live consumers are to come. Raises RedisUnavailable.
    """
    return _Filler(client, prefix, now_ms, seed).run(still=still)


class _Filler:
    def __init__(self, client: RedisClient, prefix: str, now: int, seed: int) -> None:
        self.client, self.prefix, self.now, self.seed = client, prefix, now, seed
        self.rng = random.Random(seed)
        self.pipe = Pipe(client)
        self.records = Records(self.pipe, prefix, self.rng)
        self.jobs: dict[str, str] = {}
        self.infos: dict[str, QueueInfo] = {}

    def run(self, *, still: bool) -> Filled:
        minute, passed = self.now // 60_000, self.now % 60_000 / 60_000
        for name, queue in QUEUES.items():
            info = self.infos[name] = queue.describe()
            registry.note(self.client, self.prefix, queue.own_description(consumer=True))
            beats = list(scene.beats(name, self.seed))
            parts = {info.task(task).name: part for task, part in FLOWS[name].tasks.items()}
            base = keys.base(self.prefix, name)
            Past(self.pipe, base, minute, passed).write(beats, parts, self.rng)
            if not info.fair:
                # As its consumers write it at their start.
                self.pipe.add("HSET", keys.of(base, "share"), "f", 0)
            made = Jobs(info, self.now, self.rng)
            if name != "cleanup":
                for job in made.ended(beats):
                    self.records.write(job)
            for job in made.open():
                self.records.write(job)
                if name == "crm-sync":
                    self.jobs["waiting"] = job.id
            if still:
                self._workers(info, [self.records.write(job) for job in made.running()])
        self._known_jobs()
        self._schedules()
        self._story()
        self._alerts()
        self.records.write_events(self.ago(10), self.now)
        self.pipe.flush()
        return Filled(self.jobs)

    def ago(self, minutes: float) -> int:
        return self.now - int(minutes * 60_000)

    # -- jobs with a story

    def _known_jobs(self) -> None:
        """A customer's mail, and all that one request caused."""
        shop = {name: Jobs(info, self.now, self.rng) for name, info in self.infos.items()}
        mail = shop["email"].failed(2.2, scene.TIMEOUT, "org-012")
        mail.payload["to"] = "maria.k@example.com"
        self.jobs["mail"] = self.records.write(mail).id
        org, at = "org-031", self.ago(scene.PAUSED + 1.4)
        common: dict[str, Any] = {"request": "req-7f31c0d2aa", "user": "user-12"}
        first = shop["onboarding"].make("provision", State.COMPLETED, org, at, **common)
        first.result = {"workspace": "example-works-031"}
        self._ran(first, 40, 1_900)
        below = {"parent": first, **common}
        welcome = shop["email"].make("send", State.COMPLETED, org, at + 1_500, **below)
        welcome.payload |= {"to": "admin-031@example.com", "template": "welcome"}
        self._ran(welcome, 60, 400)
        sync = shop["crm-sync"].make("sync_contacts", State.COMPLETED, org, at + 1_520, **below)
        self._ran(sync, 400, 81_000)
        export = shop["data-exports"].make("export", State.COMPLETED, org, at + 80_000, **below)
        export.parent, export.root = sync, first
        self._ran(export, 100, 7_200)
        # Delayed until the end of the trial, which is now.
        payment = shop["billing"].failed(0.001, scene.KEY_ERROR, org, **below)
        payment.created = at + 1_600
        payment.finished = payment.errors[-1]["failedAt"] = self.now - 10
        for job in (first, welcome, sync, export, payment):
            self.records.write(job)
        self.jobs |= {"request": common["request"], "payment": payment.id}

    def _ran(self, job: DemoJob, wait: int, run: int) -> None:
        """A job that waited and ran for that many ms, and has an id before it is written."""
        job.started = job.created + wait
        job.finished, job.made = job.started + run, 1
        self.records.name(job)

    def _schedules(self) -> None:
        """The last runs of periodic tasks."""
        for name, info in self.infos.items():
            base = keys.base(self.prefix, name)
            for one in info.schedules:
                slots = self._slots(one.cron)
                job_id = ""
                for slot in slots:
                    job = DemoJob(
                        name,
                        one.task,
                        State.COMPLETED,
                        None,
                        slot * 60_000 + 300,
                        {},
                        id=run_id(one.task, slot),
                        started=slot * 60_000 + 320,
                        finished=slot * 60_000 + 940,
                        made=1,
                        result={"removed": self.rng.randrange(50, 400)},
                    )
                    job_id = self.records.write(job).id
                self.pipe.add("HSET", keys.of(base, "slots"), one.task, slots[-1])
                self.pipe.add("HSET", keys.of(base, "lastruns"), one.task, job_id)

    def _slots(self, text: str) -> list[int]:
        """The minutes of the last runs of a schedule: of one that runs each hour three, the oldest first."""
        due, now = cron.parse(text).matches, self.now // 60_000
        newest = newest_due(due, 0, now) or now
        return [at for at in (newest - 120, newest - 60, newest) if due(time_of(at))]

    # -- what people and the system did

    def _story(self) -> None:
        self._mark(170, "deploy", "release b7c2", "ci")
        self._mark(scene.OUTAGE + 1, "deploy", "release 3d8a", "ci")
        refused = "failures: 69 % of the jobs that ended in 5 minutes failed"
        self._alert_mark(scene.OUTAGE - 2, refused)
        self._act(scene.OUTAGE_PAUSED, "pause", "billing", "ann", reason="the provider is down")
        self._act(scene.OUTAGE_OVER, "resume", "billing", "ann")
        self._alert_mark(scene.OUTAGE_OVER - 3, "failures ended: 2 % of the jobs failed")
        self._mark(74, "deploy", "release 4c20", "ci")
        self._act(scene.PAUSED, "pause", "onboarding", "ann", reason="waits for the new plans")
        self._alert_mark(scene.REFUSED - 2, refused)
        self._act(13, "retry", "billing", "ben", count=212, where="error~refused since=10m")
        self._alert_mark(scene.REFUSED_OVER, "failures ended: 1 % of the jobs failed")
        self._act(9, "remove", "email", "ben", count=14, where="data.template=newsletter")
        self._mark(scene.DEPLOY, "deploy", f"release {RELEASE}", "hsejobs", latest=True)
        self._alert_mark(scene.DEPLOY - 1, f"failures: {_FAILING}")
        base = keys.base(self.prefix, "onboarding")
        self.pipe.add("SET", keys.of(base, "paused"), self.ago(scene.PAUSED))
        circuits = keys.circuits(self.prefix)
        self.pipe.add(
            "HSET", keys.of(circuits, "circuit", DEAD_CIRCUIT), *_open(self.now, self.ago)
        )
        self._keep_circuit(DEAD_CIRCUIT)
        smtp = "smtp:mail.example.com:587"
        since = ("s", "c", "f", 2, "si", self.ago(71), "le", "421 4.7.0 try again later")
        self.pipe.add("HSET", keys.of(circuits, "circuit", smtp), *since)
        self._keep_circuit(smtp)

    def _keep_circuit(self, name: str) -> None:
        base, day = keys.circuits(self.prefix), 86_400_000
        self.pipe.add("PEXPIRE", keys.of(base, "circuit", name), day)
        self.pipe.add("ZADD", keys.of(base, "circuits"), self.now + day, name)

    def _alert_mark(self, minutes: float, text: str) -> None:
        self._mark(minutes, "alert", text, "hsejobs", "billing")

    def _mark(
        self,
        minutes: float,
        kind: str,
        text: str,
        who: str,
        queue: str | None = None,
        *,
        latest: bool = False,
    ) -> None:
        base = keys.marks(self.prefix)
        raw = {"kind": kind, "text": text, "who": who}
        if queue is not None:
            raw["queue"] = queue
        job = self._entry_id(minutes)
        self.pipe.add(
            "ZADD", keys.of(base, "notes"), self.ago(minutes), codec.dumps({**raw, "id": job})
        )
        if latest:
            self.pipe.add("SET", keys.of(base, "latest"), codec.dumps(raw), "EX", keys.MARKS_TTL)

    def _entry_id(self, minutes: float) -> str:
        job = DemoJob("", "", State.WAITING, None, self.ago(minutes), None)
        return self.records.name(job).id

    def _act(
        self,
        minutes: float,
        act: str,
        queue: str,
        who: str,
        *,
        count: int = 1,
        where: str | None = None,
        reason: str | None = None,
    ) -> None:
        base, entry, at = keys.base(self.prefix, queue), self._entry_id(minutes), self.ago(minutes)
        fixed = {"who": who, "door": "tui", "act": act, "where": where, "reason": reason}
        key = keys.of(base, "entry", entry)
        self.pipe.add("HSET", key, "at", at, "e", json.dumps(fixed), "n", count, "ids", "")
        self.pipe.add("EXPIRE", key, keys.AUDIT_TTL)
        self.pipe.add("ZADD", keys.of(base, "audit"), at, entry)
        if act in ("pause", "resume"):
            self.records.note(queue, at, f"{act.removesuffix('e')}ed")

    def _alerts(self) -> None:
        for rule, queue, value, limit, text, began, over in _ALERTS:
            alert: dict[str, Any] = {
                "rule": rule,
                "queue": queue,
                "state": "on" if over is None else "off",
                "value": value,
                "limit": limit,
                "message": text,
                "sinceMs": self.ago(began),
                "endedMs": None if over is None else self.ago(over),
                "calm": 0,
                "told": {},
                "tries": {},
            }
            self.pipe.add("HSET", keys.alerts(self.prefix), f"{rule}:{queue}", codec.dumps(alert))

    # -- a picture

    def _workers(self, info: QueueInfo, running: list[DemoJob]) -> None:
        """The heartbeat of one worker of the queue, which runs these jobs."""
        base = keys.base(self.prefix, info.name)
        pid = 4_100 + list(QUEUES).index(info.name)
        worker = f"{HOST}:{pid}:demo1"
        slots: list[Any] = [
            {
                "job": job.id,
                "task": job.task,
                "attempt": job.made,
                "runningFor": self.now - (job.started or self.now),
            }
            for job in running
        ]
        record = {
            "id": worker,
            "host": HOST,
            "pid": pid,
            "queue": info.name,
            "workers": "threads",
            "concurrency": info.concurrency,
            "startedAt": self.ago(scene.DEPLOY),
            "release": RELEASE,
            "format": FORMAT,
            "tasks": [task.name for task in info.tasks],
            "state": "running",
            "hung": 0,
            "slots": slots + [None] * (info.concurrency - len(slots)),
        }
        self.pipe.add("ZADD", keys.of(base, "workers"), self.now - _HEARTBEAT, worker)
        key = keys.of(base, "worker", worker)
        self.pipe.add("SET", key, codec.dumps(record), "EX", _STILL_TTL)


def _open(now: int, ago: Any) -> list[Any]:
    """The fields of the circuit that is open."""
    error = "the receiver cannot be reached: connection refused"
    until = now + OPEN_MS
    return ["s", "o", "f", 9, "si", ago(scene.DEAD), "w", 900_000, "un", until, "le", error]

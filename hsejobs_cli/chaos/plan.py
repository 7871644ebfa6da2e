"""The plan of a run: when each job is added and each blow struck. A seed makes it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hsejobs.errors import InvalidOption

CONSUMERS = ("threads", "processes")
#: Blows to a consumer of the run, or to one of its worker processes.
OF_CONSUMERS = {
    "kill": "SIGKILL to a consumer and its workers; another is started",
    "kill-worker": "SIGKILL to a worker process in the middle of a job",
    "freeze": "SIGSTOP to a consumer and its workers, SIGCONT later",
    "stop": "SIGTERM to a consumer; another is started when it has ended",
}
#: Blows to all of the run's own connections at once.
OF_CONNECTIONS = {
    "cut": "every connection is cut; new ones are accepted",
    "refuse": "every connection is cut and new ones too",
    "black-hole": "connections stay, nothing passes",
}
#: Blows to the server, which affect all its users: only those that were requested.
OF_SERVER = {
    "no-rights": "the run's own user may not write (ACL SETUSER): NOPERM",
    "full": "CONFIG SET maxmemory 1: OOM",
    "no-replicas": "CONFIG SET min-replicas-to-write 100: NOREPLICAS",
    "read-only": "REPLICAOF an address without a server: READONLY",
    "flush-scripts": "SCRIPT FLUSH: NOSCRIPT",
    "frozen": "SIGSTOP to the server's process, SIGCONT later",
}
BLOWS = OF_CONSUMERS | OF_CONNECTIONS | OF_SERVER
MOMENTARY = ("kill", "kill-worker", "stop", "cut", "flush-scripts")
#: Seconds before the first blow, between two blows, and after the last.
BEFORE, BETWEEN, AFTER = 2.0, (1.0, 3.0), 3.0
#: In leases: short enough for the lease to be renewed, so that no job may run again; or longer than a lease.
SHORT_FREEZE, LONG_FREEZE = (0.1, 0.3), (1.3, 1.8)
LONGEST = {"seconds": 86_400.0, "rate": 1000.0, "workers": 100.0, "lease_ms": 60_000.0}
LEAST = {"seconds": 1.0, "rate": 0.1, "workers": 1.0, "lease_ms": 500.0}


@dataclass(frozen=True, slots=True)
class Blow:
    """One blow: ``at`` is its time from the start of the run, ``seconds`` its duration, both in s.

    ``target``: one of CONSUMERS, or None.
    """

    at: float
    blow: str
    seconds: float = 0.0
    target: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job: added at ``at`` s, due ``delay`` s later, running for ``seconds``."""

    at: float
    id: str
    task: str
    seconds: float
    delay: float
    priority: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before a run. ``rate`` in jobs/s; ``workers`` per consumer."""

    seed: int
    seconds: float
    rate: float
    workers: int
    lease_ms: int
    blows: tuple[Blow, ...]

    def jobs(self) -> Iterator[PlannedJob]:
        """Yields the jobs in the order in which they are added; the same for the same plan."""
        rng = random.Random(f"{self.seed}:jobs")
        at, number = 0.0, 0
        while (at := at + rng.expovariate(self.rate)) < self.seconds:
            task = rng.choices(("nap", "talk", "act"), (80, 10, 10))[0]
            longest = {"nap": 0.05, "talk": 1.5, "act": 0.3}[task]
            delay = round(rng.uniform(0.5, 3), 3) if rng.random() < 0.1 else 0.0
            seconds = round(rng.uniform(0, longest), 4)
            yield PlannedJob(round(at, 4), f"job-{number}", task, seconds, delay, rng.randint(1, 5))
            number += 1

    def document(self) -> dict[str, Any]:
        """Returns the plan as JSON data that ``read`` accepts."""
        blows = [{k: v for k, v in asdict(one).items() if v is not None} for one in self.blows]
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "rate": self.rate,
            "workers": self.workers,
            "leaseMs": self.lease_ms,
            "blows": blows,
        }


def make(
    seed: int, seconds: float, rate: float, workers: int, blows: Sequence[str], lease_ms: int = 3000
) -> Plan:
    """Makes a plan with as many of the *blows*, in shuffled rounds, as there is time for.

    Raises InvalidOption if a number is out of range.
    """
    empty = _checked(Plan(seed, seconds, rate, workers, lease_ms, ()))
    rng = random.Random(f"{seed}:blows")
    made: list[Blow] = []
    at = BEFORE
    remaining: list[str] = []
    while blows:
        if not remaining:
            remaining = rng.sample(list(blows), len(blows))
        name = remaining.pop()
        duration = 0.0 if name in MOMENTARY else rng.uniform(1, 4)
        target = None
        if name == "kill-worker":
            target = "processes"
        elif name in OF_CONSUMERS:
            target = rng.choice(CONSUMERS)
        if name == "freeze":
            kind = rng.choice((SHORT_FREEZE, LONG_FREEZE))
            duration = rng.uniform(*kind) * lease_ms / 1000
        if at + duration + AFTER > seconds:
            break
        made.append(Blow(round(at, 3), name, round(duration, 3), target))
        at += duration + rng.uniform(*BETWEEN)
    return replace(empty, blows=tuple(made))


def read(text: str) -> Plan:
    """Reads a plan from a JSON document: one of ``document``, or a verdict with a ``plan``.

    Raises InvalidOption, which names the field.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidOption("plan", "is not valid JSON") from None
    if isinstance(data, dict) and isinstance(data.get("plan"), dict):
        data = data["plan"]
    if not isinstance(data, dict):
        raise InvalidOption("plan", "must be a JSON object")
    names = {"seed", "seconds", "rate", "workers", "leaseMs", "blows"}
    if set(data) != names:
        raise InvalidOption("plan", f"must have exactly the fields {', '.join(sorted(names))}")
    blows = data["blows"]
    if not isinstance(blows, list):
        raise InvalidOption("plan.blows", "must be a list")
    return _checked(
        Plan(
            seed=int(_number(data, "seed", "plan")),
            seconds=_number(data, "seconds", "plan"),
            rate=_number(data, "rate", "plan"),
            workers=int(_number(data, "workers", "plan")),
            lease_ms=int(_number(data, "leaseMs", "plan")),
            blows=tuple(_blow(one, f"plan.blows.{place}") for place, one in enumerate(blows)),
        )
    )


def _number(data: dict[str, Any], name: str, place: str) -> float:
    value = data.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidOption(f"{place}.{name}", "must be a number")
    return value


def _blow(data: Any, place: str) -> Blow:
    if not isinstance(data, dict) or not set(data) <= {"at", "blow", "seconds", "target"}:
        raise InvalidOption(place, "must have only the fields at, blow, seconds and target")
    name, target = data.get("blow"), data.get("target")
    if not isinstance(name, str) or name not in BLOWS:
        raise InvalidOption(f"{place}.blow", f"must be one of {', '.join(BLOWS)}")
    wanted = ("processes",) if name == "kill-worker" else CONSUMERS
    if name in OF_CONSUMERS and target not in wanted:
        raise InvalidOption(f"{place}.target", f"must be {' or '.join(wanted)}")
    return Blow(_number(data, "at", place), name, _number(data, "seconds", place), target)


def _checked(plan: Plan) -> Plan:
    for name, most in LONGEST.items():
        if not LEAST[name] <= getattr(plan, name) <= most:
            shown = "leaseMs" if name == "lease_ms" else name
            raise InvalidOption(shown, f"must be from {LEAST[name]:g} to {most:g}")
    if not 0 <= plan.seed < 2**53:
        raise InvalidOption("seed", "must be from 0 to 9007199254740991")
    over = 0.0
    for place, blow in enumerate(plan.blows):
        if blow.at < over or blow.seconds < 0 or blow.at + blow.seconds > plan.seconds:
            raise InvalidOption(
                f"plan.blows.{place}", "must begin after the one before it, and end within the run"
            )
        over = blow.at + blow.seconds
    return plan

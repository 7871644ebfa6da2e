"""The plan of a run: which jobs are added when, which blow falls when. A seed makes it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hsejobs.errors import InvalidOption

CONSUMERS = ("threads", "processes")
#: To a consumer of the run's own, and to one of its worker processes.
OF_CONSUMERS = {
    "kill": "SIGKILL to a consumer and its workers; another is started",
    "kill-worker": "SIGKILL to a worker process in the middle of a job",
    "freeze": "SIGSTOP to a consumer and its workers, SIGCONT later",
    "stop": "SIGTERM to a consumer; another is started when it has ended",
}
#: To the run's own connections, all at once.
OF_CONNECTIONS = {
    "cut": "every connection is cut; new ones are accepted",
    "refuse": "every connection is cut and new ones too",
    "black-hole": "connections stay, nothing passes",
}
#: To the server, and so to everybody who uses it: only those that were asked for.
OF_SERVER = {
    "no-rights": "the run's own user may not write (ACL SETUSER): NOPERM",
    "full": "CONFIG SET maxmemory 1: OOM",
    "no-replicas": "CONFIG SET min-replicas-to-write 100: NOREPLICAS",
    "read-only": "REPLICAOF a port where nobody is: READONLY",
    "flush-scripts": "SCRIPT FLUSH: NOSCRIPT",
    "frozen": "SIGSTOP to the server's process, SIGCONT later",
}
BLOWS = OF_CONSUMERS | OF_CONNECTIONS | OF_SERVER
MOMENTARY = ("kill", "kill-worker", "stop", "cut", "flush-scripts")
#: Seconds before the first blow, between two, and after the last.
BEFORE, BETWEEN, AFTER = 2.0, (1.0, 3.0), 3.0
#: Shorter than a renewal, so that nothing may run again; or longer than a lease (times the lease).
SHORT_FREEZE, LONG_FREEZE = (0.1, 0.3), (1.3, 1.8)
LONGEST = {"seconds": 86_400.0, "rate": 1000.0, "workers": 100.0, "lease_ms": 60_000.0}
LEAST = {"seconds": 1.0, "rate": 0.1, "workers": 1.0, "lease_ms": 500.0}


@dataclass(frozen=True, slots=True)
class Blow:
    """``at`` and ``seconds`` in s from the start of the run; ``target``: which of CONSUMERS."""

    at: float
    blow: str
    seconds: float = 0.0
    target: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job: added ``at`` s, due ``delay`` s later, at work for ``seconds``."""

    at: float
    id: str
    task: str
    seconds: float
    delay: float
    priority: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before a run. ``rate`` in jobs/s, ``workers`` of each consumer."""

    seed: int
    seconds: float
    rate: float
    workers: int
    lease_ms: int
    blows: tuple[Blow, ...]

    def jobs(self) -> Iterator[PlannedJob]:
        """The jobs in the order in which they are added; the same for the same plan."""
        dice = random.Random(f"{self.seed}:jobs")
        at, number = 0.0, 0
        while (at := at + dice.expovariate(self.rate)) < self.seconds:
            task = dice.choices(("nap", "talk", "act"), (80, 10, 10))[0]
            longest = {"nap": 0.05, "talk": 1.5, "act": 0.3}[task]
            delay = round(dice.uniform(0.5, 3), 3) if dice.random() < 0.1 else 0.0
            seconds = round(dice.uniform(0, longest), 4)
            yield PlannedJob(
                round(at, 4), f"job-{number}", task, seconds, delay, dice.randint(1, 5)
            )
            number += 1

    def document(self) -> dict[str, Any]:
        """As JSON data that ``read`` takes."""
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
    """A plan with as many of the *blows*, in turn and then by chance, as there is time for.

    Raises InvalidOption for a number out of range.
    """
    empty = _checked(Plan(seed, seconds, rate, workers, lease_ms, ()))
    dice = random.Random(f"{seed}:blows")
    made: list[Blow] = []
    at = BEFORE
    turn: list[str] = []
    while blows:
        if not turn:
            turn = dice.sample(list(blows), len(blows))
        name = turn.pop()
        held = 0.0 if name in MOMENTARY else dice.uniform(1, 4)
        target = None
        if name == "kill-worker":
            target = "processes"
        elif name in OF_CONSUMERS:
            target = dice.choice(CONSUMERS)
        if name == "freeze":
            kind = dice.choice((SHORT_FREEZE, LONG_FREEZE))
            held = dice.uniform(*kind) * lease_ms / 1000
        if at + held + AFTER > seconds:
            break
        made.append(Blow(round(at, 3), name, round(held, 3), target))
        at += held + dice.uniform(*BETWEEN)
    return replace(empty, blows=tuple(made))


def read(text: str) -> Plan:
    """The plan of a JSON document: one of ``document``, or a verdict that has it as ``plan``.

    Raises InvalidOption, which names the field.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidOption("plan", "is not valid JSON") from None
    if isinstance(data, dict) and isinstance(data.get("plan"), dict):
        data = data["plan"]
    if not isinstance(data, dict):
        raise InvalidOption("plan", "is not a JSON object")
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
        raise InvalidOption(place, "must have the fields at, blow, seconds and target alone")
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

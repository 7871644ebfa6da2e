"""The descriptions of queues in Redis, for programs that do not import the queues' code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from hsejobs import codec
from hsejobs.errors import UnknownQueue, UnknownTask
from hsejobs.store import keys
from hsejobs.store.client import PATIENCE, RedisClient


@dataclass(slots=True)
class TaskInfo:
    """A task: the JSON Schema of its payload (None: any payload) and the dotted paths of secret fields.

    ``priority``, ``attempts``, ``backoff`` (ms) and ``timeout`` (ms) are None if the queue's apply.
    """

    name: str
    schema: dict[str, Any] | None = None
    secret: list[str] = field(default_factory=list)
    doc: str = ""
    priority: int | None = None
    attempts: int | None = None
    backoff: int | None = None
    timeout: int | None = None


@dataclass(slots=True)
class ScheduleInfo:
    """The schedule of a periodic task: its cron expression has five fields, in UTC."""

    name: str
    cron: str
    task: str


@dataclass(slots=True)
class QueueInfo:
    """A queue's description. ``backoff`` and ``timeout`` are in ms; ``enqueue`` is a role."""

    name: str
    tasks: list[TaskInfo] = field(default_factory=list)
    default_task: str | None = None
    priority: int = 3
    attempts: int = 3
    backoff: int = 5000
    timeout: int = 0
    workers: str = "threads"
    concurrency: int = 5
    enqueue: str = "operator"
    #: Whether its tasks call external servers: tenants may then not set very short backoffs.
    outbound: bool = False
    schedules: list[ScheduleInfo] = field(default_factory=list)

    def effective_option(self, task: TaskInfo, name: str) -> int:
        """The default of an option (``priority``, ``attempts`` ...) for the task: its own or the queue's."""
        own: int | None = getattr(task, name)
        default: int = getattr(self, name) if own is None else own
        return default

    def task(self, name: str | None) -> TaskInfo:
        """The task with this full or short name; None means the default task. Raises UnknownTask."""
        wanted = name or self.default_task
        for info in self.tasks:
            if wanted is not None and (
                info.name == wanted or info.name.rpartition(".")[2] == wanted
            ):
                return info
        known = ", ".join(info.name.rpartition(".")[2] for info in self.tasks) or "none"
        if name is None:
            raise UnknownTask(f"queue {self.name!r} has no default task, name one of: {known}")
        raise UnknownTask(f"queue {self.name!r} has no task of that name; it has: {known}")


def save(client: RedisClient, prefix: str, info: QueueInfo, *, patience: float = PATIENCE) -> None:
    """Writes a queue's description and adds it to the list of queues. Raises RedisUnavailable."""
    key = keys.of(keys.base(prefix, info.name), "queue")
    client.command("SET", key, codec.dumps(asdict(info)), patience=patience)
    client.command("SADD", keys.queues(prefix), info.name, patience=patience)


def text(client: RedisClient, prefix: str, name: str) -> bytes | None:
    """A queue's description as written; None if there is none, or if the queue is not listed."""
    if not client.command("SISMEMBER", keys.queues(prefix), name):
        return None
    found: bytes | None = client.command("GET", keys.of(keys.base(prefix, name), "queue"))
    return found


def names(client: RedisClient, prefix: str) -> list[str]:
    """The names of all queues that have a description, sorted."""
    return sorted(name.decode() for name in client.command("SMEMBERS", keys.queues(prefix)))


def load(client: RedisClient, prefix: str, name: str) -> QueueInfo:
    """A queue's description. Raises UnknownQueue."""
    text = client.command("GET", keys.of(keys.base(prefix, name), "queue"))
    if text is None:
        known = ", ".join(names(client, prefix)) or "none yet"
        raise UnknownQueue(f"there is no queue of that name; known queues: {known}")
    return parse(text)


def load_all(client: RedisClient, prefix: str) -> list[QueueInfo]:
    """Every queue's description, sorted by name."""
    found = []
    for name in names(client, prefix):
        text = client.command("GET", keys.of(keys.base(prefix, name), "queue"))
        if text is not None:
            found.append(parse(text))
    return found


def parse(text: bytes | str) -> QueueInfo:
    """Parses a description; fields added by newer releases are ignored."""
    raw = json.loads(text)
    raw["tasks"] = [_known(TaskInfo, task) for task in raw.get("tasks", [])]
    raw["schedules"] = [_known(ScheduleInfo, item) for item in raw.get("schedules", [])]
    info: QueueInfo = _known(QueueInfo, raw)
    return info


def _known(kind: Any, raw: dict[str, Any]) -> Any:
    return kind(**{name: value for name, value in raw.items() if name in kind.__slots__})

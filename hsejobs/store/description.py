"""The description of a queue: what programs know of it that do not import its code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hsejobs.errors import UnknownTask

#: Ms after which a waiting job is treated one priority better, unless a queue has its own time.
AGEING_MS = 900_000


@dataclass(slots=True)
class TaskInfo:
    """A task: the JSON Schema of its payload (None: any payload) and the dotted paths of secret fields.

    ``priority``, ``attempts``, ``backoff`` (ms) and ``timeout`` (ms) are None if the queue's apply.
    ``aliases`` are its former full names. ``key_limit`` and ``key_rate`` limit its jobs by key: how many
    run at once (0: any number), and a rate such as 5/s ('': any).
    """

    name: str
    schema: dict[str, Any] | None = None
    secret: list[str] = field(default_factory=list)
    doc: str = ""
    priority: int | None = None
    attempts: int | None = None
    backoff: int | None = None
    timeout: int | None = None
    aliases: list[str] = field(default_factory=list)
    key_limit: int = 0
    key_rate: str = ""

    def called(self, name: str) -> bool:
        """Whether this is the task's full or short name, or a former one."""
        return any(name in (one, one.rpartition(".")[2]) for one in (self.name, *self.aliases))


@dataclass(slots=True)
class ScheduleInfo:
    """The schedule of a periodic task: its cron expression has five fields, in UTC."""

    name: str
    cron: str
    task: str


@dataclass(slots=True)
class QueueInfo:
    """A queue's description. ``backoff``, ``timeout`` and ``ageing`` are in ms; ``enqueue`` is a role.

    ``limit`` and ``tenant_limit`` are jobs at once, of all and of one organization, 0 for any number;
    ``rate`` is one such as 50/s, '' for any; ``ageing`` 0 is never.
    """

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
    #: The most waiting and delayed jobs that one organization may have; 0: no limit.
    tenant_backlog: int = 0
    schedules: list[ScheduleInfo] = field(default_factory=list)
    fair: bool = True
    ageing: int = AGEING_MS
    limit: int = 0
    rate: str = ""
    tenant_limit: int = 0
    #: Secret fields of tasks that are no longer among ``tasks``: their jobs may still be there.
    masks: dict[str, list[str]] = field(default_factory=dict)

    def effective_option(self, task: TaskInfo, name: str) -> int:
        """The default of an option (``priority``, ``attempts`` ...) for the task: its own or the queue's."""
        own: int | None = getattr(task, name)
        default: int = getattr(self, name) if own is None else own
        return default

    def task(self, name: str | None) -> TaskInfo:
        """The task with this full or short name; None means the default task. Raises UnknownTask."""
        wanted = name or self.default_task
        if wanted is not None:
            for info in self.tasks:
                if wanted in (info.name, info.name.rpartition(".")[2]):
                    return info
            for info in self.tasks:
                if info.called(wanted):
                    return info
        known = ", ".join(info.name.rpartition(".")[2] for info in self.tasks) or "none"
        if name is None:
            raise UnknownTask(f"queue {self.name!r} has no default task, name one of: {known}")
        raise UnknownTask(f"queue {self.name!r} has no task of that name; it has: {known}")


def parse(text: bytes | str) -> QueueInfo:
    """Parses a description; fields added by newer releases are ignored."""
    raw = json.loads(text)
    raw["tasks"] = [_known(TaskInfo, task) for task in raw.get("tasks", [])]
    raw["schedules"] = [_known(ScheduleInfo, item) for item in raw.get("schedules", [])]
    info: QueueInfo = _known(QueueInfo, raw)
    return info


def _known(kind: Any, raw: dict[str, Any]) -> Any:
    return kind(**{name: value for name, value in raw.items() if name in kind.__slots__})

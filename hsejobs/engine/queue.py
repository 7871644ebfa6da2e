"""A queue as its code says it: options, tasks, schedules, hooks. It knows no Huey.

The engine's modules work with what is here. ``JobHuey`` is a `Queue` with Huey on top of it, and
what its decorators make is a `QueueTask` with Huey's wrapper on top.
"""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from hsejobs import codec
from hsejobs.control import making, options, sealing
from hsejobs.control.options import CodeOptions, QueueOptions
from hsejobs.engine import messages, payloads
from hsejobs.engine.runtime import Runtime, runtime
from hsejobs.errors import InvalidPayload
from hsejobs.forks import cached_property
from hsejobs.model import check_queue_name
from hsejobs.settings import Settings
from hsejobs.store import keys, registry
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs.watch import logs


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a periodic task runs: ``due`` of a naive UTC minute; ``cron`` is '' for other functions."""

    cron: str
    due: Callable[[datetime.datetime], bool]


class QueueTask:
    """A task's code: its function, what its payload is, and what holds for its jobs."""

    queue: Queue
    func: Callable[..., Any]
    #: ``module.function``, as in the job's record.
    full_name: str
    #: Whether a schedule runs it.
    periodic: bool
    #: What makes the objects that Huey executes, and Huey's registry of them: not looked into here.
    task_class: Any
    registry: Any
    _refuse: Callable[[Any], None] | None = None
    _held: tuple[Settings, QueueOptions] | None = None
    _target: tuple[Settings, making.TaskTarget] | None = None

    @cached_property
    def model(self) -> Any:
        """The pydantic model that the first parameter's annotation names, or None."""
        return payloads.payload_model(self.func)

    @cached_property
    def takes_nothing(self) -> bool:
        """Whether the function has no parameters: its payload is ``{}``, and it is not given."""
        return not inspect.signature(self.func).parameters

    @cached_property
    def schema(self) -> dict[str, Any] | None:
        """The payload's JSON Schema, None without a model."""
        return payloads.json_schema(self.model)

    @cached_property
    def secret_paths(self) -> list[str]:
        """Dotted paths of the payload's secret fields."""
        return payloads.secret_paths(self.model)

    @property
    def options(self) -> QueueOptions:
        """What holds for a job of this task when its add says nothing."""
        settings = self.queue.runtime.settings
        if self._held is None or self._held[0] is not settings:
            code = options.of_task(self.queue.code_options, self.task_class)
            self._held = (settings, options.resolve(settings, self.queue.name, code))
        return self._held[1]

    @property
    def target(self) -> making.TaskTarget:
        """What its jobs are made for, and with what when their add says nothing."""
        settings = self.queue.runtime.settings
        if self._target is None or self._target[0] is not settings:
            holds, key = self.options, settings.secret_key
            made = making.TaskTarget(
                self.full_name,
                holds.priority,
                holds.attempts,
                holds.backoff,
                holds.timeout,
                self.read,
                sealing.sealer(self.secret_paths, key) if key else None,
                None if self.task_class.default_expires is None else self._expiry,
            )
            self._target = (settings, made)
        return self._target[1]

    def _expiry(self) -> bytes:
        """When a job that is added now expires, as its decorator says."""
        example = self.task_class()
        example.resolve_expires(utc=True)
        return messages.extras_of(self.registry, example)

    def before_add(self, check: Callable[[Any], None]) -> Callable[[Any], None]:
        """Decorates what refuses a payload where it is added, by what the model cannot know.

        It gets the model's instance and raises InvalidPayload. Where a job runs it is not called:
        what was added under other settings, or by an older release, still runs.
        """
        self._refuse = check
        return check

    def model_of(self, payload: Any) -> Any:
        """The payload as the model's instance. Raises InvalidPayload."""
        if isinstance(payload, self.model):
            return payload
        return payloads.validate(self.model, payload)[0]

    def data_of(self, payload: Any) -> Any:
        """The payload as it is stored: checked, plain JSON data. Raises InvalidPayload."""
        if self.model is None:
            if payload and self.takes_nothing:
                raise InvalidPayload("payload", "this task takes none; leave it out")
            return payload
        if isinstance(payload, self.model):
            instance = payload
            data = payload.model_dump(mode="json", by_alias=True, exclude_unset=True)
        else:
            instance, data = payloads.validate(self.model, payload)
        if self._refuse is not None:
            self._refuse(instance)
        return data

    def read(self, payload: Any) -> tuple[Any, str]:
        """What is stored of a payload, and its signature letter. Raises InvalidPayload."""
        if self.periodic:
            return making.none_of(payload), making.ARGUMENTS
        data = self.data_of({} if payload is None else payload)
        return data, making.PLAIN if isinstance(data, dict) else making.VALUE

    def info(self, queue: QueueOptions) -> TaskInfo:
        """The task's part of the registry record, with the options that differ from the queue's."""
        own, names = self.options, ("priority", "attempts", "backoff", "timeout")
        return TaskInfo(
            self.full_name,
            self.schema,
            self.secret_paths,
            (self.__doc__ or "").strip().partition("\n")[0],
            **{
                name: getattr(own, name)
                for name in names
                if getattr(own, name) != getattr(queue, name)
            },
        )


class Queue:
    """A queue's name, options, tasks, schedules and hooks. Making one does no I/O.

    The hooks are given a payload as plain JSON data; see ``JobHuey`` for what each is for.
    Raises InvalidOption.
    """

    def __init__(
        self,
        name: str,
        code_options: CodeOptions | None = None,
        *,
        outbound: bool = False,
        enqueue: str = "operator",
        payload_role: Callable[[Any], str] | None = None,
        log_fields: Callable[[Any], dict[str, Any]] | None = None,
        artifacts: Callable[[Any], dict[str, str]] | None = None,
    ) -> None:
        check_queue_name(name)
        self.name = name
        self.code_options = code_options or CodeOptions()
        self.enqueue_role = options.check_role(enqueue)
        self.outbound = outbound
        self.payload_role = payload_role
        self.log_fields = log_fields
        self.artifacts = artifacts
        #: The tasks by their full names, in the order in which they were decorated.
        self.wrappers: dict[str, QueueTask] = {}
        #: The schedules by their tasks' full names.
        self.schedules: dict[str, Schedule] = {}
        #: The registry record that was written last.
        self._registered: bytes | None = None
        self._resolved: tuple[Settings, QueueOptions] | None = None

    @property
    def runtime(self) -> Runtime:
        """Settings and connections of this process."""
        return runtime()

    @property
    def base(self) -> str:
        """What this queue's keys begin with."""
        return keys.base(self.runtime.prefix, self.name)

    @property
    def options(self) -> QueueOptions:
        """What holds for a job when its add says nothing."""
        settings = self.runtime.settings
        if self._resolved is None or self._resolved[0] is not settings:
            found = options.resolve(settings, self.name, self.code_options)
            self._resolved = (settings, found)
        return self._resolved[1]

    # -- tasks and the registry

    def add_task(self, task: QueueTask, schedule: Schedule | None = None) -> None:
        """Makes a task one of this queue's."""
        self.wrappers[task.full_name] = task
        if schedule is not None:
            self.schedules[task.full_name] = schedule
        self._registered = None

    def wrapper(self, name: str | None = None) -> QueueTask:
        """The task of that full or short name, for None the only or first one. Raises UnknownTask."""
        return self.wrappers[self.describe().task(name).name]

    def describe(self) -> QueueInfo:
        """The queue's registry record, from the tasks that are decorated so far."""
        holds = self.options
        plain = [task.full_name for task in self.wrappers.values() if not task.periodic]
        return QueueInfo(
            name=self.name,
            tasks=[task.info(holds) for task in self.wrappers.values()],
            default_task=plain[0] if plain else None,
            priority=holds.priority,
            attempts=holds.attempts,
            backoff=holds.backoff,
            timeout=holds.timeout,
            workers=holds.workers,
            concurrency=holds.concurrency,
            enqueue=self.enqueue_role,
            outbound=self.outbound,
            schedules=[
                ScheduleInfo(name.rpartition(".")[2], one.cron, name)
                for name, one in self.schedules.items()
            ],
        )

    def register(self, *, again: bool = False) -> None:
        """Writes the registry record when new, changed or ``again``. Raises RedisUnavailable."""
        info = self.describe()
        text = codec.dumps(asdict(info))
        if again or text != self._registered:
            registry.save(self.runtime.link, self.runtime.prefix, info)
        self._registered = text

    # -- hooks

    def role_for(self, payload: Any) -> str:
        """The least role that may add this payload over HTTP."""
        return self.enqueue_role if self.payload_role is None else self.payload_role(payload)

    def artifacts_of(self, payload: bytes) -> dict[str, str]:
        """The ids of the files that a payload refers to, by the field that names each."""
        return {} if self.artifacts is None else self.artifacts(codec.loads(payload))

    def shown_payload(self, payload: bytes) -> dict[str, Any] | None:
        """What the queue's ``log_fields`` picks of a payload; nothing when it fails."""
        if self.log_fields is None or not logs.wants_jobs():
            return None
        try:
            return self.log_fields(codec.loads(payload))
        except Exception:  # a log line is never worth a job
            return None

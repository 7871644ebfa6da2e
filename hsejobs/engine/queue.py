"""A queue as defined in code: options, tasks, schedules, hooks. Independent of Huey.

The engine's modules use the classes here. ``JobHuey`` is a `Queue` and a Huey; its decorators
return objects that are a `QueueTask` and a Huey task wrapper.
"""

from __future__ import annotations

import contextlib
import datetime
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hsejobs import codec
from hsejobs.control import making, options, sealing
from hsejobs.control.options import CodeOptions, QueueOptions
from hsejobs.engine import messages, payloads
from hsejobs.engine.keyed import KeyLimit
from hsejobs.engine.names import newest_source_ms
from hsejobs.engine.runtime import Runtime, runtime
from hsejobs.engine.sharing import SharedQueue
from hsejobs.environment import RELEASE, RELEASE_MEANS
from hsejobs.errors import InvalidOption, InvalidPayload, UnknownTask
from hsejobs.forks import cached_property
from hsejobs.model import check_queue_name
from hsejobs.settings import Settings
from hsejobs.store import keys, registry
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs.watch import logs


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a periodic task runs: ``due`` takes a naive UTC minute; ``cron`` is '' if ``due`` is custom."""

    cron: str
    due: Callable[[datetime.datetime], bool]


class QueueTask:
    """A task as defined in code: its function, payload model and options."""

    queue: Queue
    func: Callable[..., Any]
    #: ``module.function``, as in the job's record.
    full_name: str
    #: Whether a schedule runs it.
    periodic: bool
    #: The class of the objects that Huey executes, and Huey's registry of these classes: opaque here.
    task_class: Any
    registry: Any
    #: Why the task's jobs cannot be added from this process; '' if they can.
    problem: str = ""
    #: Former full names of the task: jobs under them run as this task.
    aliases: tuple[str, ...] = ()
    _add_check: Callable[[Any], None] | None = None
    _upgrades: tuple[payloads.Upgrade, ...] = ()
    #: The limits by key of its jobs; None: they have no keys.
    key_limit: KeyLimit | None = None
    #: The last payload that was checked, and the model's instance of it, until its key is known.
    _checked: tuple[Any, Any] | None = None
    _options: tuple[Settings, QueueOptions] | None = None
    _target: tuple[Settings, making.TaskTarget] | None = None

    @cached_property
    def model(self) -> Any:
        """The pydantic model that the first parameter's annotation names, or None."""
        return payloads.payload_model(self.func)

    @cached_property
    def takes_nothing(self) -> bool:
        """Whether the function has no parameters: its payload is ``{}`` and is not passed to it."""
        return not inspect.signature(self.func).parameters

    @cached_property
    def schema(self) -> dict[str, Any] | None:
        """The payload's JSON Schema; None without a model."""
        return payloads.json_schema(self.model)

    @cached_property
    def secret_paths(self) -> list[str]:
        """Dotted paths of the payload's secret fields."""
        return payloads.secret_paths(self.model)

    @property
    def options(self) -> QueueOptions:
        """The default options of this task's jobs."""
        settings = self.queue.runtime.settings
        if self._options is None or self._options[0] is not settings:
            code = options.of_task(self.queue.code_options, self.task_class)
            self._options = (settings, options.resolve(settings, self.queue.name, code))
        return self._options[1]

    @property
    def target(self) -> making.TaskTarget:
        """The input for `making.make`: the task's name, default options and payload functions."""
        settings = self.queue.runtime.settings
        if self._target is None or self._target[0] is not settings:
            own, key = self.options, settings.secret_key
            target = making.TaskTarget(
                self.full_name,
                own.priority,
                own.attempts,
                own.backoff,
                own.timeout,
                self.read,
                sealing.sealer(self.secret_paths, key) if key else None,
                None if self.task_class.default_expires is None else self._expiry,
                None if self.key_limit is None else self.key_of,
                own.tenant_backlog,
            )
            self._target = (settings, target)
        return self._target[1]

    def _expiry(self) -> bytes:
        """The extras of a job added now, with the expiry that the decorator sets."""
        example = self.task_class()
        example.resolve_expires(utc=True)
        return messages.extras_of(self.registry, example)

    def before_add(self, check: Callable[[Any], None]) -> Callable[[Any], None]:
        """Decorates a function that checks payloads when jobs are added, beyond the model's checks.

        It gets the model's instance and raises InvalidPayload. It is not called when a job runs:
        jobs added under other settings, or by an older release, still run.
        """
        self._add_check = check
        return check

    def upgrade(self, function: payloads.Upgrade) -> payloads.Upgrade:
        """Decorates a function that turns the payload of an older release (a dict) into today's.

        It is called when a job runs whose payload the model cannot read, with a copy of the payload,
        secrets included; what it returns is checked by the model. Several are one release's step
        each, in order: the newest is tried alone, then the last two, and so on. If none helps, the
        job fails with the code ``invalid_payload``.
        """
        self._upgrades = (*self._upgrades, function)
        return function

    def model_of(self, payload: Any) -> Any:
        """The payload of a job that runs, as an instance of the model. Raises InvalidPayload.

        Fields that the model does not have are ignored: another release may have written them.
        """
        if isinstance(payload, self.model):
            return payload
        return payloads.read(self.model, payload, self._upgrades)

    def check(self, payload: Any) -> None:
        """Checks a payload that is added, except for fields that the model does not have.

        Raises InvalidPayload.
        """
        instance = payloads.read(self.model, payload)
        if self._add_check is not None:
            self._add_check(instance)

    def data_of(self, payload: Any) -> Any:
        """The payload in its stored form: checked, plain JSON data. Raises InvalidPayload."""
        if self.model is None:
            if payload and self.takes_nothing:
                raise InvalidPayload("payload", "must be left out: this task takes no payload")
            return payload
        if isinstance(payload, self.model):
            instance, data = payload, payloads.stored(payload)
        else:
            instance, data = payloads.validate(self.model, payload)
        if self.key_limit is not None:
            self._checked = (data, instance)
        if self._add_check is not None:
            self._add_check(instance)
        return data

    def read(self, payload: Any) -> tuple[Any, str]:
        """The stored form of a payload, and its signature letter. Raises InvalidPayload."""
        if self.periodic:
            return making.check_no_payload(payload), making.ARGUMENTS
        data = self.data_of({} if payload is None else payload)
        return data, making.PLAIN if isinstance(data, dict) else making.VALUE

    def key_of(self, data: Any, signature: str, organization_id: str | None) -> str:
        """The key of a job with this payload in its stored form, not sealed; '' for none.

        The key function gets what the task gets; of a call with several arguments, the stored form.
        Raises InvalidPayload, which names the task.
        """
        if self.key_limit is None:
            return ""
        args, kwargs = messages.arguments_of(data, signature)
        payload = data if args or kwargs else {}
        if len(args) == 1 and not kwargs:
            payload = args[0]
            if self.model is not None:
                # Checked just now, unless another thread adds a job at the same time.
                known, self._checked = self._checked, None
                same = known is not None and known[0] is payload
                payload = known[1] if known and same else self.model_of(payload)
        return self.key_limit.of(self.full_name, payload, organization_id, data, self.secret_paths)

    def info(self, queue: QueueOptions) -> TaskInfo:
        """The task's part of the registry record, with only the options that differ from the queue's."""
        own, differing = self.options, ("priority", "attempts", "backoff", "timeout")
        return TaskInfo(
            self.full_name,
            self.schema,
            self.secret_paths,
            (self.__doc__ or "").strip().partition("\n")[0],
            aliases=list(self.aliases),
            key_limit=0 if self.key_limit is None else self.key_limit.limit,
            key_rate="" if self.key_limit is None else str(self.key_limit.rate),
            **{
                name: getattr(own, name)
                for name in differing
                if getattr(own, name) != getattr(queue, name)
            },
        )


class Queue(SharedQueue):
    """A queue's name, options, tasks, schedules and hooks. Creating one does no I/O.

    The hooks receive a payload as plain JSON data; ``JobHuey`` documents them.
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
        release: str | None = None,
    ) -> None:
        check_queue_name(name)
        if release is not None and not RELEASE.fullmatch(release):
            raise InvalidOption("release", f"must be {RELEASE_MEANS}")
        #: The application's release as its code names it.
        self.release = release
        self.name = name
        self.code_options = code_options or CodeOptions()
        self.enqueue_role = options.check_role(enqueue)
        self.outbound = outbound
        self.payload_role = payload_role
        self.log_fields = log_fields
        self.artifacts = artifacts
        #: The tasks by full name, in the order of decoration.
        self.wrappers: dict[str, QueueTask] = {}
        #: Why tasks of this process cannot be run elsewhere, by full name: they are defined in a script.
        self.unimportable: dict[str, str] = {}
        #: The tasks by their former names.
        self.renamed: dict[str, QueueTask] = {}
        #: The schedules by the full name of their task.
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
        """The prefix of this queue's Redis keys."""
        return keys.base(self.runtime.prefix, self.name)

    @property
    def options(self) -> QueueOptions:
        """The default options of this queue's jobs."""
        settings = self.runtime.settings
        if self._resolved is None or self._resolved[0] is not settings:
            found = options.resolve(settings, self.name, self.code_options)
            self._resolved = (settings, found)
        return self._resolved[1]

    # -- tasks and the registry

    def add_task(self, task: QueueTask, schedule: Schedule | None = None) -> None:
        """Adds a task, with its schedule if it is periodic, to this queue."""
        self.wrappers[task.full_name] = task
        self.renamed.update(dict.fromkeys(task.aliases, task))
        if task.problem:
            self.unimportable[task.full_name] = task.problem
        if schedule is not None:
            self.schedules[task.full_name] = schedule
        self._registered = None

    def named(self, name: str, task: str) -> QueueTask | None:
        """The task other than ``task`` that has this full name or alias already."""
        found = self.renamed.get(name)
        return found if found is not None or name == task else self.wrappers.get(name)

    def check_importable(self, names: Iterable[str]) -> None:
        """Raises UnknownTask for a task that no consumer can have."""
        for name in names:
            if name in self.unimportable and self.runtime.has_consumers:
                raise UnknownTask(self.unimportable[name])

    def find(self, name: str) -> QueueTask | None:
        """The task that runs jobs under this name, which may be a former or a short one; None: unknown."""
        found = self.wrappers.get(name) or self.renamed.get(name)
        if found is None:
            with contextlib.suppress(UnknownTask):
                found = self.wrapper(name)
        return found

    def wrapper(self, name: str | None = None) -> QueueTask:
        """The task with this full or short name; None means the default task. Raises UnknownTask."""
        return self.wrappers[self.describe().task(name).name]

    def describe(self) -> QueueInfo:
        """The queue's registry record, with the tasks decorated so far."""
        defaults = self.options
        plain = [
            task.full_name
            for task in self.wrappers.values()
            if not task.periodic and not task.problem
        ]
        return QueueInfo(
            name=self.name,
            tasks=[task.info(defaults) for task in self.wrappers.values() if not task.problem],
            default_task=plain[0] if plain else None,
            priority=defaults.priority,
            attempts=defaults.attempts,
            backoff=defaults.backoff,
            timeout=defaults.timeout,
            workers=defaults.workers,
            concurrency=defaults.concurrency,
            enqueue=self.enqueue_role,
            outbound=self.outbound,
            fair=defaults.fair,
            ageing=defaults.ageing,
            limit=defaults.limit,
            rate=str(defaults.rate),
            tenant_limit=defaults.tenant_limit,
            tenant_backlog=defaults.tenant_backlog,
            schedules=[
                ScheduleInfo(name.rpartition(".")[2], one.cron, name)
                for name, one in self.schedules.items()
                if name not in self.unimportable
            ],
        )

    def own_description(self, *, consumer: bool = False) -> registry.Own:
        """The description with what orders releases. ``consumer``: this process runs the queue."""
        return registry.Own(self.describe(), self.release_number, self._source_ms, consumer)

    @property
    def release_number(self) -> str | None:
        """The application's release: QUEUE_RELEASE, else what the code names."""
        return self.runtime.settings.release or self.release

    @cached_property
    def _source_ms(self) -> int:
        """When the newest file with a task was written, in ms since the epoch; 0 if unknown."""
        return newest_source_ms(task.func for task in self.wrappers.values())

    def register(self, *, again: bool = False, consumer: bool = False) -> registry.Described | None:
        """Writes the description if it is new or changed, or if ``again``. Raises RedisUnavailable.

        Returns what Redis knows of the queue, None if it was not asked.
        """
        own = self.own_description(consumer=consumer)
        if not again and own.text == self._registered:
            return None
        found = registry.note(self.runtime.redis, self.runtime.prefix, own)
        self._registered = own.text
        return found

    # -- hooks

    def report_end(self, job_id: str) -> bool:
        """Tells the chord of a job that was ended from outside; False if this consumer cannot."""
        return False

    def role_for(self, payload: Any) -> str:
        """The least privileged role that may add this payload over HTTP."""
        return self.enqueue_role if self.payload_role is None else self.payload_role(payload)

    def artifacts_of(self, payload: Any) -> dict[str, str]:
        """The ids of the files that a payload in its stored form refers to, by field."""
        return {} if self.artifacts is None else self.artifacts(payload)

    def shown_payload(self, payload: bytes) -> dict[str, Any] | None:
        """The part of a payload that the queue's ``log_fields`` selects; None if it fails."""
        if self.log_fields is None or not logs.wants_jobs():
            return None
        try:
            return self.log_fields(codec.glance(payload))
        except Exception:  # a log line must not fail a job
            return None

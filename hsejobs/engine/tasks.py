"""The decorated task: Huey's wrapper with ``add`` and ``add_many``, payload models and our outcomes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from huey.api import PeriodicTask, Task, TaskWrapper
from huey.exceptions import (
    CancelExecution,
    ConfigurationError,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
)

from hsejobs.control import making, options
from hsejobs.engine import adding, payloads
from hsejobs.engine.context import running_job
from hsejobs.errors import (
    InvalidPayload,
    Postpone,
    RedisUnavailable,
    Unrecoverable,
)
from hsejobs.forks import cached_property
from hsejobs.handle import Job
from hsejobs.model import check_job_id, new_job_id

if TYPE_CHECKING:
    from hsejobs.engine.huey import JobHuey
    from hsejobs.settings import Settings


#: Options of a bulk add.
_MANY = frozenset(
    {"organization_id", "user_id", "priority", "delay", "attempts", "backoff", "timeout"}
)


class JobTask(Task):
    """A Huey task whose id is short and sortable. ``retries`` None: as the queue says."""

    default_retries: int | None = None
    default_retry_delay: float | None = None
    #: Who the job is for; a follow-up inherits it from the job that adds it.
    organization_id: str | None = None
    user_id: str | None = None

    def create_id(self) -> str:
        """A fresh job id."""
        return new_job_id()


class JobPeriodicTask(PeriodicTask, JobTask):
    """A periodic one."""


class JobTaskWrapper(TaskWrapper):
    """What ``@huey.task()`` makes of a function."""

    task_base = JobTask
    huey: JobHuey
    _refuse: Callable[[Any], None] | None = None
    _held: tuple[Settings, options.QueueOptions] | None = None
    _target: tuple[Settings, making.Target] | None = None

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

    @cached_property
    def full_name(self) -> str:
        """``module.function``, as in the job's record."""
        name: str = self.huey._registry.task_to_string(self.task_class)
        return name

    @property
    def options(self) -> options.QueueOptions:
        """What holds for a job of this task when its add says nothing."""
        settings = self.huey.runtime.settings
        if self._held is None or self._held[0] is not settings:
            code = options.of_task(self.huey.code_options, self.task_class)
            self._held = (settings, options.resolve(settings, self.huey.name, code))
        return self._held[1]

    @property
    def target(self) -> making.Target:
        """What its jobs are made for, and with what when their add says nothing."""
        settings = self.huey.runtime.settings
        if self._target is None or self._target[0] is not settings:
            self._target = (settings, adding.target_of(self))
        return self._target[1]

    @property
    def periodic(self) -> bool:
        """Whether a schedule runs it."""
        return issubclass(self.task_class, PeriodicTask)

    def create_task(
        self,
        func: Callable[..., Any],
        context: bool = False,
        name: str | None = None,
        **settings: Any,
    ) -> Any:
        """The task's class; its ``execute`` validates the payload and remembers how it ended."""
        if inspect.iscoroutinefunction(func):
            raise ConfigurationError(
                "a task is a plain function; run a coroutine in it with asyncio.run"
            )

        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            job = running_job()
            try:
                if self.model is not None and args:
                    args = (self.model_of(args[0]), *args[1:])
                result = func(*args, **kwargs)
                if job is not None and self.periodic and result is not None:
                    # Huey itself keeps no result of a periodic task.
                    job.result = payloads.encode_result(result)
                return result
            except BaseException as error:
                if job is None:
                    raise
                job.error = error
                if isinstance(error, Unrecoverable | InvalidPayload):
                    job.task.retries = 0
                elif isinstance(error, Postpone):
                    raise RetryTask(delay=error.delay) from error
                elif isinstance(error, TaskLockedException | RateLimitExceeded | RedisUnavailable):
                    # Only too early: without a retry left Huey would call the failure's follow-ups.
                    job.task.retries = max(1, job.task.retries)
                elif isinstance(error, CancelExecution):
                    # Huey retries a cancelled task that has retries left; here cancelled is cancelled.
                    error.retry = bool(error.retry)
                raise

        return super().create_task(run, context=context, name=name, **settings)

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

    def add(
        self,
        payload: Any = None,
        *,
        organization_id: str | None = None,
        user_id: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        job_id: str | None = None,
        attempts: int | None = None,
        backoff: float | None = None,
        timeout: float | None = None,
    ) -> Job:
        """Adds a job; the same ``job_id`` again returns the job there is, ``created`` False.

        ``delay``, ``backoff`` and ``timeout`` in seconds. Raises InvalidPayload,
        InvalidOption, InvalidJobId (nothing is written), RedisUnavailable.
        """
        news = making.make_many(
            self.target,
            (payload,),
            options.in_seconds(
                priority=priority, attempts=attempts, backoff=backoff, timeout=timeout, delay=delay
            ),
            ids=None if job_id is None else (job_id,),
            organization_id=organization_id,
            user_id=user_id,
            parent=running_job(),
        )
        return self.huey.add_new(news)[0]

    def add_system(
        self, items: Iterable[tuple[str, str, Any]], *, priority: int | None = None
    ) -> list[Job]:
        """Adds jobs of the system's own, each (id beginning with ``sys:``, organisation, payload).

        For schedules: an id that is there already is left as it is, ``created`` False. Raises as
        ``add``; all are checked before the first is added.
        """
        asked = options.in_seconds(priority=priority)
        return self.huey.add_new(
            [
                new
                for job_id, organization_id, payload in items
                for new in adding.make_many(
                    self,
                    [payload],
                    asked,
                    ids=[check_job_id(job_id, internal=True)],
                    internal=True,
                    organization_id=organization_id,
                )
            ]
        )

    def add_many(
        self, items: Iterable[Any], *, ids: Iterable[str] | None = None, **said: Any
    ) -> list[Job]:
        """Adds a job for each payload, each atomically, in few round trips; options as for ``add``.

        All payloads are checked before the first is added. ``ids``: one for each payload.
        """
        items = list(items)
        chosen = options.check_ids(ids, len(items))
        unknown = said.keys() - _MANY
        if unknown:
            raise TypeError(f"add_many() has no option {', '.join(sorted(unknown))}")
        return self.huey.add_new(adding.new_jobs(self, items, ids=chosen, **said))

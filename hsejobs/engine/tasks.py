"""The decorated task: Huey's wrapper with ``add`` and ``add_many``, and our outcomes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar

from huey.api import PeriodicTask, Task
from huey.exceptions import (
    CancelExecution,
    ConfigurationError,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
)

from hsejobs.control import making, options
from hsejobs.engine import adding, payloads, signatures
from hsejobs.engine.context import running_job
from hsejobs.engine.huey_api import TaskWrapper
from hsejobs.engine.queue import Queue, QueueTask
from hsejobs.errors import (
    InvalidPayload,
    Postpone,
    RedisUnavailable,
    Unrecoverable,
)
from hsejobs.handle import Job
from hsejobs.model import check_job_id, new_job_id
from hsejobs.store.write import NewJob

P = ParamSpec("P")
R = TypeVar("R")


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


class _Adder(Protocol):
    """What adds checked jobs: the queue's Huey."""

    def add_new(self, news: Sequence[NewJob]) -> list[Job[Any]]: ...


class _Adds(QueueTask):
    """``add`` and its like. What they take and return by the function's types: `signatures`."""

    huey: _Adder

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
    ) -> Job[Any]:
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
    ) -> list[Job[Any]]:
        """Adds jobs of the system's own, each (id beginning with ``sys:``, organization, payload).

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
    ) -> list[Job[Any]]:
        """Adds a job for each payload, each atomically, in few round trips; options as for ``add``.

        All payloads are checked before the first is added. ``ids``: one for each payload.
        """
        items = list(items)
        chosen = options.check_ids(ids, len(items))
        unknown = said.keys() - signatures.AddManyKeywords.__optional_keys__
        if unknown:
            raise TypeError(f"add_many() has no option {', '.join(sorted(unknown))}")
        return self.huey.add_new(adding.new_jobs(self, items, ids=chosen, **said))


class JobTaskWrapper(_Adds, TaskWrapper, Generic[P, R]):
    """What ``@huey.task()`` makes of a function that takes ``P`` and returns ``R``."""

    task_base = JobTask

    if TYPE_CHECKING:
        func: Callable[P, R]
        add = signatures.Adding()
        add_many = signatures.AddingMany()  # type: ignore[assignment]

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
            """Adds a job, as Huey does: a Result of Huey's, without types."""

        def call_local(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Calls the function here and now."""

    def __init__(self, huey: Any, func: Callable[P, R], **settings: Any) -> None:
        self.queue: Queue = huey
        super().__init__(huey, func, **settings)
        self.registry = huey._registry
        self.full_name = self.registry.task_to_string(self.task_class)
        self.periodic = issubclass(self.task_class, PeriodicTask)

    def unregister(self) -> bool:
        """Takes the task from Huey's registry: no schedule runs it any more."""
        self.queue.schedules.pop(self.full_name, None)
        return super().unregister()

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

"""The decorated task: Huey's wrapper, extended by ``add``, ``add_many`` and our outcomes."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, Protocol, TypeVar

from huey.api import PeriodicTask, Task
from huey.exceptions import (
    CancelExecution,
    ConfigurationError,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
)

from hsejobs import forks
from hsejobs.control import making, options
from hsejobs.engine import adding, names, payloads, signatures
from hsejobs.engine.context import EndedJob, JobContext, parent_job, running_job
from hsejobs.engine.huey_api import TaskWrapper
from hsejobs.engine.keyed import KeyFunction, KeyLimit
from hsejobs.engine.queue import Queue, QueueTask
from hsejobs.errors import (
    InvalidOption,
    InvalidPayload,
    JobCancelled,
    LeaseLost,
    Postpone,
    RedisUnavailable,
    Unrecoverable,
)
from hsejobs.handle import Job
from hsejobs.model import check_job_id, new_job_id
from hsejobs.store.write import NewJob
from hsejobs.watch import logs

P = ParamSpec("P")
R = TypeVar("R")


class JobTask(Task):
    """A Huey task with a short, sortable id. ``retries`` None means the queue's default."""

    default_retries: int | None = None
    default_retry_delay: float | None = None
    #: The organization and user of the job; a follow-up inherits them from the job that adds it.
    organization_id: str | None = None
    user_id: str | None = None
    #: What its attempts store in immediate mode; see `immediate`.
    memory: Any = None
    #: The job that it follows from, if a consumer ended that one.
    parent: EndedJob | None = None

    def create_id(self) -> str:
        return new_job_id()


class JobPeriodicTask(PeriodicTask, JobTask):
    """A Huey task that a schedule runs."""


class _Adder(Protocol):
    """Adds checked jobs: the queue's Huey."""

    def add_one(self, new: NewJob) -> Job[Any]: ...
    def add_new(self, new_jobs: Sequence[NewJob]) -> list[Job[Any]]: ...


class _Adds(QueueTask):
    """``add`` and its variants; `signatures` declares their types."""

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
        """Adds a job. If a job with this ``job_id`` exists, returns that one with ``created`` False.

        ``delay``, ``backoff`` and ``timeout`` are in seconds. Raises InvalidPayload,
        InvalidOption, InvalidJobId or BacklogFull (nothing is written), RedisUnavailable.
        """
        new = making.make(
            self.target,
            payload,
            options.in_seconds(
                priority=priority, attempts=attempts, backoff=backoff, timeout=timeout, delay=delay
            ),
            job_id=job_id,
            organization_id=organization_id,
            user_id=user_id,
            parent=parent_job(),
        )
        return self.huey.add_one(new)

    def add_system(
        self, items: Iterable[tuple[str, str, Any]], *, priority: int | None = None
    ) -> list[Job[Any]]:
        """Adds jobs of the system itself, each (id beginning with ``sys:``, organization, payload).

        For schedules: a job whose id exists is left unchanged, with ``created`` False. Raises as
        ``add``; all are checked before the first is added.
        """
        chosen = options.in_seconds(priority=priority)
        return self.huey.add_new(
            [
                new
                for job_id, organization_id, payload in items
                for new in adding.make_many(
                    self,
                    [payload],
                    chosen,
                    ids=[check_job_id(job_id, internal=True)],
                    internal=True,
                    organization_id=organization_id,
                )
            ]
        )

    def add_many(
        self, items: Iterable[Any], *, ids: Iterable[str] | None = None, **chosen: Any
    ) -> list[Job[Any]]:
        """Adds a job for each payload, each atomically, in few round trips; options as for ``add``.

        All payloads are checked before the first is added. ``ids``: one for each payload. Jobs
        beyond their organization's quota are refused, the others added: BacklogFull says which.
        """
        items = list(items)
        checked_ids = options.check_ids(ids, len(items))
        unknown = chosen.keys() - signatures.AddManyKeywords.__optional_keys__
        if unknown:
            raise TypeError(f"add_many() has no option {', '.join(sorted(unknown))}")
        return self.huey.add_new(adding.new_jobs(self, items, ids=checked_ids, **chosen))


def _end_child(job: JobContext) -> NoReturn:
    """Ends a process that the task has forked and that has come to the end of the task: the job is the
    parent's, and so is the worker. Exit handlers are the parent's, too.
    """
    error = sys.exception()
    code: Any = 0
    if error is not None:
        code = error.code if isinstance(error, SystemExit) else 1
    logs.emit(
        "forked child ended",
        40 if error is not None else 20,
        queue=job.queue,
        id=job.id,
        pid=os.getpid(),
        error=None if error is None else type(error).__name__,
    )
    logs.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _end_cancelled(job: JobContext, error: BaseException) -> None:
    """Raises JobCancelled in place of what the task of a cancelled job raised: its chord learns of the
    end, no retry follows and, as for every job that is ended from outside, no ``on_error`` task.
    """
    job.task.retries, job.task.on_error = 0, None
    if not isinstance(error, JobCancelled):
        job.error = JobCancelled("the job was cancelled")
        job.error.__cause__ = error
        raise job.error


class JobTaskWrapper(_Adds, TaskWrapper, Generic[P, R]):
    """What ``@huey.task()`` returns for a function that takes ``P`` and returns ``R``."""

    task_base = JobTask

    if TYPE_CHECKING:
        func: Callable[P, R]
        add = signatures.Adding()
        add_many = signatures.AddingMany()  # type: ignore[assignment]

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
            """Adds a job, as in Huey, and returns Huey's untyped Result."""

        def call_local(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Calls the function in this thread, without a job."""

    def __init__(
        self,
        huey: Any,
        func: Callable[P, R],
        *,
        aliases: Iterable[str] = (),
        key: KeyFunction | None = None,
        key_limit: int | None = None,
        key_rate: str | None = None,
        **settings: Any,
    ) -> None:
        if (key, key_limit, key_rate) != (None, None, None):
            self.key_limit = KeyLimit(key, key_limit, key_rate)
        self.queue: Queue = huey
        module = names.importable(func)
        self.aliases = tuple(
            one if "." in one else f"{module.name}.{one}" for one in _as_names(aliases)
        )
        own = f"{module.name}.{settings.get('name') or func.__name__}"
        for name in (own, *self.aliases):
            other = huey.named(name, own)
            if other is not None:
                raise ConfigurationError(
                    f"{own} cannot have the name {name}, which is the name or an alias of"
                    f" {other.full_name}: remove it from one of the two"
                )
        super().__init__(huey, func, **settings)
        self.registry = huey._registry
        self.full_name = self.registry.task_to_string(self.task_class)
        if self.key_limit is not None and ":" in self.full_name:
            raise InvalidOption("key", "needs a task whose name has no colon")
        self.periodic = issubclass(self.task_class, PeriodicTask)
        if module.problem:
            self.problem = (
                f"{self.full_name} cannot be added: consumers cannot import this script, because"
                f" {module.problem}; define the queue in a module and import it here"
            )
        # Follow-ups of stored jobs are restored by name, too.
        self.registry._registry.update(dict.fromkeys(self.aliases, self.task_class))

    def unregister(self) -> bool:
        """Removes the task from Huey's registry; its schedule no longer runs."""
        self.queue.schedules.pop(self.full_name, None)
        return super().unregister()

    def create_task(
        self,
        func: Callable[..., Any],
        context: bool = False,
        name: str | None = None,
        **settings: Any,
    ) -> Any:
        """The task's class, whose ``execute`` validates the payload and records how the function ended."""
        if inspect.iscoroutinefunction(func):
            raise ConfigurationError(
                "a task must be a plain function; use asyncio.run in it to run a coroutine"
            )

        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            job, process = running_job(), forks.generation
            try:
                if self.model is not None and args:
                    args = (self.model_of(args[0]), *args[1:])
                try:
                    result = func(*args, **kwargs)
                finally:
                    if job is not None and forks.generation != process:
                        _end_child(job)
                if job is not None and self.periodic and result is not None:
                    # Huey itself discards the result of a periodic task.
                    job.result = payloads.encode_result(result)
                if job is not None:
                    # Otherwise Huey would add the follow-ups of a success.
                    job.stop_if_cancelled()
                return result
            except BaseException as error:
                if job is None:
                    raise
                job.error = error
                if job.cancelled and not isinstance(error, LeaseLost):
                    _end_cancelled(job, error)
                if isinstance(error, Unrecoverable | InvalidPayload):
                    job.task.retries = 0
                elif isinstance(error, Postpone):
                    raise RetryTask(delay=error.delay) from error
                elif isinstance(error, TaskLockedException | RateLimitExceeded | RedisUnavailable):
                    # Not a failure: without a retry left, Huey would run the on_error follow-ups.
                    if getattr(error, "retry", True):
                        job.task.retries = max(1, job.task.retries)
                elif isinstance(error, CancelExecution):
                    # Huey retries a canceled task that has retries left; here it is not retried.
                    error.retry = bool(error.retry)
                raise

        made = super().create_task(run, context=context, name=name, **settings)
        if not context:

            def execute(self: Any) -> Any:
                return run(*self.args, **self.kwargs)

            # Huey's does the same in twice the time.
            made.execute = execute
        # The task's name in Redis begins with it: consumers do not run the script, they import it.
        made.__module__ = names.importable(func).name
        return made


def _as_names(aliases: Iterable[str]) -> tuple[str, ...]:
    found = (aliases,) if isinstance(aliases, str) else tuple(aliases)
    if not all(isinstance(one, str) and one for one in found):
        raise TypeError("aliases must be former names of the task, as text")
    return found

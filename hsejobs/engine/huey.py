"""JobHuey: Huey's decorators, signals, results and consumer on top of our queue."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, Unpack, cast
from weakref import WeakValueDictionary

from huey.api import Result, ResultGroup, chord, group
from huey.exceptions import ConfigurationError, HueyException
from huey.utils import Error

from hsejobs import codec, pulse, tracing
from hsejobs.control import cron, options
from hsejobs.engine import adding, extras, immediate, messages
from hsejobs.engine.context import EndedJob, running_job
from hsejobs.engine.executing import Executing
from hsejobs.engine.keyed import KeyFunction
from hsejobs.engine.locks import JobLock
from hsejobs.engine.outcome import errors_as_text
from hsejobs.engine.periodic import cron_text
from hsejobs.engine.queue import Queue, Schedule
from hsejobs.engine.rates import JobRateLimit
from hsejobs.engine.serializer import JsonSerializer
from hsejobs.engine.signatures import AddKeywords
from hsejobs.engine.storage import JobStorage
from hsejobs.engine.tasks import JobPeriodicTask, JobTaskWrapper
from hsejobs.errors import BacklogFull, SettingsError
from hsejobs.handle import Job
from hsejobs.model import State
from hsejobs.store.adds import accepted
from hsejobs.store.description import AGEING_MS
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import Added, NewJob
from hsejobs.watch import logs

if TYPE_CHECKING:
    from hsejobs.engine.consumer import JobConsumer

P = ParamSpec("P")
R = TypeVar("R")

#: The queues whose code this process has, by name. The newest with a name wins.
LOADED: WeakValueDictionary[str, JobHuey] = WeakValueDictionary()


def loaded(name: str) -> JobHuey | None:
    """The queue with this name if this process has its code, else None."""
    return LOADED.get(name)


@contextmanager
def unlisted() -> Iterator[None]:
    """``loaded`` does not find the queues that are made within: they are of another application."""
    before = dict(LOADED)
    try:
        yield
    finally:
        LOADED.clear()
        LOADED.update(before)


class Decorator(Protocol):
    """Turns a function, or a task made by another decorator, into a task."""

    def __call__(self, function: Callable[P, R], /) -> JobTaskWrapper[P, R]: ...


class JobHuey(Queue, Executing):
    """A queue. Creating one does no I/O.

    ``attempts`` counts all attempts; ``backoff`` and ``timeout`` are in seconds (None: from the
    settings; no timeout); ``workers`` is ``threads`` or ``processes``. ``outbound`` means that its
    tasks call external servers. ``enqueue`` is the least role that may add jobs over HTTP;
    ``payload_role`` returns the least role for a given payload. ``log_fields`` returns the part of
    a payload that log lines may show; ``artifacts`` returns the ids of the files that a payload
    refers to, by field: callers over HTTP must be allowed to load them. ``release`` is the
    application's release, such as "1.4.2", unless QUEUE_RELEASE gives one: the highest of those that
    run describes the queue.

    Organizations with waiting jobs take turns unless ``fair`` is False. A job that waited for ``ageing``
    seconds (0: never; None: 900) is treated one priority better. Over all consumers, at most ``limit``
    jobs run at once, at most ``tenant_limit`` of one organization, and no more begin than ``rate``
    allows: "50/s", "100/m" or "1000/h". Jobs over a limit wait.
    ``tenant_backlog`` is the most waiting and delayed jobs that one organization may have: further adds
    raise BacklogFull (0, the default: no limit). Raises InvalidOption.
    """

    def __init__(
        self,
        name: str,
        *,
        attempts: int | None = None,
        backoff: float | None = None,
        timeout: float | None = None,
        priority: int = 3,
        workers: str = "threads",
        concurrency: int | None = None,
        outbound: bool = False,
        enqueue: str = "operator",
        payload_role: Callable[[Any], str] | None = None,
        log_fields: Callable[[Any], dict[str, Any]] | None = None,
        artifacts: Callable[[Any], dict[str, str]] | None = None,
        immediate: bool = False,
        release: str | None = None,
        limit: int | None = None,
        rate: str | None = None,
        tenant_limit: int | None = None,
        fair: bool = True,
        ageing: float | None = None,
        tenant_backlog: int | None = None,
    ) -> None:
        Queue.__init__(
            self,
            name,
            options.CodeOptions(
                priority=options.check_priority(priority),
                attempts=None if attempts is None else options.check_attempts(attempts),
                backoff=None if backoff is None else options.milliseconds("backoff", backoff),
                timeout=None if timeout is None else options.milliseconds("timeout", timeout),
                workers=options.check_workers(workers),
                concurrency=None if concurrency is None else options.check_concurrency(concurrency),
                limit=None if limit is None else options.check_limit("limit", limit),
                rate=None if rate is None else options.check_rate("rate", rate),
                tenant_limit=None
                if tenant_limit is None
                else options.check_limit("tenant_limit", tenant_limit),
                fair=options.check_flag("fair", fair),
                ageing=AGEING_MS if ageing is None else options.milliseconds("ageing", ageing),
                tenant_backlog=(
                    None if tenant_backlog is None else options.check_tenant_backlog(tenant_backlog)
                ),
            ),
            outbound=outbound,
            enqueue=enqueue,
            payload_role=payload_role,
            log_fields=log_fields,
            artifacts=artifacts,
            release=release,
        )
        Executing.__init__(
            self,
            name,
            serializer=JsonSerializer(),
            immediate=immediate,
            store_intermediate_errors=False,
        )
        LOADED[name] = self

    def get_task_wrapper_class(self) -> type[JobTaskWrapper[..., Any]]:
        """Huey's hook for the decorated task's class."""
        return JobTaskWrapper

    def get_storage(self, **kwargs: Any) -> JobStorage:
        """Huey's hook for the storage."""
        return JobStorage(self, self.serializer)

    # -- tasks

    def task(
        self,
        retries: int | None = None,
        retry_delay: float | None = None,
        priority: int | None = None,
        *,
        key: KeyFunction | None = None,
        key_limit: int | None = None,
        key_rate: str | None = None,
        **settings: Any,
    ) -> Decorator:
        """Huey's decorator. The queue's options are the defaults; backoff always grows by a factor of 5.

        ``aliases`` are former names of the task: jobs added under them run as this task. ``key`` returns
        the key of a payload, such as the host that it calls, or None: of the jobs with the same key,
        ``key_limit`` run at once over all consumers, and no more begin than ``key_rate`` (such as "5/s")
        allows. It gets the payload as the task gets it, validated, and, if it accepts a second argument,
        the organization's id or None. A key that contains a secret of the payload, or that has more than
        200 characters, is stored as a hash. Raises InvalidOption.
        """
        limits = {"key": key, "key_limit": key_limit, "key_rate": key_rate}
        make = super().task(retries, retry_delay, 0, priority, **limits, **settings)

        def decorator(function: Callable[P, R], /) -> JobTaskWrapper[P, R]:
            wrapper: JobTaskWrapper[P, R] = make(function)
            options.of_task(self.code_options, wrapper.task_class)
            self.add_task(wrapper)
            return wrapper

        return decorator

    def periodic_task(
        self, validate_datetime: Callable[[datetime.datetime], Any], **settings: Any
    ) -> Decorator:
        """Huey's decorator for a periodic task; its schedule is in UTC."""

        text = cron_text(validate_datetime)

        def custom(at: datetime.datetime) -> bool:
            return bool(validate_datetime(at))

        due = cron.parse(text).matches if text else custom
        settings.setdefault("retries", None)
        for option in ("retries", "retry_delay", "priority", "expires", "timeout"):
            settings.setdefault(f"default_{option}", settings.pop(option, None))
        settings.pop("retry_backoff", None)

        def decorator(function: Callable[P, R], /) -> JobTaskWrapper[P, R]:
            wrapper: JobTaskWrapper[P, R] = JobTaskWrapper(
                self,
                function.func if isinstance(function, JobTaskWrapper) else function,
                task_base=JobPeriodicTask,
                validate_datetime=lambda task, at: due(at),
                **settings,
            )
            self.add_task(wrapper, Schedule(text, due))
            return wrapper

        return decorator

    def lock_task(self, lock_name: str, ttl: float | None = None) -> JobLock:
        """Huey's lock, a decorator and context manager; ``ttl``: seconds after which it is free again."""
        return JobLock(self, lock_name, ttl)

    def rate_limit(self, name: str, limit: int, per: float, retry: bool = True) -> JobRateLimit:
        """Huey's rate limit, a decorator and context manager: at most ``limit`` blocks begin within any
        ``per`` seconds. A job over it waits; with ``retry`` False it fails. Raises InvalidOption.
        """
        return JobRateLimit(self, name, limit, per, retry)

    def wrapper(self, name: str | None = None) -> JobTaskWrapper[..., Any]:
        """The task with this full or short name; None means the default task. Raises UnknownTask."""
        return cast("JobTaskWrapper[..., Any]", super().wrapper(name))

    # -- adding

    def submit(
        self, payload: Any = None, *, task: str | None = None, **chosen: Unpack[AddKeywords]
    ) -> Job[Any]:
        """Adds a job for the named task (None: the default task); options as for ``task.add``."""
        return cast("Job[Any]", self.wrapper(task).add(payload, **chosen))

    def add_new(self, new_jobs: Sequence[NewJob]) -> list[Job[Any]]:
        """Adds checked jobs and logs each. In immediate mode, runs them in this thread instead."""
        if self._immediate:
            return [self._run_now(new) for new in new_jobs]
        return [Job(self.runtime.reader, self.name, one) for one in self.add_records(new_jobs)]

    def add_one(self, new: NewJob) -> Job[Any]:
        """As `add_new` for one job."""
        if self._immediate or not self.registered:
            return self.add_new([new])[0]
        if tracing.tracer is not None:
            return self.add_new([new])[0]
        runtime = self.runtime
        added = runtime.writer.add(self.name, new)
        if logs.wants_jobs():
            adding.log_added(self, (new,), (added,))
        return Job(runtime.reader, self.name, added)

    def add_records(self, new_jobs: Sequence[NewJob]) -> list[Added]:
        """Adds checked jobs, even in immediate mode, and logs each. Raises UnknownTask in a script that
        consumers cannot import, BacklogFull (the jobs that were not refused are added).
        """
        if tracing.tracer is None:
            return accepted(self.add_each(new_jobs))
        with tracing.sending(self.name, new_jobs) as traced:
            return accepted(self.add_each(traced))

    @property
    def registered(self) -> bool:
        """Whether jobs can be added without more ado: the queue is described, all tasks importable."""
        return self._registered is not None and not self.unimportable

    def add_each(self, new_jobs: Sequence[NewJob]) -> list[Added | BacklogFull]:
        """As `add_records`, but an error stands for each job that its organization's quota refuses."""
        if self._registered is None:
            self.register()
        if self.unimportable:
            self.check_importable(new.name for new in new_jobs)
        added = self.runtime.writer.add_each(self.name, new_jobs)
        if logs.wants_jobs():
            adding.log_added(self, new_jobs, added)
        return added

    def _run_now(self, new: NewJob) -> Any:
        task_class = self.wrappers[new.name].task_class
        args, kwargs = messages.arguments_of(codec.loads(new.payload), new.signature)
        task = task_class(args, kwargs, id=new.id, retries=new.attempts - 1, priority=new.priority)
        task.organization_id, task.user_id = new.organization_id, new.user_id
        return self.enqueue(task)

    def enqueue(self, task: Any) -> Any:
        """Huey's API to add a task object, group or chord; returns a Result or ResultGroup."""
        if isinstance(task, group | chord):
            return super().enqueue(task)
        if self._immediate:
            wrapper = self.wrappers[self._registry.task_to_string(type(task))]
            paths = wrapper.secret_paths
            with immediate.running(self.name, wrapper.full_name, task, paths):
                return super().enqueue(task)
        job = running_job()
        if job is not None and task is job.task:
            # Huey enqueues its retry; here the outcome that the engine writes causes the retry.
            return Result(self, task)
        if job is not None:
            task.args = errors_as_text(job, task.args)
        if task.expires:
            task.resolve_expires(self.utc)
        self._emit("enqueued", task)
        wrapper = self.wrappers[self._registry.task_to_string(type(task))]
        self.add_new([adding.from_task(wrapper, task)])
        results = self._pipeline_results(task)
        return ResultGroup(results) if len(results) > 1 else results[0]

    def add_schedule(self, task: Any) -> None:
        """Huey's hook to delay a task; for the running job, the engine's outcome does that.

        In immediate mode nothing runs it later.
        """
        if self._immediate:
            self._emit("scheduled", task)
            return
        job = running_job()
        if job is None or task is not job.task:
            self.enqueue(task)
            self._emit("scheduled", task)

    def report_end(self, job_id: str) -> bool:
        """Tells the chord of a job that was ended from outside, with its error as its result.

        Reports its follow-ups as failed too. Safe to repeat. False if this process lacks its task.
        """
        record = self.runtime.reader.job(self.name, job_id)
        if record.status is not State.FAILED:
            # Retried meanwhile: its next run reports.
            return True
        wrapper = self.find(record.name)
        if wrapper is None:
            return False
        task = cast("JobTaskWrapper[..., Any]", wrapper).task_class((), {}, job_id)
        work = WorkerStore(self.runtime.redis, self.runtime.prefix, self.name)
        try:
            extras.apply_extras(self._registry, task, work.extras(job_id))
        except HueyException:
            # Another consumer has the task of the follow-up.
            return False
        told = {"error": record.failed_reason, "retries": 0, "traceback": None, "task_id": job_id}
        while task.chord_config is None and task.on_complete is not None:
            task = task.on_complete
            self.put_result(task.id, Error(told))
        if task.chord_config is not None:
            callback = task.chord_config.callback
            callback.organization_id = record.organization_id
            callback.user_id = record.user_id
            callback.parent = EndedJob(record)
            self._check_chord(task.chord_config, Error(told))
        return True

    def get_raw(self, key: str, peek: bool = False) -> Any:
        """The raw result of the job with this id once it has finished, else a stored value."""
        found = None if self._immediate else self.storage.job_result(key)
        return super().get_raw(key, peek) if found is None else found

    # -- the consumer

    def create_consumer(self, **given: Any) -> JobConsumer:
        """Called by ``huey_consumer``. On an invalid setting or worker type, exits with a one-line error."""
        # Imported here because producers do not need it.
        from hsejobs.engine.consumer import JobConsumer
        from hsejobs.engine.consumer_options import consumer_options
        from hsejobs.engine.register import begin

        try:
            self.runtime.redis.check_format()
            pulse.attach(self.name, pulse.installation_id(self.runtime.settings))
            begin(self)
            return JobConsumer(self, **consumer_options(self, given))
        except (SettingsError, ConfigurationError) as error:
            sys.stderr.write(f"error: {error}\n")
            raise SystemExit(2) from None

"""JobHuey: Huey's decorators, signals, results and consumer on jobs that are records."""

from __future__ import annotations

import contextlib
import datetime
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

from huey.api import Huey, Result, chord, group
from huey.constants import EmptyData
from huey.exceptions import ConfigurationError
from huey.utils import Error

from hsejobs import codec
from hsejobs.control import options
from hsejobs.engine import adding, messages, payloads, register
from hsejobs.engine.context import running_job
from hsejobs.engine.outcome import clean_data, told_errors
from hsejobs.engine.runtime import Runtime, runtime
from hsejobs.engine.serializer import JsonSerializer
from hsejobs.engine.storage import JobStorage
from hsejobs.engine.tasks import JobPeriodicTask, JobTaskWrapper
from hsejobs.errors import JobNotFound, SettingsError
from hsejobs.handle import Job
from hsejobs.model import State, check_queue_name
from hsejobs.settings import Settings
from hsejobs.store import keys
from hsejobs.store.registry import QueueInfo
from hsejobs.store.write import Added, NewJob
from hsejobs.watch import logs

logger = logging.getLogger("hsejobs")
_NO_TIMEOUT = contextlib.nullcontext()

#: The queues whose code this process has, by name: the newest of a name counts.
_loaded: WeakValueDictionary[str, JobHuey] = WeakValueDictionary()


def loaded(name: str) -> JobHuey | None:
    """The queue of that name if its code is in this process."""
    return _loaded.get(name)


class JobHuey(Huey):
    """A queue. Making one does no I/O.

    ``attempts`` are total tries; ``backoff`` and ``timeout`` seconds (None: as
    the settings say; no timeout); ``workers`` ``threads`` or ``processes``;
    ``outbound``: its tasks call other people's servers; ``enqueue`` the least role that may
    add jobs over HTTP, ``payload_role`` that of a payload;
    ``log_fields`` picks what of a payload the log lines may show, ``artifacts`` the ids of the files
    that it refers to by field: who adds it over HTTP must be allowed to load them. Raises InvalidOption.
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
    ) -> None:
        check_queue_name(name)
        self.code_options = options.CodeOptions(
            priority=options.check_priority(priority),
            attempts=None if attempts is None else options.check_attempts(attempts),
            backoff=None if backoff is None else options.milliseconds("backoff", backoff),
            timeout=None if timeout is None else options.milliseconds("timeout", timeout),
            workers=options.check_workers(workers),
            concurrency=None if concurrency is None else options.check_concurrency(concurrency),
        )
        self.enqueue_role = options.check_role(enqueue)
        self.outbound = outbound
        self.payload_role = payload_role
        self.log_fields = log_fields
        self.artifacts = artifacts
        self.wrappers: dict[str, JobTaskWrapper] = {}
        self.cron: dict[str, str] = {}
        self._registered: bytes | None = None
        self._resolved: tuple[Settings, options.QueueOptions] | None = None
        super().__init__(
            name,
            serializer=JsonSerializer(),
            immediate=immediate,
            store_intermediate_errors=False,
        )
        _loaded[name] = self

    @property
    def runtime(self) -> Runtime:
        """Settings and connections of this process."""
        return runtime()

    @property
    def base(self) -> str:
        """What this queue's keys begin with."""
        return keys.base(self.runtime.prefix, self.name)

    @property
    def options(self) -> options.QueueOptions:
        """What holds for a job when its add says nothing."""
        settings = self.runtime.settings
        if self._resolved is None or self._resolved[0] is not settings:
            found = options.resolve(settings, self.name, self.code_options)
            self._resolved = (settings, found)
        return self._resolved[1]

    def get_task_wrapper_class(self) -> type[JobTaskWrapper]:
        """Huey's hook for the decorated task's class."""
        return JobTaskWrapper

    def get_storage(self, **kwargs: Any) -> JobStorage:
        """Huey's hook for the storage."""
        return JobStorage(self)

    # -- tasks

    def task(
        self,
        retries: int | None = None,
        retry_delay: float | None = None,
        priority: int | None = None,
        **settings: Any,
    ) -> Callable[[Any], JobTaskWrapper]:
        """Huey's decorator. What is not given here the queue says; backoff is always by five."""
        make = super().task(retries, retry_delay, 0, priority, **settings)

        def decorator(function: Any) -> JobTaskWrapper:
            wrapper: JobTaskWrapper = make(function)
            options.of_task(self.code_options, wrapper.task_class)
            self.wrappers[wrapper.full_name] = wrapper
            self._registered = None
            return wrapper

        return decorator

    def periodic_task(
        self, validate_datetime: Any, **settings: Any
    ) -> Callable[[Any], JobTaskWrapper]:
        """Huey's decorator for a task with a schedule in UTC."""
        from hsejobs.engine.periodic import cron_text

        def valid(task: Any, timestamp: datetime.datetime) -> bool:
            return bool(validate_datetime(timestamp))

        settings.setdefault("retries", None)
        for option in ("retries", "retry_delay", "priority", "expires", "timeout"):
            settings.setdefault(f"default_{option}", settings.pop(option, None))
        settings.pop("retry_backoff", None)

        def decorator(function: Any) -> JobTaskWrapper:
            wrapper = JobTaskWrapper(
                self,
                function.func if isinstance(function, JobTaskWrapper) else function,
                context=settings.pop("context", False),
                name=settings.pop("name", None),
                task_base=JobPeriodicTask,
                validate_datetime=valid,
                **settings,
            )
            self.wrappers[wrapper.full_name] = wrapper
            self.cron[wrapper.full_name] = cron_text(validate_datetime)
            self._registered = None
            return wrapper

        return decorator

    def wrapper(self, name: str | None = None) -> JobTaskWrapper:
        """The task of that full or short name, for None the only or first one. Raises UnknownTask."""
        return self.wrappers[self.describe().task(name).name]

    # -- adding

    def submit(self, payload: Any = None, *, task: str | None = None, **chosen: Any) -> Job:
        """Adds a job to the task named (the default one for None); options as for ``task.add``."""
        return self.wrapper(task).add(payload, **chosen)

    def add_new(self, news: Sequence[NewJob]) -> list[Job]:
        """Adds checked jobs and logs each. In immediate mode they are run here and now."""
        if self._immediate:
            return [self._run_now(new) for new in news]
        reader = self.runtime.reader
        return [Job(reader, self.name, one) for one in self.add_records(news)]

    def add_records(self, news: Sequence[NewJob]) -> list[Added]:
        """Adds checked jobs, in immediate mode too, and logs each."""
        if self._registered is None:
            self.register()
        writer = self.runtime.writer
        added = (
            [writer.add(self.name, news[0])] if len(news) == 1 else writer.add_many(self.name, news)
        )
        if logs.wants_jobs():
            for new, one in zip(news, added, strict=True):
                if one.created:
                    shown = self.shown_payload(new.payload)
                    if new.trace:
                        shown = {**(shown or {}), **logs.trace_fields(new.trace)}
                    logs.job(
                        "added", self.name, one.id, str(one.status), new.organization_id, shown
                    )
        return added

    def _run_now(self, new: NewJob) -> Any:
        task_class = self.wrappers[new.name].task_class
        args, kwargs = messages.arguments_of(codec.loads(new.payload), new.signature)
        return super().enqueue(task_class(args, kwargs, id=new.id, retries=new.attempts - 1))

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

    def enqueue(self, task: Any) -> Any:
        """Huey's way in: a task object, a group or a chord becomes records; a Result comes back."""
        if isinstance(task, group | chord) or self._immediate:
            return super().enqueue(task)
        job = running_job()
        if job is not None and task is job.task:
            # Huey wants its retry; the outcome that the engine writes says so.
            return Result(self, task)
        if job is not None:
            task.args = told_errors(job, task.args)
        if task.expires:
            task.resolve_expires(self.utc)
        self._emit("enqueued", task)
        self.add_new([adding.from_task(self, task)])
        results = self._pipeline_results(task)
        from huey.api import ResultGroup

        return ResultGroup(results) if len(results) > 1 else results[0]

    def add_schedule(self, task: Any) -> None:
        """Huey's way to delay a task; for the running job itself the engine's outcome does it."""
        job = running_job()
        if job is None or task is not job.task:
            self.enqueue(task)
            self._emit("scheduled", task)

    # -- what Huey asks while it executes a claimed job (see outcome.py)

    def _emit(self, signal: str, task: Any, *args: Any, **kwargs: Any) -> None:
        job = running_job()
        if job is not None and task is job.task:
            job.signals.add(signal)
        receivers = self._signal.receivers
        if receivers["any"] or receivers.get(signal):
            super()._emit(signal, task, *args, **kwargs)

    def _timeout_context(self, task: Any) -> Any:
        # Deadlines are the keeper's: Huey's own time-out is an Exception that a task can swallow.
        return _NO_TIMEOUT

    def put_result(self, key: str, data: Any) -> None:
        """The running job's own result goes into its record; others (chords, pipelines) are kept beside."""
        job = running_job()
        if job is None or key != job.id:
            if job is not None and isinstance(data, Error):
                data = Error(clean_data(job, data.metadata))
            self.storage.put_data(key, self.serializer.serialize(data), is_result=True)
        elif not isinstance(data, Error):
            job.result = payloads.encode_result(data)

    def delete(self, key: str) -> Any:
        """Huey clears a revocation after each run: no round trip when the claim saw none."""
        job = running_job()
        if job is not None and job.task is not None and key == job.task.revoke_id:
            return self.storage.delete_data(key) if job._claim.revoked else False
        return super().delete(key)

    def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool:
        """Whether a task is revoked; for the running job the claim has looked already."""
        job = running_job()
        if job is not None and task is job.task and not job._claim.revoked:
            return False
        return bool(super().is_revoked(task, timestamp, peek))

    def get_raw(self, key: str, peek: bool = False) -> Any:
        """The raw result of the job with this id once it ended, else a stored value."""
        reader = self.runtime.reader
        status = None if self._immediate else reader.status(self.name, key)
        if status is None:
            return super().get_raw(key, peek)
        if status not in (State.COMPLETED, State.FAILED):
            return EmptyData
        try:
            record = reader.job(self.name, key)
        except JobNotFound:
            return EmptyData
        if status is State.COMPLETED:
            return self.serializer.serialize(record.result)
        last = record.errors[-1] if record.errors else {}
        return self.serializer.serialize(
            Error(
                {
                    "error": last.get("error"),
                    "retries": 0,
                    "traceback": last.get("traceback"),
                    "task_id": key,
                }
            )
        )

    # -- the consumer and the registry

    def create_consumer(self, **given: Any) -> Any:
        """What ``huey_consumer`` calls; a wrong environment or worker type ends it with one line."""
        from hsejobs.engine.consumer import JobConsumer, consumer_options

        try:
            return JobConsumer(self, **consumer_options(self, given))
        except (SettingsError, ConfigurationError) as error:
            sys.stderr.write(f"error: {error}\n")
            raise SystemExit(2) from None

    def describe(self) -> QueueInfo:
        """The queue's registry record."""
        return register.describe(self)

    def register(self, *, again: bool = False) -> None:
        """Writes the registry record when new, changed or ``again``. Raises RedisUnavailable."""
        self._registered = register.register(self, None if again else self._registered)

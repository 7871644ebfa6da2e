"""Add jobs to a queue by its name, from programs that do not have the queue's code.

::

    from hsejobs import client

    job = client.add("email", {"to": "ann@example.com", "template": "welcome"}, priority=1)
    job.wait(timeout=30)

Each job is checked against the queue's description in Redis. Neither Huey nor pydantic is imported.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, TypedDict, Unpack

from hsejobs import codec, forks, tracing
from hsejobs.control import making, options
from hsejobs.errors import SettingsError
from hsejobs.forks import cached_property
from hsejobs.handle import Job
from hsejobs.redis_url import check_redis_url
from hsejobs.settings import load_settings, redis_target
from hsejobs.store import registry
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo
from hsejobs.store.write import JobWriter

__all__ = ["Client", "Job", "add", "add_many"]

#: Seconds for which a queue's description is cached.
CACHE_SECONDS = 5.0


class _Options(TypedDict, total=False):
    task: str | None
    organization_id: str | None
    user_id: str | None
    priority: int | None
    delay: float | None
    attempts: int | None
    backoff: float | None
    timeout: float | None


class _AddOptions(_Options, total=False):
    job_id: str | None


class _AddManyOptions(_Options, total=False):
    ids: Iterable[str] | None


class Client:
    """Adds jobs to the queues of one Redis. Connects on first use; threads may share one client.

    ``url`` overrides the Redis that the environment names (``QUEUE_REDIS_URL`` and related
    settings). All other settings, such as ``QUEUE_REDIS_PREFIX`` and ``JOBS_SECRET_KEY``, come from
    the environment. Raises SettingsError.
    """

    def __init__(self, url: str | None = None) -> None:
        tracing.start()
        self._settings = load_settings()
        self._prefix = self._settings.redis_prefix
        self._url = url
        try:
            if url is not None:
                check_redis_url(url)
        except ValueError as error:
            raise SettingsError("url", str(error)) from None
        self._infos: dict[str, tuple[float, QueueInfo]] = {}

    @cached_property
    def _redis(self) -> RedisClient:
        url = redis_target(self._settings) if self._url is None else self._url
        return RedisClient(url, wait_replicas=self._settings.wait_replicas, prefix=self._prefix)

    def queue(self, name: str) -> QueueInfo:
        """The queue's description: its tasks with their JSON Schemas, its options, its schedules.

        It is at most five seconds old. Raises UnknownQueue, RedisUnavailable.
        """
        known, now = self._infos.get(name), time.monotonic()
        if known is not None and now - known[0] < CACHE_SECONDS:
            return known[1]
        info = registry.load(self._redis, self._prefix, name)
        self._infos[name] = (now, info)
        return info

    def add(
        self,
        queue: str,
        payload: Any = None,
        *,
        task: str | None = None,
        organization_id: str | None = None,
        user_id: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        job_id: str | None = None,
        attempts: int | None = None,
        backoff: float | None = None,
        timeout: float | None = None,
    ) -> Job:
        """Adds a job. If a job with this ``job_id`` exists, returns that one with ``created`` False.

        ``task`` is the full or short name of a task; None means the queue's default task.
        ``delay``, ``backoff`` and ``timeout`` are in seconds. The task's own options fill in what
        is not given. Raises UnknownQueue, UnknownTask, InvalidPayload, PayloadTooLarge,
        InvalidOption, InvalidJobId or BacklogFull (nothing is written), RedisUnavailable.
        """
        return self._add(
            queue,
            [payload],
            task,
            options.in_seconds(
                priority=priority, delay=delay, attempts=attempts, backoff=backoff, timeout=timeout
            ),
            ids=None if job_id is None else [job_id],
            organization_id=organization_id,
            user_id=user_id,
        )[0]

    def add_many(
        self,
        queue: str,
        payloads: Iterable[Any],
        *,
        task: str | None = None,
        ids: Iterable[str] | None = None,
        organization_id: str | None = None,
        user_id: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        attempts: int | None = None,
        backoff: float | None = None,
        timeout: float | None = None,
    ) -> list[Job]:
        """Adds a job for each payload, each atomically, in few round trips; options as for ``add``.

        All payloads are checked before the first job is added. ``ids``: one for each payload. Jobs
        beyond their organization's quota are refused, the others added: BacklogFull says which.
        """
        items = list(payloads)
        return self._add(
            queue,
            items,
            task,
            options.in_seconds(
                priority=priority, delay=delay, attempts=attempts, backoff=backoff, timeout=timeout
            ),
            ids=options.check_ids(ids, len(items)),
            organization_id=organization_id,
            user_id=user_id,
        )

    def _add(
        self,
        queue: str,
        payloads: list[Any],
        task: str | None,
        chosen: options.AddOptions,
        **more: Any,
    ) -> list[Job]:
        info = self.queue(queue)
        quota = self._settings.queue(queue).tenant_backlog
        jobs = making.make_many(
            making.described(info, info.task(task), self._settings.secret_key, quota),
            # Checked in the form in which it will be read back: a tuple becomes a list, and values
            # that JSON cannot hold are refused here.
            [{} if one is None else codec.loads(making.encode(one)) for one in payloads],
            chosen,
            **more,
        )
        reader, writer = JobReader(self._redis, self._prefix), JobWriter(self._redis, self._prefix)
        if tracing.tracer is None:
            return [Job(reader, queue, one) for one in writer.add_many(queue, jobs)]
        with tracing.sending(queue, jobs) as traced:
            return [Job(reader, queue, one) for one in writer.add_many(queue, traced)]

    def close(self) -> None:
        """Closes this thread's connection; the next call opens one."""
        self._redis.close()


_lock = forks.lock()
_client: Client | None = None


def _default() -> Client:
    global _client
    if _client is None:
        with _lock:
            if _client is None:
                _client = Client()
    return _client


def add(queue: str, payload: Any = None, **options: Unpack[_AddOptions]) -> Job:
    """`Client.add` on the Redis that the environment names."""
    return _default().add(queue, payload, **options)


def add_many(queue: str, payloads: Iterable[Any], **options: Unpack[_AddManyOptions]) -> list[Job]:
    """`Client.add_many` on the Redis that the environment names."""
    return _default().add_many(queue, payloads, **options)

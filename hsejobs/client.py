"""Adding jobs by the name of their queue, for programs that do not have its code.

::

    from hsejobs import client

    job = client.add("email", {"to": "ann@example.com", "template": "welcome"}, priority=1)
    job.wait(timeout=30)

A job is checked against what its queue says of itself in Redis. Neither Huey nor pydantic is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, TypedDict, Unpack

from hsejobs import codec, forks
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

#: Seconds for which a queue's description is taken as it was.
REMEMBER_SECONDS = 5.0


class _Asked(TypedDict, total=False):
    task: str | None
    organization_id: str | None
    user_id: str | None
    priority: int | None
    delay: float | None
    attempts: int | None
    backoff: float | None
    timeout: float | None


class _One(_Asked, total=False):
    job_id: str | None


class _Many(_Asked, total=False):
    ids: Iterable[str] | None


class Client:
    """Adds jobs to the queues of one Redis. Connects at the first use; threads may share it.

    ``url`` None: as the environment says (``QUEUE_REDIS_URL`` and its kin), which says all else,
    such as ``QUEUE_REDIS_PREFIX`` and ``JOBS_SECRET_KEY``. Raises SettingsError.
    """

    def __init__(self, url: str | None = None) -> None:
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
    def _link(self) -> RedisClient:
        url = redis_target(self._settings) if self._url is None else self._url
        return RedisClient(url, wait_replicas=self._settings.wait_replicas)

    def queue(self, name: str) -> QueueInfo:
        """What a queue says of itself: its tasks with their JSON Schema, its options, its schedules.

        At most five seconds old. Raises UnknownQueue, RedisUnavailable.
        """
        known, now = self._infos.get(name), time.monotonic()
        if known is not None and now - known[0] < REMEMBER_SECONDS:
            return known[1]
        info = registry.load(self._link, self._prefix, name)
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
        """Adds a job; the same ``job_id`` again returns the job there is, ``created`` False.

        ``task``: its full or short name, None for the queue's first. ``delay``, ``backoff`` and
        ``timeout`` in seconds; what is not given the task's own options say. Raises UnknownQueue,
        UnknownTask, InvalidPayload, PayloadTooLarge, InvalidOption, InvalidJobId (nothing is
        written), RedisUnavailable.
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

        All are checked before the first is added. ``ids``: one for each payload.
        """
        found = list(payloads)
        return self._add(
            queue,
            found,
            task,
            options.in_seconds(
                priority=priority, delay=delay, attempts=attempts, backoff=backoff, timeout=timeout
            ),
            ids=options.check_ids(ids, len(found)),
            organization_id=organization_id,
            user_id=user_id,
        )

    def _add(
        self,
        queue: str,
        payloads: list[Any],
        task: str | None,
        asked: options.AddOptions,
        **more: Any,
    ) -> list[Job]:
        info = self.queue(queue)
        news = making.make_many(
            making.described(info, info.task(task), self._settings.secret_key),
            # As it will be read: a tuple is a list, and what is not JSON is refused first.
            [{} if one is None else codec.loads(making.encode(one)) for one in payloads],
            asked,
            **more,
        )
        reader, writer = JobReader(self._link, self._prefix), JobWriter(self._link, self._prefix)
        added = [writer.add(queue, news[0])] if len(news) == 1 else writer.add_many(queue, news)
        return [Job(reader, queue, one) for one in added]

    def close(self) -> None:
        """Closes this thread's connection; the next call opens one."""
        self._link.close()


_lock = forks.lock()
_client: Client | None = None


def _default() -> Client:
    global _client
    if _client is None:
        with _lock:
            if _client is None:
                _client = Client()
    return _client


def add(queue: str, payload: Any = None, **asked: Unpack[_One]) -> Job:
    """`Client.add` with the Redis of the environment."""
    return _default().add(queue, payload, **asked)


def add_many(queue: str, payloads: Iterable[Any], **asked: Unpack[_Many]) -> list[Job]:
    """`Client.add_many` with the Redis of the environment."""
    return _default().add_many(queue, payloads, **asked)

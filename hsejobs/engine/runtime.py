"""This process's settings and connections, created on first use and shared by all its queues."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hsejobs import forks, tracing
from hsejobs.forks import cached_property
from hsejobs.settings import Settings, load_settings, redis_target
from hsejobs.store import scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter


class Runtime:
    """The settings, the Redis client, and the reader and writer that use it."""

    #: Whether other processes, which must be able to import a task, run the jobs.
    has_consumers = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.prefix = settings.redis_prefix

    @cached_property
    def redis(self) -> RedisClient:
        """The Redis client; ``redis_target`` finds the server on first use."""
        return RedisClient(
            redis_target(self.settings),
            wait_replicas=self.settings.wait_replicas,
            prefix=self.prefix,
        )

    @cached_property
    def writer(self) -> JobWriter:
        """Performs all writes except those of workers."""
        scripts.keep()
        return JobWriter(self.redis, self.prefix)

    @cached_property
    def reader(self) -> JobReader:
        return JobReader(self.redis, self.prefix)


_lock = forks.lock()
_runtime: Runtime | None = None


def runtime() -> Runtime:
    """The process's runtime. Raises SettingsError when a setting is invalid."""
    global _runtime
    if _runtime is None:
        with _lock:
            if _runtime is None:
                tracing.start()
                _runtime = Runtime(load_settings())
    return _runtime


def reset_runtime() -> None:
    """Discards settings and connections, so that the environment is read again."""
    global _runtime
    with _lock:
        _runtime = None


@contextlib.contextmanager
def use(other: Runtime) -> Iterator[None]:
    """Makes another runtime the process's while the block runs, for tests."""
    global _runtime
    before, _runtime = _runtime, other
    try:
        yield
    finally:
        _runtime = before

"""Huey's locks. A job that finds one taken waits for it, in the order of the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from huey.api import TaskLock
from huey.exceptions import TaskLockedException

from hsejobs.engine.storage import JobStorage

P = ParamSpec("P")
R = TypeVar("R")


class LockTaken(TaskLockedException):
    """Another job holds the lock, or waits for it before this one. ``key`` identifies the lock."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class JobLock(TaskLock):
    """Huey's lock. Only its holder releases it at the end of the block."""

    _huey: Any
    _name: str
    _key: str
    _ttl: float | None

    if TYPE_CHECKING:

        def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
            """Decorates a function, which holds the lock while it runs."""

    def acquire(self) -> bool:
        """Takes the lock. Raises TaskLockedException: the job then waits until the lock is free."""
        storage = self._huey.storage
        if not isinstance(storage, JobStorage):
            return bool(super().acquire())
        taken = storage.take_lock(self._key, self._ttl)
        if taken is None:
            raise TaskLockedException(f"this job holds the lock {self._name} already")
        if not taken:
            raise LockTaken(f"unable to acquire lock {self._name}", self._key)
        return True

    def __exit__(self, *raised: object) -> None:
        storage = self._huey.storage
        if isinstance(storage, JobStorage):
            storage.free_lock(self._key)
        else:
            super().__exit__(*raised)

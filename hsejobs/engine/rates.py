"""Huey's rate limits, which hold in every window of time, over all consumers of a queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from huey.api import RateLimit
from huey.exceptions import RateLimitExceeded

from hsejobs.control.options import milliseconds
from hsejobs.engine.storage import JobStorage
from hsejobs.errors import InvalidOption
from hsejobs.rates import widened

P = ParamSpec("P")
R = TypeVar("R")


class JobRateLimit(RateLimit):
    """Huey's rate limit: at most ``limit`` blocks begin within any ``per`` seconds. Raises InvalidOption."""

    _huey: Any
    _name: str
    _limit: int
    _retry: bool

    def __init__(self, huey: Any, name: str, limit: int, per: float, retry: bool = True) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise InvalidOption("limit", "must be a number of blocks, 0 or more")
        self._per_us = widened(milliseconds("per", per, zero=False) * 1000)
        super().__init__(huey, name, limit, per, retry=retry)

    if TYPE_CHECKING:

        def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
            """Decorates a function, each call of which counts."""

    def acquire(self) -> None:
        """Counts a block that begins. Raises RateLimitExceeded: the job then waits for its turn."""
        storage = self._huey.storage
        if not isinstance(storage, JobStorage):
            super().acquire()
            return
        wait = storage.take_rate(self._name, self._limit, self._per_us)
        if wait:
            raise RateLimitExceeded(self._name, wait / 1e6, retry=self._retry)

    def current_usage(self) -> int:
        """How many blocks began in the window that ends now."""
        storage = self._huey.storage
        if not isinstance(storage, JobStorage):
            return int(super().current_usage())
        return storage.rate_usage(self._name, self._per_us)

    def reset(self) -> None:
        """Forgets what has begun, and the order of those that wait."""
        storage = self._huey.storage
        if isinstance(storage, JobStorage):
            storage.forget_rate(self._name)
        else:
            super().reset()

"""Shared test support: real servers, a proxy that cuts connections, waiting, and skips."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float = 30.0, what: str = "the condition") -> T:
    """Poll *predicate* until it is true, and return its value.

    Every 5 ms at first; then at most ten times in what has passed, and a quarter of the time, as what waits
    takes the processor of what it waits for. Raises AssertionError naming *what* after *timeout* seconds.
    """
    __tracebackhide__ = True
    began = time.monotonic()
    while True:
        before = time.monotonic()
        value = predicate()
        if value:
            return value
        now = time.monotonic()
        if now > began + timeout:
            raise AssertionError(f"{what}: not within {timeout:g} s (last seen: {value!r})")
        time.sleep(min(0.05, max(0.005, (now - began) / 10, 3 * (now - before))))


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test if a server is missing; in CI, where all servers must exist, fail it."""
    __tracebackhide__ = True
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(f"tests must not be skipped in CI: {reason}")
    pytest.skip(reason)

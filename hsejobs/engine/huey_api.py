"""Type declarations for the part of Huey that users see: Huey itself has no types.

An untyped base class would hide the types of its subclasses from a type checker. Names that are
not declared here have the type Any.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Lock(Protocol):
    """The return value of ``lock_task`` and ``rate_limit``: a decorator and context manager."""

    def __call__(self, function: F, /) -> F: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, *raised: object) -> Any: ...


if TYPE_CHECKING:

    def crontab(
        minute: str | int = "*",
        hour: str | int = "*",
        day: str | int = "*",
        month: str | int = "*",
        day_of_week: str | int = "*",
        strict: object = False,
    ) -> Callable[[datetime.datetime], bool]: ...

    class Huey:
        """Huey itself: its decorators and the methods that `JobHuey` overrides."""

        def __init__(self, name: str, **settings: Any) -> None: ...

        def on_startup(self, name: str | None = None) -> Callable[[F], F]: ...
        def on_shutdown(self, name: str | None = None) -> Callable[[F], F]: ...
        def pre_execute(self, name: str | None = None) -> Callable[[F], F]: ...
        def post_execute(self, name: str | None = None) -> Callable[[F], F]: ...
        def signal(self, *signals: str) -> Callable[[F], F]: ...
        def lock_task(self, lock_name: str, ttl: float | None = None) -> Lock: ...
        def rate_limit(self, name: str, limit: int, per: float, retry: bool = True) -> Lock: ...

        def task(self, *args: Any, **settings: Any) -> Callable[[Any], Any]: ...
        def periodic_task(self, *args: Any, **settings: Any) -> Callable[[Any], Any]: ...
        def enqueue(self, task: Any) -> Any: ...
        def execute(self, task: Any, timestamp: datetime.datetime | None = None) -> Any: ...
        def _emit(self, signal: str, task: Any, *args: Any, **kwargs: Any) -> None: ...
        def delete(self, key: str) -> Any: ...
        def get_raw(self, key: str, peek: bool = False) -> Any: ...
        def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool: ...

        def __getattr__(self, name: str) -> Any: ...

    class TaskWrapper:
        """What Huey's decorators return."""

        task_base: type
        task_class: Any
        context: bool
        name: str | None
        settings: dict[str, Any]

        def __init__(
            self,
            huey: Any,
            func: Callable[..., Any],
            context: bool = False,
            name: str | None = None,
            task_base: type | None = None,
            **settings: Any,
        ) -> None: ...

        def unregister(self) -> bool: ...
        def create_task(
            self,
            func: Callable[..., Any],
            context: bool = False,
            name: str | None = None,
            **settings: Any,
        ) -> Any: ...
        def is_revoked(self, timestamp: Any = None, peek: bool = True) -> bool: ...
        def revoke(
            self, revoke_until: datetime.datetime | None = None, revoke_once: bool = False
        ) -> None: ...
        def restore(self) -> bool: ...
        def schedule(
            self,
            args: Any = None,
            kwargs: dict[str, Any] | None = None,
            eta: datetime.datetime | None = None,
            delay: float | None = None,
            **options: Any,
        ) -> Any: ...
        def map(self, it: Iterable[Any]) -> Any: ...
        def s(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    from huey.api import Huey, TaskWrapper, crontab

__all__ = ["Huey", "Lock", "TaskWrapper", "crontab"]

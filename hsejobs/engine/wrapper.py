"""Huey's ``TaskWrapper``, with types: Huey has none, and a base class without hides all others'."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class TaskWrapper:
        """What Huey's decorators make of a function; its Results and task objects have no types."""

        task_base: type
        task_class: Any
        huey: Any
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
            priority: int | None = None,
            retries: int | None = None,
            retry_delay: float | None = None,
            retry_backoff: float | None = None,
            expires: Any = None,
            timeout: float | None = None,
            id: str | None = None,
        ) -> Any: ...

        def map(self, it: Iterable[Any]) -> Any: ...

        def s(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    from huey.api import TaskWrapper

__all__ = ["TaskWrapper"]

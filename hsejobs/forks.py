"""What a fork must not take along: a lock that a thread of the parent holds is never released in the child.

Every lock of hsejobs is made here. ``os.fork`` copies only the thread that called it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

__all__ = ["around", "cached_property", "lock", "quiet"]

_locks: WeakSet[Any] = WeakSet()


def lock() -> threading.Lock:
    """A lock that nobody holds in a child of this process.

    What it guards may be half changed there: guard what a child does not use, or makes anew.
    """
    made = threading.Lock()
    _locks.add(made)
    return made


#: Held by whoever forks, and by whoever must not be amid something in a copy of the process.
_gate: Any = threading.RLock()


def quiet() -> AbstractContextManager[Any]:
    """A fork waits until the caller is through with this.

    For the first import of something in a thread: Python never ends a half-done import in a child.
    """
    gate: AbstractContextManager[Any] = _gate
    return gate


Hook = Callable[[], None]
_hooks: list[tuple[Hook, Hook, Hook]] = []


def around(before: Hook, in_parent: Hook, in_child: Hook) -> None:
    """Calls these around every fork of the process, ``before`` once nobody holds ``quiet``.

    ``in_child`` comes when all locks are free. None of them may raise.
    """
    _hooks.append((before, in_parent, in_child))


def _before() -> None:
    _gate.acquire()
    for before, _, _ in _hooks:
        before()


def _in_parent() -> None:
    for _, in_parent, _ in reversed(_hooks):
        in_parent()
    _gate.release()


def _in_child() -> None:
    for one in (_gate, *_locks):
        # As the standard library does with its own; in place, so whoever has the lock has a free one.
        one._at_fork_reinit()
    for _, _, in_child in _hooks:
        in_child()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(functools.cached_property):
        """As in Python 3.12, without the lock that all instances shared: the value may be made twice."""

        def __init__(self, func: Any) -> None:
            super().__init__(func)
            self.lock = contextlib.nullcontext()

"""Fork safety: a lock that another thread of the parent holds is never released in the child.

``os.fork`` copies only the calling thread, so every lock of hsejobs is made here and reset in
the child.
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
    """Returns a lock that is free in every child of this process.

    The data that it guards may be half changed in the child: guard only data that a child does not
    use, or creates again.
    """
    made = threading.Lock()
    _locks.add(made)
    return made


#: Held while the process forks, and by code that must not be interrupted by a fork.
_gate: Any = threading.RLock()


def quiet() -> AbstractContextManager[Any]:
    """A context manager that delays forks until it exits.

    Use it for the first import of a module in a thread: a child never completes an import that was
    half done at the fork.
    """
    gate: AbstractContextManager[Any] = _gate
    return gate


#: Differs between a process and each child that it forks from Python. `os.getpid`, which asks the kernel and
#: so notices other forks as well, takes ten times as long.
generation = 0

Hook = Callable[[], None]
_hooks: list[tuple[Hook, Hook, Hook]] = []


def around(before: Hook, in_parent: Hook, in_child: Hook) -> None:
    """Registers hooks to call around every fork; ``before`` is called once ``quiet`` is free.

    ``in_child`` is called when all locks are free. No hook may raise.
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
    global generation
    generation += 1
    for one in (_gate, *_locks):
        # As the standard library resets its own locks: in place, so that all references stay valid.
        one._at_fork_reinit()
    for _, _, in_child in _hooks:
        in_child()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(functools.cached_property):
        """As in Python 3.12, without the lock that all instances share: the value may be computed twice."""

        def __init__(self, func: Any) -> None:
            super().__init__(func)
            self.lock = contextlib.nullcontext()

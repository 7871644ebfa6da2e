"""Puts off the import of a module that another one imports and may never use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _Late(ModuleType):
    """Stands for a module until somebody asks it for something."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def late(name: str) -> Iterator[None]:
    """Who imports the module meanwhile gets it when something uses it; at once if it is there already."""
    if name in sys.modules:
        yield
        return
    # Not None: another thread may import it meanwhile, and gets the module then.
    stand_in = _Late(name)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]

"""Imports Huey without psycopg, a third of the time that it takes. Must be imported before Huey.

Where psycopg is installed, Huey imports it for a storage of its own in PostgreSQL. Here it is
imported when something uses it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_NAME = "psycopg"


class _Late(ModuleType):
    """Stands for a module until somebody asks it for something."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _import_huey() -> None:
    if _NAME in sys.modules or "huey" in sys.modules or find_spec(_NAME) is None:
        return
    # Not None: another thread may import it meanwhile, and gets the module then.
    late = _Late(_NAME)
    sys.modules[_NAME] = late
    try:
        importlib.import_module("huey.storage")
    finally:
        if sys.modules.get(_NAME) is late:
            del sys.modules[_NAME]


_import_huey()

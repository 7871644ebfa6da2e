"""Imports Huey without psycopg, a third of the time that it takes. Must be imported before Huey.

Where psycopg is installed, Huey imports it for a storage of its own in PostgreSQL. Here it is
imported when something uses it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec

from hsejobs.late import late

_NAME = "psycopg"


def _import_huey() -> None:
    if "huey" in sys.modules or find_spec(_NAME) is None:
        return
    with late(_NAME):
        importlib.import_module("huey.storage")


_import_huey()

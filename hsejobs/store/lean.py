"""Imports redis-py without what a command or the TUI never uses of it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from hsejobs.late import late

_METRICS = "opentelemetry.metrics"


class _Package:
    """Finds redis-py's package when it is imported at last; it keeps the submodules it has by then."""

    def __init__(self, spec: ModuleSpec, module: ModuleType) -> None:
        self.spec = spec
        # Part of the protocol of loaders; otherwise, the package would be a new module, without them.
        self.spec.loader.create_module = lambda _: module  # type: ignore[method-assign,union-attr]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the package; None for all else."""
        return self.spec if fullname == self.spec.name else None


def import_redis() -> None:
    """Imports what a single server needs of redis-py, half of the memory that all of it takes.

    The package itself imports its asyncio, Cluster and Sentinel clients and all commands. It is imported
    when something imports it, or one of these. Also leaves out the metrics of OpenTelemetry: where they are
    installed, redis-py imports them for metrics that a program must ask for; and puts off what it looks up
    its own version with, which our connections do not tell the server. Only for programs that run no one
    else's code in the long run, such as a command or the TUI.
    """
    spec = importlib.util.find_spec("redis")
    if spec is None or "redis" in sys.modules or "redis.connection" in sys.modules:
        return
    package = importlib.util.module_from_spec(spec)
    sys.modules["redis"] = package
    metrics = sys.modules.get(_METRICS)
    if metrics is None:
        sys.modules[_METRICS] = None  # type: ignore[assignment]
    try:
        with late("importlib.metadata"):
            importlib.import_module("redis.connection")
    finally:
        if metrics is None:
            del sys.modules[_METRICS]
        del sys.modules["redis"]
    sys.meta_path.insert(0, _Package(spec, package))

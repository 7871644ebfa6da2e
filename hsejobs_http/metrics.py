"""/metrics of the HTTP shim: those of the queues, and of its own requests."""

from __future__ import annotations

from hsejobs.watch import metrics
from hsejobs.watch.metrics import CONTENT_TYPE
from hsejobs_http import counting
from hsejobs_http.state import Shim

__all__ = ["CONTENT_TYPE", "render"]


def render(shim: Shim) -> str:
    """Renders the metrics. Raises RedisUnavailable."""
    runtime = shim.runtime
    lines = metrics.lines(runtime.redis, runtime.prefix, shim.names())
    return "\n".join([*lines, *counting.lines(shim.tallies)]) + "\n"

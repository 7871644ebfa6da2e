"""The options of a consumer: Huey's command line, completed by the queue's settings."""

from __future__ import annotations

import os
import sys
from typing import Any

from huey.exceptions import ConfigurationError

from hsejobs.engine.queue import Queue


def consumer_options(queue: Queue, given: dict[str, Any]) -> dict[str, Any]:
    """The options for the consumer: the queue's settings stand in for ``-w`` and ``-k`` if not given.

    Raises ConfigurationError.
    """
    defaults = queue.options
    typed = _command_line()
    options = dict(given)
    if (typed is not None and typed.get("workers") is None) or "workers" not in given:
        options["workers"] = defaults.concurrency
    if (typed is not None and typed.get("worker_type") is None) or "worker_type" not in given:
        options["worker_type"] = "process" if defaults.workers == "processes" else "thread"
    if options["worker_type"] == "process" and not options.get("max_tasks"):
        # The consumer itself sees to threads.
        options["max_tasks"] = defaults.max_jobs or None
    if options["worker_type"] not in ("thread", "process"):
        raise ConfigurationError(
            "worker type greenlet is not supported: use -k thread or -k process"
        )
    if not 1 <= options["workers"] <= 1000:
        raise ConfigurationError("-w must be a number from 1 to 1000")
    return options


def _command_line() -> dict[str, Any] | None:
    """The options on ``huey_consumer``'s command line; None when another program runs the consumer."""
    if "huey_consumer" not in os.path.basename(sys.argv[0] if sys.argv else ""):
        return None
    from huey.consumer_options import OptionParserHandler

    options, _ = OptionParserHandler().get_option_parser().parse_args(sys.argv[1:])
    return dict(vars(options))

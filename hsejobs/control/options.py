"""Job options: checks, and precedence between the call, the queue's environment variables and its code."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hsejobs.errors import InvalidOption
from hsejobs.model import LONGEST_MS, PRIORITIES, ROLES
from hsejobs.rates import MOST_AT_ONCE, UNLIMITED, Rate, parse_rate
from hsejobs.settings import MOST_JOBS, Settings
from hsejobs.store.description import AGEING_MS


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """The options in the queue's code; None: not set. Times in ms."""

    priority: int = 3
    attempts: int | None = None
    backoff: int | None = None
    timeout: int | None = None
    workers: str = "threads"
    concurrency: int | None = None
    limit: int | None = None
    rate: Rate | None = None
    tenant_limit: int | None = None
    fair: bool = True
    ageing: int = AGEING_MS
    tenant_backlog: int | None = None


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """The effective default options of a queue or task. Times in ms; timeout 0 means none.

    A worker is replaced after ``max_jobs`` jobs, or when it is larger than ``max_rss`` MB; 0 is never.
    ``limit`` and ``tenant_limit`` are jobs at once, 0 is no limit.
    ``tenant_backlog``: the most waiting and delayed jobs of one organization; 0 is no limit.
    """

    priority: int
    attempts: int
    backoff: int
    timeout: int
    workers: str
    concurrency: int
    max_jobs: int
    max_rss: int
    limit: int
    rate: Rate
    tenant_limit: int
    fair: bool
    ageing: int
    tenant_backlog: int


class AddOptions(NamedTuple):
    """The checked options of one call to add; None: the task's default. Times in ms."""

    priority: int | None = None
    attempts: int | None = None
    backoff: int | None = None
    timeout: int | None = None
    delay: int = 0


NO_OPTIONS = AddOptions()


def in_seconds(
    *,
    priority: Any = None,
    attempts: Any = None,
    backoff: Any = None,
    timeout: Any = None,
    delay: Any = None,
) -> AddOptions:
    """Checks the options of a call from Python or the command line, in seconds. Raises InvalidOption."""
    if priority is attempts is backoff is timeout is delay is None:
        return NO_OPTIONS
    return AddOptions(
        None if priority is None else check_priority(priority),
        None if attempts is None else check_attempts(attempts),
        None if backoff is None else milliseconds("backoff", backoff),
        None if timeout is None else milliseconds("timeout", timeout, zero=False),
        0 if delay is None else milliseconds("delay", delay),
    )


def check_ids(ids: Iterable[str] | None, count: int) -> list[str] | None:
    """Returns the ids of a bulk add as a list, one for each payload. Raises InvalidOption."""
    chosen = None if ids is None else list(ids)
    if chosen is not None and (isinstance(ids, str) or len(chosen) != count):
        raise InvalidOption("ids", "must be a list with one id for each payload")
    return chosen


def of_task(code: CodeOptions, task_class: Any) -> CodeOptions:
    """The options in code for one task: its decorator's, else the queue's. Raises InvalidOption."""
    retries, delay = task_class.default_retries, task_class.default_retry_delay
    timeout, priority = task_class.default_timeout, task_class.default_priority
    return replace(
        code,
        priority=code.priority if priority is None else check_priority(priority),
        attempts=code.attempts if retries is None else check_attempts(retries + 1),
        backoff=code.backoff if delay is None else milliseconds("retry_delay", delay),
        timeout=code.timeout if timeout is None else milliseconds("timeout", timeout, zero=False),
        tenant_backlog=code.tenant_backlog,
    )


def resolve(settings: Settings, queue: str, code: CodeOptions) -> QueueOptions:
    """The effective options: ``QUEUE_<NAME>_*``, else the code, else ``QUEUE_*``, else the default."""
    own = settings.queue(queue)

    def first(*values: Any) -> Any:
        return next(value for value in values if value is not None)

    return QueueOptions(
        priority=code.priority,
        attempts=first(own.attempts, code.attempts, settings.attempts),
        backoff=first(own.backoff_ms, code.backoff, settings.backoff_ms),
        timeout=first(own.timeout_ms, code.timeout, 0),
        workers=first(own.workers, code.workers),
        concurrency=first(own.concurrency, code.concurrency, settings.concurrency),
        max_jobs=first(own.max_jobs, settings.max_jobs),
        max_rss=first(own.max_rss, settings.max_rss),
        limit=first(own.limit, code.limit, 0),
        rate=first(own.rate, code.rate, UNLIMITED),
        tenant_limit=first(own.tenant_limit, code.tenant_limit, 0),
        fair=first(own.fair, code.fair),
        ageing=first(own.ageing_ms, code.ageing),
        tenant_backlog=first(own.tenant_backlog, code.tenant_backlog, 0),
    )


def milliseconds(name: str, seconds: Any, *, zero: bool = True) -> int:
    """Converts seconds to whole ms. Raises InvalidOption if not a duration of at most a year."""
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        # Also rejects NaN, and works for integers that a float cannot hold.
        or not 0 <= seconds <= LONGEST_MS // 1000
        or (seconds == 0 and not zero)
    ):
        least = "0" if zero else "more than 0"
        raise InvalidOption(name, f"must be seconds, {least} to {LONGEST_MS // 1000}")
    return max(math.ceil(seconds * 1000), 0)


def whole_milliseconds(name: str, value: Any, *, zero: bool = True) -> int:
    """Returns whole ms unchanged. Raises InvalidOption if not an integer of at most a year."""
    least = 0 if zero else 1
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LONGEST_MS:
        raise InvalidOption(name, f"must be whole ms, {least} to {LONGEST_MS}")
    return value


def check_priority(priority: Any) -> int:
    """Returns the priority if it is 1 to 5. Raises InvalidOption."""
    if isinstance(priority, bool) or not isinstance(priority, int) or priority not in PRIORITIES:
        raise InvalidOption("priority", "must be 1 (first) to 5 (last)")
    return priority


def check_workers(workers: Any) -> str:
    """Returns ``threads`` or ``processes``. Raises InvalidOption."""
    if workers not in ("threads", "processes"):
        raise InvalidOption("workers", "must be threads or processes")
    return str(workers)


def check_role(role: Any) -> str:
    """Returns the role if it exists. Raises InvalidOption."""
    if role not in ROLES:
        raise InvalidOption("enqueue", f"must be one of {', '.join(ROLES)}")
    return str(role)


def check_concurrency(concurrency: Any) -> int:
    """Returns the number of workers if it is 1 to 1000. Raises InvalidOption."""
    whole = isinstance(concurrency, int) and not isinstance(concurrency, bool)
    if not whole or not 1 <= concurrency <= 1000:
        raise InvalidOption("concurrency", "must be 1 to 1000 workers")
    return int(concurrency)


def check_limit(name: str, limit: Any) -> int:
    """Returns the number of jobs at once if it is 1 to 1,000,000. Raises InvalidOption."""
    whole = isinstance(limit, int) and not isinstance(limit, bool)
    if not whole or not 1 <= limit <= MOST_AT_ONCE:
        raise InvalidOption(name, f"must be 1 to {MOST_AT_ONCE} jobs at once")
    return int(limit)


def check_rate(name: str, rate: Any) -> Rate:
    """The rate that text such as 50/s means. Raises InvalidOption."""
    try:
        return parse_rate(rate if isinstance(rate, str) and rate else "none")
    except ValueError as error:
        raise InvalidOption(name, str(error)) from None


def check_flag(name: str, value: Any) -> bool:
    """Returns True or False. Raises InvalidOption for everything else."""
    if not isinstance(value, bool):
        raise InvalidOption(name, "must be True or False")
    return value


def check_tenant_backlog(most: Any) -> int:
    """Returns the quota if it is 0 (none) or a number of jobs. Raises InvalidOption."""
    if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= MOST_JOBS:
        raise InvalidOption("tenant_backlog", f"must be 0 (no limit) to {MOST_JOBS} jobs")
    return most


#: Limits for tenants: the most attempts, and the least backoff in ms where external servers are called.
TENANT_ATTEMPTS, TENANT_BACKOFF_MS = 20, 1_000


def tenant_limit_errors(
    attempts: int | None, backoff_ms: int | None, *, outbound: bool
) -> list[InvalidOption]:
    """An error for each option that only an operator may set; None: not set.

    ``outbound``: the queue calls external servers.
    """
    found = []
    if attempts is not None and attempts > TENANT_ATTEMPTS:
        found.append(InvalidOption("attempts", f"must be 1 to {TENANT_ATTEMPTS} attempts in all"))
    if outbound and backoff_ms is not None and backoff_ms < TENANT_BACKOFF_MS:
        text = f"must be at least {TENANT_BACKOFF_MS} ms: this queue calls external servers"
        found.append(InvalidOption("backoff", text))
    return found


def check_attempts(attempts: Any) -> int:
    """Returns the number of attempts in all if it is 1 to 1000. Raises InvalidOption."""
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 1000:
        raise InvalidOption("attempts", "must be 1 to 1000 attempts in all")
    return attempts

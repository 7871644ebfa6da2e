"""Classify errors of Redis, and convert them to the errors that callers get.

An error is identified by its code: ``error.status_code`` if redis-py has removed it from the text;
the first word of the text if redis-py does not know the code; or the ``-CODE`` inside the text for
Redis 6.2, which wraps errors of commands in scripts. Errors without a code are classified by
redis-py's exception classes.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from hsejobs.errors import JobsError, RedisFull, RedisRefused, RedisUnavailable


class Reply(Enum):
    """How to handle an error; see ``docs/redis.md``."""

    #: Temporary: retry on a new connection.
    PASSING = "passing"
    #: Redis has reached ``maxmemory``: calls that free memory still work.
    FULL = "full"
    #: The login was rejected or a permission is missing; a password may be changing.
    REFUSED = "refused"
    #: The server does not know the script: send its text.
    UNKNOWN_SCRIPT = "unknown script"
    #: Any other error reply.
    FAULT = "fault"


#: Every code that is handled specially. In ``tests/store/test_replies.py`` a server sends each.
CODES: dict[str, Reply] = {
    "LOADING": Reply.PASSING,
    "READONLY": Reply.PASSING,
    "MASTERDOWN": Reply.PASSING,
    "CLUSTERDOWN": Reply.PASSING,
    "TRYAGAIN": Reply.PASSING,
    # A slot that is being migrated: a queue's keys may be spread over two nodes.
    "ASK": Reply.PASSING,
    "MOVED": Reply.PASSING,
    "NOREPLICAS": Reply.PASSING,
    "NOGOODSLAVE": Reply.PASSING,
    "MISCONF": Reply.PASSING,
    "BUSY": Reply.PASSING,
    "UNKILLABLE": Reply.PASSING,
    "UNBLOCKED": Reply.PASSING,
    "OOM": Reply.FULL,
    "NOAUTH": Reply.REFUSED,
    "WRONGPASS": Reply.REFUSED,
    "NOPERM": Reply.REFUSED,
    "NOSCRIPT": Reply.UNKNOWN_SCRIPT,
}

#: Codes under which reads still work.
_NO_WRITES = ("READONLY", "NOREPLICAS", "MISCONF")
#: What a server appends to the text of an error inside a script.
_PLACE = re.compile(r"\.? script: [0-9a-f]*,? ?on @.*$")
_FIRST_WORD = re.compile(r"([A-Z][A-Z0-9_]*)(?: |$)")
_INSIDE = re.compile(r"(?:^|[\s:])-([A-Z][A-Z0-9_]*) ")
#: What Redis 6.2 puts before the text of an error inside a script.
_WRAPPED = re.compile(
    r"^(?:ERR )?Error running script \(call to f_[0-9a-f]+\): (?:@user_script: ?\d+: )*"
)
#: Texts, with only the code ERR, for a missing permission in a script (Redis 7 and Valkey; 7.0 and 6.2).
_RIGHTS = ("ACL failure in script", "The user executing the script can't")


def code_of(error: BaseException) -> str:
    """The code of an error reply; ``""`` when it has none."""
    text = str(error)
    if _WRAPPED.sub("", text).removeprefix("ERR ").startswith(_RIGHTS):
        return "NOPERM"
    code: str | None = getattr(error, "status_code", None)
    if code is None:
        first = _FIRST_WORD.match(text)
        code = first[1] if first else ""
    if code in ("", "ERR"):
        inside = _INSIDE.search(text)
        if inside and inside[1] in CODES:
            return inside[1]
    return code


def classify(error: BaseException) -> Reply | None:
    """The class of an error; None if it comes neither from redis-py nor from the network."""
    # Not ``import redis.exceptions``, which imports all of redis-py.
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        ClusterError,
        ConnectionError,
        RedisClusterException,
        RedisError,
        TimeoutError,
    )

    if isinstance(error, RedisFull):
        return Reply.FULL
    if isinstance(error, RedisRefused):
        return Reply.REFUSED
    if isinstance(error, RedisUnavailable):
        return Reply.PASSING
    if isinstance(error, RedisError):
        found = CODES.get(code_of(error))
        if found is not None:
            return found
        if isinstance(error, AuthenticationError | AuthorizationError):
            return Reply.REFUSED
        if isinstance(error, ConnectionError | TimeoutError | ClusterError):
            return Reply.PASSING
        return Reply.FAULT
    if isinstance(error, RedisClusterException):
        # No node is reachable, or none serves the slot. This class is not a RedisError.
        return Reply.PASSING
    if isinstance(error, OSError):
        return Reply.PASSING
    return None


def explained(error: Any) -> JobsError:
    """Converts an error of redis-py or the network to one of ours."""
    if isinstance(error, JobsError):
        return error
    reply, text = classify(error), brief(error)
    if reply is Reply.FULL:
        return RedisFull(
            "Redis is full (maxmemory is reached) and accepts no more jobs: remove old jobs with"
            " `hsejobs clean`, or raise maxmemory"
        )
    if reply is Reply.REFUSED:
        if code_of(error) == "NOPERM":
            return RedisRefused(f"Redis denies a permission that hsejobs needs: {text}")
        return RedisRefused(
            f"Redis rejects the login ({text}): check QUEUE_REDIS_PASSWORD or QUEUE_REDIS_URL"
        )
    if reply is Reply.PASSING:
        code = code_of(error)
        if code in _NO_WRITES:
            return RedisUnavailable(f"Redis accepts no writes now ({text})")
        problem = "is not ready" if code in CODES else "does not answer"
        return RedisUnavailable(f"Redis {problem} ({text})")
    return JobsError(f"Redis refused a command: {text}")


def brief(error: BaseException) -> str:
    """The first line of an error, with the code that redis-py has removed."""
    text = str(error) or type(error).__name__
    code = getattr(error, "status_code", None)
    line = _WRAPPED.sub("", _PLACE.sub("", text.splitlines()[0])).removeprefix("-")
    return (f"{code} {line}" if code and not line.startswith(code) else line)[:200]

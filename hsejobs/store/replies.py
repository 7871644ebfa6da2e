"""What an error of Redis means: the one table, and the error that a caller gets.

An error is told by its code: ``error.status_code`` where redis-py takes it off the text, the first
word of the text where it does not know the code, and the ``-CODE`` inside the text of Redis 6.2,
which wraps what a script's command answered. Errors without a code go by redis-py's classes.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from hsejobs.errors import JobsError, RedisFull, RedisRefused, RedisUnavailable


class Reply(Enum):
    """What to do about an error: see section 10 of the design, and ``docs/redis.md``."""

    #: Over by itself in a while: try again, on a fresh connection.
    PASSING = "passing"
    #: Redis is at ``maxmemory``: what frees memory is still taken.
    FULL = "full"
    #: The login or a right is missing; a password may be changing.
    REFUSED = "refused"
    #: The server does not know the script: it is sent whole.
    UNKNOWN_SCRIPT = "unknown script"
    #: Anything else that the server answered.
    FAULT = "fault"


#: Every code with a meaning of its own. ``tests/store/test_replies.py`` has a server say each.
CODES: dict[str, Reply] = {
    "LOADING": Reply.PASSING,
    "READONLY": Reply.PASSING,
    "MASTERDOWN": Reply.PASSING,
    "CLUSTERDOWN": Reply.PASSING,
    "TRYAGAIN": Reply.PASSING,
    # A slot that is on its way to another node: half of a queue may be on either.
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

#: Those that still let everybody read.
_NO_WRITES = ("READONLY", "NOREPLICAS", "MISCONF")
#: What a server adds to the text when a script met the error.
_PLACE = re.compile(r"\.? script: [0-9a-f]*,? ?on @.*$")
_FIRST_WORD = re.compile(r"([A-Z][A-Z0-9_]*)(?: |$)")
_INSIDE = re.compile(r"(?:^|[\s:])-([A-Z][A-Z0-9_]*) ")
#: What servers say, with the code ERR alone, when a script lacks a right (Redis 7 and Valkey; 7.0).
_RIGHTS = ("ACL failure in script", "The user executing the script can't")


def code_of(error: BaseException) -> str:
    """The code of an error that a server answered, ``""`` when it has none."""
    text = str(error)
    if text.removeprefix("ERR ").startswith(_RIGHTS):
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
    """What an error means; None for one that is neither redis-py's nor the network's."""
    import redis.exceptions as known

    if isinstance(error, RedisFull):
        return Reply.FULL
    if isinstance(error, RedisRefused):
        return Reply.REFUSED
    if isinstance(error, RedisUnavailable):
        return Reply.PASSING
    if isinstance(error, known.RedisError):
        found = CODES.get(code_of(error))
        if found is not None:
            return found
        if isinstance(error, known.AuthenticationError | known.AuthorizationError):
            return Reply.REFUSED
        if isinstance(error, known.ConnectionError | known.TimeoutError | known.ClusterError):
            return Reply.PASSING
        return Reply.FAULT
    if isinstance(error, known.RedisClusterException):
        # No node can be reached, or none serves the slot; it is no RedisError.
        return Reply.PASSING
    if isinstance(error, OSError):
        return Reply.PASSING
    return None


def explained(error: Any) -> JobsError:
    """The error of ours for one of redis-py's."""
    if isinstance(error, JobsError):
        return error
    reply, text = classify(error), brief(error)
    if reply is Reply.FULL:
        return RedisFull(
            "Redis is full (maxmemory is reached) and takes no more jobs: remove old jobs with"
            " `hsejobs clean`, or raise maxmemory"
        )
    if reply is Reply.REFUSED:
        if code_of(error) == "NOPERM":
            return RedisRefused(f"Redis refuses a right that hsejobs needs: {text}")
        return RedisRefused(
            f"Redis refuses the login ({text}): check QUEUE_REDIS_PASSWORD or QUEUE_REDIS_URL"
        )
    if reply is Reply.PASSING:
        code = code_of(error)
        if code in _NO_WRITES:
            return RedisUnavailable(f"Redis takes no writes now ({text})")
        said = "is not ready" if code in CODES else "does not answer"
        return RedisUnavailable(f"Redis {said} ({text})")
    return JobsError(f"Redis refused a command: {text}")


def brief(error: BaseException) -> str:
    """One line of an error, with the code that redis-py took off."""
    text = str(error) or type(error).__name__
    code = getattr(error, "status_code", None)
    line = _PLACE.sub("", text.splitlines()[0])
    return (f"{code} {line}" if code and not line.startswith(code) else line)[:200]

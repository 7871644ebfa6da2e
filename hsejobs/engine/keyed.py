"""Keys of jobs: a task's limits count the jobs that have the same key, such as the host that they call."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from typing import Any

from hsejobs.control import options
from hsejobs.errors import InvalidOption, InvalidPayload, JobsError
from hsejobs.masking import reveals
from hsejobs.rates import UNLIMITED, Rate

#: A longer key is stored as a hash.
LONGEST_KEY = 200
#: Characters that UTF-8 cannot represent or a line of text cannot hold.
_NOT_PLAIN = re.compile(r"[\x00-\x1f\ud800-\udfff]")

#: Returns a job's key, or None if no limit holds for it. Takes the payload and, if it accepts a second
#: argument, the organization's id or None.
KeyFunction = Callable[[Any], str | None] | Callable[[Any, str | None], str | None]


class KeyLimit:
    """The key of a task's jobs and its limits: ``limit`` jobs at once (0: any number), and a rate.

    Raises InvalidOption unless there is a key and at least one of the two.
    """

    def __init__(self, key: Any, limit: Any = None, rate: Any = None) -> None:
        if key is None:
            given = "key_limit" if limit is not None else "key_rate"
            raise InvalidOption(given, "needs key, a function that returns the key of a payload")
        if not callable(key):
            raise InvalidOption("key", "must be a function that returns the key of a payload")
        if limit is None and rate is None:
            raise InvalidOption("key", "needs key_limit, key_rate or both")
        self.function: Callable[..., Any] = key
        self.limit = 0 if limit is None else options.check_limit("key_limit", limit)
        self.rate: Rate = UNLIMITED if rate is None else options.check_rate("key_rate", rate)
        self.takes_organization = _takes_two(key)

    def of(
        self,
        task: str,
        payload: Any,
        organization_id: str | None,
        data: Any,
        secret_paths: list[str],
    ) -> str:
        """The stored form of a payload's key; '' for none.

        ``data`` is the stored form of the payload, unsealed: a key that contains one of its secrets is
        hashed. Raises InvalidPayload, which names the task.
        """
        try:
            key = (
                self.function(payload, organization_id)
                if self.takes_organization
                else self.function(payload)
            )
        except Exception as error:
            # The text of another library's error may quote the payload.
            reason = str(error) if isinstance(error, JobsError) else type(error).__name__
            problem = f"has no key: the key function of {task} failed: {reason}"
            raise InvalidPayload("payload", problem) from error
        if key is None:
            return ""
        if not isinstance(key, str):
            kind = type(key).__name__
            problem = f"has no key: the key function of {task} returned {kind}, not str or None"
            raise InvalidPayload("payload", problem)
        if len(key) > LONGEST_KEY or not _is_plain(key) or reveals(key, data, secret_paths):
            return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return key


def _is_plain(key: str) -> bool:
    """Whether UTF-8 can represent the key and a line of text can hold it."""
    return _NOT_PLAIN.search(key) is None


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether it accepts two positional arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return False
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True

"""Format counts with their nouns and verbs, for texts that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 job``, ``1,234 jobs``, ``0 jobs``; ``plural`` is for nouns that do not just add an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def all_of(count: int, noun: str) -> str:
    """``all 1,234 jobs``; without "all" for one or none: ``1 job``."""
    return f"all {counted(count, noun)}" if count > 1 else counted(count, noun)


def verb(count: int, one: str, many: str) -> str:
    """The form of a verb or pronoun that agrees with the count."""
    return one if count == 1 else many


def jobs_wait(count: int) -> str:
    """``1 job waits``, ``1,234 jobs wait``."""
    return f"{counted(count, 'job')} {verb(count, 'waits', 'wait')}"


#: When a job was cancelled that did not run.
WAITED = "while it waited"


def during(error: Mapping[str, Any]) -> str:
    """When an error of a job occurred: ``attempt 2``, or ``while it waited`` for a cancel."""
    waited = error.get("code") == "cancelled" and not error.get("startedAt")
    return WAITED if waited else f"attempt {error.get('attempt')}"

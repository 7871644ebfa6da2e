"""Format counts with their nouns and verbs, for texts that people read."""

from __future__ import annotations


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

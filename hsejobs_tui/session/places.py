"""Places: plain data that names a screen and its content.

A screen opens another one by its place, so that screens do not import each other. Places can be
compared and stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsejobs.model import State


@dataclass(frozen=True, slots=True)
class ListPlace:
    """A numbered screen, by the id of its command, such as ``failures``. ``row``: where its cursor begins."""

    name: str
    row: str = ""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The jobs of a queue in a state, None for all. ``searching``: open the search line."""

    queue: str
    state: State | None
    query: str = ""
    searching: bool = False


@dataclass(frozen=True, slots=True)
class JobPlace:
    queue: str
    job_id: str


@dataclass(frozen=True, slots=True)
class MatchPlace:
    """The jobs of all queues that match a filter."""

    query: str


@dataclass(frozen=True, slots=True)
class InsightPlace:
    """What happened in a queue (None: in all), or in one part of it.

    ``division``: ``queue``, ``task``, ``error`` or ``tenant``; ``part``: its name, of an error its text.
    """

    queue: str | None = None
    division: str = "queue"
    part: str | None = None


Place = ListPlace | QueuePlace | JobPlace | MatchPlace | InsightPlace

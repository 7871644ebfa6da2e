"""Where a person can be: what a screen names when it opens another one.

A place is plain data, so that a screen knows no other screen, and so that a place can be
compared, kept and written down.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsejobs.model import State


@dataclass(frozen=True, slots=True)
class ListPlace:
    """A screen that has a number, by the id of its command, such as ``failures``."""

    name: str


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The jobs of a queue in a state. ``searching``: the search line is open."""

    queue: str
    state: State
    query: str = ""
    searching: bool = False


@dataclass(frozen=True, slots=True)
class JobPlace:
    """One job."""

    queue: str
    job_id: str


Place = ListPlace | QueuePlace | JobPlace

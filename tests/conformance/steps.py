"""The steps of a case; each door takes them in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Who:
    """Who asks. The command line and Python have no roles: they act for the user who runs them."""

    role: str = "operator"
    org: str | None = None
    user: str = "ann"


OPERATOR = Who()
ADMIN = Who("admin", "org-1")
MEMBER = Who("member", "org-1")


@dataclass(frozen=True)
class Add:
    """Adds a job; times of ``options`` in seconds."""

    queue: str
    payload: Any
    org: str | None = None
    user: str | None = None
    id: str | None = None
    task: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Show:
    """One job, whole, with its log lines under ``logs`` where the door has them."""

    queue: str
    id: str


@dataclass(frozen=True)
class Listing:
    """A page of a state. ``pages``: the number to read, by ``next``; the last one is the view."""

    queue: str
    status: str = "waiting"
    limit: int = 50
    cursor: str | None = None
    pages: int = 1


@dataclass(frozen=True)
class One:
    """Retries, promotes, cancels or removes one job. ``reason``: of a cancel."""

    act: str
    queue: str
    id: str
    reason: str | None = None


@dataclass(frozen=True)
class Every:
    """Retries or promotes all."""

    act: str
    queue: str


@dataclass(frozen=True)
class Clean:
    """Cleans a state. ``grace``: the least age, in seconds."""

    queue: str
    status: str
    grace: float = 0


@dataclass(frozen=True)
class Whole:
    """Drains, obliterates, pauses or resumes a queue."""

    act: str
    queue: str
    force: bool = False


@dataclass(frozen=True)
class Circuit:
    """Opens or closes a circuit."""

    act: str
    name: str


@dataclass(frozen=True)
class Workers:
    """Makes a consumer quiet, wakes or restarts it. ``act``: its last word."""

    act: str
    queue: str
    id: str


@dataclass(frozen=True)
class Run:
    """Runs a schedule now."""

    name: str


@dataclass(frozen=True)
class Supersede:
    """Adds an edited copy instead of a failed job."""

    queue: str
    id: str
    payload: Any


@dataclass(frozen=True)
class SetTenant:
    """Sets an organization's weight in a queue."""

    queue: str
    org: str
    weight: int


@dataclass(frozen=True)
class SetTask:
    """Holds a task of a queue, or lets it go."""

    queue: str
    task: str
    paused: bool


@dataclass(frozen=True)
class EraseTenant:
    """Erases an organization."""

    org: str


@dataclass(frozen=True)
class RemoveFile:
    """Removes the file of a job. ``file``: its id."""

    queue: str
    id: str
    file: str


@dataclass(frozen=True)
class Repair:
    """Verifies a queue and repairs it."""

    queue: str


@dataclass(frozen=True)
class Undo:
    """Removes a job and brings it back."""

    queue: str
    id: str


@dataclass(frozen=True)
class Schedules:
    """Lists the schedules of all queues."""


Act = (
    One
    | Every
    | Clean
    | Whole
    | Circuit
    | Workers
    | Run
    | SetTask
    | SetTenant
    | Supersede
    | EraseTenant
    | RemoveFile
    | Repair
    | Undo
)
Step = Add | Show | Listing | Schedules | Act


@dataclass(frozen=True)
class Answer:
    """What a door answered: the code of its error ('' for none), and what it showed."""

    code: str
    view: Any = None

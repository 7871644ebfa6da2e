"""Holding a task of a queue: none of its jobs starts until it is let go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hsejobs.control.acts import Acts
from hsejobs.errors import Refused, UnknownTask
from hsejobs.model import iso_time
from hsejobs.store.holds import HeldTask, Holds
from hsejobs.store.registry import QueueInfo
from hsejobs.store.rules import other_names


@dataclass(frozen=True, slots=True)
class TaskHold:
    """A task of a queue, by its full name. ``held``: how it is held; None if it is not."""

    name: str
    held: HeldTask | None = None

    @property
    def paused(self) -> bool:
        """Whether its jobs stay waiting."""
        return self.held is not None

    def public(self) -> dict[str, Any]:
        """The object that the HTTP shim and ``hsejobs tasks --json`` return."""
        held = self.held
        return {
            "task": self.name,
            "paused": self.paused,
            "pausedAt": iso_time(held.since) if held else None,
            "pausedBy": held.who if held else None,
            "aside": held.aside if held else 0,
        }


@dataclass(frozen=True, slots=True)
class TaskHolds:
    """The tasks of a queue, those that are held first."""

    queue: str
    tasks: list[TaskHold]

    def public(self) -> dict[str, Any]:
        """The document that the HTTP shim and ``hsejobs tasks --json`` return."""
        return {"queue": self.queue, "tasks": [one.public() for one in self.tasks]}


def list_tasks(acts: Acts, info: QueueInfo) -> TaskHolds:
    """The tasks of a queue, and which of them are held, for actors who see all organizations.

    Raises Forbidden, Refused.
    """
    acts.actor.need("operator")
    if acts.org is not None:
        raise Refused("not available in a session of one organization")
    return TaskHolds(info.name, _tasks(info, Holds(acts.redis, acts.prefix).of(info.name)))


def set_task(
    acts: Acts, info: QueueInfo, task: str, *, paused: bool, seen: int | None = None
) -> TaskHold:
    """Holds a task or lets it go, and returns how it stands afterwards.

    ``task``: its full or short name, also a former one. ``seen``: since when it was held as the user saw
    it, in Redis ms, 0 for not at all. Its jobs that run go on; the others stay waiting, and keep their
    places. Raises Forbidden, Refused, UnknownTask, and WrongState if it was held or let go since.
    """
    acts.check("tasks set")
    holds = Holds(acts.redis, acts.prefix)
    name, others = _resolve(info, task, holds)
    where = f"task={name} paused={str(paused).lower()}"
    with acts.recorded("tasks set", info.name, where=where) as record:
        holds.set(
            info.name,
            name,
            paused=paused,
            who=acts.actor.who,
            other_names=others,
            seen=seen,
            entry=record.packed,
        )
    return next(one for one in _tasks(info, holds.of(info.name), name) if one.name == name)


def _resolve(info: QueueInfo, task: str, holds: Holds) -> tuple[str, list[str]]:
    """The full name of a task, and its other ones. Raises UnknownTask."""
    try:
        found = info.task(task)
    except UnknownTask:
        # The code of a task that is held may be gone.
        if task not in [one.task for one in holds.of(info.name)]:
            raise
        return task, []
    return found.name, list(other_names(info, found))


def _tasks(info: QueueInfo, held: list[HeldTask], *more: str) -> list[TaskHold]:
    by_name: dict[str, HeldTask] = {}
    for one in held:
        try:
            by_name[info.task(one.task).name] = one
        except UnknownTask:
            by_name[one.task] = one
    names = dict.fromkeys([*(task.name for task in info.tasks), *by_name, *more])
    found = [TaskHold(name, by_name.get(name)) for name in names]
    return sorted(found, key=lambda one: not one.paused)

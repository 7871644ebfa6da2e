"""The tasks of a queue that are held: none of their jobs starts until they are let go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hsejobs.errors import WrongState
from hsejobs.model import whole_number
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient


class HeldTask(NamedTuple):
    """A task that is held. ``since`` in Redis ms; ``who`` held it, '' in what one organization sees.

    ``aside``: how many of its waiting jobs consumers have put aside; those that no claim has come upon yet
    do not count.
    """

    task: str
    since: int
    who: str
    aside: int


def held_tasks(reply: Sequence[Any]) -> list[HeldTask]:
    """The held tasks in the reply of ``lua/stats.lua``, by name."""
    found = []
    for task, text, aside in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
        since, _, who = text.decode("utf-8", "replace").partition(" ")
        name = task.decode("utf-8", "replace")
        found.append(HeldTask(name, whole_number(since) or 0, who, aside))
    return sorted(found, key=lambda one: one.task)


class Holds:
    """Reads and changes which tasks of a queue are held. Methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.prefix = client, prefix

    def of(self, queue: str) -> list[HeldTask]:
        """The held tasks of a queue, by name."""
        reply = self.redis.run(scripts.STATS, keys.base(self.prefix, queue), ("", 0))
        return held_tasks(reply[10])

    def set(
        self,
        queue: str,
        task: str,
        *,
        paused: bool,
        who: str,
        other_names: Sequence[str] = (),
        seen: int | None = None,
        entry: str = "",
    ) -> bool:
        """Holds a task, or lets it go; returns whether that changed anything.

        ``task``: its full name; ``other_names``: its former and short ones. ``seen``: since when it was
        held as the user saw it (Redis ms), 0 for not at all; None for any. ``entry``: for the audit log.
        Raises WrongState if it was held or let go since.
        """
        args = (task, int(paused), "" if seen is None else seen, who, entry, *other_names)
        changed = self.redis.run(scripts.TASK_SET, keys.base(self.prefix, queue), args)
        if changed < 0:
            raise WrongState(f"the task {task} was held or let go since it was shown", "changed")
        return bool(changed)

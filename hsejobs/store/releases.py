"""What the releases of an application say about a queue, merged into one description.

Consumers of two releases run side by side while one replaces the other. The newest decides, and the
others add what it does not mention: tasks, fields of a task's schema, secret fields. So a consumer that
starts, lives or leaves takes nothing away from what a newer one described.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hsejobs.store.description import QueueInfo, TaskInfo

#: Ms after its last heartbeat until which a release counts as running, and until which its tasks and
#: fields stay in the description. Both count from the newest heartbeat, so without consumers nothing
#: disappears.
RUNNING_MS, RECENT_MS = 120_000, 3_600_000


class Release(NamedTuple):
    """A release's description of a queue. Times in ms since the epoch.

    ``number`` is what its settings or code say, None if they say nothing. ``source``: when its code
    was written, ``born``: when it first described the queue, ``seen``: when it last did, or its
    newest heartbeat. ``consumer``: whether a consumer runs it, rather than a program that adds jobs.
    ``older``: a program of 0.1.0 wrote it, which has no numbers.
    """

    id: str
    info: QueueInfo
    number: str | None = None
    source: int = 0
    born: int = 0
    seen: int = 0
    consumer: bool = True
    older: bool = False

    @property
    def age(self) -> tuple[Any, ...]:
        """Sorts releases, the newest last."""
        numbered = self.number is not None
        return (
            not self.older,
            numbered,
            _sortable(self.number or ""),
            self.source,
            self.born,
            self.id,
        )


def _sortable(number: str) -> list[tuple[int, int, str]]:
    """Sorts 1.9 before 1.10, and 2.0rc1 before 2.0."""
    parts = re.findall(r"\d+|[A-Za-z]+", number)
    found = [(2, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in parts]
    return [*found, (1, 0, "")]


def shown(releases: Sequence[Release]) -> list[Release]:
    """The releases that make up the description, the newest that runs first."""
    latest = max(one.seen for one in _consumers(releases))
    recent = [one for one in releases if one.seen >= latest - RECENT_MS]
    running = [one for one in _consumers(recent) if one.seen >= latest - RUNNING_MS]
    head = max(running, key=lambda one: one.age)
    others = sorted(recent, key=lambda one: one.age, reverse=True)
    return [head, *(one for one in others if one is not head)]


def _consumers(releases: Sequence[Release]) -> list[Release]:
    """The releases that consumers run; all of them if no consumer has described the queue yet."""
    return [one for one in releases if one.consumer] or list(releases)


def merged(releases: Sequence[Release], masks: Mapping[str, Sequence[str]]) -> QueueInfo:
    """One description of the queue. ``masks``: secret fields by task, also of former releases."""
    head, *others = shown(releases)
    tasks: dict[str, TaskInfo] = {one.name: one for one in head.info.tasks}
    for other in others:
        for task in other.info.tasks:
            known = tasks.get(task.name)
            tasks[task.name] = task if known is None else _both(known, task)
    for name, paths in masks.items():
        if name in tasks:
            tasks[name] = _with_secrets(tasks[name], paths)
    gone = {name: sorted(paths) for name, paths in sorted(masks.items()) if name not in tasks}
    default = head.info.default_task or next(
        (one.info.default_task for one in others if one.info.default_task), None
    )
    return replace(head.info, tasks=list(tasks.values()), default_task=default, masks=gone)


def _both(newer: TaskInfo, older: TaskInfo) -> TaskInfo:
    newer = _with_secrets(newer, older.secret)
    if newer.schema is None or older.schema is None or newer.schema == older.schema:
        return newer
    schema = copy.deepcopy(newer.schema)
    _add_fields(schema, older.schema)
    return replace(newer, schema=schema)


def _with_secrets(task: TaskInfo, paths: Sequence[str]) -> TaskInfo:
    more = [path for path in paths if path not in task.secret]
    return replace(task, secret=[*task.secret, *sorted(more)]) if more else task


def _add_fields(newer: dict[str, Any], older: dict[str, Any]) -> None:
    """Adds the fields to a schema that only the older one has, at every depth."""
    for part in ("properties", "$defs"):
        theirs, ours = older.get(part), newer.get(part)
        if not isinstance(theirs, dict) or (part == "properties" and not isinstance(ours, dict)):
            continue
        ours = newer.setdefault(part, {})
        for name, schema in theirs.items():
            known = ours.setdefault(name, schema)
            if known is not schema and isinstance(known, dict) and isinstance(schema, dict):
                _add_fields(known, schema)


def has_more(newer: QueueInfo, older: QueueInfo) -> bool:
    """Whether a release has tasks, or fields of a task, that another one would refuse."""
    known = {task.name: task for task in older.tasks}
    for task in newer.tasks:
        other = known.get(task.name)
        if other is None:
            return True
        both = task.schema is not None and other.schema is not None
        if both and _fields(task.schema or {}) - _fields(other.schema or {}):
            return True
    return False


def _fields(schema: Mapping[str, Any], at: str = "") -> set[str]:
    """The fields of a schema and of its parts, by their place in it."""
    found = set()
    for part in ("properties", "$defs"):
        for name, inner in (schema.get(part) or {}).items():
            found.add(f"{at}/{name}")
            if isinstance(inner, dict):
                found |= _fields(inner, f"{at}/{name}")
    return found

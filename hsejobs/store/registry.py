"""The descriptions of queues in Redis, for programs that do not import the queues' code.

Each release of an application has a description of its own; readers merge them, see `releases`. The
merged one is written, too, for programs of 0.1.0, which read only that, and overwrite it with their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, NamedTuple

from hsejobs import codec
from hsejobs.errors import UnknownQueue
from hsejobs.store import keys, releases, scripts
from hsejobs.store.client import PATIENCE, RedisClient
from hsejobs.store.description import QueueInfo, ScheduleInfo, TaskInfo, parse
from hsejobs.store.releases import Release

__all__ = [
    "Described",
    "Own",
    "QueueInfo",
    "ScheduleInfo",
    "TaskInfo",
    "described",
    "is_known",
    "load",
    "load_all",
    "look_up",
    "names",
    "note",
    "parse",
    "save",
]

#: Attempts to write a description while other programs write it, too.
TRIES = 10
#: Seconds for which the start of a program waits to be noted.
START_PATIENCE = 0.5


class Own(NamedTuple):
    """A program's own description of a queue; ``number``, ``source`` and ``consumer`` as in `Release`."""

    info: QueueInfo
    number: str | None = None
    source: int = 0
    consumer: bool = False

    @property
    def text(self) -> bytes:
        return codec.dumps({"release": self.number, **asdict(self.info)})

    @property
    def id(self) -> str:
        """The same for the same code with the same settings."""
        return _sha(self.text)[:16]


class Described(NamedTuple):
    """What Redis knows about a queue. ``text``: the merged description as it is stored, b"" for none.

    ``foreign``: a program of 0.1.0 wrote it.
    """

    now: int
    text: bytes
    foreign: bool
    releases: list[Release]
    masks: dict[str, list[str]]

    @property
    def info(self) -> QueueInfo | None:
        """The description; None if there is none."""
        return releases.merged(self.releases, self.masks) if self.releases else None

    @property
    def newest(self) -> Release | None:
        """The newest release that runs."""
        return releases.shown(self.releases)[0] if self.releases else None

    @property
    def sha(self) -> str:
        """The SHA-1 of ``text``."""
        return _sha(self.text)


def described(reply: Sequence[Any]) -> Described:
    """Reads the reply of the script ``describe``."""
    now, text, written, rows, lines = reply
    found = [
        _release(rows[at].decode(), rows[at + 1])._replace(seen=int(float(rows[at + 2])))
        for at in range(0, len(rows), 3)
    ]
    foreign = bool(text) and _sha(text) != written.decode()
    if foreign:
        older = Release(f"older:{_sha(text)[:10]}", _parsed(text), seen=now, born=now, older=True)
        found = [one for one in found if one.id != older.id] + [older]
    masks: dict[str, list[str]] = {}
    for line in lines:
        task, _, path = line.decode().partition(" ")
        masks.setdefault(task, []).append(path)
    return Described(now, text, foreign, found, masks)


@lru_cache(maxsize=256)
def _release(release_id: str, text: bytes) -> Release:
    born, consumer, source, info = text.split(b" ", 3)
    return Release(
        release_id,
        parse(info),
        codec.loads(info).get("release"),
        int(source),
        int(born),
        consumer=consumer == b"1",
        older=release_id.startswith("older:"),
    )


_parsed = lru_cache(maxsize=64)(parse)


def _sha(text: bytes) -> str:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


def save(
    client: RedisClient, prefix: str, info: QueueInfo, *, patience: float = PATIENCE, **own: Any
) -> None:
    """Notes a description, and writes the merged one; ``own`` as in `Own`. Raises RedisUnavailable."""
    note(client, prefix, Own(info, **own), patience=patience)


def note(
    client: RedisClient,
    prefix: str,
    own: Own,
    *,
    patience: float = PATIENCE,
    always: bool = True,
    begins: bool = False,
) -> Described:
    """Notes a program's own description, and writes the merged one.

    ``begins``: a consumer starts: of several with the same code and other settings, the last one decides.

    Without ``always``, only if there is news: a description that is missing, that is not noted yet, or
    that a program of 0.1.0 wrote. Returns what is known afterwards. Raises RedisUnavailable.
    """
    base = keys.base(prefix, own.info.name)
    for _ in range(TRIES):
        found = _described(client, base, patience)
        mine = next((one for one in found.releases if one.id == own.id), None)
        noted = mine is not None and mine.consumer >= own.consumer
        if noted and found.text and not found.foreign and not always:
            return found
        after = _with_own(found, own, mine, begins=begins)
        rows = [_row(own.id, 2 if begins else int(own.consumer), own.source, own.text, own.info)]
        if found.foreign:
            older = found.releases[-1]
            rows.append(_row(older.id, 1, 0, found.text, older.info))
        before = _sha(found.text) if found.text else ""
        args = [after.text, before, *(word for row in rows for word in row)]
        if client.run(scripts.REGISTER, base, args, patience=patience):
            break
    client.command("SADD", keys.queues(prefix), own.info.name, patience=patience)
    return after


def _with_own(
    found: Described, own: Own, mine: Release | None, *, begins: bool = False
) -> Described:
    """What is known once the program's own description is noted; ``mine``: as it was noted before."""
    if mine is None:
        mine = Release(own.id, own.info, own.number, own.source, found.now, 0, own.consumer)
    new = mine._replace(
        seen=found.now,
        born=found.now if begins else mine.born,
        source=max(mine.source, own.source),
        consumer=mine.consumer or own.consumer,
    )
    all_releases = [*(one for one in found.releases if one.id != own.id), new]
    masks = {name: list(paths) for name, paths in found.masks.items()}
    for release in all_releases:
        for task in release.info.tasks:
            known = masks.setdefault(task.name, [])
            known.extend(path for path in task.secret if path not in known)
    masks = {name: paths for name, paths in masks.items() if paths}
    text = codec.dumps(asdict(releases.merged(all_releases, masks)))
    return Described(found.now, text, False, all_releases, masks)


def _row(
    release_id: str, consumer: int, source: int, text: bytes, info: QueueInfo
) -> tuple[scripts.Arg, ...]:
    lines = [f"{task.name} {path}" for task in info.tasks for path in task.secret]
    return release_id, consumer, source, text, "\n".join(lines)


def look_up(client: RedisClient, prefix: str, name: str) -> Described:
    """What Redis knows about a queue."""
    return _described(client, keys.base(prefix, name))


def _described(client: RedisClient, base: str, patience: float = PATIENCE) -> Described:
    return described(client.run(scripts.DESCRIBE, base, patience=patience))


def keep_older(client: RedisClient, prefix: str, name: str, found: Described) -> None:
    """Keeps the descriptions of programs of 0.1.0 while consumers of it run, whose heartbeats name no
    release. Raises RedisUnavailable.
    """
    base = keys.base(prefix, name)
    older = [one for one in found.releases if one.older]
    if not older:
        return
    _, *rows = client.run(scripts.WORKERS, base)
    if all("release" in codec.loads(text) for text in rows[::2]):
        return
    for one in older:
        client.command("ZADD", keys.of(base, "seen"), "XX", found.now, one.id)


def note_start(client: RedisClient, prefix: str, queues: Sequence[str]) -> None:
    """Notes that this program starts and is to run consumers of these queues.

    Until they are up, no alert says that there is none. Raises RedisUnavailable.
    """
    bases = [keys.base(prefix, name) for name in queues]
    client.run_many([(scripts.STARTING, base, ()) for base in bases], patience=START_PATIENCE)


def is_known(client: RedisClient, prefix: str, own: Own) -> bool:
    """Whether Redis has this description, and lists its queue."""
    if not client.command("SISMEMBER", keys.queues(prefix), own.info.name):
        return False
    key = keys.of(keys.base(prefix, own.info.name), "releases")
    return client.command("HGET", key, own.id) is not None


def names(client: RedisClient, prefix: str) -> list[str]:
    """The names of all queues that have a description, sorted."""
    return sorted(name.decode() for name in client.command("SMEMBERS", keys.queues(prefix)))


def load(client: RedisClient, prefix: str, name: str) -> QueueInfo:
    """A queue's description. Raises UnknownQueue."""
    info = look_up(client, prefix, name).info
    if info is None:
        known = ", ".join(names(client, prefix)) or "none yet"
        raise UnknownQueue(f"there is no queue of that name; known queues: {known}")
    return info


def load_all(client: RedisClient, prefix: str) -> list[QueueInfo]:
    """Every queue's description, sorted by name."""
    found = (look_up(client, prefix, name).info for name in names(client, prefix))
    return [info for info in found if info is not None]

"""The feed of a queue's events: parsing its entries, and reading on from the last event seen."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from hsejobs.errors import InvalidOption
from hsejobs.store import keys
from hsejobs.store.client import RedisClient
from hsejobs.store.records import parse_percent

#: Entries that one read returns at most; an entry has the events of one script.
ENTRIES = 100
#: In place of a job's id in the events of a whole queue, such as a pause.
NO_JOB = "-"
_PLACE = re.compile(r"([0-9]{1,16})-([0-9]{1,16})\.([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its time in ms, ``kind``, and (id, organization or None) of each job concerned."""

    at: int
    queue: str
    kind: str
    jobs: tuple[tuple[str, str | None], ...]


def events_of(queue: str, entries: list[tuple[bytes, list[bytes]]]) -> list[Event]:
    return [
        _event(int(entry_id.partition(b"-")[0]), queue, kind, lines)
        for entry_id, fields in entries
        for kind, lines in zip(fields[::2], fields[1::2], strict=True)
    ]


def entries_of(reply: Any) -> list[tuple[bytes, list[bytes]]]:
    if not reply:
        return []
    streams = list(reply.values()) if isinstance(reply, dict) else [item[1] for item in reply]
    return [(entry[0], flat(entry[1])) for stream in streams for entry in stream]


def flat(fields: Any) -> list[bytes]:
    if isinstance(fields, dict):
        return [word for pair in fields.items() for word in pair]
    return list(fields)


def _event(at: int, queue: str, kind: bytes, lines: bytes) -> Event:
    jobs = []
    for line in lines.decode().split("\n"):
        job_id, _, org = line.partition("\t")
        jobs.append((job_id, org or None))
    return Event(at, queue, kind.decode(), tuple(jobs))


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to one job. ``place``: where it is in the feed; ``at``: time in ms.

    ``progress``: how far the job is when the event is read, if the event is its progress.
    """

    place: str
    at: int
    kind: str
    job_id: str
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a feed. ``place``: where to read on. ``gap``: events before it were dropped already.

    ``more``: there may be more to read now.
    """

    happenings: list[Happening]
    place: str
    gap: bool
    more: bool


def check_place(place: str, field: str) -> str:
    """The place of an event if it has the form of one. Raises InvalidOption."""
    if not _PLACE.fullmatch(place):
        raise InvalidOption(field, "must be the id of an event of this feed")
    return place


def newest(client: RedisClient, prefix: str, queue: str) -> str:
    """The place after the newest event: a stretch from there has what comes from now on."""
    key = keys.of(keys.base(prefix, queue), "events")
    found = client.command("XREVRANGE", key, "+", "-", "COUNT", 1)
    return f"{found[0][0].decode()}.999999" if found else "0-0.0"


def stretch(
    client: RedisClient,
    prefix: str,
    queue: str,
    place: str,
    organization_id: str | None = None,
    job_id: str | None = None,
) -> Stretch:
    """The events after a place, of one organization's jobs or all, of one job or all."""
    key = keys.of(keys.base(prefix, queue), "events")
    entry_id, _, index = place.rpartition(".")
    # From the place's own entry on: not all of its events may have been read.
    found = client.command("XRANGE", key, entry_id, "+", "COUNT", ENTRIES)
    if not found and entry_id != "0-0":
        last = newest(client, prefix, queue)
        # Even the place's own entry is gone, and none follows: the feed began again, or the place is from a
        # server whose clock was ahead. Its time must not be waited for.
        if _order(last.rpartition(".")[0]) < _order(entry_id):
            return Stretch([], last, True, False)
    gap = _is_gap(client, key, entry_id, found)
    happenings = []
    for raw_id, fields in found:
        at = raw_id.decode()
        done = int(index) if at == entry_id else -1
        number = -1
        for event in events_of(queue, [(raw_id, flat(fields))]):
            for one, org in event.jobs:
                number += 1
                mine = organization_id in (None, org) and job_id in (None, one)
                if number > done and mine:
                    happenings.append(Happening(f"{at}.{number}", event.at, event.kind, one))
    following = f"{found[-1][0].decode()}.999999" if found else place
    shown = _with_progress(client, keys.base(prefix, queue), happenings)
    return Stretch(shown, following, gap, len(found) == ENTRIES)


def _with_progress(client: RedisClient, base: str, found: list[Happening]) -> list[Happening]:
    ids = sorted({one.job_id for one in found if one.kind == "progress"})
    if not ids:
        return found
    names = [keys.of(base, "job", one) for one in ids]
    replies = client.batch([(None, ("HMGET", name, "st", "pg")) for name in names])
    known = {
        one: 100.0 if state == b"c" else parse_percent(percent)
        for one, (state, percent) in zip(ids, replies, strict=True)
    }
    return [
        replace(one, progress=known[one.job_id]) if one.kind == "progress" else one for one in found
    ]


def between(
    client: RedisClient,
    prefix: str,
    queue: str,
    start_ms: int,
    end_ms: int | None = None,
    most: int = 1_000,
) -> tuple[str, list[Event], int | None]:
    """The events from ``start_ms`` to ``end_ms`` (None: now), oldest first: the newest that concern about
    ``most`` jobs.

    With the position to continue from, and the time of the first event if there may have been earlier
    ones in that time: beyond ``most``, or because the feed keeps about ``EVENTS_KEPT`` entries.
    """
    key = keys.of(keys.base(prefix, queue), "events")
    found: list[Event] = []
    end, position, first, kept, jobs = "+" if end_ms is None else str(end_ms), "0-0", 0, 0, 0
    while True:
        entries = client.command("XREVRANGE", key, end, "-", "COUNT", ENTRIES)
        kept += len(entries)
        if position == "0-0" and entries:
            position = entries[0][0].decode()
        for raw_id, fields in entries:
            at = int(raw_id.partition(b"-")[0])
            if at < start_ms:
                return position, found[::-1], None
            # Within an entry the events are in their order, too.
            news = events_of(queue, [(raw_id, flat(fields))])
            found += news[::-1]
            first, jobs = at, jobs + sum(len(event.jobs) for event in news)
            # Not only after the page: an entry of a bulk act has a thousand jobs.
            if jobs >= most:
                return position, found[::-1], first
        if len(entries) < ENTRIES:
            break
        end = f"({entries[-1][0].decode()}"
    if end_ms is not None and kept < keys.EVENTS_KEPT:
        rest = keys.EVENTS_KEPT - kept
        kept += len(client.command("XRANGE", key, end_ms + 1, "+", "COUNT", rest))
    return position, found[::-1], first if found and kept >= keys.EVENTS_KEPT else None


def _is_gap(client: RedisClient, key: str, entry_id: str, found: Any) -> bool:
    """Whether the feed has dropped entries after this one: it is not there, and older ones are not either."""
    if entry_id == "0-0" or (found and found[0][0].decode() == entry_id):
        return False
    oldest = client.command("XRANGE", key, "-", "+", "COUNT", 1)
    return bool(oldest) and _order(oldest[0][0].decode()) > _order(entry_id)


def _order(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number)

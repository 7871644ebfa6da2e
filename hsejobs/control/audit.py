"""The audit log: who did what to which queue, through which interface. It never contains a payload.

The log is in Redis: the scripts of an act write its entry (``hsejobs/store/audits.py``). A ``Log`` is a
second place for copies: ``FileLog`` is a file on this machine, with one JSON object per line.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from hsejobs.control.act_table import check_act
from hsejobs.control.actors import Actor
from hsejobs.control.moments import parse_moment
from hsejobs.errors import InvalidOption
from hsejobs.mentions import mentions
from hsejobs.model import check_organization
from hsejobs.store.audits import LATEST, AuditEntry, AuditStore
from hsejobs.store.client import RedisClient
from hsejobs.store.pages import make_cursor, read_cursor

__all__ = ["AuditEntry", "AuditPage", "FileLog", "Log", "entries", "forget", "page"]

FILE = "audit.log"
#: The most entries on a page.
MOST = 200


class Log(Protocol):
    """A place that keeps copies of audit entries, such as a file."""

    def append(self, entry: AuditEntry, organization_id: str | None) -> bool:
        """Stores a copy; False when that failed. ``organization_id``: the actor's, or the entry's."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, the newest first; ``next``: the cursor of the next page, or None."""

    entries: list[AuditEntry]
    next: str | None

    def public(self) -> dict[str, Any]:
        """The document that the HTTP shim and ``hsejobs audit --json`` return."""
        return {"entries": [one.public() for one in self.entries], "next": self.next}


def entries(
    client: RedisClient,
    prefix: str,
    queues: Iterable[str],
    *,
    organization_id: str | None = None,
    since: int = 0,
    until: int | None = None,
    first: int = MOST,
) -> Iterator[AuditEntry]:
    """All entries from ``since`` to ``until`` (Redis ms, both included), the newest first.

    ``queues``: also yields the acts on no queue. ``organization_id``: only those of this organization.
    ``first``: how many are read per queue at first. Raises RedisUnavailable.
    """
    store, places = AuditStore(client, prefix), [*queues, None]
    newest = LATEST if until is None else until
    return store.walk(places, organization_id, oldest=since, first=first, newest=newest)


def page(
    client: RedisClient,
    prefix: str,
    actor: Actor,
    queues: Sequence[str],
    *,
    queue: str | None = None,
    who: str | None = None,
    act: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> AuditPage:
    """A page of the audit log, for operators, and for admins that of their organization.

    ``queues``: those that there are; ``queue``: only acts on this one; ``since``, ``until``: only those
    from a moment on, and before one, as `parse_moment` takes them. Raises Forbidden, InvalidOption.
    """
    actor.need("admin")
    if not 1 <= limit <= MOST:
        raise InvalidOption("limit", f"must be a number from 1 to {MOST}")
    check_organization(who, "who")
    if act is not None:
        check_act(act)
    last_at, last_id = read_cursor(cursor, "audit a")
    places: list[str | None] = [*queues, None] if queue is None else [queue]
    store = AuditStore(client, prefix)
    now = store.now() if since is not None or until is not None else 0
    oldest = 0 if since is None else max(0, parse_moment(since, now, "since"))
    end = LATEST if until is None else parse_moment(until, now, "until") - 1
    if last_id:
        end = min(end, int(last_at))
    first = min(MOST, limit + 1) if who is None and act is None else MOST
    found = (
        one
        for one in store.walk(places, actor.organization_id, oldest=oldest, first=first, newest=end)
        if (who is None or one.who == who)
        and (act is None or one.act == act)
        and (not last_id or (one.at, one.id) < (int(last_at), last_id))
    )
    shown = list(islice(found, limit + 1))
    following = None
    if len(shown) > limit:
        last = shown[limit - 1]
        following = make_cursor("audit a", str(last.at).encode(), last.id.encode())
    return AuditPage(shown[:limit], following)


def forget_in_redis(
    store: AuditStore, places: Iterable[str | None], organization_id: str, keep: str = ""
) -> int:
    """Erases an organization from the log in Redis; returns the number of entries changed.

    Its own entries are deleted. Of others that mention it, who did what to which queue stays.
    ``keep``: the id of the entry of the erasure itself.
    """
    changed = 0
    for place in places:
        left: list[tuple[str, str]] = []
        for one in store.walk([place]):
            if one.id == keep:
                continue
            if one.organization_id == organization_id:
                left.append((one.id, ""))
            elif _about(one.public(), organization_id):
                kept = {"who": one.who, "door": one.door, "act": one.act}
                left.append((one.id, json.dumps(kept | {"where": None, "reason": None})))
        changed += store.forget(place, left)
    return changed


def _about(entry: dict[str, Any], organization_id: str) -> bool:
    """Whether an entry's public form mentions the organization, also inside a filter or a reason."""
    texts = [str(entry.get(name) or "") for name in ("where", "reason")]
    words = [word for text in texts for word in re.split(r"[\s=~!<>()'\",;]+", text)]
    return mentions([*entry.values(), *words], organization_id)


class FileLog:
    """``JOBS_HOME/audit.log`` (mode 0600): a copy of the acts done on this machine.

    ``place`` identifies the Redis, without secrets.
    """

    def __init__(self, home: Path, place: str) -> None:
        self.path, self.place = home / FILE, place

    def append(self, entry: AuditEntry, organization_id: str | None) -> bool:
        """Appends a line; False when the file cannot be written."""
        line = entry.public() | {"organizationId": organization_id, "redis": self.place}
        try:
            with _locked(self.path) as handle:
                os.write(handle, json.dumps(line).encode() + b"\n")
        except OSError:
            return False
        return True


def forget(home: Path, organization_id: str) -> int:
    """Erases an organization from the file and returns the number of lines changed.

    A line about it keeps its time, user and act. Raises OSError when the file cannot be written.
    """
    path, changed = home / FILE, 0
    if not path.exists():
        return 0
    with _locked(path):
        fresh = path.with_name(f".{FILE}.new")
        with (
            path.open("rb") as old,
            open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new,
        ):
            for line in old:
                kept = _without(line, organization_id)
                changed += kept is not line
                new.write(kept)
            new.flush()
            os.fsync(new.fileno())
        fresh.replace(path)
    return changed


#: What stays of a line; ``time`` and ``user``: in lines of earlier releases.
_KEPT = ("at", "time", "who", "user", "door", "act", "queue", "redis")


def _without(line: bytes, organization_id: str) -> bytes:
    try:
        raw = json.loads(line)
        about = raw.get("organizationId") == organization_id or _about(raw, organization_id)
    except (ValueError, AttributeError):
        # An incomplete line, from a write that was cut off.
        return line
    if not about:
        return line
    kept = {name: raw[name] for name in _KEPT if name in raw}
    return json.dumps(kept | {"organizationId": None, "erased": True}).encode() + b"\n"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The log, open for appending and locked, so that no other process replaces the file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(handle).st_ino:
                    yield handle
                    return
        finally:
            os.close(handle)

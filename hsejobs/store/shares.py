"""The organizations of a queue: what each has in it, its share of the running time, its settings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import InvalidOption, WrongState
from hsejobs.model import check_organization, whole_number
from hsejobs.rates import MOST_AT_ONCE
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.pages import make_cursor, read_cursor
from hsejobs.store.read import WINDOW

#: Organizations on a page, and in one call of the listing script.
MOST, CHUNK = 200, 100
#: The largest weight that can be set.
MOST_WEIGHT = 1_000
_NONE = "-"
#: What a value of `set` that stays as it is looks like.
KEEP: Any = object()


@dataclass(frozen=True, slots=True)
class QueueTenant:
    """One organization in one queue; ``organization_id`` None: all jobs of no organization together.

    ``rate``: jobs finished per minute, and ``share``: the part of the queue's running time (0 to 1),
    both of the last 5 minutes. A job's running time counts when its attempt ends. ``limit``: how many
    of its jobs may run at once; None: the queue's own limit for tenants applies. ``held_at``: since when it
    is held, in Redis ms, and ``held_by`` whom, if that is known.
    """

    organization_id: str | None
    waiting: int
    active: int
    delayed: int
    failed: int
    rate: float
    share: float
    weight: int = 1
    limit: int | None = None
    paused: bool = False
    held_at: int | None = None
    held_by: str = ""

    def public(self) -> dict[str, Any]:
        """The object that the HTTP shim and ``hsejobs tenants --json`` return."""
        return {
            "organizationId": self.organization_id,
            "waiting": self.waiting,
            "active": self.active,
            "delayed": self.delayed,
            "failed": self.failed,
            "rate": self.rate,
            "share": self.share,
            "weight": self.weight,
            "limit": self.limit,
            "paused": self.paused,
        }


@dataclass(frozen=True, slots=True)
class TenantPage:
    """A page of a queue's tenants, the busiest first; ``next``: the cursor of the next one, or None."""

    queue: str
    tenants: list[QueueTenant]
    next: str | None

    def public(self) -> dict[str, Any]:
        """The document that the HTTP shim and ``hsejobs tenants --json`` return."""
        rows = [one.public() for one in self.tenants]
        return {"queue": self.queue, "tenants": rows, "next": self.next}


class Shares:
    """Reads and changes how organizations share a queue. Methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.prefix = client, prefix

    def _base(self, queue: str) -> str:
        return keys.base(self.prefix, queue)

    def page(
        self,
        queue: str,
        *,
        limit: int = 50,
        cursor: str | None = None,
        organization_id: str | None = None,
    ) -> TenantPage:
        """The tenants that have jobs in the queue or settings of their own, the busiest first.

        That is: by running time of the last 5 minutes, then by waiting and active jobs, then by id.
        They change places while pages are read: one may come twice or not at all. ``limit``: 1 to
        200. ``organization_id``: this one alone, also if it has nothing in the queue. Raises
        InvalidOption for an invalid limit or cursor.
        """
        if not 1 <= limit <= MOST:
            raise InvalidOption("limit", f"must be a number from 1 to {MOST}")
        place = f"{queue} t"
        score, last = read_cursor(cursor, place)
        if organization_id is not None:
            return TenantPage(queue, [self.get(queue, organization_id)], None)
        rows = self._all(queue)
        start = _after(rows, score, last) if last else 0
        shown = rows[start : start + limit]
        more = start + limit < len(rows)
        following = None
        if more:
            us, busy, _ = shown[-1].key
            following = make_cursor(
                place, str(-us).encode(), f"{-busy}.{_digest(shown[-1].name)}".encode()
            )
        return TenantPage(queue, [one.tenant for one in shown], following)

    def get(self, queue: str, organization_id: str) -> QueueTenant:
        """One organization, also one without jobs. Raises InvalidOption for an invalid id."""
        name = _checked(organization_id)
        _, _, whole, row = self._call(queue, "0", "", name)
        return _row(row, whole[5]).tenant

    def set(
        self,
        queue: str,
        organization_id: str,
        *,
        weight: int = KEEP,
        limit: int | None = KEEP,
        paused: bool = KEEP,
        who: str = "",
        seen: QueueTenant | None = None,
        entry: str = "",
    ) -> bool:
        """Sets what is given, and keeps the rest; returns whether that changed anything.

        ``who`` acts; ``seen``: how it stood when the user saw it, None for any; ``entry``: for the audit log.

        ``weight``: 1 to 1,000, 1 unless set. ``limit``: 1 to 1,000,000, or None for none of its own.
        Raises InvalidOption, and WrongState if its settings changed since it was seen.
        """
        name = _checked(organization_id)
        check_settings(weight=weight, limit=limit, paused=paused)
        args = (
            "" if weight is KEEP else weight,
            "" if limit is KEEP else _NONE if limit is None else limit,
            "" if paused is KEEP else int(paused),
            "" if seen is None else f"{seen.weight} {seen.limit or _NONE} {int(seen.paused)}",
        )
        changed = self.redis.run(scripts.TENANT_SET, self._base(queue), (name, *args, who, entry))
        if changed < 0:
            raise WrongState(
                f"the settings of {name} changed since they were shown; check them", "changed"
            )
        return bool(changed)

    def _call(self, queue: str, cursor: str, newest: scripts.Arg, *organizations: str) -> list[Any]:
        args = (cursor, CHUNK, WINDOW, newest, *organizations)
        reply: list[Any] = self.redis.run(scripts.TENANTS, self._base(queue), args)
        return reply

    def _all(self, queue: str) -> list[_Row]:
        found: dict[bytes, list[Any]] = {}
        cursor, newest, totals = "0", "", None
        while True:
            reply = self._call(queue, cursor, newest)
            cursor, newest = reply[0].decode(), reply[1]
            totals = totals or reply[2]
            found |= {row[0]: row for row in reply[3:]}
            if cursor == "0":
                break
        rows = [_row(row, totals[5]) for row in found.values()]
        # The list forgets an organization some time after its last job.
        kept = [one for one in rows if one.stands]
        # What no organization has. Between two calls, jobs move: it may then be a little wrong.
        rest = [
            max(0, total - sum(row[at + 1] for row in found.values()))
            for at, total in enumerate(totals)
        ]
        unowned = _row([b"", *rest, b""], totals[5])
        if unowned.stands:
            kept.append(unowned)
        return sorted(kept, key=lambda one: one.key)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    key: tuple[int, int, str]
    stands: bool
    tenant: QueueTenant


def _row(row: Sequence[Any], whole_us: int) -> _Row:
    raw, waiting, active, delayed, failed, ended, us, text = row
    name = raw.decode("utf-8", "surrogateescape")
    weight, limit, paused, since, who = settings_of(text)
    tenant = QueueTenant(
        name or None,
        waiting,
        active,
        delayed,
        failed,
        round(ended / WINDOW, 2),
        round(min(1.0, us / whole_us), 4) if whole_us else 0.0,
        weight,
        limit,
        paused,
        since,
        who,
    )
    stands = bool(waiting or active or delayed or failed or ended or us or text)
    return _Row(name, (-us, -(waiting + active), name), stands, tenant)


def settings_of(text: bytes) -> tuple[int, int | None, bool, int | None, str]:
    """Weight, limit, pause, since when and by whom, from the record of `tenant_set.lua`."""
    found = (*text.decode("utf-8", "replace").split(" ", 4), "", "", "", "", "")[:5]
    weight, limit, paused, since, who = found
    number = _within(weight, MOST_WEIGHT) or 1
    return number, _within(limit, MOST_AT_ONCE), paused == "1", whole_number(since), who


def _within(text: str, most: int) -> int | None:
    number = whole_number(text)
    return number if number is not None and 1 <= number <= most else None


def _after(rows: Sequence[_Row], score: str, last: str) -> int:
    """The position after the cursor's organization, where it stood when the cursor was made."""
    busy, _, digest = last.partition(".")
    names = [one.name for one in rows if _digest(one.name) == digest]
    name = names[0] if names else ""
    place = (-(whole_number(score) or 0), -(whole_number(busy) or 0), name)
    return sum(1 for one in rows if one.key <= place)


def _digest(name: str) -> str:
    """Stands for an organization in a cursor, whose length is limited."""
    raw = name.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def _checked(organization_id: str) -> str:
    if organization_id is None:
        raise InvalidOption("organizationId", "must be given")
    return check_organization(organization_id, "organizationId") or ""


def check_settings(*, weight: Any = KEEP, limit: Any = KEEP, paused: Any = KEEP) -> None:
    """Raises InvalidOption, which names every value that cannot be set, or that nothing is to be set."""
    wrong = []
    if weight is KEEP and limit is KEEP and paused is KEEP:
        wrong.append(("weight", "must be given, or limit or paused: nothing would be set"))
    if weight is not KEEP and not _whole(weight, MOST_WEIGHT):
        wrong.append(("weight", f"must be a whole number from 1 to {MOST_WEIGHT}"))
    if limit is not KEEP and limit is not None and not _whole(limit, MOST_AT_ONCE):
        wrong.append(
            ("limit", f"must be a whole number from 1 to {MOST_AT_ONCE}, or none (null in JSON)")
        )
    if paused is not KEEP and not isinstance(paused, bool):
        wrong.append(("paused", "must be true or false"))
    if wrong:
        raise InvalidOption(*wrong[0], *wrong[1:])


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most

"""Pages of the jobs in a state, and the cursors that lead from one to the next."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord, State
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.records import record_of

#: A limit above the size of any payload; a reader may set a lower one.
WHOLE = 16_777_216
#: Maximum bytes of payloads, results and errors in one page. In Python, they take 20 times as much.
PAGE_BYTES = 4_194_304
#: As ``errors``: the newest error without its traceback.
BRIEF = -1
#: The states whose jobs are listed in the order of their scores; all others newest first.
_ASCENDING = (State.WAITING, State.DELAYED)


@dataclass(slots=True)
class Page:
    """A page of the jobs of a state; ``next`` is the ``cursor`` of the next page, None at the end."""

    queue: str
    status: State
    total: int
    jobs: list[JobRecord]
    next: str | None
    paused: bool


class PageReader:
    """Reads pages. Creating one does no I/O."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis = client
        self.prefix = prefix

    def _base(self, queue: str) -> str:
        return keys.base(self.prefix, queue)

    def page(
        self,
        queue: str,
        status: State,
        *,
        limit: int = 50,
        cursor: str | None = None,
        organization_id: str | None = None,
        reverse: bool | None = None,
        payload_bytes: int = WHOLE,
        errors: int = 0,
        results: bool = True,
    ) -> Page:
        """A page of a state's jobs: waiting in claim order, delayed by due time, others newest first.

        ``reverse`` reverses the order. ``errors``: how many of each job's newest errors, 0 for all,
        or BRIEF. ``results``: whether results are read that are not in the record itself. A page above
        ``PAGE_BYTES`` ends early, with a ``next``. Raises InvalidOption for an invalid limit or cursor.
        """
        call, page_of = self._page(
            queue, status, limit, organization_id, reverse, payload_bytes, errors, results
        )
        return page_of(self.redis.run(*call(cursor)))

    def pages(
        self, queue: str, status: State, most: int, *, cursor: str | None = None, **options: Any
    ) -> Iterator[Page]:
        """Yields up to ``most`` pages; Redis reads each while the caller works with the one before.

        ``options`` as for ``page``. Between two pages, the thread must make no other call of Redis.
        """
        given = {"organization_id": None, "reverse": None, "payload_bytes": WHOLE, "errors": 0}
        call, page_of = self._page(queue, status, 200, **{**given, "results": True, **options})
        reply: Callable[[], Any] | None = self.redis.early(*call(cursor))
        try:
            while reply is not None:
                found, reply = reply(), None
                most -= 1
                if most > 0 and found[3]:
                    reply = self.redis.early(*call((found[2].decode(), found[3].decode())))
                yield page_of(found)
        finally:
            if reply is not None:
                # No later call may read it as its own.
                reply()

    def _page(
        self,
        queue: str,
        status: State,
        limit: int,
        organization_id: str | None,
        reverse: bool | None,
        payload_bytes: int,
        errors: int,
        results: bool,
    ) -> tuple[Callable[[str | tuple[str, str] | None], Any], Callable[[Any], Page]]:
        """The call that reads a page after a cursor or place, and what makes the page of its reply."""
        if not 1 <= limit <= 200:
            raise InvalidOption("limit", "must be a number from 1 to 200")
        backwards = (status not in _ASCENDING) if not reverse else status in _ASCENDING
        place = _place(queue, status, backwards)

        def call(after: str | tuple[str, str] | None) -> Any:
            score, last = after if isinstance(after, tuple) else read_cursor(after, place)
            args = (
                status.letter,
                keys.tenant(organization_id),
                limit,
                int(backwards),
                score,
                last,
                payload_bytes,
                errors,
                PAGE_BYTES,
                int(not results),
            )
            return scripts.PAGE, self._base(queue), args

        def page_of(reply: Any) -> Page:
            total, paused, next_score, next_id = reply[:4]
            jobs = [record_of(queue, row) for row in reply[4:]]
            for job in jobs:
                job.paused = bool(paused)
            following = make_cursor(place, next_score, next_id) if next_id else None
            return Page(queue, status, total, jobs, following, bool(paused))

        return call, page_of

    def walk(
        self, queue: str, status: State, organization_id: str | None = None, **options: Any
    ) -> Iterator[list[JobRecord]]:
        """Yields all jobs of a state page by page; jobs that move meanwhile may be missed."""
        cursor: str | None = None
        while True:
            page = self.page(
                queue, status, limit=200, cursor=cursor, organization_id=organization_id, **options
            )
            yield page.jobs
            cursor = page.next
            if cursor is None:
                return


def _place(queue: str, status: State, backwards: bool) -> str:
    return f"{queue} {status.letter}{int(backwards)}"


def first_cursor(queue: str, status: State) -> str:
    """A cursor before the first job of a state, for a list that continues with another state."""
    backwards = status not in _ASCENDING
    score = b"9000000000000000" if backwards else b"-9000000000000000"
    return make_cursor(_place(queue, status, backwards), score, b"-")


def state_of_cursor(queue: str, cursor: str, states: Sequence[State]) -> State:
    """Which of the states the page belongs to that follows the cursor. Raises InvalidOption."""
    for status in states[:-1]:
        with contextlib.suppress(InvalidOption):
            read_cursor(cursor, _place(queue, status, status not in _ASCENDING))
            return status
    return states[-1]


def make_cursor(place: str, score: bytes, job_id: bytes) -> str:
    """The ``next`` of a page: the list it belongs to, and score and id of its last entry."""
    text = b"%b %b %b" % (place.encode(), score, job_id)
    # The checksum rejects a cursor that was cut or changed, instead of reading another place.
    check = hashlib.blake2b(text, digest_size=6).digest()
    return base64.urlsafe_b64encode(check + text).decode().rstrip("=")


def read_cursor(cursor: str | None, place: str) -> tuple[str, str]:
    """Score and id of the entry that a page follows, '' at first; ``place``: the list it must belong to.

    Raises InvalidOption.
    """
    if not cursor:
        return "", ""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        score, job_id = raw[6:].decode().split(" ")[2:]
        same = make_cursor(place, score.encode(), job_id.encode()) == cursor
        if not same or not job_id or not math.isfinite(float(score)):
            raise ValueError
    except ValueError:
        raise InvalidOption("cursor", "must be the `next` of the previous page") from None
    return score, job_id

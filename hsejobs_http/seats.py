"""The places for views of the dashboard: how many there are, who gets one, and whose is given up."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from hsejobs.settings import Settings
from hsejobs.wording import counted
from hsejobs_http.pages import PLAIN
from hsejobs_http.problems import Problem
from hsejobs_http.tokens import Caller

#: Views that one user may have open per shim process.
PER_USER = 3
#: Views reserved for operators, who must be able to look when all others do.
RESERVED = 2
#: With fewer views than this, none are reserved.
SHARED_FROM = 4
#: What needs no place.
INSTEAD = f"The plain page needs no place: {PLAIN}"


@dataclass(eq=False)
class Seat:
    """The place of one view. ``used``: when its user last did something, in monotonic s."""

    who: Caller
    used: float = field(default_factory=time.monotonic)
    #: Set when an operator needs the place.
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Seats:
    """The places of one shim process: at most ``most``, and ``PER_USER`` per user.

    ``RESERVED`` of them are for operators only; one organization's members and admins get ``share``.
    """

    def __init__(self, settings: Settings) -> None:
        self.most = self.others = settings.http_viewers
        #: The limits for the members and admins of all organizations, and of one.
        self.share = self.others
        if self.most >= SHARED_FROM:
            self.others -= RESERVED
            self.share = self.others // 2
        if settings.http_viewers_share is not None:
            self.share = min(self.others, settings.http_viewers_share)
        self._seats: list[Seat] = []

    def take(self, who: Caller) -> tuple[Seat, Seat | None]:
        """Takes a place. An operator always gets one: the second seat is then the one given up for it.

        Raises Problem 503 if there is none for this caller.
        """
        lost = self._check(who)
        if lost is not None:
            self._seats.remove(lost)
            lost.taken.set()
        seat = Seat(who)
        self._seats.append(seat)
        return seat, lost

    def check(self, who: Caller) -> None:
        """Raises Problem 503, with the reason, if this caller would get no place now."""
        self._check(who)

    def release(self, seat: Seat) -> None:
        """Frees a place, unless it was given up before."""
        if seat in self._seats:
            self._seats.remove(seat)
        seat.ended.set()

    def _check(self, who: Caller) -> Seat | None:
        """Returns the seat that must be given up for this caller; None if there is room."""
        own = [one for one in self._seats if _user(one.who) == _user(who)]
        others = [one for one in self._seats if one.who.role != "operator"]
        if who.role == "operator" and self.most:
            if len(own) >= PER_USER:
                return min(own, key=_unused)
            return min(others or self._seats, key=_unused) if self._full else None
        same = [one for one in others if one.who.organization_id == who.organization_id]
        why = None
        if not self.most:
            why = "no views are allowed here (JOBS_HTTP_VIEWERS)"
        elif len(own) >= PER_USER:
            why = f"you have {counted(PER_USER, 'view')} open, the most of one user: close one"
        elif len(same) >= self.share:
            why = (
                f"your organization has {counted(len(same), 'view')} open, its share"
                " (JOBS_HTTP_VIEWERS_SHARE): ask a colleague to close one, or wait"
            )
        elif self._full or len(others) >= self.others:
            why = "all views for members and admins are in use (JOBS_HTTP_VIEWERS): wait"
        if why is not None:
            headers = {"Retry-After": "30"}
            raise Problem(503, "too_many_viewers", f"{why}. {INSTEAD}", headers=headers)
        return None

    @property
    def _full(self) -> bool:
        return len(self._seats) >= self.most


def _user(who: Caller) -> tuple[str | None, str]:
    return who.organization_id, who.user_id


def _unused(seat: Seat) -> float:
    return seat.used

"""Counts requests, their outcome and duration in this process, and adds them up in Redis."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from hsejobs import forks
from hsejobs.errors import JobsError
from hsejobs.model import new_job_id
from hsejobs.store.tallies import Tallies

#: Upper bounds of the duration histogram, in seconds.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS")
#: The route label of requests that match no route: callers could invent any number of paths.
UNMATCHED = "unmatched"


class Counts:
    """This process's counts since its last report."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._lock = forks.lock()
        #: By route, method, status and place in the histogram: the requests, and their time in us.
        self._counts: dict[tuple[str, str, int, int], list[int]] = {}
        self._reporter, self._number = new_job_id(), 0
        self._unsent: dict[str, int] = {}

    def note(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one answered request; ``seconds`` is how long it took."""
        method = method if method in METHODS else "OTHER"
        key = (route, method, status, bisect_left(BOUNDS, seconds))
        with self._lock:
            found = self._counts.get(key)
            if found is None:
                found = self._counts[key] = [0, 0]
            found[0] += 1
            found[1] += int(seconds * 1e6)

    def report(self) -> None:
        """Adds the new counts to the totals in Redis; keeps them for the next report if that fails."""
        if not self._unsent:
            with self._lock:
                counts, self._counts = self._counts, {}
            self._unsent = _fields(counts)
            self._number += bool(self._unsent)
        if not self._unsent:
            return
        try:
            self._tallies.add(self._reporter, self._number, self._unsent)
        except JobsError:
            return
        self._unsent = {}


def _fields(counts: Mapping[tuple[str, str, int, int], Sequence[int]]) -> dict[str, int]:
    """The counts under the names that they have in Redis."""
    fields: Counter[str] = Counter()
    for (route, method, status, place), (requests, us) in counts.items():
        fields[f"n|{route}|{method}|{status}"] += requests
        fields[f"b|{route}|{place}"] += requests
        fields[f"s|{route}"] += us
    return dict(fields)


def lines(tallies: Tallies) -> Iterator[str]:
    """Yields the HTTP part of /metrics. Raises RedisUnavailable."""
    found = {tuple(name.split("|")): n for name, n in sorted(tallies.all().items())}
    name = "hsejobs_http_requests_total"
    yield f"# HELP {name} Requests answered by all shims."
    yield f"# TYPE {name} counter"
    for (kind, *rest), n in found.items():
        if kind == "n":
            route, method, status = rest
            yield f'{name}{{route="{route}",method="{method}",status="{status}"}} {n}'
    name = "hsejobs_http_request_duration_seconds"
    yield f"# HELP {name} How long the shims took to answer."
    yield f"# TYPE {name} histogram"
    for route in sorted(rest[0] for kind, *rest in found if kind == "s"):
        total = 0
        for number, bound in enumerate((*map("{:g}".format, BOUNDS), "+Inf")):
            total += found.get(("b", route, str(number)), 0)
            yield f'{name}_bucket{{route="{route}",le="{bound}"}} {total}'
        yield f'{name}_sum{{route="{route}"}} {found["s", route] / 1e6:g}'
        yield f'{name}_count{{route="{route}"}} {total}'

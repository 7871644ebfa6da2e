"""The checks of ``hsejobs doctor`` for the format of the records and the releases that consumers run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hsejobs_cli.liveness import STALE_MS

if TYPE_CHECKING:
    from hsejobs.settings import Settings

#: A check: whether it passed, what was checked, and how to fix it.
Check = tuple[bool, str, str]
#: Consumers and tasks that a line names.
SHOWN = 3


def examine_releases(settings: Settings, report: Callable[..., None]) -> None:
    """Reports the format, and for each queue with live consumers the releases that they run."""
    from hsejobs.control import views
    from hsejobs.errors import JobsError
    from hsejobs.settings import redis_target
    from hsejobs.store import keys, registry
    from hsejobs.store.client import RedisClient
    from hsejobs.store.read import JobReader

    prefix = settings.redis_prefix
    # A client without a prefix does not refuse an unknown format.
    client = RedisClient(redis_target(settings))
    try:
        report(*_format(client.command("GET", keys.record_format(prefix), patience=0)))
        reader = JobReader(client, prefix)
        for name in registry.names(client, prefix):
            live = [one for one in views.workers(reader, [name]) if one["heartbeatAge"] < STALE_MS]
            if live:
                report(*_releases(name, live))
    except JobsError as error:
        report(False, "record format and releases", str(error))
    finally:
        client.close()


def _format(stored: bytes | None) -> Check:
    from hsejobs.errors import UnknownFormat
    from hsejobs.store import formats

    try:
        formats.check(stored)
    except UnknownFormat as error:
        return False, "record format", error.problem
    known = "" if stored else ", as in every release so far"
    return True, f"record format {formats.FORMAT}{known}", ""


def _releases(queue: str, consumers: Sequence[dict[str, Any]]) -> Check:
    """The check of a queue's consumers. Those of one release with other tasks count as another release."""
    groups: dict[tuple[str, frozenset[str]], list[dict[str, Any]]] = {}
    for one in sorted(consumers, key=lambda one: str(one["startedAt"])):
        groups.setdefault((one["release"] or "", frozenset(one["tasks"])), []).append(one)
    sides = [_Side(release, tasks, found) for (release, tasks), found in groups.items()]
    what = f"consumers of {queue}: " + ", ".join(side.text for side in sides)
    if len(sides) == 1:
        return True, what, ""
    wrong = [*_problems(sides)]
    last = sides[-1]
    wrong.append(
        "two releases run, which is normal while one replaces the other; else stop those of the older one"
        if len(sides) == 2
        else f"{len(sides)} releases run; stop all but the newest two, and then the older one"
    )
    return False, f"{what}; the newest process is of {last.release}", "; ".join(wrong)


class _Side:
    """The consumers of one release."""

    def __init__(
        self, release: str, tasks: frozenset[str], consumers: Sequence[dict[str, Any]]
    ) -> None:
        self.tasks, self.formats = tasks, {int(one["format"]) for one in consumers}
        self.release = f"release {release}" if release else "a release without a number"
        places = [f"{one['host']} {one['pid']}" for one in consumers]
        self.places = ", ".join(places[:SHOWN]) + (", ..." if len(places) > SHOWN else "")
        self.text = f"{len(consumers)} of {self.release} ({self.places})"


def _problems(sides: Sequence[_Side]) -> Iterator[str]:
    if any(not side.tasks for side in sides):
        yield (
            "consumers of 0.1.0 run: they fail jobs that they do not know, so newer ones may hold them back"
        )
    known = [side for side in sides if side.tasks]
    every = frozenset().union(*(side.tasks for side in known))
    for side in known:
        missing = sorted(every - side.tasks)
        if missing:
            shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
            yield f"those at {side.places} do not have {shown}, whose jobs wait for the others"
    formats = sorted({number for side in sides for number in side.formats})
    if len(formats) > 1:
        yield (
            f"they work with formats up to {' and '.join(map(str, formats))}:"
            f" do not raise the format above {formats[0]} before the older ones have stopped"
        )

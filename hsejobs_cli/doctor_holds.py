"""What ``hsejobs doctor`` says of queues that are paused, and of tasks and organizations that are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsejobs.settings import Settings
    from hsejobs.store.crowds import Crowd
    from hsejobs.store.read import QueueStats

#: Organizations that a line names.
SHOWN = 5


def examine_holds(settings: Settings, report: Callable[..., None]) -> None:
    """Notes what is paused or held: that is no fault, but somebody may have forgotten it."""
    from hsejobs.errors import JobsError
    from hsejobs.settings import redis_target
    from hsejobs.store import registry
    from hsejobs.store.client import RedisClient
    from hsejobs.store.crowds import Crowds
    from hsejobs.store.read import JobReader
    from hsejobs_cli.output import safe

    prefix = settings.redis_prefix
    client = RedisClient(redis_target(settings))
    try:
        names = registry.names(client, prefix)
        crowds = Crowds(client, prefix).read(names, whole=True)
        for one in JobReader(client, prefix).stats(names):
            for what, todo in _held(one, crowds[one.name]):
                report(True, safe(f"{one.name}: {what}"), safe(todo), note=True)
    except JobsError as error:
        report(False, "what is held", str(error))
    finally:
        client.close()


def _held(one: QueueStats, crowd: Crowd) -> Iterator[tuple[str, str]]:
    """What is paused or held in a queue, each with the command that ends it."""
    from hsejobs.control.durations import duration

    def ago(since: int | None) -> str:
        # Without a time: paused by an older release.
        return f" for {duration(max(0, one.now - since))}" if since and since > 1 else ""

    if one.is_paused:
        yield f"paused{ago(one.paused_at)}", f"hsejobs resume {one.name}"
    for task in one.held_tasks:
        by = f" by {task.who}" if task.who else ""
        what = f"the task {task.task} is held{by}{ago(task.since)}"
        yield what, f"hsejobs tasks set {task.task} --queue {one.name} --resumed"
    if crowd.held:
        told = [
            (tenant.name, (f" by {tenant.who}" if tenant.who else "") + ago(tenant.since))
            for tenant in crowd.held
        ]
        shown = ", ".join(name + by for name, by in told[:SHOWN])
        shown += ", ..." if len(told) > SHOWN else ""
        count = f"{len(told)}{'+' if crowd.more else ''} organizations are held: "
        what = f"{count}{shown}" if told[1:] else f"{told[0][0]} is held{told[0][1]}"
        yield what, f"hsejobs tenants set {told[0][0]} --queue {one.name} --resumed"

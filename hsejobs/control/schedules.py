"""Schedules: the list that every interface shows, and manual runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hsejobs.control import cron, making
from hsejobs.model import iso_time, new_job_id
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs.store.write import Added, JobWriter, NewJob


def list_schedules(reader: JobReader, infos: Iterable[QueueInfo]) -> list[dict[str, Any]]:
    """Every schedule: its name, queue, cron expression, next run, last run and the last run's state.

    This is the object that the HTTP shim and ``hsejobs schedules --json`` return; times are ISO 8601
    in UTC, unknown values None. ``outcome`` is the job's current state, even if not final.
    """
    found = []
    for info in infos:
        if not info.schedules:
            continue
        now, last = reader.now(info.name), reader.last_outcomes(info.name)
        for one in info.schedules:
            run = last.get(one.task)
            found.append(
                {
                    "name": one.name,
                    "queue": info.name,
                    "cron": one.cron,
                    "next": iso_time(cron.next_run(one.cron, now)),
                    "last": iso_time(run.added_at) if run else None,
                    "lastJob": run.job_id if run else None,
                    "outcome": str(run.status) if run and run.status else None,
                }
            )
    return found


def new_run(info: QueueInfo, schedule: ScheduleInfo) -> NewJob:
    """Makes a manual run of a schedule, with its task's options, without adding it."""
    described = (task for task in info.tasks if task.name == schedule.task)
    target = making.described(info, next(described, TaskInfo(schedule.task)))
    job_id = f"sys:run:{schedule.name}:{new_job_id()}"
    return making.make(target, None, job_id=job_id, internal=True, nonce="")


def run(
    writer: JobWriter, info: QueueInfo, schedule: ScheduleInfo, *, last: str = "", entry: str = ""
) -> Added:
    """Adds a manual run of a schedule now, outside its slots.

    ``last``: the id of its last run as the user saw it, ``-`` for none, '' for any. ``entry``: for the
    audit log. Raises WrongState if it ran since.
    """
    new = new_run(info, schedule)
    return writer.add_by_hand(info.name, new, schedule=schedule.task, last=last, entry=entry)

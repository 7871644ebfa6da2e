"""Takes files back: those of removed jobs, and those that somebody withdraws."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from hsejobs.errors import ArtifactNotFound, ArtifactsUnavailable
from hsejobs.services.artifacts import Artifact
from hsejobs.services.artifacts.access import Files
from hsejobs.store.artifacts import MOST, Gone


def _nothing() -> None:
    """What ``check`` is for who wants none."""


def delete_due(files: Files, queues: Iterable[str], check: Callable[[], None] = _nothing) -> int:
    """Deletes the files of jobs that were removed, when no undo can want them any more; how many.

    ``check`` is called at each, and ends it when it raises.
    """
    gone = 0
    for queue in queues:
        while True:
            due = files.records.due(queue)
            gone += _delete(files, due, check)
            if len(due) < MOST:
                break
    return gone


def after_act(files: Files, queue: str, job_id: str | None = None) -> None:
    """For whoever removed jobs of a queue and cannot undo it; ``job_id``: this one alone.

    What cannot be deleted now, because the store is away, the cleanup deletes.
    """
    with contextlib.suppress(ArtifactsUnavailable):
        if job_id is None:
            delete_due(files, [queue])
        else:
            _delete(files, files.records.of_job(queue, job_id))


def delete_of_organization(files: Files, queue: str, organization_id: str) -> int:
    """The same for all jobs of an organization, at once."""
    return _delete(files, files.records.of_organization(queue, organization_id))


def _delete(files: Files, due: Iterable[Gone], check: Callable[[], None] = _nothing) -> int:
    gone = 0
    for one in due:
        check()
        holder = files.records.holder(one.queue, one.job_id)
        # A record that came back has its file back.
        if one.artifact_id is None or holder is None or holder.artifact_id != one.artifact_id:
            gone += files.store.delete(one.organization_id, files.name(one))
        files.records.forget(one)
    return gone


def withdraw(files: Files, queue: str, job_id: str, organization_id: str | None = None) -> Artifact:
    """Deletes a job's file, and with it what links lead to; the job stays.

    Raises JobNotFound, JobActive, ArtifactNotFound.
    """
    holder = files.records.holder(queue, job_id)
    if holder is None or organization_id not in (None, holder.organization_id):
        files.records.withdraw(queue, job_id, organization_id)  # says that there is no such job
    if holder is None or holder.organization_id is None:
        raise ArtifactNotFound("the job made no file")
    found = files.store.get(holder.organization_id, files.name(holder))
    files.records.withdraw(queue, job_id, organization_id)
    files.store.delete(found.organization_id, found.id)
    after_act(files, queue, job_id)
    return found


def withdraw_by_id(files: Files, found: Artifact) -> None:
    """The same by the file, whatever became of its job. Raises JobActive."""
    if found.queue is not None and found.job_id is not None:
        holder = files.records.holder(found.queue, found.job_id)
        if holder is not None and holder.artifact_id == found.id:
            withdraw(files, found.queue, found.job_id)
            return
    files.store.delete(found.organization_id, found.id)

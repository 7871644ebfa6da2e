"""Delete files: those of removed jobs, and those that are withdrawn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from hsejobs.errors import ArtifactNotFound, ArtifactsUnavailable, WrongState
from hsejobs.services.artifacts import Artifact
from hsejobs.services.artifacts.access import Files
from hsejobs.store.artifacts import MOST, RemovedFile


def _nothing() -> None:
    """The default for ``check``."""


def delete_due(files: Files, queues: Iterable[str], check: Callable[[], None] = _nothing) -> int:
    """Delete the files of removed jobs once the removal can no longer be undone; return how many.

    ``check`` is called for each file; an exception from it ends the deletion.
    """
    removed = 0
    for queue in queues:
        while True:
            due = files.records.due(queue)
            removed += _delete(files, due, check)
            if len(due) < MOST:
                break
    return removed


def after_act(files: Files, queue: str, job_id: str | None = None) -> None:
    """Delete the files after a removal of jobs that cannot be undone; ``job_id``: of this job only.

    If the store is unavailable, the cleanup queue deletes them later.
    """
    with contextlib.suppress(ArtifactsUnavailable):
        if job_id is None:
            delete_due(files, [queue])
        else:
            _delete(files, files.records.of_job(queue, job_id))


def delete_of_organization(files: Files, queue: str, organization_id: str) -> int:
    """Delete the files of all removed jobs of an organization now; return how many."""
    return _delete(files, files.records.of_organization(queue, organization_id))


def _delete(files: Files, due: Iterable[RemovedFile], check: Callable[[], None] = _nothing) -> int:
    removed = 0
    for one in due:
        check()
        holder = files.records.holder(one.queue, one.job_id)
        # A record restored by an undo keeps its file.
        if one.artifact_id is None or holder is None or holder.artifact_id != one.artifact_id:
            removed += files.store.delete(one.organization_id, files.name(one))
        files.records.forget(one)
    return removed


def withdraw(
    files: Files,
    queue: str,
    job_id: str,
    organization_id: str | None = None,
    *,
    seen: Artifact | None = None,
    entry: str = "",
) -> Artifact:
    """Delete a job's file, so that its links stop working; keep the job.

    ``seen``: only if it is still this file, with this content. ``entry``: for the audit log. Raises
    JobNotFound, JobActive, ArtifactNotFound, WrongState.
    """
    holder = files.records.holder(queue, job_id)
    if holder is None or organization_id not in (None, holder.organization_id):
        files.records.withdraw(queue, job_id, organization_id)  # raises JobNotFound, writes nothing
    if holder is None or holder.organization_id is None:
        raise ArtifactNotFound("the job has no file")
    found = files.store.get(holder.organization_id, files.name(holder))
    _check_same(seen, found)
    known = holder.artifact_id or ""
    files.records.withdraw(queue, job_id, organization_id, seen=known, entry=entry)
    files.store.delete(found.organization_id, found.id)
    after_act(files, queue, job_id)
    return found


def withdraw_by_id(
    files: Files, found: Artifact, *, entry: str = "", unheld: Callable[[], None] = _nothing
) -> None:
    """Delete a file, even if its job no longer exists or has another one. Raises JobActive, WrongState.

    ``entry``: for the audit log. ``unheld`` is called before a file is deleted that no job has.
    """
    if found.queue is not None and found.job_id is not None:
        holder = files.records.holder(found.queue, found.job_id)
        if holder is not None and holder.artifact_id == found.id:
            withdraw(files, found.queue, found.job_id, seen=found, entry=entry)
            return
    _check_same(found, files.store.get(found.organization_id, found.id))
    unheld()
    files.store.delete(found.organization_id, found.id)


def _check_same(seen: Artifact | None, found: Artifact) -> None:
    # Another attempt of the job stores its file under the same id.
    if seen is not None and (seen.id, seen.sha256) != (found.id, found.sha256):
        raise WrongState("the file was replaced since it was shown; check it again", "changed")

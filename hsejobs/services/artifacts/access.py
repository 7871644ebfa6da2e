"""Access to files: every interface uses this module, whether it has a job, an id or a signed link.

A file can be loaded while its job's record names it, by everyone who may read that job's content
(``model.may_read``), until it expires. So removing a job also removes access to its file and
links at the same moment, and an undo restores it.

Files of earlier releases have computed ids and name no job. Their job is found by computing the
ids of the organization's jobs.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass

from hsejobs.errors import ArtifactForbidden, ArtifactNotFound
from hsejobs.model import State, may_read
from hsejobs.services.artifacts import Artifact, ArtifactStore, artifact_id
from hsejobs.store.artifacts import ArtifactRecords, Holder, RemovedFile
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader

#: The queues for which earlier releases computed ids, and how many pages of 200 jobs are searched
#: in each state.
COMPUTED_QUEUES, COMPUTED_PAGES = ("reports", "data-exports"), 25

Opened = tuple[Artifact, Generator[bytes, None, None]]


@dataclass(frozen=True, slots=True)
class FileViewer:
    """The user or system that loads a file.

    ``role``: ``member``, ``admin``, ``operator``; ``system``: the platform itself, for
    ``organization_id``; ``link``: the holder of a link signed for this file.
    """

    role: str
    organization_id: str | None = None
    user_id: str | None = None

    def may_read(self, organization_id: str | None, user_id: str | None) -> bool:
        """Return whether the viewer may read the content of a job of that organization and user."""
        return self.role == "link" or may_read(
            self.role,
            self.user_id,
            self.organization_id,
            owner_organization=organization_id,
            owner=user_id,
        )


LINK = FileViewer("link")


def viewer_of(role: str | None, organization_id: str, user_id: str | None) -> FileViewer:
    """Return the viewer for a job that loads files: the one who added the job.

    ``role`` is that of the token with which the job was added over HTTP. None means that Python or
    the command line added it: for a user with a member's rights, otherwise for the organization.
    """
    if role is None:
        role = "system" if user_id is None else "member"
    return FileViewer(role, organization_id, user_id)


class Files:
    """Access to the files of jobs. Methods raise RedisUnavailable and ArtifactsUnavailable."""

    def __init__(self, store: ArtifactStore, client: RedisClient, prefix: str) -> None:
        self.store, self.prefix = store, prefix
        self.records = ArtifactRecords(client, prefix)
        self.reader = JobReader(client, prefix)

    def of_job(self, viewer: FileViewer, queue: str, job_id: str) -> Artifact:
        """Return the file that a job made. Raises ArtifactNotFound, ArtifactForbidden."""
        holder = self.records.holder(queue, job_id)
        if holder is None or holder.organization_id is None:
            raise ArtifactNotFound("the job has no file")
        if not viewer.may_read(holder.organization_id, holder.user_id):
            raise ArtifactForbidden("the file belongs to another user's job")
        return self.store.get(holder.organization_id, self.name(holder))

    def by_id(self, viewer: FileViewer, organization_id: str, wanted: str) -> Artifact:
        """Return a file of an organization by its id. Raises ArtifactNotFound, ArtifactForbidden."""
        found = self.store.get(organization_id, wanted)
        if found.queue is None or found.job_id is None:
            return self._of_earlier_release(viewer, found)
        holder = self.records.holder(found.queue, found.job_id)
        if (
            holder is None
            or holder.organization_id != organization_id
            or holder.artifact_id != found.id
        ):
            raise ArtifactNotFound("there is no such artifact")
        return self._allowed(viewer, found, holder.user_id)

    def _allowed(self, viewer: FileViewer, found: Artifact, user_id: str | None) -> Artifact:
        if not viewer.may_read(found.organization_id, user_id):
            raise ArtifactForbidden("the file belongs to another user's job")
        return found

    def open(self, found: Artifact, start: int = 0) -> Opened:
        """Open a file that ``of_job`` or ``by_id`` returned, from byte ``start`` on."""
        return self.store.open(found.organization_id, found.id, start)

    def name(self, holder: Holder | RemovedFile) -> str:
        """Return the id that a job's file has, if there is one."""
        return holder.artifact_id or self._computed(holder)

    def _of_earlier_release(self, viewer: FileViewer, found: Artifact) -> Artifact:
        removed = (one for queue in COMPUTED_QUEUES for one in self.records.newest_gone(queue))
        if any(self._computed(one) == found.id for one in removed):
            raise ArtifactNotFound("there is no such artifact")
        # Only a member must be the user who added the job.
        user = None if viewer.may_read(found.organization_id, None) else self._creator(found)
        return self._allowed(viewer, found, user)

    def _computed(self, job: Holder | RemovedFile) -> str:
        return artifact_id(self.prefix, job.queue, job.job_id, job.created_at)

    def _creator(self, found: Artifact) -> str | None:
        """Return the user whose job made a file of an earlier release."""
        for queue in COMPUTED_QUEUES:
            for state in (State.COMPLETED, State.FAILED, State.ACTIVE):
                pages = self.reader.walk(
                    queue, state, found.organization_id, payload_bytes=0, errors=1
                )
                for page in itertools.islice(pages, COMPUTED_PAGES):
                    for job in page:
                        if artifact_id(self.prefix, queue, job.id, job.created_at) == found.id:
                            return job.user_id
        return None

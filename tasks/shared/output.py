"""What queues share whose jobs make a file of one organization: storing it, and announcing it."""

from __future__ import annotations

import datetime
from contextlib import AbstractContextManager
from typing import Any, Protocol

from hsejobs.engine import current_job, follow_up
from hsejobs.engine.runtime import runtime
from hsejobs.model import iso_time
from hsejobs.services.artifacts import Artifact, ArtifactWriter
from hsejobs.services.artifacts.links import link_for
from hsejobs.services.artifacts.store import open_store
from tasks.shared.platform.reading import organization_of, tenant_of
from tasks.shared.saving import Saved

DAY_MS = 86_400_000


class Made(Protocol):
    """A stored file.

    ``cut`` is the number of texts truncated to the size of a cell, ``resumed`` that of the rows that
    an earlier attempt had read.
    """

    @property
    def artifact(self) -> Artifact: ...
    @property
    def organization(self) -> str: ...
    @property
    def cut(self) -> int: ...
    @property
    def resumed(self) -> int: ...


class Output:
    """The file that the running job makes: its organization, its time, and where it is stored.

    The time is that of the first attempt, if this one can continue from what it saved: ``resume``.
    ``named`` is the organization in the payload; ``what`` is the file in a message: ``a report``.
    The file is kept for ``days``. Raises Unrecoverable, PlatformUnavailable, RedisUnavailable.
    """

    def __init__(self, queue: str, named: str | None, what: str, days: int) -> None:
        job, shared = current_job(), runtime()
        settings = shared.settings
        self.organization_id = organization_of(job.organization_id, named, what)
        now_ms = shared.reader.now(queue)
        self._saved = Saved.of(job.resumed_from, now_ms // 1000)
        self.resume = self._saved.state
        self.at = datetime.datetime.fromtimestamp(self._saved.at, datetime.UTC)
        self.home = settings.jobs_home
        self.tenant = tenant_of(settings.platform_database_url, self.home, self.organization_id)
        self._queue = queue
        self._expires_at = now_ms + days * DAY_MS
        self._store = open_store(settings.artifacts_url, self.home)

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Record what the next attempt continues from. Raises LeaseLost."""
        current_job().checkpoint(self._saved.with_state(state))

    def scratch(self, **more: Any) -> AbstractContextManager[ArtifactWriter]:
        """Open a file for the next attempt; ``more`` as for ``ArtifactStore.scratch``."""
        return self._store.scratch(
            self.organization_id,
            current_job().artifact_id(self._expires_at),
            expires_at=self._expires_at,
            **more,
        )

    def open(
        self, name: str, content_type: str, **more: Any
    ) -> AbstractContextManager[ArtifactWriter]:
        """Open the artifact for writing; it is stored when the block ends without an exception.

        ``more``: as for ``ArtifactStore.write``.
        """
        job = current_job()
        return self._store.write(
            self.organization_id,
            # The same in each attempt: a second run replaces the artifact of the first.
            job.artifact_id(self._expires_at),
            name=name,
            content_type=content_type,
            expires_at=self._expires_at,
            queue=self._queue,
            job_id=job.id,
            **more,
        )

    def log(self, made: Made, rows: int) -> None:
        """Write the size of the file, and what is missing in it, to the job's log."""
        job = current_job()
        job.log(f"{made.artifact.name}: {rows:,} rows, {made.artifact.bytes:,} bytes")
        if made.resumed:
            job.log(f"continued after {made.resumed:,} rows that an earlier attempt had read")
        if made.cut:
            job.log(
                f"texts truncated to the size of a cell: {made.cut:,};"
                " JSON and CSV have the full text"
            )

    def notify(self, to: str, template: str, made: Made, rows: int, **context: Any) -> str:
        """Add a mail that announces the file; return the id of its job."""
        mail = {
            "to": to,
            "template": template,
            "context": {
                **context,
                # A subject must be one line, even if the name is not.
                "organization": " ".join(made.organization.split()),
                "file": made.artifact.name,
                "rows": f"{rows:,}",
                "until": (iso_time(made.artifact.expires_at) or "")[:10],
                "link": link_for(runtime().settings, made.artifact),
            },
        }
        return follow_up("email", mail, key="notify", organization_id=self.organization_id).id

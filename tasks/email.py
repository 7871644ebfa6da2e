"""The email queue: one mail a job."""

from __future__ import annotations

from typing import Any

from hsejobs.engine import Job, JobHuey, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.errors import ArtifactNotFound
from hsejobs.services.artifacts.store import open_store
from hsejobs.services.mail import mask_address, send_mail
from hsejobs.services.mail.attachments import Opened
from hsejobs.services.mail.payload import EmailPayload


def _shown(payload: Any) -> dict[str, Any]:
    to = payload["to"]
    return {"to": [mask_address(one) for one in to] if isinstance(to, list) else mask_address(to)}


huey = JobHuey(
    "email",
    attempts=5,
    backoff=5.0,
    timeout=30.0,
    priority=2,
    enqueue="member",
    log_fields=_shown,
)


@huey.task()
def send_email(payload: EmailPayload) -> dict[str, Any]:
    """Sends a mail by SMTP_URL, or writes it to the outbox."""
    job = current_job()
    settings = runtime().settings
    return send_mail(
        payload,
        # With the time: an id that is used again after a removal is another mail.
        job_key=f"{settings.redis_prefix}/email/{job.id}/{job.created_at}",
        smtp_url=settings.smtp_url,
        smtp_from=settings.smtp_from,
        smtp_from_allowed=settings.smtp_from_allowed,
        home=settings.jobs_home,
        already=job.done,
        accepted=job.mark_done,
        open_artifact=_open_artifact,
        # A second before the engine gives up: its error says whether the server may have the mail.
        deadline=None if job.deadline is None else job.deadline - 1.0,
        before_data=job.check,
    )


def _open_artifact(artifact_id: str) -> Opened:
    """One of the job's own organisation; a job of nobody's has none."""
    job, settings = current_job(), runtime().settings
    if job.organization_id is None:
        raise ArtifactNotFound("a mail of no organisation has no artifacts")
    store = open_store(settings.artifacts_url, settings.jobs_home)
    artifact, pieces = store.open(job.organization_id, artifact_id)
    return artifact.name, artifact.content_type, pieces


def queue_email(payload: Any, **options: Any) -> Job:
    """Adds a mail; options and errors as for ``send_email.add``."""
    return send_email.add(payload, **options)

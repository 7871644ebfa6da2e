"""The email queue: each job sends one mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

from hsejobs.engine import AddKeywords, Job, JobHuey, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.errors import ArtifactNotFound, SettingsError
from hsejobs.services.artifacts.access import Files, viewer_of
from hsejobs.services.artifacts.store import open_store
from hsejobs.services.breaker import Breaker
from hsejobs.services.mail import (
    MailDeadline,
    MailRefusedForNow,
    MailServerUnavailable,
    mask_address,
    send_mail,
)
from hsejobs.services.mail.attachments import Opened
from hsejobs.services.mail.message import check_sender, key_of_job
from hsejobs.services.mail.payload import EmailPayload as EmailPayload
from hsejobs.services.mail.render import use_templates
from hsejobs.services.mail.send import sender_domains, use_outbox_sender
from hsejobs.services.mail.server import parse_smtp_url
from hsejobs.services.mail.smtp import DELIVERY_SECONDS
from hsejobs.settings import is_embedded
from hsejobs.store.circuits import Circuits, smtp_circuit

use_outbox_sender("noreply@hse.digital")
use_templates(Path(__file__).parent.parent / "templates" / "email")


def _log_fields(payload: Any) -> dict[str, Any]:
    to = payload["to"]
    return {"to": [mask_address(one) for one in to] if isinstance(to, list) else mask_address(to)}


def _attached_artifacts(payload: Any) -> dict[str, str]:
    return {
        f"attachments.{number}.artifactId": one["artifactId"]
        for number, one in enumerate(payload.get("attachments") or ())
    }


huey = JobHuey(
    "email",
    attempts=5,
    backoff=5.0,
    timeout=30.0,
    priority=2,
    outbound=True,
    enqueue="member",
    log_fields=_log_fields,
    artifacts=_attached_artifacts,
)


@huey.task()
def send_email(payload: EmailPayload) -> dict[str, Any]:
    """Send a mail by SMTP_URL, or write it to the outbox if that is not set."""
    job = current_job()
    settings = runtime().settings
    with _guard(settings.smtp_url):
        return send_mail(
            payload,
            job_key=key_of_job(settings.redis_prefix, job.id, job.created_at),
            smtp_url=settings.smtp_url,
            smtp_from=settings.smtp_from,
            smtp_from_allowed=settings.smtp_from_allowed,
            home=settings.jobs_home,
            organization_id=job.organization_id,
            already=job.done,
            accepted=job.mark_done,
            open_artifact=_open_artifact,
            # One second before the engine's timeout: this error says whether the server may have the mail.
            deadline=None if job.deadline is None else job.deadline - 1.0,
            before_data=job.check,
        )


@send_email.before_add
def _check_before_add(payload: EmailPayload) -> None:
    """Refuse a sender that no attempt could use, as far as this process's settings tell."""
    settings = runtime().settings
    if payload.from_ is None:
        return
    known = settings.smtp_url or settings.smtp_from or settings.smtp_from_allowed
    if not known and not is_embedded(settings):
        # The workers of that Redis may have mail settings that this process does not have.
        return
    allowed = sender_domains(settings.smtp_url, settings.smtp_from, settings.smtp_from_allowed)
    check_sender(payload.from_, allowed)


#: A timeout counts as a failure of the server only if the job allowed it this many seconds: each
#: job chooses its own timeout, but all jobs share the server.
FAIR_SECONDS = 10.0


@contextmanager
def _guard(smtp_url: str | None) -> Iterator[None]:
    """Apply the mail server's circuit breaker; refusals of a mail or a recipient do not count."""
    try:
        server = parse_smtp_url(smtp_url) if smtp_url else None
    except SettingsError:
        server = None  # send_mail reports the error
    if server is None:
        yield
        return
    job = current_job()
    seconds = min(DELIVERY_SECONDS, job.time_remaining)
    with Breaker(
        Circuits(runtime().redis, runtime().prefix, patience=1.0),
        smtp_circuit(server.host, server.port),
        token=f"{job.token}/{job.id}",
        seconds=seconds,
    ) as breaker:
        try:
            yield
        except MailServerUnavailable as error:
            breaker.failed(str(error))
            raise
        except MailDeadline as error:
            if seconds >= FAIR_SECONDS:
                breaker.failed(str(error))
            raise
        except MailRefusedForNow as error:
            if error.closing:
                breaker.failed("the mail server closed the connection (421)")
            else:
                breaker.succeeded()
            raise
        breaker.succeeded()


def _open_artifact(artifact_id: str) -> Opened:
    """Open an artifact that the one who added the mail may load."""
    job, shared = current_job(), runtime()
    if job.organization_id is None:
        raise ArtifactNotFound("a mail without an organization must not have attachments")
    settings = shared.settings
    store = open_store(settings.artifacts_url, settings.jobs_home)
    files = Files(store, shared.redis, shared.prefix)
    role = files.records.role(huey.name, job.id)
    viewer = viewer_of(role, job.organization_id, job.user_id)
    found, pieces = files.open(files.by_id(viewer, job.organization_id, artifact_id))
    return found.name, found.content_type, pieces


def queue_email(
    payload: EmailPayload | Mapping[str, Any], **options: Unpack[AddKeywords]
) -> Job[dict[str, Any]]:
    """Add a mail; takes the options and raises the errors of ``send_email.add``."""
    return send_email.add(payload, **options)

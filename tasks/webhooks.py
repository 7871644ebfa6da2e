"""The webhooks queue: one call a job."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hsejobs.engine import Job, JobHuey, Secret, Unrecoverable
from hsejobs.services.fields import Identifier, Line, Payload

huey = JobHuey(
    "webhooks",
    attempts=5,
    backoff=10.0,
    timeout=30.0,
    workers="threads",
    enqueue="member",
)


class WebhookPayload(Payload):
    """Where to, what, and the secret that signs it."""

    url: Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s@/]+(/\S*)?$")]
    payload: dict[str, Any]
    secret: Annotated[str, Secret(), Field(min_length=1, max_length=1000)] | None = None
    event_type: Line
    organization_id: Identifier | None = None


@huey.task()
def deliver_webhook(payload: WebhookPayload) -> None:
    """Posts an event to a URL."""
    raise Unrecoverable("this version has no processor for the webhooks queue yet")


def queue_webhook(payload: Any, **options: Any) -> Job:
    """Adds a webhook call; options and errors as for ``deliver_webhook.add``."""
    return deliver_webhook.add(payload, **options)

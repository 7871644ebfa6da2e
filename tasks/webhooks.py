"""The webhooks queue: each job makes one call."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from typing import Any, Unpack
from urllib.parse import urlsplit

from hsejobs.engine import AddKeywords, Job, JobHuey, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from hsejobs.extras import importing
from hsejobs.model import new_job_id
from hsejobs.services.breaker import Breaker
from hsejobs.services.webhooks.address import check_reachable, parse_url
from hsejobs.services.webhooks.payload import WebhookPayload as WebhookPayload
from hsejobs.services.webhooks.signing import check_secret
from hsejobs.store.circuits import Circuits, webhook_circuit

log = logging.getLogger(__name__)


def _log_fields(payload: Any) -> dict[str, Any]:
    return {"host": urlsplit(payload["url"]).hostname, "eventType": payload["eventType"]}


huey = JobHuey(
    "webhooks",
    attempts=5,
    backoff=10.0,
    timeout=30.0,
    workers="threads",
    outbound=True,
    enqueue="member",
    log_fields=_log_fields,
)


def _place(payload: WebhookPayload, organization_id: str | None) -> str:
    """The endpoint's host and the organization: one that hangs keeps two workers busy, not all."""
    return f"{parse_url(payload.url).host} {organization_id or '-'}"


@huey.task(key=_place, key_limit=2)
def deliver_webhook(payload: WebhookPayload) -> dict[str, Any]:
    """Post an event to an endpoint, signed if there is a secret."""
    from hsejobs.services.webhooks import signing

    with importing():
        from hsejobs.services.webhooks.deliver import DELIVERY_SECONDS, judge, post, verdict
    from hsejobs.services.webhooks.errors import WebhookDeadline, WebhookUnreachable
    from hsejobs.services.webhooks.stringify import stringify

    job = current_job()
    settings = runtime().settings
    target = parse_url(payload.url)
    body = stringify(payload.payload)
    headers = signing.headers(
        # With the creation time: an id that is reused after a removal is a different call.
        message=signing.message_id(f"{settings.redis_prefix}/webhooks/{job.id}/{job.created_at}"),
        event=payload.event_type,
        timestamp=int(time.time()),
        body=body,
        secret=payload.secret,
    )
    # One second before the engine's timeout, so that the error says what happened.
    seconds = min(DELIVERY_SECONDS, job.time_remaining)
    seconds -= min(1.0, seconds / 4)
    with Breaker(
        Circuits(runtime().redis, settings.redis_prefix, patience=1.0),
        webhook_circuit(job.organization_id or payload.organization_id, target.place),
        token=f"{job.token}/{job.id}",
        seconds=seconds,
    ) as breaker:
        job.check()
        try:
            answer = post(
                target,
                headers,
                body,
                deadline=time.monotonic() + seconds,
                allow_private=settings.webhook_allow_private,
                secret=payload.secret,
                party=job.organization_id or "",
            )
        except (WebhookUnreachable, WebhookDeadline) as error:
            breaker.failed(str(error))
            raise
        outcome = verdict(answer.status)
        if outcome == "ok":
            breaker.succeeded()
        elif outcome == "fail":
            breaker.failed(f"the endpoint answered {answer.status}")
    job.log(f"{target.place} answered {answer.status} in {answer.duration_ms} ms: {answer.body}")
    return judge(answer)


@deliver_webhook.before_add
def _check_before_add(payload: WebhookPayload) -> None:
    _check_call(payload.url, payload.secret)


def _check_call(url: str, secret: str | None) -> None:
    """Raise InvalidPayload for a call that no attempt could make or no endpoint could verify."""
    target = parse_url(url)
    if not runtime().settings.webhook_allow_private:
        check_reachable(target)
    if secret is not None:
        check_secret(secret)


def queue_webhook(
    payload: WebhookPayload | Mapping[str, Any], **options: Unpack[AddKeywords]
) -> Job[dict[str, Any]]:
    """Add a webhook call; takes the options and raises the errors of ``deliver_webhook.add``."""
    return deliver_webhook.add(payload, **options)


def fan_out(
    organization_id: str, event: str, data: Any, *, event_id: str | None = None, **options: Any
) -> list[Job[dict[str, Any]]]:
    """Add a call for each active webhook of the organization that subscribed to the event.

    The body is ``{"event": event, "data": data}``. The same ``event_id`` again adds nothing: the
    jobs there are come back. Options as for ``queue_webhook``. Raises InvalidPayload when the
    data or the event cannot be sent; then nothing is added.
    """
    calls, ids = [], []
    for hook in _subscriptions(organization_id, event):
        call = {
            "url": hook.url,
            "payload": {"event": event, "data": data},
            "eventType": event,
            "organizationId": organization_id,
        }
        try:
            _check_call(hook.url, hook.secret or None)
        except InvalidPayload as error:
            # One invalid row must not keep the event from the other endpoints.
            fields = {"webhook": hook.id, "organization": organization_id, "error": str(error)}
            log.warning("a webhook is skipped: it cannot be called", extra=fields)
            continue
        calls.append({**call, "secret": hook.secret} if hook.secret else call)
        ids.append(_event_job(organization_id, event_id or new_job_id(), hook.id))
    return deliver_webhook.add_many(calls, ids=ids, organization_id=organization_id, **options)


def _event_job(organization_id: str, event_id: str, hook_id: str) -> str:
    parts = "\0".join((organization_id, event_id, hook_id)).encode("utf-8", "surrogatepass")
    return "event:" + hashlib.sha256(parts).hexdigest()[:40]


def _subscriptions(organization_id: str, event: str) -> list[Any]:
    from sqlalchemy import select

    from tasks.shared.platform.database import database
    from tasks.shared.platform.schema import WEBHOOKS

    settings = runtime().settings
    query = (
        select(WEBHOOKS)
        .where(WEBHOOKS.c.organization_id == organization_id, WEBHOOKS.c.active)
        .order_by(WEBHOOKS.c.id)
    )
    with database(settings.platform_database_url, settings.jobs_home).connect() as connection:
        # Filter the JSON column here: databases have no common syntax for it.
        found = connection.execute(query).all()
    return [row for row in found if isinstance(row.events, list) and event in row.events]

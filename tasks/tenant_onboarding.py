"""The tenant-onboarding queue: one new organisation a job."""

from __future__ import annotations

from typing import Any, Literal

from hsejobs.engine import Job, JobHuey, Unrecoverable
from hsejobs.services.fields import Identifier, Line, MailText, Payload

huey = JobHuey(
    "tenant-onboarding",
    attempts=3,
    backoff=5.0,
    timeout=120.0,
    workers="threads",
    enqueue="operator",
)


class TenantPayload(Payload):
    """The organisation, its first administrator and its subscription."""

    organization_name: Line
    admin_email: MailText
    admin_name: Line
    tier: Literal["free", "starter", "professional", "enterprise"] = "starter"
    stripe_customer_id: Identifier | None = None
    stripe_subscription_id: Identifier | None = None


@huey.task()
def onboard_tenant(payload: TenantPayload) -> None:
    """Provisions a new organisation."""
    raise Unrecoverable("this version has no processor for the tenant-onboarding queue yet")


def queue_tenant_onboarding(payload: Any, **options: Any) -> Job:
    """Adds a tenant; options and errors as for ``onboard_tenant.add``."""
    return onboard_tenant.add(payload, **options)

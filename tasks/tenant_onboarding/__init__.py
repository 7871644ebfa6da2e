"""The tenant-onboarding queue: each job provisions one organization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from hsejobs.engine import AddKeywords, Job, JobHuey, current_job, follow_up
from hsejobs.engine.runtime import runtime
from hsejobs.services.mail.address import mask_address
from tasks.tenant_onboarding.payload import TenantPayload


def _log_fields(payload: Any) -> dict[str, Any]:
    return {"tier": payload.get("tier"), "admin": mask_address(payload.get("adminEmail"))}


huey = JobHuey(
    "tenant-onboarding",
    attempts=3,
    backoff=5.0,
    timeout=120.0,
    workers="threads",
    enqueue="operator",
    log_fields=_log_fields,
)


@huey.task()
def onboard_tenant(payload: TenantPayload) -> dict[str, Any]:
    """Provision an organization with its administrator, and send the invitation."""
    from tasks.tenant_onboarding.onboard import STEPS, NewTenant, open_platform, provision

    job, settings = current_job(), runtime().settings

    def begin(step: str) -> None:
        job.check()
        job.progress(STEPS[step], step)
        job.log(f"step: {step}")

    def invite(tenant: NewTenant) -> str | None:
        if tenant.invite is None:
            return None
        context = {"name": tenant.admin_name, "organization": tenant.name}
        if settings.platform_invite_url:
            # Not part of the URL: under this name it is masked and sealed like a password.
            context |= {"inviteUrl": settings.platform_invite_url, "token": tenant.invite}
        mail = {"to": tenant.admin_email, "template": "tenant-welcome", "context": context}
        # Keyed by the tenant, not by this job: two jobs for one tenant send one mail.
        about = f"{tenant.organization_id}\0{tenant.admin_id}"
        return follow_up(
            "email", mail, key="invite", about=about, organization_id=tenant.organization_id
        ).id

    where = open_platform(settings.platform_database_url, settings.jobs_home)
    tenant = provision(where, payload, begin)
    begin("welcome mail")
    mail = invite(tenant)
    job.progress(100, "done")
    return {
        "organizationId": tenant.organization_id,
        "organizationName": tenant.name,
        "tier": tenant.tier,
        "adminUserId": tenant.admin_id,
        "stripeSubscriptionId": tenant.subscription,
        "roles": tenant.roles,
        "stations": tenant.stations,
        "checklists": tenant.checklists,
        "welcomeMailJobId": mail,
    }


def queue_tenant_onboarding(
    payload: TenantPayload | Mapping[str, Any], **options: Unpack[AddKeywords]
) -> Job[dict[str, Any]]:
    """Add a tenant; takes the options and raises the errors of ``onboard_tenant.add``."""
    return onboard_tenant.add(payload, **options)

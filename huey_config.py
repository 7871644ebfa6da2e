"""The composition root: one Huey a queue, for ``huey_consumer huey_config.email`` and so on."""

from hsejobs.engine import JobHuey
from tasks.cleanup import huey as cleanup
from tasks.data_exports import huey as data_exports
from tasks.email import huey as email
from tasks.reports import huey as reports
from tasks.tenant_onboarding import huey as tenant_onboarding
from tasks.webhooks import huey as webhooks

#: Every queue of the platform by its name.
QUEUES: dict[str, JobHuey] = {
    huey.name: huey for huey in (email, reports, data_exports, webhooks, tenant_onboarding, cleanup)
}

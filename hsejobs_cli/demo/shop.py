"""The demo's application: the tasks of an invented shop, which take time and fail as their jobs say."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field

from hsejobs.engine import JobHuey, crontab, current_job
from hsejobs.engine.huey import unlisted
from hsejobs.engine.runtime import runtime
from hsejobs.errors import JobsError, Unrecoverable
from hsejobs.masking import Secret
from hsejobs.services.breaker import Breaker
from hsejobs.store.circuits import Circuits, webhook_circuit

F = TypeVar("F", bound=Callable[..., Any])
#: The release that its deploy marks name.
RELEASE = "4f1c"
#: The host that answers no webhook.
DEAD_HOST = "hooks.example.com"

# A program that fills a demo may run an application that has queues of the same names.
with unlisted():
    billing = JobHuey(
        "billing",
        attempts=3,
        backoff=1.0,
        timeout=30.0,
        concurrency=4,
        outbound=True,
        release=RELEASE,
    )
    crm = JobHuey("crm-sync", attempts=2, timeout=900.0, concurrency=3, fair=False, release=RELEASE)
    webhooks = JobHuey("webhooks", attempts=5, concurrency=5, outbound=True, release=RELEASE)
    onboarding = JobHuey("onboarding", attempts=3, concurrency=5, release=RELEASE)
    email = JobHuey(
        "email", attempts=4, timeout=30.0, priority=2, concurrency=5, outbound=True, release=RELEASE
    )
    cleanup = JobHuey("cleanup", concurrency=1, release=RELEASE)
    reports = JobHuey("reports", timeout=300.0, concurrency=2, release=RELEASE)
    exports = JobHuey("data-exports", timeout=900.0, concurrency=2, release=RELEASE)

QUEUES = {
    one.name: one for one in (billing, crm, webhooks, onboarding, email, cleanup, reports, exports)
}


def _of_shop(function: F) -> F:
    """Names the task as one of the shop's own module."""
    function.__module__ = "shop"
    return function


class Customer(BaseModel):
    """Who pays. Since the deploy, a payment needs the VAT number."""

    email: str
    country: str
    vat: str | None = None


class Charge(BaseModel):
    """A payment to collect."""

    invoice: str
    amount: Annotated[float, Field(gt=0)]
    currency: Literal["EUR", "USD", "GBP"] = "EUR"
    customer: Customer
    card_token: Annotated[str, Secret()]


class Mail(BaseModel):
    """A mail to send."""

    to: str
    subject: str
    template: Literal["receipt", "reminder", "welcome", "newsletter"] = "receipt"
    variables: dict[str, str] = {}


class Sync(BaseModel):
    """Contacts to copy from a customer's CRM."""

    account: str
    since: str
    pages: Annotated[int, Field(ge=1)] = 40


class Event(BaseModel):
    """An event to deliver."""

    url: str
    event: str
    body: dict[str, str | float] = {}
    secret: Annotated[str, Secret()]


class Company(BaseModel):
    """A customer to set up."""

    company: str
    admin: str
    plan: Literal["team", "business", "enterprise"] = "team"


class Report(BaseModel):
    """A report to render."""

    report: Literal["revenue", "churn", "usage"]
    month: str
    format: Literal["pdf", "xlsx"] = "pdf"


class Export(BaseModel):
    """A table to export."""

    table: str
    format: Literal["csv", "jsonl"] = "csv"
    rows: int = 1000


class NoAnswer(JobsError):
    """A server did not answer in time."""

    code = "timeout"


class MailRefused(Unrecoverable):
    """The mail server refused the recipient."""

    code = "smtp_refused"


@billing.task()
@_of_shop
def charge(payload: Charge) -> dict[str, str]:
    """Collect a payment for an invoice."""
    job = current_job()
    job.log(f"invoice {payload.invoice}: {payload.amount:.2f} {payload.currency}")
    job.progress(20, "reading the customer")
    time.sleep(0.1)
    number = _vat_number(payload.customer.model_dump(exclude_none=True))
    job.progress(60, "asking the payment provider")
    time.sleep(random.uniform(0.9, 2.2))
    return {"payment": f"pay_{job.id[-8:]}", "vat": number}


def _vat_number(customer: dict[str, str]) -> str:
    return customer["vat"].replace(" ", "")


@billing.task()
@_of_shop
def remind(payload: Charge) -> None:
    """Remind a customer of an open invoice."""
    time.sleep(0.4)


@email.task()
@_of_shop
def send(payload: Mail) -> dict[str, str]:
    """Send a mail."""
    job = current_job()
    time.sleep(random.uniform(0.15, 0.5))
    name = payload.to.partition("@")[0]
    if name.endswith("0"):
        raise MailRefused(f"550 5.1.1 <{payload.to}>: mailbox unavailable")
    if random.random() < 0.015:
        raise NoAnswer("mail.example.com:587 gave no answer within 30 s")
    job.log(f"250 2.0.0 queued as {job.id[-6:].upper()}")
    return {"message": f"{job.id[-10:]}@mail.example.com"}


@crm.task()
@_of_shop
def sync_contacts(payload: Sync) -> dict[str, int]:
    """Copy the contacts of an account that changed."""
    job = current_job()
    for page in range(1, payload.pages + 1):
        job.check()
        job.progress(100 * page / payload.pages, f"page {page} of {payload.pages}")
        job.log(f"{payload.account}: page {page}, 100 contacts")
        time.sleep(random.uniform(1.6, 2.6))
    return {"contacts": 100 * payload.pages}


@webhooks.task()
@_of_shop
def deliver(payload: Event) -> dict[str, int]:
    """Deliver an event to a customer's endpoint."""
    job = current_job()
    host = payload.url.removeprefix("https://").partition("/")[0]
    circuits = Circuits(runtime().redis, runtime().prefix, patience=1.0)
    name = webhook_circuit(job.organization_id, f"{host}:443")
    with Breaker(circuits, name, token=f"{job.token}/{job.id}", seconds=10.0) as breaker:
        time.sleep(random.uniform(0.05, 0.2))
        if host == DEAD_HOST:
            breaker.failed("the receiver cannot be reached: connection refused")
            raise ConnectionRefusedError(111, "Connection refused")
        breaker.succeeded()
    return {"status": 204}


@onboarding.task()
@_of_shop
def provision(payload: Company) -> dict[str, str]:
    """Set up a new customer: a welcome mail, and the first copy of its contacts."""
    job = current_job()
    org = job.organization_id
    for step, at in (("database", 30), ("roles", 60), ("mail", 90)):
        job.progress(at, step)
        time.sleep(0.5)
    mail = {"to": payload.admin, "subject": f"Welcome, {payload.company}", "template": "welcome"}
    send.add(mail, organization_id=org)
    sync_contacts.add(
        {"account": payload.company, "since": "2020-01-01", "pages": 5}, organization_id=org
    )
    return {"workspace": payload.company.lower().replace(" ", "-")}


@cleanup.periodic_task(crontab(minute="10"))
@_of_shop
def purge_sessions() -> dict[str, int]:
    """Remove sessions that have ended."""
    time.sleep(0.5)
    return {"removed": random.randrange(50, 400)}


@cleanup.periodic_task(crontab(minute="30", hour="3"))
@_of_shop
def purge_files() -> dict[str, int]:
    """Remove files that no one refers to."""
    time.sleep(2)
    return {"removed": random.randrange(500)}


@reports.task()
@_of_shop
def render(payload: Report) -> dict[str, int]:
    """Render a report."""
    job = current_job()
    for at in (10, 40, 70, 95):
        job.progress(at, f"{payload.report} {payload.month}")
        time.sleep(0.8)
    return {"pages": random.randrange(3, 40)}


@reports.periodic_task(crontab(minute="30", hour="6", day_of_week="1"))
@_of_shop
def weekly() -> None:
    """Render the reports of the week."""
    time.sleep(1)


@exports.task()
@_of_shop
def export(payload: Export) -> dict[str, int]:
    """Export a table to a file."""
    job = current_job()
    for part in range(1, 11):
        job.progress(10 * part, f"{payload.rows * part // 10:,} rows")
        time.sleep(0.7)
    return {"rows": payload.rows}

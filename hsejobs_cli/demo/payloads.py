"""Payloads that look real: of invented customers, at example.com."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

_SUBJECTS = ("Your receipt", "Your invoice is due", "Welcome", "News of the month")
_TEMPLATES = ("receipt", "reminder", "welcome", "newsletter")
_EVENTS = ("invoice.paid", "invoice.created", "contact.updated", "subscription.ended")
_TABLES = ("invoices", "contacts", "payments", "events")
_COUNTRIES = ("AT", "DE", "FR", "IT", "NL")


def charge(rng: random.Random, org: str, *, without_vat: bool = False) -> dict[str, Any]:
    """A payment; ``without_vat``: one on which the release 4f1c fails."""
    number = rng.randrange(10_000)
    country = rng.choice(_COUNTRIES)
    customer = {"email": f"customer-{number:04}@example.com", "country": country}
    if not without_vat:
        customer["vat"] = f"{country} {rng.randrange(10**8):08}"
    return {
        "invoice": f"INV-{rng.randrange(10**5):05}",
        "amount": rng.randrange(900, 90_000) / 100,
        "currency": "EUR",
        "customer": customer,
        "card_token": f"tok_{rng.getrandbits(48):012x}",
    }


def send(rng: random.Random, org: str, *, refused: bool = False) -> dict[str, Any]:
    """A mail; ``refused``: one whose recipient the mail server does not know."""
    number = rng.randrange(1_000) * 10 + (0 if refused else rng.randrange(1, 10))
    at = rng.randrange(len(_SUBJECTS))
    return {
        "to": f"customer-{number:04}@example.com",
        "subject": _SUBJECTS[at],
        "template": _TEMPLATES[at],
        "variables": {"invoice": f"INV-{rng.randrange(10**5):05}", "organization": org},
    }


def sync_contacts(rng: random.Random, org: str) -> dict[str, Any]:
    """A copy of contacts."""
    day = f"2026-{rng.randrange(1, 10):02}-{rng.randrange(1, 29):02}"
    return {"account": f"{org}-{rng.randrange(100):02}", "since": day, "pages": 40}


def deliver(rng: random.Random, org: str, host: str = "") -> dict[str, Any]:
    """An event; ``host``: of its receiver."""
    return {
        "url": f"https://{host or f'in-{org[4:]}.example.com'}/events",
        "event": rng.choice(_EVENTS),
        "body": {"invoice": f"INV-{rng.randrange(10**5):05}", "amount": rng.randrange(9000) / 100},
        "secret": f"whsec_{rng.getrandbits(48):012x}",
    }


def provision(rng: random.Random, org: str) -> dict[str, Any]:
    """A new customer."""
    name = f"Example {rng.choice(('Works', 'Foods', 'Labs', 'Travel'))} {org[4:]}"
    plan = rng.choice(("team", "business", "enterprise"))
    return {"company": name, "admin": f"admin-{org[4:]}@example.com", "plan": plan}


def render(rng: random.Random, org: str) -> dict[str, Any]:
    """A report."""
    month = f"2026-{rng.randrange(1, 11):02}"
    return {"report": rng.choice(("revenue", "churn", "usage")), "month": month, "format": "pdf"}


def export(rng: random.Random, org: str) -> dict[str, Any]:
    """An export."""
    return {"table": rng.choice(_TABLES), "format": "csv", "rows": rng.randrange(1, 90) * 1000}


#: The payloads of an ordinary job, by task.
PAYLOADS: dict[str, Callable[..., dict[str, Any]]] = {
    "charge": charge,
    "remind": charge,
    "send": send,
    "sync_contacts": sync_contacts,
    "deliver": deliver,
    "provision": provision,
    "render": render,
    "export": export,
}

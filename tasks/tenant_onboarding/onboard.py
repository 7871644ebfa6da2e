"""The steps of onboarding: each is one idempotent transaction, safe to run concurrently.

Unique keys in the database decide, never a read before a write: the organization's ``name_key``,
the subscription's id, and the administrator's id, which is derived from the address. A worker
that finds a row uses it, no matter which run wrote it. So no step records that it is done, and running the
job again from the start completes a run that was killed at any point.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from hsejobs.model import new_job_id
from hsejobs.services.mail.address import parse_address
from tasks.shared.platform.database import database
from tasks.shared.platform.errors import PlatformUnavailable
from tasks.tenant_onboarding import defaults
from tasks.tenant_onboarding.errors import NameTaken, SubscriptionTaken
from tasks.tenant_onboarding.payload import TenantPayload, address_key, name_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine, Row, Table

#: The steps in order, and the job's progress in percent when each begins.
STEPS: dict[str, int] = {
    "organization": 0,
    "administrator": 20,
    "roles": 40,
    "stations": 55,
    "checklists": 70,
    "welcome mail": 85,
}


class NewTenant(NamedTuple):
    """The provisioned organization. ``invite`` is None once the administrator has a password."""

    organization_id: str
    name: str
    tier: str
    admin_id: str
    admin_email: str
    admin_name: str
    subscription: str | None
    roles: list[str]
    stations: int
    checklists: int
    invite: str | None


def open_platform(url: str | None, home: Path) -> Engine:
    """Return the platform's database. Raises PlatformUnavailable, SettingsError."""
    with _translate_errors():
        return database(url, home)


def provision(engine: Engine, wanted: TenantPayload, begin: Callable[[str], None]) -> NewTenant:
    """Provision the tenant, or complete it; calls ``begin`` with each step's name before the step.

    The same organization name and administrator's address identify the same tenant, which is not
    changed. Raises NameTaken and SubscriptionTaken (nothing was written then),
    PlatformUnavailable, and the errors of ``begin``.
    """
    begin("organization")
    with _transaction(engine) as connection:
        organization = _organization(connection, wanted)
        subscription = _subscription(connection, wanted, organization)
    owner = organization.id
    begin("administrator")
    with _transaction(engine) as connection:
        admin = _administrator(connection, owner, wanted)
    begin("roles")
    roles = [
        {"id": name, "name": name, "permissions": allowed}
        for name, allowed in defaults.ROLES.items()
    ]
    with _transaction(engine) as connection:
        _insert_defaults(connection, "roles", owner, roles)
    begin("stations")
    now = _now()
    stations = [
        {"id": key, "name": name, "kind": kind, "address": None, "active": True, "created_at": now}
        for key, name, kind in defaults.STATIONS
    ]
    with _transaction(engine) as connection:
        _insert_defaults(connection, "stations", owner, stations)
    begin("checklists")
    checklists = [
        {"id": key, "name": name, "items": list(items), "created_at": now}
        for key, name, items in defaults.CHECKLISTS
    ]
    with _transaction(engine) as connection:
        _insert_defaults(connection, "checklists", owner, checklists)
    return NewTenant(
        organization_id=owner,
        name=organization.name,
        tier=organization.tier,
        admin_id=admin.id,
        admin_email=admin.email,
        admin_name=admin.name,
        subscription=subscription,
        roles=list(defaults.ROLES),
        stations=len(stations),
        checklists=len(checklists),
        invite=None if admin.password_hash else admin.invite_token,
    )


def _organization(connection: Connection, wanted: TenantPayload) -> Row[Any]:
    from sqlalchemy import select

    from tasks.shared.platform.schema import ORGANIZATIONS

    key = name_key(wanted.organization_name)
    _insert_missing(
        connection,
        ORGANIZATIONS,
        [
            {
                # Not derived from the name: a renamed organization keeps its id.
                "id": f"org-{new_job_id()}",
                "name": wanted.organization_name,
                "name_key": key,
                "tier": wanted.tier,
                "admin_email": parse_address(wanted.admin_email, "adminEmail").spec,
                "stripe_customer_id": wanted.stripe_customer_id,
                "stripe_subscription_id": wanted.stripe_subscription_id,
                "created_at": _now(),
            }
        ],
    )
    found = connection.execute(
        select(ORGANIZATIONS).where(ORGANIZATIONS.c.name_key == key)
    ).one_or_none()
    if found is None:
        raise PlatformUnavailable("the organization was removed during its onboarding")
    if found.admin_email.casefold() != address_key(wanted.admin_email):
        raise NameTaken(
            "organizationName: is taken by an organization with a different administrator;"
            " choose another name, or use that administrator's address"
        )
    return found


def _subscription(
    connection: Connection, wanted: TenantPayload, organization: Row[Any]
) -> str | None:
    """Link the subscription in the organization's transaction, which a refusal rolls back."""
    from sqlalchemy import select

    from tasks.shared.platform.schema import ORGANIZATIONS, SUBSCRIPTIONS

    customer, subscription = wanted.stripe_customer_id, wanted.stripe_subscription_id
    own = SUBSCRIPTIONS.c.organization_id == organization.id
    if subscription is None:
        return connection.execute(
            select(SUBSCRIPTIONS.c.stripe_subscription_id).where(own)
        ).scalar_one_or_none()
    row = {
        "organization_id": organization.id,
        "stripe_customer_id": customer,
        "stripe_subscription_id": subscription,
        "tier": organization.tier,
        "created_at": _now(),
    }
    _insert_missing(connection, SUBSCRIPTIONS, [row])
    linked = connection.execute(select(SUBSCRIPTIONS).where(own)).one_or_none()
    if linked is None:
        raise SubscriptionTaken(
            "stripeSubscriptionId: is linked to another organization; check the id in Stripe"
        )
    if (linked.stripe_subscription_id, linked.stripe_customer_id) != (subscription, customer):
        raise SubscriptionTaken(
            "stripeSubscriptionId: the organization already has a different subscription or customer;"
            " change it in the platform"
        )
    connection.execute(
        ORGANIZATIONS.update()
        .where(ORGANIZATIONS.c.id == organization.id)
        .values(stripe_customer_id=customer, stripe_subscription_id=subscription)
    )
    return subscription


def _administrator(connection: Connection, owner: str, wanted: TenantPayload) -> Row[Any]:
    from sqlalchemy import func, select

    from tasks.shared.platform.schema import USERS

    address = parse_address(wanted.admin_email, "adminEmail").spec
    name = hashlib.sha256(f"{owner}\0{address.casefold()}".encode()).hexdigest()[:24]
    by_address = (
        select(USERS)
        .where(USERS.c.organization_id == owner, func.lower(USERS.c.email) == address.lower())
        .order_by(USERS.c.created_at, USERS.c.id)
        .limit(1)
    )
    found = connection.execute(by_address).one_or_none()
    if found is not None:
        return found
    _insert_missing(
        connection,
        USERS,
        [
            {
                "organization_id": owner,
                "id": f"user-{name}",
                "email": address,
                "name": wanted.admin_name,
                "role": "owner",
                # No password is generated: the administrator chooses one with the token.
                "password_hash": None,
                "invite_token": secrets.token_urlsafe(32),
                "created_at": _now(),
            }
        ],
    )
    by_id = (USERS.c.organization_id == owner) & (USERS.c.id == f"user-{name}")
    return connection.execute(select(USERS).where(by_id)).one()


def _insert_defaults(
    connection: Connection, name: str, owner: str, rows: Sequence[dict[str, Any]]
) -> None:
    """Insert the default rows if the organization has none: rows it has deleted are not restored."""
    from sqlalchemy import select

    from tasks.shared.platform.schema import METADATA

    table = METADATA.tables[name]
    existing = select(table.c.id).where(table.c.organization_id == owner).limit(1)
    if connection.execute(existing).first() is None:
        _insert_missing(connection, table, [{"organization_id": owner, **row} for row in rows])


def _insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows whose keys do not exist yet; waits for a transaction that inserts the same."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        connection.execute(postgresql_insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(sqlite_insert(table).on_conflict_do_nothing(), rows)


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    with _translate_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def _translate_errors() -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        # The error's text would contain the statement's values.
        raise PlatformUnavailable(
            f"the platform's database failed ({type(error).__name__});"
            " see `hsejobs doctor` and PLATFORM_DATABASE_URL"
        ) from None


def _now() -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"

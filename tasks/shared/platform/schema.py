"""The platform's tables. Times are UTC text, ``2026-01-31T08:00:00Z``, which sorts as it reads.

Every table except ``organizations`` has ``organization_id``, and every index of a list begins with
it: a query for one organization never scans another's rows.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
_ID = String(200)
_TIME = String(30)

ORGANIZATIONS = Table(
    "organizations",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("name", String(200), nullable=False),
    # Case-folded and trimmed, for comparison.
    Column("name_key", String(400), nullable=False, unique=True),
    Column("tier", String(20), nullable=False),
    Column("admin_email", String(254), nullable=False),
    Column("stripe_customer_id", String(200)),
    Column("stripe_subscription_id", String(200)),
    Column("created_at", _TIME, nullable=False),
)


def _table(name: str, *columns: Column[object], indexed: tuple[str, ...] = ()) -> Table:
    """Return a table of organizations' rows; its primary key is organization and id."""
    return Table(
        name,
        METADATA,
        Column("organization_id", _ID, nullable=False),
        Column("id", _ID, nullable=False),
        *columns,
        PrimaryKeyConstraint("organization_id", "id"),
        ForeignKeyConstraint(["organization_id"], ["organizations.id"], ondelete="CASCADE"),
        *(Index(f"{name}_by_{column}", "organization_id", column, "id") for column in indexed),
    )


USERS = _table(
    "users",
    Column("email", String(254), nullable=False),
    Column("name", String(200), nullable=False),
    # owner, admin, member
    Column("role", String(20), nullable=False),
    Column("password_hash", String(200)),
    Column("invite_token", String(200)),
    Column("created_at", _TIME, nullable=False),
    indexed=("email",),
)
ROLES = _table(
    "roles",
    Column("name", String(50), nullable=False),
    Column("permissions", JSON, nullable=False),
)
STATIONS = _table(
    "stations",
    Column("name", String(200), nullable=False),
    # office, workshop, warehouse, site
    Column("kind", String(50), nullable=False),
    Column("address", String(400)),
    Column("active", Boolean, nullable=False),
    Column("created_at", _TIME, nullable=False),
)
CHECKLISTS = _table(
    "checklists",
    Column("name", String(200), nullable=False),
    Column("items", JSON, nullable=False),
    Column("created_at", _TIME, nullable=False),
)
AUDITS = _table(
    "audits",
    Column("station_id", _ID, nullable=False),
    Column("title", String(200), nullable=False),
    # Scheduled, In Progress, Completed, Overdue
    Column("status", String(20), nullable=False),
    # 0 to 100; null until completed
    Column("score", Integer),
    Column("auditor", String(200), nullable=False),
    Column("findings", Integer, nullable=False),
    Column("open_actions", Integer, nullable=False),
    Column("scheduled_at", _TIME, nullable=False),
    Column("completed_at", _TIME),
    Column("created_at", _TIME, nullable=False),
    indexed=("created_at", "status", "station_id"),
)
INCIDENTS = _table(
    "incidents",
    Column("station_id", _ID, nullable=False),
    Column("title", String(200), nullable=False),
    Column("description", Text, nullable=False),
    # Injury, Near Miss, Property Damage, Spill, Fire
    Column("kind", String(40), nullable=False),
    # Low, Medium, High, Critical
    Column("severity", String(20), nullable=False),
    # Open, Investigating, Closed
    Column("status", String(20), nullable=False),
    Column("reported_by", String(200), nullable=False),
    Column("lost_days", Integer, nullable=False),
    Column("occurred_at", _TIME, nullable=False),
    Column("closed_at", _TIME),
    Column("created_at", _TIME, nullable=False),
    indexed=("created_at", "occurred_at", "status", "severity", "station_id"),
)
WORK_PERMITS = _table(
    "work_permits",
    Column("station_id", _ID, nullable=False),
    Column("contractor_id", _ID),
    Column("title", String(200), nullable=False),
    # Hot Work, Confined Space, Working at Height, Electrical, Excavation
    Column("kind", String(40), nullable=False),
    # Draft, Approved, Active, Closed, Expired
    Column("status", String(20), nullable=False),
    Column("issued_to", String(200), nullable=False),
    Column("valid_from", _TIME, nullable=False),
    Column("valid_until", _TIME, nullable=False),
    Column("closed_at", _TIME),
    Column("created_at", _TIME, nullable=False),
    indexed=("created_at", "status", "valid_until", "station_id"),
)
CONTRACTORS = _table(
    "contractors",
    Column("name", String(200), nullable=False),
    Column("trade", String(100), nullable=False),
    Column("contact_email", String(254), nullable=False),
    # Approved, Pending, Suspended
    Column("status", String(20), nullable=False),
    Column("insurance_until", _TIME, nullable=False),
    Column("created_at", _TIME, nullable=False),
)
WEBHOOKS = _table(
    "webhooks",
    Column("url", String(2000), nullable=False),
    Column("secret", String(1000)),
    # A list of event types
    Column("events", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", _TIME, nullable=False),
)
SUBSCRIPTIONS = Table(
    "subscriptions",
    METADATA,
    Column("organization_id", _ID, nullable=False),
    Column("stripe_customer_id", String(200), nullable=False),
    Column("stripe_subscription_id", String(200), nullable=False),
    Column("tier", String(20), nullable=False),
    Column("created_at", _TIME, nullable=False),
    PrimaryKeyConstraint("organization_id"),
    UniqueConstraint("stripe_subscription_id"),
    ForeignKeyConstraint(["organization_id"], ["organizations.id"], ondelete="CASCADE"),
)

"""Databases, consumers, and the tenant as stored in the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from tasks.shared.platform.database import close_databases, database
from tasks.shared.platform.schema import METADATA

#: The document's example.
ACME: dict[str, Any] = {
    "organizationName": "Acme Corp",
    "adminEmail": "admin@acme.com",
    "adminName": "John Doe",
    "tier": "professional",
    "stripeCustomerId": "cus_123",
    "stripeSubscriptionId": "sub_123",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def platform_url(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """An empty platform database, once of each kind; ``PLATFORM_DATABASE_URL`` is set to it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/tenants.sqlite"
    else:
        url = request.getfixturevalue("new_postgres")()
    monkeypatch.setenv("PLATFORM_DATABASE_URL", url)
    yield url
    close_databases()


@pytest.fixture
def platform(platform_url: str, tmp_path: Path) -> Engine:
    """The SQLAlchemy engine of that database."""
    return database(platform_url, tmp_path)


def rows(engine: Engine, table: str, **wanted: str) -> list[dict[str, Any]]:
    """All rows of a table, or those with these values."""
    found = METADATA.tables[table]
    query = select(found)
    for name, value in wanted.items():
        query = query.where(found.c[name] == value)
    with engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def census(engine: Engine) -> dict[str, int]:
    """How many rows each table has that onboarding fills."""
    names = ("organizations", "users", "roles", "stations", "checklists", "subscriptions")
    return {name: len(rows(engine, name)) for name in names}


#: One tenant with a subscription.
ONE_TENANT = {
    "organizations": 1,
    "users": 1,
    "roles": 3,
    "stations": 3,
    "checklists": 3,
    "subscriptions": 1,
}

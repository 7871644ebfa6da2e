"""A tenant gets its own rows, all of them, and no other tenant's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    case,
    cast,
    create_engine,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
)

from tasks.shared.platform import schema
from tasks.shared.platform.database import close_databases, database
from tasks.shared.platform.rows import NotScoped, PlatformTenant

ORGANIZATIONS = ("mine", "theirs", "mine2", "MINE")
NOW = "2026-01-31T08:00:00Z"
ROWS = 7
#: Another program's table that happens to have the same name and columns.
IMPOSTOR = Table("stations", MetaData(), Column("organization_id", String), Column("id", String))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Four organizations with the same ids of rows, which only the organization tells apart."""
    home: Path = tmp_path_factory.mktemp("platform")
    engine = database(None, home)
    with engine.begin() as connection:
        for name in ORGANIZATIONS:
            connection.execute(
                insert(schema.ORGANIZATIONS).values(
                    id=name,
                    name=name,
                    name_key=name,
                    tier="professional",
                    admin_email="a@example.com",
                    created_at=NOW,
                )
            )
            connection.execute(
                insert(schema.STATIONS),
                [
                    {
                        "organization_id": name,
                        "id": f"s{n}",
                        "name": f"{name} {n}",
                        "kind": "site",
                        "active": n % 2 == 0,
                        "created_at": NOW,
                    }
                    for n in range(ROWS)
                ],
            )
            connection.execute(
                insert(schema.AUDITS),
                [
                    {
                        "organization_id": name,
                        "id": f"a{n}",
                        "station_id": f"s{n}",
                        "title": name,
                        "status": "Completed",
                        "score": n,
                        "auditor": name,
                        "findings": 0,
                        "open_actions": 0,
                        "scheduled_at": NOW,
                        "created_at": NOW,
                    }
                    for n in range(ROWS)
                ],
            )
    yield engine
    close_databases()


@pytest.fixture(scope="module")
def mine(engine: Engine) -> PlatformTenant:
    return PlatformTenant(engine, "mine")


def rows(tenant: PlatformTenant, statement: Any, size: int = 3) -> list[Any]:
    return [row for part in tenant.stream(statement, size) for row in part]


STATIONS, AUDITS = schema.STATIONS, schema.AUDITS
VALUES = st.sampled_from([*ORGANIZATIONS, "s0", "a0", "mine 1", "theirs 1", "", "%", "' OR 1=1 --"])
LEAVES = st.one_of(
    st.builds(
        lambda column, value: column == value,
        st.sampled_from([STATIONS.c.organization_id, STATIONS.c.id, STATIONS.c.name]),
        VALUES,
    ),
    st.builds(lambda value: STATIONS.c.organization_id != value, VALUES),
    st.builds(lambda value: STATIONS.c.name.like(value), VALUES),
    st.builds(lambda values: STATIONS.c.organization_id.in_(values), st.lists(VALUES, min_size=1)),
    st.just(true()),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: or_(a, b), inner, inner),
        st.builds(lambda a, b: and_(a, b), inner, inner),
        st.builds(not_, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(condition=FILTERS, organization=st.sampled_from(ORGANIZATIONS), scoped=st.booleans())
def test_no_filter_reaches_another_organization(
    engine: Engine, condition: Any, organization: str, scoped: bool
) -> None:
    tenant = PlatformTenant(engine, organization)
    # A statement that was not scoped is scoped when it runs.
    start = tenant.select(STATIONS) if scoped else select(STATIONS)
    found = rows(tenant, start.where(condition))
    with engine.connect() as connection:
        everybody = connection.execute(select(STATIONS).where(condition)).all()
    assert sorted(found) == sorted(r for r in everybody if r.organization_id == organization)
    assert tenant.count(start.where(condition)) == len(found)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_streams_every_row_in_lists_of_the_size(mine: PlatformTenant, size: int) -> None:
    parts = list(mine.stream(mine.select(STATIONS, STATIONS.c.id).order_by(STATIONS.c.id), size))
    assert [row.id for part in parts for row in part] == [f"s{n}" for n in range(ROWS)]
    assert all(len(part) == size for part in parts[:-1])
    assert len(parts) == -(-ROWS // size)


def test_another_tenants_statement_gives_nothing(engine: Engine, mine: PlatformTenant) -> None:
    theirs = PlatformTenant(engine, "theirs").select(STATIONS)
    assert rows(mine, theirs) == []
    assert mine.count(theirs) == 0


def test_joins_and_figures_are_of_one_organization(mine: PlatformTenant) -> None:
    joined = (
        mine.select(AUDITS, AUDITS.c.id, STATIONS.c.name)
        .join(STATIONS, STATIONS.c.id == AUDITS.c.station_id)
        .order_by(AUDITS.c.id)
    )
    assert rows(mine, joined) == [(f"a{n}", f"mine {n}") for n in range(ROWS)]
    # The same as two FROMs, and as a condition that alone brings the second table in.
    product = select(STATIONS.c.name).where(
        AUDITS.c.station_id == STATIONS.c.id, AUDITS.c.id == "a1"
    )
    assert rows(mine, product) == [("mine 1",)]
    month = func.substr(AUDITS.c.created_at, 1, 7).label("month")
    passed = func.sum(case((AUDITS.c.score > 2, 1), else_=0))
    figures = mine.select(
        AUDITS, month, func.count(), passed, cast(func.avg(AUDITS.c.score), Integer)
    )
    assert rows(mine, figures.group_by(month).order_by(month.desc())) == [
        ("2026-01", ROWS, ROWS - 3, 3)
    ]
    assert mine.count(mine.select(STATIONS).limit(4)) == 4


def test_organization_is_its_own_row_alone(engine: Engine, mine: PlatformTenant) -> None:
    found = mine.organization()
    assert found is not None
    assert found.id == "mine"
    assert rows(mine, select(schema.ORGANIZATIONS.c.id)) == [("mine",)]
    assert PlatformTenant(engine, "org-none").organization() is None


def test_a_snapshot_is_of_one_moment_and_of_one_organization(engine: Engine) -> None:
    tenant = PlatformTenant(engine, "mine2")
    with tenant.snapshot() as view:
        assert view.count(view.select(AUDITS)) == ROWS
        with engine.begin() as connection:
            where = AUDITS.c.organization_id == "mine2", AUDITS.c.id == "a0"
            connection.execute(AUDITS.delete().where(*where))
        assert len(rows(view, select(AUDITS))) == ROWS
        assert view.count(view.select(STATIONS)) == ROWS
    assert tenant.count(tenant.select(AUDITS)) == ROWS - 1


STATEMENTS = {
    "raw": text("SELECT * FROM stations"),
    "raw columns": text("SELECT id FROM stations").columns(STATIONS.c.id),
    "raw column": select(literal_column("(SELECT max(name) FROM stations)")).select_from(STATIONS),
    "raw filter": select(STATIONS).where(text("1=1) OR (1=1")),
    "raw operator": select(STATIONS.c.id.op("|| (SELECT max(name) FROM stations) ||")("x")),
    "raw order": select(STATIONS).order_by(text("1")),
    "raw prefix": select(STATIONS).prefix_with("name, "),
    "raw suffix": select(STATIONS).suffix_with("UNION SELECT * FROM stations"),
    "raw hint": select(STATIONS).with_statement_hint("OR 1=1"),
    "raw table": select(literal_column("id")).select_from(text("stations")),
    "union": select(STATIONS.c.id).union(select(STATIONS.c.id)),
    "alias": select(STATIONS.alias("a")),
    "alias beside": select(STATIONS, STATIONS.alias("a").c.name),
    "subquery": select(select(STATIONS).subquery()),
    "scalar": select(STATIONS.c.id, select(func.max(STATIONS.c.name)).scalar_subquery()),
    "exists": select(STATIONS).where(exists(select(STATIONS.c.id))),
    "in": select(STATIONS).where(STATIONS.c.id.in_(select(AUDITS.c.id))),
    "cte": select(select(STATIONS).cte("stations")),
    "outer": select(STATIONS).outerjoin(AUDITS, AUDITS.c.station_id == STATIONS.c.id),
    "sql function": select(STATIONS.c.id, func.query_to_xml("SELECT 1", True, True, "")),
    "table function": select(func.pg_ls_dir("/").table_valued("name")),
    "package": select(STATIONS.c.id, func.other.count(STATIONS.c.id)),
    "impostor": select(IMPOSTOR),
    "no table": select(func.count()),
    "insert": insert(STATIONS),
    "delete": STATIONS.delete(),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_refuses_what_could_reach_past_the_scope(mine: PlatformTenant, name: str) -> None:
    statement: Any = STATEMENTS[name]
    with pytest.raises(NotScoped):
        mine.stream(statement)
    with pytest.raises(NotScoped):
        mine.count(statement)


@pytest.mark.parametrize("organization", ["", None, 7])
def test_without_an_organization_there_are_no_rows(engine: Engine, organization: Any) -> None:
    with pytest.raises(NotScoped):
        PlatformTenant(engine, organization)


def test_refuses_tables_that_are_not_the_platforms(mine: PlatformTenant) -> None:
    other = Table("other", MetaData(), Column("id", String))
    for table in (IMPOSTOR, other):
        with pytest.raises(NotScoped):
            mine.select(table)


def test_a_walk_left_early_gives_its_connection_back(tmp_path: Path, engine: Engine) -> None:
    alone = create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=1)
    tenant = PlatformTenant(alone, "mine")
    walk = tenant.stream(tenant.select(STATIONS), 1)
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    assert tenant.count(tenant.select(STATIONS)) == ROWS
    alone.dispose()

"""Sample data is the same for the same seed, believable, and added once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from hsejobs.errors import InvalidOption, Refused
from tasks.shared.platform import schema
from tasks.shared.platform.database import close_databases, database
from tasks.shared.platform.rows import PlatformTenant
from tasks.shared.platform.sample import ensure_sample, fill, has_others

FILLED = (
    schema.ORGANIZATIONS,
    schema.STATIONS,
    schema.CONTRACTORS,
    schema.USERS,
    schema.AUDITS,
    schema.INCIDENTS,
    schema.WEBHOOKS,
    schema.WORK_PERMITS,
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    yield database(None, tmp_path)
    close_databases()


def content(engine: Engine) -> dict[str, Sequence[Any]]:
    with engine.connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in FILLED
        }


def test_the_same_seed_gives_the_same_and_a_second_run_adds_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    added = fill(engine, organizations=3, rows=5_000, seed=7)
    first = content(engine)
    assert added == {name: len(rows) for name, rows in first.items()}
    assert sum(added.values()) == 5_000 + 3
    again = fill(engine, organizations=3, rows=5_000, seed=7)
    assert set(again.values()) == {0}
    assert content(engine) == first
    (tmp_path / "other").mkdir()
    other = database(None, tmp_path / "other")
    fill(other, organizations=3, rows=5_000, seed=7)
    assert content(other) == first


def test_more_rows_leave_those_that_are_there_and_another_seed_adds_its_own(engine: Engine) -> None:
    fill(engine, organizations=2, rows=3_000)
    first = content(engine)
    fill(engine, organizations=2, rows=6_000)
    more = content(engine)
    assert all(set(map(repr, first[name])) <= set(map(repr, more[name])) for name in first)
    assert sum(map(len, more.values())) == 6_000 + 2
    fill(engine, organizations=2, rows=3_000, seed=2)
    assert sum(map(len, content(engine).values())) == 9_000 + 2


def test_what_a_row_refers_to_is_there(engine: Engine) -> None:
    fill(engine, organizations=2, rows=4_000)
    rows = content(engine)
    stations = {(row.organization_id, row.id) for row in rows["stations"]}
    contractors = {(row.organization_id, row.id) for row in rows["contractors"]}
    for name in ("audits", "incidents", "work_permits"):
        assert {(row.organization_id, row.station_id) for row in rows[name]} <= stations
    permits = [row for row in rows["work_permits"] if row.contractor_id]
    assert {(row.organization_id, row.contractor_id) for row in permits} <= contractors
    assert permits


def test_every_state_occurs_and_times_agree(engine: Engine) -> None:
    fill(engine, organizations=1, rows=5_000)
    rows = content(engine)
    audits = rows["audits"]
    assert {a.status for a in audits} == {"Scheduled", "In Progress", "Completed", "Overdue"}
    assert all((a.score is not None) == (a.status == "Completed") for a in audits)
    assert all(a.open_actions <= a.findings for a in audits)
    assert {a.score for a in audits if a.score is not None} <= set(range(101))
    incidents = rows["incidents"]
    assert {i.status for i in incidents} == {"Open", "Investigating", "Closed"}
    assert {i.severity for i in incidents} == {"Low", "Medium", "High", "Critical"}
    assert all((i.closed_at is not None) == (i.status == "Closed") for i in incidents)
    assert all(i.occurred_at < i.closed_at <= "2026-02-01" for i in incidents if i.closed_at)
    permits = rows["work_permits"]
    assert {p.status for p in permits} == {"Draft", "Approved", "Active", "Closed", "Expired"}
    assert all(p.valid_from < p.valid_until for p in permits)
    users = rows["users"]
    assert all((u.password_hash is None) != (u.invite_token is None) for u in users)
    assert {u.role for u in users} == {"owner", "admin", "member"}
    text = "".join(u.name for u in users)
    # Accents, Greek, Arabic, Chinese.
    for low, high in (
        ("\u00c0", "\u00ff"),
        ("\u0391", "\u03c9"),
        ("\u0627", "\u064a"),
        ("\u4e00", "\u9fff"),
    ):
        assert any(low <= letter <= high for letter in text)


def test_the_smallest_has_one_of_everything(engine: Engine) -> None:
    added = fill(engine, organizations=1, rows=20)
    assert sum(added.values()) == 21
    assert set(added) == {table.name for table in FILLED}
    assert all(added.values())


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("organizations", {"organizations": 0}),
        ("organizations", {"organizations": 10_001, "rows": 1_000_000}),
        ("rows", {"organizations": 2, "rows": 39}),
        ("rows", {"rows": 50_000_001}),
        ("seed", {"seed": -1}),
    ],
)
def test_refuses_numbers_out_of_range(engine: Engine, field: str, options: Any) -> None:
    with pytest.raises(InvalidOption) as caught:
        fill(engine, **options)
    assert caught.value.field == field


def stranger(engine: Engine, organization: str, name: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(schema.ORGANIZATIONS).values(
                id=organization,
                name=name,
                name_key=name.casefold(),
                tier="free",
                admin_email="a@b.example",
                created_at="2026-01-01T00:00:00Z",
            )
        )


@pytest.mark.parametrize(
    ("organization", "name"),
    [("org-123", "Acme"), ("org-900", "Acme"), ("org-9", "Northwind Energy 84")],
)
def test_an_organization_outside_the_sample_gets_no_row(
    platform_engine: Engine, organization: str, name: str
) -> None:
    stranger(platform_engine, organization, name)
    before = content(platform_engine)
    with pytest.raises(Refused, match=f"{organization} is not sample data"):
        fill(platform_engine, organizations=1_000, rows=20_000)
    assert content(platform_engine) == before
    assert has_others(platform_engine)


def test_the_sample_recognizes_its_own_rows(platform_engine: Engine) -> None:
    assert not has_others(platform_engine)
    fill(platform_engine, organizations=30, rows=600)
    assert not has_others(platform_engine)
    stranger(platform_engine, "org-acme", "Acme")
    assert has_others(platform_engine)
    # It does not conflict: none of its ids and names is in the sample.
    assert fill(platform_engine, organizations=31, rows=620)["organizations"] == 1


def test_says_how_far_it_is(engine: Engine) -> None:
    seen: list[tuple[int, int]] = []
    fill(engine, organizations=2, rows=5_000, progress=lambda done, rows: seen.append((done, rows)))
    assert seen == sorted(seen)
    assert seen[-1] == (5_000, 5_000)


def test_the_examples_organization_is_there_once(engine: Engine) -> None:
    ensure_sample(engine)
    tenant = PlatformTenant(engine, "org-123")
    assert tenant.organization() is not None
    assert tenant.count(tenant.select(schema.AUDITS)) > 50
    with engine.begin() as connection:
        connection.execute(schema.AUDITS.delete())
    ensure_sample(engine)
    assert tenant.count(tenant.select(schema.AUDITS)) == 0


def test_two_processes_may_put_it_in_at_once(tmp_path: Path, engine: Engine) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from tasks.shared.platform.database import close_databases, database;"
        "from tasks.shared.platform.sample import ensure_sample;"
        "engine = database(None, Path(sys.argv[1])); sys.stdin.read();"
        "ensure_sample(engine); close_databases()"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE)
        for _ in range(4)
    ]
    for one in both:
        one.stdin.close()  # type: ignore[union-attr]
    assert [one.wait(60) for one in both] == [0] * 4
    with engine.connect() as connection:
        total = sum(
            connection.scalar(select(func.count()).select_from(table)) or 0 for table in FILLED
        )
    assert total == 600 + 2

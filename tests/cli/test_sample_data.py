"""``hsejobs sample-data``: fills the database, adds nothing twice, and never touches real data."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.test_commands import run

#: Nothing of it is needed.
NO_REDIS = {"QUEUE_REDIS_URL": "redis://127.0.0.1:1"}


def test_fills_and_adds_nothing_twice(tmp_path: Path) -> None:
    words = ("sample-data", "--organizations", "2", "--rows", "500", "--seed", "7", "--json")
    env = NO_REDIS | {"JOBS_HOME": str(tmp_path)}
    done = run(*words, **env)
    assert (done.returncode, done.stderr) == (0, "")
    added = json.loads(done.stdout)["added"]
    assert added["organizations"] == 2
    assert sum(added.values()) == 502
    with sqlite3.connect(tmp_path / "platform.sqlite") as connection:
        found = connection.execute("SELECT organization_id, count(*) FROM audits GROUP BY 1")
        assert found.fetchall() == [("org-123", 85), ("org-124", 85)]
    connection.close()
    again = run(*words, **env)
    assert set(json.loads(again.stdout)["added"].values()) == {0}
    for_people = run(*words[:-1], **env)
    assert for_people.stdout.splitlines()[-1].startswith("0 rows in ")


def test_a_configured_database_is_filled_only_if_it_has_no_organizations(
    new_postgres: object, tmp_path: Path
) -> None:
    assert callable(new_postgres)
    url = new_postgres()
    env = NO_REDIS | {"JOBS_HOME": str(tmp_path), "PLATFORM_DATABASE_URL": url}
    for wanted in (602, 0):
        done = run("sample-data", "--organizations", "2", "--rows", "600", "--json", **env)
        assert sum(json.loads(done.stdout)["added"].values()) == wanted
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO organizations (id, name, name_key, tier, admin_email, created_at)"
            " VALUES ('org-acme', 'Acme', 'acme', 'free', 'a@b.example', '2026-01-01T00:00:00Z')"
        )
        done = run("sample-data", "--rows", "9000", **env)
        assert (done.returncode, done.stdout) == (1, "")
        assert "organizations that are not sample data" in done.stderr
        assert connection.execute("SELECT count(*) FROM organizations").fetchone() == (3,)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--organizations", "0"], "organizations"),
        (["--rows", "59"], "rows"),
        (["--seed", "1000000"], "seed"),
    ],
)
def test_a_number_out_of_range(tmp_path: Path, words: list[str], field: str) -> None:
    done = run("sample-data", *words, JOBS_HOME=str(tmp_path), **NO_REDIS)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {field}: must be ")


def test_an_unreachable_database(tmp_path: Path) -> None:
    url = f"postgresql://hse:hidden@/x?host={tmp_path}"
    done = run("sample-data", JOBS_HOME=str(tmp_path), PLATFORM_DATABASE_URL=url, **NO_REDIS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("(platform_unavailable)\n")
    assert "hidden" not in done.stderr

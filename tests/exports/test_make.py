"""What is in an export, what is not, and of whom."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select

from hsejobs.errors import ArtifactNotFound, Unrecoverable
from tasks.data_exports.entities import ENTITIES
from tasks.shared.platform import schema
from tasks.shared.platform.database import close_databases, database
from tasks.shared.platform.sample import fill
from tests.exports.conftest import Exports, read_workbook

SECRET = "never-to-leave"


def put_user(engine: Engine, organization: str, **more: str) -> None:
    """A user with secrets."""
    row = {
        "organization_id": organization,
        "id": "u-1",
        "email": "a@example.com",
        "name": "Ann",
        "role": "admin",
        "password_hash": f"{SECRET}-1",
        "invite_token": f"{SECRET}-2",
        "created_at": "2026-01-01T00:00:00Z",
    }
    with engine.begin() as connection:
        connection.execute(insert(schema.USERS).values(row | more))


def test_everything_of_one_organization(exports: Exports) -> None:
    fill(exports.engine, 2, 2_600)
    found = exports.json()
    assert exports.told == sorted(exports.told)
    assert exports.told[-1] == 85
    lines, cells = exports.csv(), exports.sheets()
    assert found["export"] == {
        "organizationId": "org-123",
        "organization": "Northwind Energy",
        "exportedAt": "2026-02-01T08:00:00Z",
        "entities": list(ENTITIES),
    }
    assert list(found) == ["export", *ENTITIES]
    assert list(lines) == list(cells) == list(ENTITIES)
    for name, entity in ENTITIES.items():
        table = schema.METADATA.tables[entity.table]
        columns = [table.c[column] for column in entity.columns]
        own = select(*columns).where(table.c.organization_id == "org-123").order_by(table.c.id)
        with exports.engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(own)]
        assert [tuple(row.values()) for row in found[name]] == rows
        assert {tuple(row) for row in found[name]} == {entity.keys}
        assert cells[name] == found[name]
        assert [row["id"] for row in lines[name]] == [row[0] for row in rows]
        assert tuple(lines[name][0]) == entity.keys


def test_rows_are_counted_by_entity(exports: Exports) -> None:
    fill(exports.engine, 1, 1_000)
    made, data = exports.make("json", ["users", "stations"])
    found = json.loads(data)
    assert made.rows == {name: len(found[name]) for name in ("users", "stations")}
    assert list(found) == ["export", "users", "stations"]
    assert made.artifact.name == "export-2026-02-01.json"


@pytest.mark.parametrize("form", ["json", "csv", "xlsx"])
def test_nothing_to_export_is_an_export(exports: Exports, form: str) -> None:
    fill(exports.engine, 1, 20)
    with exports.engine.begin() as connection:
        connection.execute(schema.CONTRACTORS.delete())
    made, _ = exports.make(form, ["contractors"])
    assert made.rows == {"contractors": 0}
    read = {"json": exports.json, "csv": exports.csv, "xlsx": exports.sheets}[form]
    assert read(["contractors"])["contractors"] == []


def test_no_secret_is_exported(exports: Exports) -> None:
    fill(exports.engine, 1, 100)
    put_user(exports.engine, "org-123")
    for read in (exports.json, exports.csv, exports.sheets):
        found = read()
        assert SECRET not in json.dumps(found)
        assert {"u-1"} <= {user["id"] for user in found["users"]}


def test_every_column_is_exported_or_excluded_on_purpose() -> None:
    kept_back = {"users": {"password_hash", "invite_token"}}
    for name, entity in ENTITIES.items():
        columns = {column.name for column in schema.METADATA.tables[entity.table].c}
        columns -= {"organization_id"} | kept_back.get(name, set())
        assert set(entity.columns) == columns, name


def test_a_spreadsheet_runs_nothing(exports: Exports) -> None:
    fill(exports.engine, 1, 100)
    put_user(exports.engine, "org-123", name='=HYPERLINK("http://x","y")')
    (user,) = [user for user in exports.csv()["users"] if user["id"] == "u-1"]
    assert user["name"] == '\'=HYPERLINK("http://x","y")'
    (user,) = [user for user in exports.json()["users"] if user["id"] == "u-1"]
    assert user["name"].startswith("=HYPERLINK")
    assert exports.sheets()["users"] == exports.json()["users"]


def test_the_manifest_says_what_is_in_the_zip(exports: Exports) -> None:
    fill(exports.engine, 1, 1_000)
    made, data = exports.make("csv", ["users", "stations"])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    files = manifest.pop("files")
    assert manifest == {
        "formatVersion": 1,
        "organizationId": "org-123",
        "organization": "Northwind Energy",
        "exportedAt": "2026-02-01T08:00:00Z",
        "format": "csv",
    }
    # Their bytes and checksums: read_zip compares them, in each test that reads a zip.
    assert [(one["name"], one["rows"]) for one in files] == [
        (f"{name}.csv", made.rows[name]) for name in ("users", "stations")
    ]
    assert {tuple(one) for one in files} == {("name", "entity", "rows", "bytes", "sha256")}


@pytest.mark.parametrize("form", ["json", "csv", "xlsx"])
def test_the_same_rows_make_the_same_bytes(exports: Exports, form: str) -> None:
    fill(exports.engine, 1, 600)
    (first, data), (again, same) = exports.make(form), exports.make(form)
    assert data == same
    assert first.artifact.sha256 == again.artifact.sha256


def test_too_long_texts_are_truncated_and_reported(exports: Exports) -> None:
    fill(exports.engine, 1, 100)
    put_user(exports.engine, "org-123", name="x" * 200)
    with exports.engine.begin() as connection:
        connection.execute(schema.INCIDENTS.update().values(description="y" * 40_000))
    made, data = exports.make("xlsx", ["incidents", "users"])
    assert made.cut == made.rows["incidents"] > 0
    found = read_workbook(data)
    assert {len(row["description"]) for row in found["incidents"]} == {32_767}
    assert {row["about"] for row in found["notes"]} >= {"organization", "exportedAt", "texts cut"}


@pytest.mark.parametrize("form", ["json", "csv", "xlsx"])
def test_rows_that_come_meanwhile_are_not_in_it(exports: Exports, form: str) -> None:
    fill(exports.engine, 1, 3_000)
    seen = 0

    def check() -> None:
        nonlocal seen
        seen += 1
        # After the snapshot began, before the users are read.
        if seen == 3:
            put_user(exports.engine, "org-123")

    made, data = exports.make(form, ["audits", "users"], "org-123", check)
    assert seen > 3
    assert made.rows["users"] == 90
    if form == "xlsx":
        data = json.dumps(read_workbook(data)).encode()
    assert b"u-1" not in data


@pytest.mark.parametrize("form", ["json", "csv", "xlsx"])
def test_what_is_broken_off_leaves_nothing(exports: Exports, tmp_path: Path, form: str) -> None:
    fill(exports.engine, 1, 6_000)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise Unrecoverable("enough")

    with pytest.raises(Unrecoverable, match="enough"):
        exports.make(form, list(ENTITIES), "org-123", check)
    assert [file for file in (tmp_path / "artifacts").rglob("*") if file.is_file()] == []
    with pytest.raises(ArtifactNotFound):
        exports.store.get("org-123", "one")


def test_an_unknown_organization(exports: Exports) -> None:
    with pytest.raises(Unrecoverable, match="no such organization"):
        exports.make("json", ["users"], "org-none")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exports]:
    """Organizations whose names are like each other, and whose rows have the same ids."""
    home: Path = tmp_path_factory.mktemp("crowded")
    engine = database(None, home)
    for name in ("mine", "MINE", "mine%", "mine ", "theirs"):
        with engine.begin() as connection:
            connection.execute(
                insert(schema.ORGANIZATIONS).values(
                    id=name,
                    name=name,
                    name_key=repr(name),
                    tier="starter",
                    admin_email="a@example.com",
                    created_at="2026-01-01T00:00:00Z",
                )
            )
        put_user(engine, name, name=f"<{name}>")
    yield Exports(engine, home)
    close_databases()


@given(
    organization=st.sampled_from(("mine", "MINE", "mine%", "mine ", "theirs"))
    | st.text(max_size=9),
    entities=st.lists(st.sampled_from(tuple(ENTITIES)), min_size=1, unique=True),
    form=st.sampled_from(("json", "csv", "xlsx")),
)
@settings(max_examples=60, deadline=None)
def test_no_organization_gets_anothers_rows(
    crowded: Exports, organization: str, entities: list[str], form: str
) -> None:
    try:
        read = {"json": crowded.json, "csv": crowded.csv, "xlsx": crowded.sheets}[form]
        found = read(entities, organization)
    except Unrecoverable:
        assert organization not in ("mine", "MINE", "mine%", "mine ", "theirs")
        return
    names = [user["name"] for user in found.get("users", ())]
    assert names == ([f"<{organization}>"] if "users" in entities else [])

"""An export that another attempt began: the same bytes, and few rows read twice."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event

from tasks.data_exports.entities import ENTITIES
from tasks.shared import saving
from tasks.shared.platform import schema
from tasks.shared.platform.sample import fill
from tests.exports.conftest import Exports

#: Of the organization; the database has 3,000.
ROWS = 2_997
FORMS = ("json", "csv", "xlsx")


class Stop(BaseException):
    """The end of an attempt, as an interrupt is: no ``except Exception`` catches it."""


SQLITE = pytest.mark.parametrize("platform_engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def save_always(monkeypatch: pytest.MonkeyPatch, exports: Exports) -> None:
    monkeypatch.setattr(saving, "PAUSE", 0.0)
    fill(exports.engine, 1, 3_000)


class Attempts:
    """Attempts at one export; each continues from what the last one passed on."""

    def __init__(self, exports: Exports, form: str) -> None:
        self.exports, self.form = exports, form
        #: As Redis has it: JSON.
        self.states: list[str] = []

    def run(self, *, stop_at: int | None = None, resume: int | None = -1) -> tuple[Any, bytes]:
        """One attempt, ended after ``stop_at`` states; ``resume``: from which state."""
        begun = len(self.states)

        def checkpoint(state: dict[str, Any]) -> None:
            self.states.append(json.dumps(state))
            if stop_at is not None and len(self.states) - begun >= stop_at:
                raise Stop

        state = json.loads(self.states[resume]) if self.states and resume is not None else None
        return self.exports.make(self.form, resume=state, checkpoint=checkpoint)


def whole(exports: Exports, form: str) -> bytes:
    """The file that one attempt makes which saves nothing."""
    _, data = exports.make(form)
    assert exports.store.delete("org-123", "one")
    return data


@pytest.fixture(params=FORMS)
def attempts(request: pytest.FixtureRequest, exports: Exports) -> Iterator[Attempts]:
    yield Attempts(exports, request.param)
    # Nothing is left of any attempt: the metadata and one part.
    left = [path for path in (exports.home / "artifacts").rglob("*") if path.is_file()]
    assert len(left) == 2, left


def test_the_same_bytes_from_any_place(attempts: Attempts, exports: Exports) -> None:
    plain = whole(exports, attempts.form)
    with pytest.raises(Stop):
        attempts.run(stop_at=1)
    for after in (1, 1, 2, 3):
        with pytest.raises(Stop):
            attempts.run(stop_at=after)
    made, data = attempts.run()
    assert data == plain
    assert sum(made.rows.values()) == ROWS > made.resumed > 0
    if attempts.form == "csv":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None


@SQLITE
def test_killed_at_nine_tenths_few_rows_are_read_again(
    attempts: Attempts, exports: Exports
) -> None:
    plain = whole(exports, attempts.form)

    def check() -> None:
        if exports.told and exports.told[-1] >= 10 + 75 * 0.9:
            raise Stop

    states: list[dict[str, Any]] = []
    exports.told.clear()
    with pytest.raises(Stop):
        exports.make(attempts.form, check=check, checkpoint=states.append)
    exports.told.clear()
    made, data = exports.make(attempts.form, resume=json.loads(json.dumps(states[-1])))
    assert data == plain
    assert ROWS - made.resumed <= 0.22 * ROWS  # a tenth was not read, 12 % may be read again


def damaged(folder: Path, how: str) -> None:
    parts = [path for path in folder.rglob("*.0000*") if path.is_file()]
    assert parts
    for part in parts:
        if how == "missing":
            part.unlink()
        elif how == "short":
            part.write_bytes(part.read_bytes()[:100])
        else:
            part.write_bytes(b"\0" + part.read_bytes()[1:])


@SQLITE
@pytest.mark.parametrize("how", ["missing", "short", "changed"])
def test_a_damaged_part_begins_from_the_start(
    attempts: Attempts, exports: Exports, how: str
) -> None:
    plain = whole(exports, attempts.form)
    with pytest.raises(Stop):
        attempts.run(stop_at=5)
    damaged(exports.home / "artifacts", how)
    made, data = attempts.run()
    assert (data, made.resumed) == (plain, 0)


@SQLITE
def test_a_part_that_was_stored_and_not_passed_on(attempts: Attempts, exports: Exports) -> None:
    """The process died between the two: the state before it still holds."""
    plain = whole(exports, attempts.form)
    with pytest.raises(Stop):
        attempts.run(stop_at=6)
    made, data = attempts.run(resume=2)
    assert (data, made.resumed > 0) == (plain, True)


@SQLITE
def test_an_attempt_that_was_thought_dead_spoils_nothing(
    attempts: Attempts, exports: Exports
) -> None:
    """Two attempts continue from one state and both write; each file is whole."""
    plain = whole(exports, attempts.form)
    with pytest.raises(Stop):
        attempts.run(stop_at=3)
    with pytest.raises(Stop):
        attempts.run(stop_at=3, resume=0)
    with pytest.raises(Stop):
        attempts.run(stop_at=3, resume=0)
    _, data = attempts.run(resume=0)
    assert data == plain
    # What the second and third saved is found by the sweep.
    exports.store.sweep(0.0)


@SQLITE
def test_the_rest_is_of_a_snapshot_of_its_own(attempts: Attempts, exports: Exports) -> None:
    with pytest.raises(Stop):
        attempts.run(stop_at=3)
    with exports.engine.begin() as connection:
        table = schema.METADATA.tables[list(ENTITIES.values())[-1].table]
        gone = connection.execute(delete(table)).rowcount
    made, _ = attempts.run()
    assert gone > 0
    assert sum(made.rows.values()) == ROWS - gone


@SQLITE
def test_removing_the_job_removes_what_was_saved(exports: Exports) -> None:
    with pytest.raises(Stop):
        Attempts(exports, "json").run(stop_at=3)
    assert [path for path in (exports.home / "artifacts").rglob("*") if path.is_file()]
    exports.store.delete("org-123", "one")
    assert not [path for path in (exports.home / "artifacts").rglob("*") if path.is_file()]


@SQLITE
def test_each_statement_reads_only_what_is_left(exports: Exports) -> None:
    statements: list[str] = []
    attempts = Attempts(exports, "csv")
    with pytest.raises(Stop):
        attempts.run(stop_at=5)
    event.listen(
        exports.engine,
        "before_cursor_execute",
        lambda *words: statements.append(words[2]),
    )
    attempts.run()
    begun = json.loads(attempts.states[4])["walk"]["entity"]
    table = ENTITIES[begun].table
    assert any(f"{table}.id >" in one for one in statements)
    assert not any("count" in one.lower() for one in statements)

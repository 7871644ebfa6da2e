"""A report that another attempt began: the same bytes, and few rows read twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event

from tasks.shared import saving
from tasks.shared.platform.sample import fill
from tests.reports.conftest import Reports


class Stop(BaseException):
    """The end of an attempt, as an interrupt is: no ``except Exception`` catches it."""


@pytest.mark.parametrize("form", ["json", "csv", "xlsx"])
@pytest.mark.parametrize("kind", ["incidents", "compliance"])
def test_the_same_bytes_from_any_place(
    reports: Reports, monkeypatch: pytest.MonkeyPatch, kind: str, form: str
) -> None:
    monkeypatch.setattr(saving, "PAUSE", 0.0)
    fill(reports.engine, 1, 3_000)
    made, plain = reports.make(kind, form)
    assert reports.store.delete("org-123", "one")
    assert made.rows > 100
    states: list[str] = []

    def checkpoint(state: dict[str, Any]) -> None:
        states.append(json.dumps(state))
        if len(states) in (1, 3, 4):
            raise Stop

    for _ in range(3):
        last = json.loads(states[-1]) if states else None
        with pytest.raises(Stop):
            reports.make(kind, form, resume=last, checkpoint=checkpoint)
    statements: list[str] = []
    event.listen(
        reports.engine, "before_cursor_execute", lambda *words: statements.append(words[2])
    )
    again, data = reports.make(kind, form, resume=json.loads(states[-1]), checkpoint=checkpoint)
    assert data == plain
    assert (again.rows, again.figures) == (made.rows, made.figures)
    assert again.resumed >= made.rows * 0.15
    assert any(".id <" in one for one in statements)
    left = [path for path in (reports.home / "artifacts").rglob("*") if path.is_file()]
    assert len(left) == 2

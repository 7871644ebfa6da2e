"""All mutants can be applied: a line that was moved or renamed fails here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.mutants.all import MUTANTS
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.run import Found


def test_each_old_text_is_there_once_and_each_test_exists() -> None:
    assert [fault for one in MUTANTS for fault in one.faults()] == []


def test_there_are_a_hundred_and_none_twice() -> None:
    assert len(MUTANTS) >= 100
    assert len({one.what for one in MUTANTS}) == len(MUTANTS)
    assert len({(one.file, one.old, one.new) for one in MUTANTS}) == len(MUTANTS)


def test_python_stays_python() -> None:
    """Any test would notice a mutant that does not compile."""
    for one in MUTANTS:
        if one.file.endswith(".py"):
            text = (ROOT / one.file).read_text()
            compile(text.replace(one.old, one.new), one.file, "exec")


@pytest.mark.parametrize(
    ("change", "fault_text"),
    [
        ({"old": "nowhere to be found"}, "0 times"),
        ({"old": "e"}, "times, not once"),
        ({"file": "hsejobs/no_such.py"}, "0 times"),
        ({"tests": ("test_none.py",)}, "there is no tests/test_none.py"),
        ({"tests": ("test_docs.py::test_none",)}, "has no test_none"),
        ({"tests": ()}, "no test is named"),
    ],
)
def test_a_mutant_that_cannot_be_run_is_reported(
    change: dict[str, object], fault_text: str, tmp_path: Path
) -> None:
    first = MUTANTS[0]
    values = {name: getattr(first, name) for name in ("what", "file", "old", "new", "tests")}
    broken = Mutant(**{**values, **change})
    assert any(fault_text in fault for fault in broken.faults())
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=lambda *_: ["__snapshots__"])
    with pytest.raises(ValueError, match=first.what):
        broken.apply(tmp_path)


def verdict(**numbers: int) -> bool:
    found = Found()
    for kind, number in numbers.items():
        for one in MUTANTS[:number]:
            found.note(one, kind, "")
    assert found.report()["noticed"] == numbers.get("noticed", 0)
    return found.enough


def test_the_verdict() -> None:
    assert not verdict()
    assert verdict(noticed=95, survived=5)
    assert not verdict(noticed=94, survived=6)
    assert not verdict(noticed=99, broken=1)

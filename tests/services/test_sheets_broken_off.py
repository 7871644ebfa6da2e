"""Interrupted workbooks: what they leave behind, and what is reported."""

from __future__ import annotations

import datetime
import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hsejobs.errors import ArtifactsUnavailable, LeaseLost
from tasks.shared.sheets import workbook
from tasks.shared.spool import spool, sweep_spool
from tests.services.test_sheets import Out
from tests.support import wait_until

AT = datetime.datetime(2026, 2, 1, 8, tzinfo=datetime.UTC)
Rows = Sequence[Sequence[Any]]


def made_until_it_fails(home: Path) -> Out:
    """A workbook whose rows end with an error."""
    out = Out()

    def rows() -> Any:
        yield [("a", 1)]
        raise LeaseLost("earlier")

    with (
        pytest.raises(LeaseLost),
        workbook(out, home=home, title="", at=AT, check=lambda: None) as book,
    ):
        book.table("rows", ("id", "n"), rows())
    return out


@pytest.mark.parametrize("calls", [0, 1, 5])
def test_what_is_broken_off_leaves_nothing(tmp_path: Path, calls: int) -> None:
    """Also if the interruption comes while the workbook is being packed."""
    out, count = Out(), 0

    def check() -> None:
        nonlocal count
        count += 1
        if count > calls:
            raise LeaseLost("gone")

    with (
        pytest.raises(LeaseLost),
        workbook(out, home=tmp_path, title="", at=AT, check=check) as book,
    ):
        book.table("rows", ("id", "n"), [[("a", 1)] * 100])
    assert list((tmp_path / "tmp").iterdir()) == []
    size = len(out.data)
    assert size == 0 or calls
    again = made_until_it_fails(tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not again.data


def test_a_full_disk_is_an_error_that_names_no_path(tmp_path: Path) -> None:
    (tmp_path / "tmp").write_text("in the way")
    with pytest.raises(ArtifactsUnavailable, match="JOBS_HOME") as caught, spool(tmp_path):
        pass
    assert str(tmp_path) not in str(caught.value)
    with (
        pytest.raises(ArtifactsUnavailable, match="No space left") as caught,
        workbook(Out(), home=tmp_path / "x", title="", at=AT, check=lambda: None) as book,
    ):
        raise OSError(28, "No space left on device", str(tmp_path))
    assert str(tmp_path) not in str(caught.value)
    assert book.rows == {}


HOLDER = """
import pathlib, sys, time
from tasks.shared.spool import spool
with spool(pathlib.Path(sys.argv[1])) as folder:
    (folder / "big").write_text("x")
    print("held", flush=True)
    time.sleep(60)
"""


def test_what_a_kill_left_goes_and_what_is_in_use_stays(tmp_path: Path) -> None:
    def holder() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    with holder() as dead, holder() as alive:
        try:
            dead.kill()
            dead.wait()
            assert len(list((tmp_path / "tmp").iterdir())) == 2
            assert sweep_spool(tmp_path) == 1
            assert len(list((tmp_path / "tmp").rglob("big"))) == 1
            assert sweep_spool(tmp_path) == 0
        finally:
            alive.kill()
        alive.wait()
    with spool(tmp_path) as folder:
        wait_until(lambda: list((tmp_path / "tmp").iterdir()) == [folder], 5, "the second to go")
        held = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(held)
    assert sweep_spool(tmp_path / "nowhere") == 0

"""Names of tasks: of scripts, and former names."""

from __future__ import annotations

import subprocess
import sys
import zipapp
from pathlib import Path
from typing import Any

import pytest
from huey.exceptions import ConfigurationError

from hsejobs.engine import JobHuey
from hsejobs.engine.runtime import runtime

SCRIPT = """
from hsejobs.engine import JobHuey
huey = JobHuey("script")
@huey.task()
def send(payload: dict) -> None: ...
if __name__ == "__main__":
    print(send.add({}).id)
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "words", [(), ("-m", "cProfile", "-o", "/dev/null"), ("-m", "trace", "--count", "-C", "counts")]
)
def test_a_script_under_a_profiler(trial: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "shop.py").write_text(SCRIPT)
    done = run(tmp_path, *words, "shop.py")
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.split()[0]
    assert runtime().reader.job("script", job_id).name == "shop.send"


@pytest.mark.parametrize("archive", [False, True])
def test_the_main_file_of_a_folder_is_refused(trial: Path, tmp_path: Path, archive: bool) -> None:
    place = tmp_path / "shop"
    place.mkdir()
    (place / "__main__.py").write_text(SCRIPT)
    if archive:
        zipapp.create_archive(place, tmp_path / "shop.pyz")
    done = run(tmp_path, "shop.pyz" if archive else "shop")
    assert done.returncode == 1
    assert "cannot be added: consumers cannot import this script" in done.stderr
    assert "it is __main__.py of" in done.stderr


def first(payload: dict[str, Any]) -> None: ...


def second(payload: dict[str, Any]) -> None: ...


@pytest.mark.parametrize("aliases", [("first", ()), ((), "second"), ("old", "old")])
def test_two_tasks_share_no_name(aliases: tuple[Any, Any]) -> None:
    """In either order of definition, with an alias of the other's name or the same alias."""
    huey = JobHuey("names")
    order = [(second, aliases[0]), (first, aliases[1])]
    if aliases[0] == "first":
        order.reverse()
    for tasks in (order, order[::-1]):
        huey = JobHuey("names")
        (one, its), (other, others) = tasks
        huey.task(aliases=its)(one)
        with pytest.raises(
            ConfigurationError, match=r"is the name or an alias of .*test_task_names"
        ):
            huey.task(aliases=others)(other)
        # Nothing is left of it.
        assert len(huey.wrappers) == 1

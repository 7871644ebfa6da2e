"""Files have at most 400 lines and functions at most 70, including tests."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE_LINES, FUNCTION_LINES = 400, 70
SUFFIXES = {".py", ".lua", ".js", ".ts", ".tcss"}
#: Folders with third-party or generated files.
NOT_OURS = {"build", "dist", "node_modules", "__pycache__"}


def sources() -> list[Path]:
    found = []
    for folder, names, files in os.walk(ROOT):
        names[:] = [one for one in names if one not in NOT_OURS and not one.startswith(".")]
        found += [Path(folder, one) for one in files if Path(one).suffix in SUFFIXES]
    return sorted(found)


def long_functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function that is too long; decorators do not count."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.name, lines


def test_no_file_is_too_long() -> None:
    found = sources()
    assert {"hsejobs/model.py", "tests/conftest.py", "hsejobs/store/lua/add.lua"} <= {
        str(path.relative_to(ROOT)) for path in found
    }
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in found}
    assert {path: n for path, n in lines.items() if n > FILE_LINES} == {}


def test_no_function_is_too_long() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}": lines
        for path in sources()
        if path.suffix == ".py"
        for name, lines in long_functions(path.read_text())
    }
    assert found == {}


@pytest.mark.parametrize(("body", "too_long"), [(69, False), (70, True)])
def test_the_count(body: int, too_long: bool) -> None:
    lines = "    x = 1\n" * body
    for text in (
        f"def f():\n{lines}",
        f"class C:\n  async def f(self):\n{lines}",
        f"def g(): ...\n@decorated\ndef f():\n{lines}",
    ):
        assert bool(list(long_functions(text))) == too_long

"""``docs/architecture.md`` draws the contracts that import-linter checks and names existing files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
DRAWN = re.findall(r"<!-- contract: ([^>]*) -->\n```\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("name", "lines"), DRAWN, ids=[name for name, _ in DRAWN])
def test_each_drawing_matches_a_contract(name: str, lines: str) -> None:
    [contract] = [one for one in LINTER["contracts"] if one["name"] == name]
    assert lines.split("\n") == contract["layers"]


def test_each_contract_of_layers_is_drawn() -> None:
    elsewhere = {"Layers inside the engine", "Screens do not know each other"}
    layered = {one["name"] for one in LINTER["contracts"] if one["type"] == "layers"}
    assert layered - elsewhere == {name for name, _ in DRAWN}


def test_the_files_named_on_the_page_exist() -> None:
    named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|lua))`", PAGE)
    assert len(named) > 30
    every = [path.as_posix() for path in ROOT.rglob("*.*") if path.suffix in (".py", ".lua")]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in every)] == []

"""The page on the engine draws the layers that import-linter checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_page_shows_the_layers_that_are_checked() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [contract] = [one for one in linter["contracts"] if one.get("containers") == ["hsejobs.engine"]]
    assert contract["exhaustive"]
    assert not linter["exclude_type_checking_imports"]
    page = (ROOT / "docs" / "engine.md").read_text()
    shown = re.search(r"<!-- layers -->\n```\n(.*?)\n```", page, re.DOTALL)
    assert shown is not None
    assert shown[1].split("\n") == contract["layers"]


def test_every_module_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "engine.md").read_text()
    engine = ROOT / "hsejobs" / "engine"
    for module, name in re.findall(r"`([a-z_]+)\.(\w+)(?:\.\w+)?`", page):
        if (engine / f"{module}.py").exists():
            assert re.search(rf"\b(?:def|class) {name}\b", (engine / f"{module}.py").read_text()), (
                name
            )

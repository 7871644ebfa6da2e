"""Import rules that import-linter cannot check: the composition root is not a package."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

COMPOSITION_ROOT = Path(__file__).parent.parent / "huey_config.py"


def imported_packages(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_the_composition_root_imports_tasks_and_engine_only() -> None:
    imported = imported_packages(COMPOSITION_ROOT.read_text())
    assert imported - set(sys.stdlib_module_names) <= {"tasks", "hsejobs"}
    assert "tasks" in imported

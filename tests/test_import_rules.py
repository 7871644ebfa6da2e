"""Import rules that import-linter cannot check: the composition root is not a package."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

TESTS = Path(__file__).parent
COMPOSITION_ROOT = TESTS.parent / "huey_config.py"
#: Libraries of a few tests. Each process of the suite imports every module of the tests, and each of these
#: takes it half a second or more.
LARGE = {"moto", "pandas", "schemathesis"}


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


def test_no_module_of_the_tests_imports_a_large_library_of_few() -> None:
    """They import it where they use it. The fuzzer's hooks are no module of the tests: it loads them."""
    found = {}
    for path in TESTS.rglob("*.py"):
        # Not the bodies of functions.
        top: list[ast.stmt] = [
            node
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        if large := imported_packages(ast.unparse(ast.Module(top, []))) & LARGE:
            found[path.name] = large
    assert found == {"fuzz_hooks.py": {"schemathesis"}}

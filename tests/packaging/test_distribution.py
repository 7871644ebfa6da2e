"""The contents of the wheel and the source archive, and the declared dependencies."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hsejobs
from hsejobs.extras import EXTRAS, MissingExtra, importing
from hsejobs.services.hosts import ascii_host
from tests.packaging.conftest import LOCAL, ROOT, Built

LIBRARY = ("hsejobs", "hsejobs_cli", "hsejobs_http", "hsejobs_tui")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_wheel_has_only_the_library(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = wheel.namelist()
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        about = message_from_bytes(wheel.read(metadata))
    info = f"hsejobs-{hsejobs.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {*LIBRARY, info}
    assert {f"{package}/py.typed" for package in LIBRARY} <= set(names)
    assert f"{info}/licenses/LICENSE" in names
    assert (about["License-Expression"], about["Author"]) == ("MIT", "The hsejobs authors")
    for pattern in ("*.lua", "*.tcss", "*.js"):
        for package in LIBRARY:
            for path in (ROOT / package).rglob(pattern):
                assert path.relative_to(ROOT).as_posix() in names


FOLDERS = (*LIBRARY, "benchmarks", "docs", "tasks", "templates", "tests")


def _below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if any(path.match(pattern) for pattern in LOCAL):
            continue
        if path.is_dir():
            yield from _below(path)
        else:
            yield path.relative_to(ROOT).as_posix()


def _tracked() -> list[str]:
    """Returns the files in git; without git or a repository, the files in our folders."""
    git, listed = shutil.which("git"), ""
    if git is not None and (ROOT / ".git").exists():
        words = [git, "-c", "safe.directory=*", "ls-files", "-z"]
        listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return listed.split("\0")[:-1] or [name for folder in FOLDERS for name in _below(ROOT / folder)]


def test_the_source_archive_is_complete(built: Built) -> None:
    wanted = [name for name in _tracked() if (ROOT / name).exists()]
    with tarfile.open(built.sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert len(wanted) > 400
    assert [name for name in wanted if name not in there] == []


def test_tests_run_from_the_source_archive(built: Built) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "tests/test_docs.py",
            "tests/test_import_rules.py",
        ],
        cwd=built.unpacked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def _requirements(names: list[str], extra: str = "") -> set[str]:
    """Returns the distributions by canonical name, each with its own requirements."""
    found: set[str] = set()
    todo = [Requirement(name) for name in names]
    while todo:
        one = todo.pop()
        name = canonicalize_name(one.name)
        if name in found or (one.marker and not one.marker.evaluate({"extra": extra})):
            continue
        found.add(name)
        todo += [
            Requirement(text)
            for text in distribution(name).requires or ()
            if "extra ==" not in text
        ]
    return found


def test_a_producer_needs_few_distributions() -> None:
    needed = _requirements(PROJECT["dependencies"])
    size = sum(
        Path(str(file.locate())).stat().st_size
        for name in needed
        for file in distribution(name).files or ()
        if Path(str(file.locate())).exists()
    )
    # hsejobs itself is one more.
    assert len(needed) + 1 <= 15, sorted(needed)
    assert size < 48_000_000


def _declared(extra: str | None) -> set[str]:
    """Returns the declared requirements of an extra, or the base ones if it is None."""
    groups = PROJECT["optional-dependencies"]
    found: set[str] = {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    for text in groups[extra] if extra else ():
        one = Requirement(text)
        if one.name == "hsejobs":
            for inner in one.extras:
                found |= _declared(inner)
        else:
            found.add(canonicalize_name(one.name))
    return found


def _imports(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                ours = top in sys.stdlib_module_names or top in {*LIBRARY, "tasks", "__future__"}
                if not ours and top != "_typeshed":
                    yield top, path.relative_to(ROOT).as_posix()


HOMES = {
    "hsejobs/engine": None,
    "hsejobs/store": None,
    "hsejobs/watch": None,
    "hsejobs/services": "worker",
    "hsejobs_cli": "worker",
    "hsejobs_http": "http",
    "hsejobs_tui": "tui",
}


@pytest.mark.parametrize("folder", HOMES)
def test_every_import_is_declared(folder: str) -> None:
    known, declared = packages_distributions(), _declared(HOMES[folder])
    missing = [
        f"{top} in {place}"
        for top, place in _imports(ROOT / folder)
        if not {canonicalize_name(one) for one in known.get(top, ())} & declared
    ]
    assert missing == []


def test_every_import_of_the_application_is_declared() -> None:
    known, declared = packages_distributions(), _declared("application") | _declared("worker")
    missing = [
        f"{top} in {place}"
        for top, place in _imports(ROOT / "tasks")
        if not {canonicalize_name(one) for one in known.get(top, ())} & declared
    ]
    assert missing == []


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_match_the_error_messages(extra: str) -> None:
    known = packages_distributions()
    named = {canonicalize_name(known[module][0]) for module in EXTRAS[extra]}
    groups = PROJECT["optional-dependencies"]
    names = {canonicalize_name(Requirement(one).name) for one in groups[extra]}
    assert named == names - {"hsejobs"}


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [
        ("typer", "stats", "worker"),
        ("textual", "tui", "tui"),
        ("uvicorn", "serve", "http"),
        ("fastapi", "up", "http"),
    ],
)
def test_a_missing_extra_is_named(module: str, command: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['hsejobs', {command!r}];"
        "from hsejobs_cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {module} is not installed: pip install 'hsejobs[{extra}]' (missing_extra)\n"
    )


def test_the_version_needs_no_extra() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['hsejobs', '--version'];"
        "from hsejobs_cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"hsejobs {hsejobs.__version__}\n")


def test_a_service_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "idna", None)
    with pytest.raises(MissingExtra, match=re.escape("pip install 'hsejobs[worker]'")):
        ascii_host("fa\u00df.example")
    # A module of no extra stays an ordinary error.
    monkeypatch.setitem(sys.modules, "colorsys", None)
    with pytest.raises(ModuleNotFoundError), importing():
        import colorsys  # noqa: F401


def test_names_of_the_library_are_imported_lazily() -> None:
    code = (
        "import sys, hsejobs; before = {'huey', 'redis', 'pydantic'} & set(sys.modules);"
        "print(before, [name for name in hsejobs.__all__ if not hasattr(hsejobs, name)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set() []\n"

"""Which code is measured: that of the tree that was asked for, and never the same on both sides."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


class SameCode(ValueError):
    """Both sides of a comparison have the same code, or one runs another tree's."""


def fingerprint(tree: Path) -> str:
    """A hash of the library's code in a checkout."""
    package = tree / "hsejobs"
    found = hashlib.sha256()
    for file in sorted((*package.rglob("*.py"), *package.rglob("*.lua"))):
        found.update(f"{file.relative_to(tree)}\n".encode() + file.read_bytes())
    return found.hexdigest()[:12]


def differ(trees: list[Path]) -> None:
    """Raise SameCode if two of the checkouts have the same code."""
    if len({fingerprint(tree) for tree in trees}) < len(trees):
        raise SameCode(
            "the checkouts have the same code, so that a difference would be noise; "
            "--noise measures that"
        )


def program(folder: Path, tree: Path, *more: Path) -> str:
    """A PYTHONPATH with this program's ``benchmarks``, a checkout's ``hsejobs``, and more folders.

    ``folder`` gets a link. Raises SameCode if another tree's ``hsejobs`` is imported with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks").symlink_to(HERE)
    path = ":".join(str(one) for one in (folder, tree.resolve(), *more))
    done = subprocess.run(
        [sys.executable, "-c", "import hsejobs; print(hsejobs.__file__)"],
        cwd=folder,
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    if not Path(done.stdout.strip()).is_relative_to(tree.resolve()):
        raise SameCode(f"with {tree}, the hsejobs of another tree is imported")
    return path

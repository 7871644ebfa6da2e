"""The distributions of a release, and an environment with the wheel installed."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Folders of a work tree that are not part of the sources.
LOCAL = (
    ".git",
    ".venv",
    "build",
    "dist",
    "node_modules",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    ".schemathesis",
    "*.md.orig",
)


@dataclass
class Built:
    """The two files of a release, and the source archive unpacked."""

    sdist: Path
    wheel: Path
    unpacked: Path


def _build(what: str, source: Path, target: Path) -> Path:
    code = f"import sys; from setuptools import build_meta as b; print(b.build_{what}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Builds the source archive of this tree, and the wheel from that archive only."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LOCAL))
    sdist = _build("sdist", source, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    [unpacked] = (folder / "unpacked").iterdir()
    return Built(sdist, _build("wheel", unpacked, folder), unpacked)


@pytest.fixture(scope="session")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creates a clean virtual environment with the wheel; returns the folder of its programs.

    What hsejobs depends on is this environment's own, by its path: nothing is downloaded, and
    nothing that is editable here is seen there. A package ``tasks`` of another distribution is next to it.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "--python",
            str(programs / "python"),
            "install",
            "--no-deps",
            "--no-index",
            str(built.wheel),
        ],
        check=True,
    )
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    (packages / "tasks").mkdir()
    (packages / "tasks" / "__init__.py").write_text('WHO = "another distribution"\n')
    return programs


def run(
    environment: Path, folder: Path, *words: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs the environment's ``hsejobs`` in a folder."""
    return subprocess.run(
        [str(environment / "hsejobs"), *words],
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

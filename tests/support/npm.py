"""npm packages that tests need, installed once per machine and version."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.support import skip_or_fail

FILES = ("package.json", "package-lock.json", ".npmrc")
#: The oldest Node that the packages named here run on: Debian 12 has 18.19.
OLDEST = (18, 18)
#: The caller's home, read before a test replaces it: npm's settings are there.
CALLERS = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hsejobs-tests"


def node_modules(project: Path) -> Path:
    """Installs the packages of a folder with a lock file; skips or fails without Node and npm."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        skip_or_fail("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    found = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if found < OLDEST:
        skip_or_fail(f"node is {version.strip()}, these tests need {OLDEST[0]}.{OLDEST[1]}")
    wanted = hashlib.sha256(b"\0".join((project / name).read_bytes() for name in FILES))
    cache = CACHE
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"npm-{wanted.hexdigest()[:16]}"
    # Several test processes may run this at once, and one may be killed halfway.
    with (cache / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install(npm, project, place)
    return place / "node_modules"


def _install(npm: str, project: Path, place: Path) -> None:
    begun = place.with_suffix(".part")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir()
    for name in FILES:
        shutil.copy(project / name, begun)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts"],
        cwd=begun,
        env={**os.environ, **CALLERS},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if done.returncode:
        skip_or_fail(f"npm could not install the packages: {done.stderr[-800:]}")
    begun.rename(place)

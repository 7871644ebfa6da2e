"""``make mutants``: applies each mutant alone, in a copy of the tree; its tests must fail.

Prints JSON: ``noticed`` (the number), ``survived`` and ``broken`` (the names). Exits with 1 if fewer
than 95 % were noticed or a mutant could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.all import MUTANTS
from tests.mutants.mutant import ROOT, Mutant

#: The share that must be noticed, and the seconds that the tests of one mutant may take.
LEAST, SECONDS = 0.95, 600
#: Exit statuses of pytest: tests failed, tests passed. All others mean that it could not run.
FAILED, PASSED = 1, 0
NOT_COPIED = (
    ".git",
    ".venv",
    ".*_cache",
    ".hypothesis",
    "__pycache__",
    "*.egg-info",
    "build",
    "dist",
    "node_modules",
)


def copy_tree(to: Path) -> None:
    """Copies sources and tests, without generated files."""
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*NOT_COPIED), dirs_exist_ok=True)


def run_tests(root: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Runs tests on the sources of ``root``; returns pytest's exit status and its last lines."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
        *(f"tests/{test}" for test in tests),
    ]
    # Python matches compiled files to sources by size and time in seconds, which mutants may not change.
    env = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("PYTEST_ADDOPTS", None)
    process = subprocess.Popen(
        command,
        cwd=root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return FAILED, f"did not end within {SECONDS} s"
    return process.returncode, "\n".join(output.splitlines()[-15:])


def try_out(mutant: Mutant, root: Path) -> tuple[str, str]:
    """Runs one mutant; returns ``noticed``, ``survived`` or ``broken``, and the output of pytest."""
    try:
        before = mutant.apply(root)
    except ValueError as error:
        return "broken", str(error)
    try:
        code, output = run_tests(root, mutant.tests)
    finally:
        (root / mutant.file).write_text(before)
    return {FAILED: "noticed", PASSED: "survived"}.get(code, "broken"), output


class Found:
    """Collects the verdicts and prints each one as it arrives."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[str]] = {"noticed": [], "survived": [], "broken": []}
        self._lock = threading.Lock()

    def note(self, mutant: Mutant, kind: str, output: str) -> None:
        with self._lock:
            self.by_kind[kind].append(mutant.what)
            print(f"{kind:9} {mutant.what}", file=sys.stderr, flush=True)
            if kind == "broken":
                print(output, file=sys.stderr, flush=True)

    def report(self) -> dict[str, object]:
        return {
            "noticed": len(self.by_kind["noticed"]),
            "survived": sorted(self.by_kind["survived"]),
            "broken": sorted(self.by_kind["broken"]),
        }

    @property
    def enough(self) -> bool:
        noticed = len(self.by_kind["noticed"])
        total = sum(map(len, self.by_kind.values()))
        return total > 0 and not self.by_kind["broken"] and noticed >= LEAST * total


def work(todo: queue.SimpleQueue[Mutant], found: Found) -> None:
    """Runs mutants from the queue, in a copy of the worker's own."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = Path(folder).resolve()
        copy_tree(root)
        while True:
            try:
                mutant = todo.get_nowait()
            except queue.Empty:
                return
            found.note(mutant, *try_out(mutant, root))


def whole(tests: Iterable[str]) -> bool:
    """Whether the tests pass without a mutant: a test that always fails proves nothing."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = Path(folder).resolve()
        copy_tree(root)
        code, output = run_tests(root, sorted(set(tests)))
    if code != PASSED:
        print(f"the tests fail without any mutant:\n{output}", file=sys.stderr)
    return code == PASSED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", default="", help="run only mutants with this in their name or file"
    )
    parser.add_argument("--workers", type=int, default=1, help="number of mutants to run at a time")
    parser.add_argument("--unchecked", action="store_true", help="skip the run without mutants")
    given = parser.parse_args()
    chosen = [one for one in MUTANTS if given.only in one.what or given.only in one.file]
    faults = [fault for one in chosen for fault in one.faults()]
    if faults or not chosen:
        print("\n".join(faults) or "no such mutant", file=sys.stderr)
        return 2
    if not given.unchecked and not whole(test for one in chosen for test in one.tests):
        return 2
    todo: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for one in chosen:
        todo.put(one)
    found = Found()
    threads = [
        threading.Thread(target=work, args=(todo, found)) for _ in range(max(1, given.workers))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(found.report(), indent=2))
    return 0 if found.enough else 1


if __name__ == "__main__":
    sys.exit(main())

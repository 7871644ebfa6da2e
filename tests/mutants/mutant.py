"""A mutant: one deliberate fault in a copy of the sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """Replaces ``old``, which must occur exactly once in ``file``, with ``new``; ``tests`` must fail.

    ``what`` describes the fault. ``tests``: pytest arguments relative to ``tests/``: a file, or
    ``file::test``. At least one must fail.
    """

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def faults(self, root: Path = ROOT) -> list[str]:
        """The reasons why the mutant cannot be applied; empty if it can."""
        found = []
        path = root / self.file
        text = path.read_text() if path.is_file() else ""
        times = text.count(self.old)
        if times != 1:
            found.append(f"{self.file} has the old text {times} times, not once: {self.old!r}")
        if self.old == self.new:
            found.append("the new text is the old one")
        for test in self.tests:
            file, _, name = test.partition("::")
            place = root / "tests" / file
            if not place.exists():
                found.append(f"there is no tests/{file}")
            elif name and f"def {name.partition('[')[0]}(" not in place.read_text():
                found.append(f"tests/{file} has no {name}")
        if not self.tests:
            found.append("no test is named")
        return [f"{self.what}: {one}" for one in found]

    def apply(self, root: Path) -> str:
        """Applies the mutant to the copy; returns the original text. Raises ValueError with its faults."""
        if faults := self.faults(root):
            raise ValueError("; ".join(faults))
        path = root / self.file
        before = path.read_text()
        path.write_text(before.replace(self.old, self.new))
        return before

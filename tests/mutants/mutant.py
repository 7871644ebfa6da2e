"""One fault, put into a copy of the sources by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """``old``, which the file has exactly once, becomes ``new``; one of ``tests`` is to notice.

    ``tests``: what pytest takes, relative to ``tests/``: a file, or ``file::test``.
    """

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def faults(self, root: Path = ROOT) -> list[str]:
        """Why it cannot be run as it is written; nothing when it can."""
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
        """Puts it into the copy; the text that was there. Raises ValueError with its faults."""
        if faults := self.faults(root):
            raise ValueError("; ".join(faults))
        path = root / self.file
        before = path.read_text()
        path.write_text(before.replace(self.old, self.new))
        return before

"""``make language``: finds words that the project does not use, and names the word to use.

Prints ``file:line: found, use replacement`` for each and exits with 1, or prints nothing and exits
with 0. The terms themselves are in ``docs/glossary.md``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What to avoid, as a regular expression, and what to write instead. A pattern is matched in each line,
#: without regard to case; spellings are matched inside identifiers too.
RULES: tuple[tuple[str, str], ...] = (
    # US spelling.
    (r"artefact", "artifact"),
    (r"authoris", "authoriz"),
    (r"behaviour", "behavior"),
    (r"catalogue", "catalog"),
    (r"(?<![a-z])centre", "center"),
    (r"colour", "color"),
    (r"favour", "favor"),
    (r"honour", "honor"),
    (r"initialis", "initializ"),
    (r"judgement", "judgment"),
    (r"label(?=led|ling)l", "label"),
    (r"licence", "license"),
    (r"model(?=led|ling)l", "model"),
    (r"neighbour", "neighbor"),
    (r"normalis", "normaliz"),
    (r"optimis(?!m|t)", "optimiz"),
    (r"organis(?!m)", "organiz"),
    (r"recognis", "recogniz"),
    (r"serialis", "serializ"),
    (r"signal(?=led|ling)l", "signal"),
    (r"summaris", "summariz"),
    (r"synchronis(?!m)", "synchroniz"),
    (r"whilst", "while"),
    # The field's terms.
    (r"\bdead[- ]letter\w*", "failed job"),
    (r"\bmails?(?:'s)? receivers?\b|\breceivers? of (?:a|the|this) mail\b", "recipient"),
    (r"\btime-out", "timeout"),
    # Dialect.
    (r"\bto be had\b", "available"),
    (r"\b(?:is|are) no JSON\b", "is not valid JSON"),
    (r"\bnone at all\b", "none"),
    (r"\bin its hands\b", "holds"),
    (r"\bas it was seen\b", "unchanged"),
    (r"(?<![a-z])for[ _]ever(?![a-z])", "forever"),
    (r"\bhere and now\b", "now"),
    (r"\bminds (?=an?\b|it\b|no\b|the\b|what\b|when\b)", "objects to"),
    (r"(?<![a-z])(?:am|are|be|been|being|is|was|were)[ _]told(?! apart)(?![a-z])", "gets"),
    (r"(?<![a-z])anew(?![a-z])", "again"),
    (r"(?<![a-z])what[ _]is[ _]there(?![a-z])", "what exists"),
    (r"(?<![a-z])for[ _]good(?![a-z]| (?:measure|reason))", "permanently"),
    (r"(?<![a-z])lies?[ _]in(?![a-z])", "is in"),
    (r"(?<![a-z])so[ _]many(?![a-z])(?!.*\bthat\b)", "that many"),
    (r"(?<![a-z])whoever(?![a-z])", "the user who"),
    # Not between quotes: there it is a name, as of a Unix user.
    (r"(?<![a-z\"'`])nobody(?![a-z\"`])(?!'(?!s))", "no one"),
)
SUFFIXES = {
    ".cfg",
    ".css",
    ".html",
    ".j2",
    ".js",
    ".lua",
    ".md",
    ".py",
    ".tcss",
    ".toml",
    ".ts",
    ".yml",
}
NAMES = {"Makefile"}
#: History, this list, its test, and what tools made or others wrote.
EXEMPT = {"CHANGELOG.md", "tests/language.py", "tests/test_language.py"}
NOT_OURS = {
    "__pycache__",
    "__snapshots__",
    "build",
    "dist",
    "node_modules",
    "snapshot_report.html",
}

_COMPILED = [(re.compile(pattern, re.IGNORECASE), use) for pattern, use in RULES]


def sources(root: Path) -> Iterator[Path]:
    """The files to check, in order of their paths."""
    found: list[Path] = []
    for folder, names, files in os.walk(root):
        names[:] = [
            name
            for name in names
            if name not in NOT_OURS and (name == ".github" or not name.startswith("."))
        ]
        found += [
            Path(folder, name)
            for name in files
            if name not in NOT_OURS and (name in NAMES or Path(name).suffix in SUFFIXES)
        ]
    for path in sorted(found):
        if path.relative_to(root).as_posix() not in EXEMPT:
            yield path


def findings(root: Path = ROOT) -> list[str]:
    """One line per finding: ``file:line: "found", use "replacement"``."""
    return [
        f'{path.relative_to(root).as_posix()}:{number}: "{match[0]}", use "{use}"'
        for path in sources(root)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for pattern, use in _COMPILED
        for match in pattern.finditer(line)
    ]


def main(root: Path = ROOT) -> int:
    """Prints the findings; returns the exit status."""
    found = findings(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

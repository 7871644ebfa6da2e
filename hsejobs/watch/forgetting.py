"""Which line of a log is about an organization, and how lines of files that others write are erased."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from hsejobs.mentions import mentions

#: Where ``hsejobs up`` keeps its logs, in JOBS_HOME.
LOG_FOLDER = "logs"
#: Bytes of one look at a file, more than any line has.
PIECE = 4 * 1024 * 1024


def _about(line: bytes, organization_id: str) -> bool:
    """Whether a line of a log is about the organization; one that is no JSON when it has its name."""
    if organization_id.encode() not in line and b"\\u" not in line:
        return False
    try:
        return mentions(json.loads(line), organization_id)
    except ValueError:
        text = line.decode(errors="replace")
        word = rf"(?<![\w.@+-]){re.escape(organization_id)}(?![\w.@+-])"
        return re.search(word, text) is not None


def forget_lines(home: Path, organization_id: str) -> int:
    """Erases the lines about an organization from the logs in ``home``; how many.

    Workers and shim go on appending meanwhile: a line is written over where it stands, in its
    length, and nothing moves. Raises OSError when a log cannot be written.
    """
    return sum(
        _forget(path, organization_id)
        for path in sorted((home / LOG_FOLDER).glob("*.log*"))
        if path.is_file()
    )


def _forget(path: Path, organization_id: str) -> int:
    gone = at = 0
    with path.open("r+b", buffering=0) as file:
        while piece := os.pread(file.fileno(), PIECE, at):
            # A line that goes on beyond this look is looked at whole in the next one.
            end = piece.rfind(b"\n") + 1 or len(piece)
            for line in piece[:end].splitlines(keepends=True):
                kept = line.rstrip(b"\r\n")
                if _about(kept, organization_id):
                    os.pwrite(file.fileno(), _instead(kept), at)
                    gone += 1
                at += len(line)
        os.fsync(file.fileno())
    return gone


def _instead(line: bytes) -> bytes:
    """What stands in a line's place: its time and level, filled up to its length."""
    kept: dict[str, Any] = {"event": "erased"}
    try:
        raw = json.loads(line)
        kept = {"time": raw["time"], "level": raw["level"]} | kept
    except (ValueError, KeyError, TypeError):
        pass
    text = json.dumps(kept).encode()
    return text.ljust(len(line)) if len(text) <= len(line) else b" " * len(line)

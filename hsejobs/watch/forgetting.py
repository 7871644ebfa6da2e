"""Erase the lines about an organization from log files, also while other processes append to them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from hsejobs.mentions import mentions

#: The folder in JOBS_HOME where ``hsejobs up`` keeps its logs.
LOG_FOLDER = "logs"
#: Bytes to read at once: more than any line has.
PIECE = 4 * 1024 * 1024


def _about(line: bytes, organization_id: str) -> bool:
    """Whether a log line is about the organization. A line that is not JSON must contain its id."""
    if organization_id.encode() not in line and b"\\u" not in line:
        return False
    try:
        return mentions(json.loads(line), organization_id)
    except ValueError:
        text = line.decode(errors="replace")
        word = rf"(?<![\w.@+-]){re.escape(organization_id)}(?![\w.@+-])"
        return re.search(word, text) is not None


def forget_lines(home: Path, organization_id: str) -> int:
    """Erases the lines about an organization from the logs in ``home``; returns how many.

    Workers and the shim may append meanwhile: a line is overwritten in place, with the same length.
    Raises OSError when a log cannot be written.
    """
    return sum(
        _forget(path, organization_id)
        for path in sorted((home / LOG_FOLDER).glob("*.log*"))
        if path.is_file()
    )


def _forget(path: Path, organization_id: str) -> int:
    erased = at = 0
    with path.open("r+b", buffering=0) as file:
        while piece := os.pread(file.fileno(), PIECE, at):
            # An incomplete line at the end is read again, completely, in the next piece.
            end = piece.rfind(b"\n") + 1 or len(piece)
            for line in piece[:end].splitlines(keepends=True):
                kept = line.rstrip(b"\r\n")
                if _about(kept, organization_id):
                    os.pwrite(file.fileno(), _replacement(kept), at)
                    erased += 1
                at += len(line)
        os.fsync(file.fileno())
    return erased


def _replacement(line: bytes) -> bytes:
    """The replacement of an erased line: its time and level, padded to its length."""
    kept: dict[str, Any] = {"event": "erased"}
    try:
        raw = json.loads(line)
        kept = {"time": raw["time"], "level": raw["level"]} | kept
    except (ValueError, KeyError, TypeError):
        pass
    text = json.dumps(kept).encode()
    return text.ljust(len(line)) if len(text) <= len(line) else b" " * len(line)

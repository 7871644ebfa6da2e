"""Groups of errors: those that differ only in numbers, ids and addresses are in the same one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsejobs.model import JobRecord

_PARTS = (
    # Anchored and possessive, so that a long word without an @ is scanned only once.
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]+"), "<address>"),
    (re.compile(r"\bhttps?://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{12,}\b", re.I), "<hex>"),
    (re.compile(r"'[^']{1,200}'|\"[^\"]{1,200}\""), "<text>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<n>"),
)


def normalized(error: str) -> str:
    """The first line of an error, with the parts that differ from job to job replaced."""
    line = error[:1000].strip().partition("\n")[0]
    for pattern, name in _PARTS:
        line = pattern.sub(name, line)
    return line[:300] or "(no text)"


def group_of(job: JobRecord) -> str:
    """The group that the history counts the job's last error in: ``code text``, with its code even if ''."""
    return f"{job.code or ''} {normalized(job.failed_reason or '')}"

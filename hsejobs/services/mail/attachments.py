"""Attachments by reference: a mail names an artifact's id, never a path or a URL."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hsejobs.errors import ArtifactNotFound, Unrecoverable
from hsejobs.services.mail.errors import MailDeadline

MAX_TOTAL_BYTES = 10 * 1024 * 1024
MAX_FILENAME_CHARS = 150
MAX_FILENAME_BYTES = 240
"""File systems allow 255; folding a longer name into a header takes quadratic time."""

Opened = tuple[str, str, bytes | Iterable[bytes]]
OpenArtifact = Callable[[str], Opened]
"""Takes an artifact's id; returns its file name, its content type and its
content, whole or in pieces. For an unknown id, or an artifact of another
organization, it raises `ArtifactNotFound`, `LookupError` or `FileNotFoundError`; so may
the pieces, if the artifact is removed while it is read."""

_TYPE = re.compile(r"([a-z0-9][a-z0-9!#$&^_.+-]{0,126})/([a-z0-9][a-z0-9!#$&^_.+-]{0,126})")


class AttachmentRef(Protocol):
    """One attachment as a payload names it."""

    @property
    def artifact_id(self) -> str: ...

    @property
    def filename(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Attachment:
    """One loaded attachment, ready for a MIME part."""

    filename: str
    maintype: str
    subtype: str
    content: bytes


def load_attachments(
    references: Sequence[AttachmentRef], open_artifact: OpenArtifact, *, deadline: float
) -> tuple[Attachment, ...]:
    """Load every artifact that ``references`` name.

    ``deadline`` is a `time.monotonic()` value. Raises `Unrecoverable` for an
    unknown id and for more than 10 MB in total, `MailDeadline` if loading takes
    too long; other errors of ``open_artifact`` pass through.
    """
    loaded: list[Attachment] = []
    room = MAX_TOTAL_BYTES
    for index, reference in enumerate(references):
        try:
            filename, content_type, content = open_artifact(reference.artifact_id)
            data = _read(content, room, deadline)
        except (ArtifactNotFound, LookupError, FileNotFoundError):
            raise Unrecoverable(f"attachments.{index}: there is no such artifact") from None
        room -= len(data)
        main, sub = _content_type(content_type)
        loaded.append(Attachment(safe_filename(reference.filename or filename), main, sub, data))
    return tuple(loaded)


def safe_filename(name: str) -> str:
    """Return ``name`` as a file name that is safe in a header and on disk.

    Removes folders; replaces quotes, control characters and question marks (which
    every encoded word needs).
    """
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(c if c.isprintable() and c not in '"<>|:*?' else "_" for c in name)
    name = name.strip(" .")
    if len(name) > MAX_FILENAME_CHARS or len(name.encode()) > MAX_FILENAME_BYTES:
        stem, dot, suffix = name.rpartition(".")
        keep = MAX_FILENAME_CHARS - len(suffix) - 1
        room = MAX_FILENAME_BYTES - len(suffix.encode()) - 1
        if not dot or keep <= 0 or room <= 0:
            return _cut(name, MAX_FILENAME_CHARS, MAX_FILENAME_BYTES)
        name = f"{_cut(stem, keep, room)}.{suffix}"
    return name or "attachment"


def _cut(text: str, characters: int, size: int) -> str:
    return text[:characters].encode()[:size].decode(errors="ignore")


def _read(content: bytes | Iterable[bytes], room: int, deadline: float) -> bytes:
    pieces = (content,) if isinstance(content, bytes) else content
    data = bytearray()
    try:
        for piece in pieces:
            data += piece
            if len(data) > room:
                limit = MAX_TOTAL_BYTES // (1024 * 1024)
                raise Unrecoverable(f"attachments: must not exceed {limit} MB in total")
            if time.monotonic() >= deadline:
                raise MailDeadline("the deadline passed while the attachments were loaded")
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    return bytes(data)


def _content_type(text: str) -> tuple[str, str]:
    match = _TYPE.fullmatch(text.partition(";")[0].strip().lower())
    # Attachments are base64, which multipart and message parts must not be.
    if match is None or match[1] in {"multipart", "message"}:
        return "application", "octet-stream"
    return match[1], match[2]

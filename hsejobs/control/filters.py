"""Search filters: parsing the search line and matching jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord

FIELDS = ("id", "name", "error", "org", "user", "code")
#: Text before an ``=`` that is a field name, not part of a URL or a formula.
_FIELD = re.compile(r"[A-Za-z_][\w.-]*")
_USE = f"use {', '.join(FIELDS)} or data.<path>, and quotes around a word with = in it"


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that must all match: ``text``, ``error=text``, ``data.to=text``; case is ignored."""

    terms: tuple[tuple[str, str], ...] = ()

    @property
    def needs_payload(self) -> bool:
        """Whether matching needs the payloads."""
        return any(field == "" or field.split(".")[0] == "data" for field, _ in self.terms)

    def matches(self, job: JobRecord) -> bool:
        """Whether the job matches every term; its secrets must be masked already."""
        return all(_matches(job, field, wanted) for field, wanted in self.terms)

    def excerpt(self, job: JobRecord) -> str:
        """The first match in the payload, as ``path: value``; '' when no term is about the payload."""
        for field, wanted in self.terms:
            if field and field.split(".")[0] != "data":
                continue
            under = field.removeprefix("data").lstrip(".")
            for path, value in _leaves(job.data, ""):
                if path.startswith(under) and wanted in value.casefold():
                    return f"{path}: {value[:200]}"
        return ""


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, str(value)


def parse(text: str) -> Filter:
    """Parses a search line; quotes keep a phrase together and make an ``=`` literal.

    Raises InvalidOption for a malformed line or an unknown field: an unknown field treated as a word
    would find nothing and look like a valid result.
    """
    terms = []
    for word, bare in _words(text):
        field = word[:bare].partition("=")[0]
        if "=" not in word[:bare] or not _FIELD.fullmatch(field):
            terms.append(("", word.casefold()))
            continue
        if field not in FIELDS and field != "data" and not field.startswith("data."):
            raise InvalidOption("search", f"has an unknown field; {_USE}")
        wanted = word[len(field) + 1 :]
        if not wanted or any(not part for part in field.split(".")):
            raise InvalidOption("search", f"has a field without a name or without a value; {_USE}")
        terms.append((field, wanted.casefold()))
    return Filter(tuple(terms))


def _words(text: str) -> list[tuple[str, int]]:
    """The words, each with the number of characters before its first quote."""
    words: list[tuple[str, int]] = []
    word, bare, quoted = "", -1, False
    for char in text:
        if char == '"':
            quoted = not quoted
            bare = len(word) if bare < 0 else bare
        elif char.isspace() and not quoted:
            if word:
                words.append((word, len(word) if bare < 0 else bare))
            word, bare = "", -1
        else:
            word += char
    if quoted:
        raise InvalidOption("search", "has an unclosed quote")
    return [*words, (word, len(word) if bare < 0 else bare)] if word else words


def _texts(job: JobRecord) -> dict[str, str]:
    return {
        "id": job.id,
        "name": job.name,
        "error": job.failed_reason or "",
        "org": job.organization_id or "",
        "user": job.user_id or "",
        "code": job.code or "",
    }


def _matches(job: JobRecord, field: str, wanted: str) -> bool:
    known = _texts(job)
    if field in known:
        return wanted in known[field].casefold()
    if not field:
        if any(wanted in text.casefold() for text in known.values()):
            return True
        return wanted in _flat(job.data)
    return any(wanted in _flat(value) for value in _at(job.data, field.split(".")[1:]))


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value.casefold()
    return json.dumps(value, ensure_ascii=False).casefold()


def _at(value: Any, path: list[str]) -> list[Any]:
    """The values at the path; every item of a list is searched."""
    if not path:
        return [value]
    if isinstance(value, list):
        return [found for item in value for found in _at(item, path)]
    if isinstance(value, dict) and path[0] in value:
        return _at(value[path[0]], path[1:])
    return []

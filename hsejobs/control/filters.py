"""The filter grammar of every interface: ``error~timeout org=org-7 since=1h``.

A filter is a line of terms that must all match. A term is a word, which may be anywhere in a job, or a
field, an operator and a value. What stands before the first operator is a field if it is made like a name:
a letter or ``_``, then letters, digits, ``_``, ``.`` and ``-``; all characters beyond ASCII are letters.
Other text before a ``=`` is part of a URL or a formula, and the term a word. Quotes keep a phrase together,
and what they contain is no operator. Case is ignored, except that ids are equal only in the same case:
``org=A`` and ``org=a`` are two tenants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hsejobs.control.moments import EXPECTED, PLAIN, parse_time
from hsejobs.errors import InvalidOption
from hsejobs.masking import MASK
from hsejobs.model import JobRecord

#: The texts of a job, by field.
_TEXTS: dict[str, Callable[[JobRecord], str | None]] = {
    "id": lambda job: job.id,
    "name": lambda job: job.name,
    "error": lambda job: job.failed_reason,
    "code": lambda job: job.code,
    "org": lambda job: job.organization_id,
    "user": lambda job: job.user_id,
    "request": lambda job: job.request_id,
}
#: Of these, what a word may be in a part of: not a request's id, which is long and random.
_WORDS = tuple(text for name, text in _TEXTS.items() if name != "request")
_NUMBERS: dict[str, Callable[[JobRecord], int]] = {
    "priority": lambda job: job.priority,
    "attempts": lambda job: job.attempts_made,
    "stalls": lambda job: job.stalls,
}
_TIMES = ("since", "until")
FIELDS = (*_TEXTS, *_NUMBERS, *_TIMES, "data.<path>")
#: Fields whose values are equal only in the same case.
_IDS = frozenset({"id", "org", "user", "request"})
#: Fields that masking and hiding leave as they are, so that a job can be passed over before.
_PLAIN = frozenset({"id", "name", "org", "user", "request", *_NUMBERS, *_TIMES})
#: A part of a path in the payload, which may have any characters, and a field. Without classes such as
#: ``\w``, which mean something else in each program that reads the pattern.
_PART = r"[^ \t\n\r\f\v\"=~!.]+"
_FIELD = rf"(?:data(?:\.{_PART})*|[^\x00-@\[-^`{{-\x7f][^\x00-,/:-@\[-^`{{-\x7f]*)"
_TERM = re.compile(rf"({_FIELD})(!?[=~])")
_SPACES = " \t\n\r\f\v"
_QUOTED = r'"[^"]*"'


def _pattern(quoted: str, count: str) -> str:
    return (
        r"^[ \t\n\r\f\v]*(?:(?:"
        rf'(?!{_FIELD}!?[=~])(?:[^ \t\n\r\f\v"]|{quoted})+'
        rf"|(?:{'|'.join(_TEXTS)}|data(?:\.{_PART})*)!?[=~](?:\"\")*(?:[^ \t\n\r\f\v\"]|\"[^\"]+\")"
        rf'(?:[^ \t\n\r\f\v"]|{_QUOTED})*'
        rf"|(?:{'|'.join(_NUMBERS)})!?=[0-9]{{1,9}}"
        rf"|(?:{'|'.join(_TIMES)})=(?:{PLAIN})"
        rf")(?:[ \t\n\r\f\v]+|$)){count}$"
    )


#: What a filter is, as a regular expression for other programs; of moments, it has the plain forms.
PATTERN = _pattern(_QUOTED, "*")
#: The same with a term at least.
PATTERN_OF_ACT = _pattern(r'"[^"]+"', "+")
#: An unknown name is repeated only if it can hardly be a value, such as base64 text that ends with ``=``:
#: not if it has digits and capitals, or digits within a word.
_REPEATED_PART = r"(?:[^\W\d]*|[^\W\dA-Z]+[0-9]{1,2})"
_REPEATED = re.compile(rf"(?=.{{1,30}}$){_REPEATED_PART}(?:[.-]{_REPEATED_PART})*")
_USE = (
    f"use {', '.join(FIELDS)}, with = (is), ~ (contains), != or !~;"
    " put quotes around a word that has = or ~ in it"
)
#: The length of a filter, in characters.
LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; ``field`` is '' for a word. ``number``: the value of a number or time (ms), else 0."""

    field: str
    operator: str
    wanted: str
    number: int = 0

    @property
    def in_payload(self) -> bool:
        """Whether the term looks into the payload."""
        return self.field == "" or self.field.split(".")[0] == "data"

    @property
    def survives_masking(self) -> bool:
        """Whether a job that does not meet the condition does not do so either once it is masked."""
        # Masking puts nothing but asterisks in place of a text.
        positive = self.operator in ("=", "~")
        return positive and self.field in ("error", "code") and MASK[0] not in self.wanted

    def matches(self, job: JobRecord) -> bool:
        """Whether the job meets the condition."""
        return self._found(job) != self.operator.startswith("!")

    def _found(self, job: JobRecord) -> bool:
        if self.field in _TIMES:
            at = moment(job)
            return at >= self.number if self.field == "since" else at < self.number
        if self.field in _NUMBERS:
            return _NUMBERS[self.field](job) == self.number
        if self.field in _IDS and "=" in self.operator:
            return _TEXTS[self.field](job) == self.wanted
        if self.field in _TEXTS:
            return self._is(_TEXTS[self.field](job) or "")
        if self.field:
            return any(map(self._holds, _at(job.data, self.field.split(".")[1:])))
        if any(self._is(text(job) or "") for text in _WORDS) or self._holds(job.data):
            return True
        return (job.request_id or "").casefold() == self.wanted

    def _is(self, text: str) -> bool:
        text = text.casefold()
        if "~" in self.operator:
            return self.wanted in text
        if text == self.wanted:
            return True
        # A task's short name, and an error's first line, are what people see in lists.
        return (self.field == "name" and text.rpartition(".")[2] == self.wanted) or (
            self.field == "error" and text.partition("\n")[0] == self.wanted
        )

    def _holds(self, value: Any) -> bool:
        if isinstance(value, str):
            return self._is(value)
        if isinstance(value, list) and "~" not in self.operator:
            return any(map(self._holds, value))
        return self._is(json.dumps(value, ensure_ascii=False))


def moment(job: JobRecord) -> int:
    """The time that ``since`` and ``until`` compare, in ms: when a job ended, or was added if it has not."""
    return job.finished_at or job.created_at


@dataclass(frozen=True, slots=True)
class Filter:
    """The terms of a filter, which must all match."""

    terms: tuple[Term, ...] = ()

    @property
    def needs_payload(self) -> bool:
        """Whether matching needs the payloads: for an error, too, whose text may have their secrets in it."""
        return any(term.in_payload or term.field == "error" for term in self.terms)

    @property
    def since(self) -> int:
        """No job before this time (ms) matches; 0 if the filter does not limit it."""
        limits = [one.number for one in self.terms if (one.field, one.operator) == ("since", "=")]
        return max(limits, default=0)

    @property
    def organization_id(self) -> str | None:
        """The only organization whose jobs can match; None if the filter does not limit it."""
        wanted = [one.wanted for one in self.terms if (one.field, one.operator) == ("org", "=")]
        return wanted[0] if wanted else None

    @property
    def request_id(self) -> str | None:
        """The only request whose jobs can match, which may be in any queue; None without a limit."""
        wanted = [one.wanted for one in self.terms if (one.field, one.operator) == ("request", "=")]
        return wanted[0] if wanted else None

    def may_match(self, job: JobRecord, *, readable: bool = False) -> bool:
        """Whether the job can match once it is masked: its unmasked parts do not exclude it.

        ``readable``: its contents will not be hidden.
        """
        for term in self.terms:
            decided = term.field in _PLAIN or (readable and term.survives_masking)
            if decided and not term.matches(job):
                return False
        return True

    def matches(self, job: JobRecord) -> bool:
        """Whether the job matches every term; its secrets must be masked already."""
        return all(term.matches(job) for term in self.terms)

    def excerpt(self, job: JobRecord) -> str:
        """The first match in the payload, as ``path: value``; '' when no term is about the payload."""
        for term in self.terms:
            if not term.in_payload or term.operator.startswith("!"):
                continue
            under = term.field.removeprefix("data").lstrip(".")
            for path, value in _leaves(job.data, ""):
                if path.startswith(under) and term.wanted in value.casefold():
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


def parse(text: str, now: int | None = None, name: str = "where") -> Filter:
    """Parses a filter. ``now``: the time in ms from which durations count back, by Redis' clock.

    Raises InvalidOption for the option ``name``: for a malformed filter, and for an unknown field, which
    as a word would find nothing and look like a valid result.
    """
    if len(text) > LONGEST:
        raise InvalidOption(name, f"must have at most {LONGEST:,} characters")
    now = int(datetime.now(UTC).timestamp() * 1000) if now is None else now
    terms = []
    for word, bare in _words(text, name):
        found = _TERM.match(word[:bare])
        if found is None:
            terms.append(Term("", "~", word.casefold()))
            continue
        field, operator = found.groups()
        _check_field(field, name)
        wanted = word[found.end() :]
        if not wanted or any(not part for part in field.split(".")):
            raise InvalidOption(name, f"has a field without a name or without a value; {_USE}")
        number = _number(field, operator, wanted, now, name)
        exact = field in _IDS and "=" in operator
        terms.append(Term(field, operator, wanted if exact else wanted.casefold(), number))
    return Filter(tuple(terms))


def _check_field(field: str, name: str) -> None:
    if field in _TEXTS or field in _NUMBERS or field in _TIMES or field == "data":
        return
    if not field.startswith("data."):
        which = f"the unknown field {field}" if _REPEATED.fullmatch(field) else "an unknown field"
        raise InvalidOption(name, f"has {which}; {_USE}")


def _number(field: str, operator: str, wanted: str, now: int, name: str) -> int:
    """The value of a number or a time; 0 for other fields."""
    if field not in _NUMBERS and field not in _TIMES:
        return 0
    if operator not in ("=", "!=") or (field in _TIMES and operator == "!="):
        allowed = "=" if field in _TIMES else "= or !="
        raise InvalidOption(name, f"has the wrong operator after {field}; use {allowed}")
    if field in _TIMES:
        try:
            return parse_time(wanted, now, name)
        except InvalidOption:
            raise InvalidOption(name, f"needs {EXPECTED} after {field}=") from None
    if not wanted.isascii() or not wanted.isdigit() or len(wanted) > 9:
        raise InvalidOption(name, f"needs a whole number after {field}=")
    return int(wanted)


def _words(text: str, name: str) -> list[tuple[str, int]]:
    """The words, each with the number of characters before its first quote."""
    words: list[tuple[str, int]] = []
    word, bare, quoted = "", -1, False
    for char in text:
        if char == '"':
            quoted = not quoted
            bare = len(word) if bare < 0 else bare
        elif char in _SPACES and not quoted:
            if word:
                words.append((word, len(word) if bare < 0 else bare))
            word, bare = "", -1
        else:
            word += char
    if quoted:
        raise InvalidOption(name, "has an unclosed quote")
    return [*words, (word, len(word) if bare < 0 else bare)] if word else words


def _at(value: Any, path: list[str]) -> list[Any]:
    """The values at the path; every item of a list is searched."""
    if not path:
        return [value]
    if isinstance(value, list):
        return [found for item in value for found in _at(item, path)]
    if isinstance(value, dict) and path[0] in value:
        return _at(value[path[0]], path[1:])
    return []

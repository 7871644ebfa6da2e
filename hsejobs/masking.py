"""Secrets: which fields are secret, how they are masked, and how they are scrubbed from text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sized
from functools import lru_cache
from typing import Any

MASK = "***"
#: The key that marks a sealed value in a stored payload.
SEALED = "$sealed"
#: Deeper values are masked without a look inside, because the walk is recursive. No such payload is
#: accepted (`codec.DEEPEST`), but earlier releases accepted some, and they may still be stored.
DEEPEST = 250

_BY_NAME = re.compile(
    r"(pass(word|wd|phrase)?|secret|client_?secret|api_?key|access_?key|private_?key|auth"
    r"|authorization|(access|refresh|auth|bearer|session|id|csrf|reset)?_?token|credentials?"
    r"|cookie|signing_?key|pwd)",
    re.IGNORECASE,
)


#: No secret name is as long as this. Only shorter names are remembered, and at most this number of them:
#: the names in payloads may be anything.
_LONGEST_NAME, _NAMES_KEPT = 32, 1024
#: Text that JSON does not escape.
_SAME_IN_JSON = re.compile(r"[ !#-\[\]-~]*")
#: Types that contain no other values.
_LEAVES = frozenset({str, int, float, bool, type(None)})


class Secret:
    """Marks a field of a payload model: ``secret: Annotated[str, Secret()]``."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        shown = handler(schema)
        shown["writeOnly"] = True
        return shown


def is_secret_name(name: str) -> bool:
    """Whether a field with this name counts as secret even if no model marks it."""
    return len(name) < _LONGEST_NAME and _matches(name)


@lru_cache(maxsize=_NAMES_KEPT)
def _matches(name: str) -> bool:
    return _BY_NAME.fullmatch(name) is not None


def mask(data: Any, paths: Iterable[str] = ()) -> Any:
    """JSON data with ``***`` at the dotted paths, for secret names and for sealed values: a copy, or the data
    itself if it has none of them.
    """
    fields = _fields(tuple(paths))
    return _walk(data, fields.paths, ()) if fields.possible(data) else data


def _walk(data: Any, paths: set[tuple[str, ...]], here: tuple[str, ...], depth: int = 0) -> Any:
    if depth > DEEPEST and isinstance(data, Mapping | list | tuple):
        return MASK
    if isinstance(data, Mapping):
        if SEALED in data:
            return MASK
        shown = {}
        for name, value in data.items():
            there = (*here, str(name))
            hidden = there in paths or is_secret_name(str(name))
            if hidden and value is not None:
                shown[name] = MASK
            elif value.__class__ in _LEAVES:
                shown[name] = value
            else:
                shown[name] = _walk(value, paths, there, depth + 1)
        return shown
    if isinstance(data, list | tuple):
        # Skip the call for plain values: a payload may hold 50,000 of them.
        return [
            item if item.__class__ in _LEAVES else _walk(item, paths, here, depth + 1)
            for item in data
        ]
    return data


def secret_values(data: Any, paths: Iterable[str] = ()) -> list[str]:
    """The values of all secret fields as text, longest first, to scrub from other texts."""
    fields = _fields(tuple(paths))
    if not fields.possible(data):
        # Nearly always, and after each job that returns something.
        return []
    found = set[str]()
    fields.collect(data, (), found)
    # Errors and log lines often quote JSON, in which such a text is escaped.
    found |= {
        json.dumps(text, ensure_ascii=escaped)[1:-1]
        for text in found
        if not _SAME_IN_JSON.fullmatch(text)
        for escaped in (True, False)
    }
    return sorted((text for text in found if len(text) >= 4), key=len, reverse=True)


def reveals(text: str, data: Any, paths: Iterable[str] = ()) -> bool:
    """Whether the text contains the value of a secret field, or is one of less than four characters."""
    return any(one in text if len(one) >= 4 else one == text for one in _found(data, paths))


def _found(data: Any, paths: Iterable[str]) -> set[str]:
    """The values of all secret fields as text."""
    found: set[str] = set()
    fields = _fields(tuple(paths))
    if fields.possible(data):
        fields.collect(data, (), found)
    return found


class _Fields:
    """The fields that are secret in the payloads of one task."""

    __slots__ = ("_ends", "_harmless", "paths")

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = {tuple(path.split(".")) for path in paths}
        self._ends = {SEALED, *(path[-1] for path in self.paths)}
        #: Names that are known not to be secret anywhere in these payloads.
        self._harmless: set[str] = set()

    def possible(self, data: Any, depth: int = 0) -> bool:
        """Whether there may be a secret or a sealed value in the data, or it is nested deeper than masking
        goes; a cheap test, because most payloads have none.

        It asks for each name what the full walk asks, without the path, and remembers the answer.
        """
        if depth > DEEPEST:
            return True
        if data.__class__ is dict:
            if not self._harmless.issuperset(data) and self._unknown(data):
                return True
            data = data.values()
        elif data.__class__ is not list and data.__class__ is not tuple:
            return data.__class__ not in _LEAVES
        if _LEAVES.issuperset(map(type, data)):
            # The usual case, without a loop in Python.
            return False
        for value in data:  # noqa: SIM110 - any() takes twice as long
            if value.__class__ not in _LEAVES and self.possible(value, depth + 1):
                return True
        return False

    def _unknown(self, names: Iterable[Any]) -> bool:
        """Whether any of the names may be secret; remembers those that are not."""
        found = False
        for name in names:
            if name.__class__ is not str or name in self._ends or is_secret_name(name):
                found = True
            elif len(name) < _LONGEST_NAME:
                if len(self._harmless) >= _NAMES_KEPT:
                    self._harmless.clear()
                self._harmless.add(name)
        return found

    def collect(self, data: Any, here: tuple[str, ...], found: set[str]) -> None:
        """Adds the values of the secret fields as text; ``here`` is the path of the data."""
        # For a dict, the check for a Mapping takes as long as the rest.
        if data.__class__ is dict or isinstance(data, Mapping):
            for name, value in data.items():
                leaf = value.__class__ in _LEAVES
                harmless = name in self._harmless
                if harmless and leaf:
                    continue
                there = (*here, str(name))
                if not harmless and (there in self.paths or is_secret_name(str(name))):
                    _everything(value, found)
                elif not leaf:
                    self.collect(value, there, found)
        elif isinstance(data, list | tuple):
            for value in data:
                if value.__class__ not in _LEAVES:
                    self.collect(value, here, found)


#: One for each task, which has the same paths for all of its payloads.
_fields = lru_cache(maxsize=128)(_Fields)


def _everything(data: Any, found: set[str]) -> None:
    """Adds the texts and numbers inside a secret value."""
    if isinstance(data, str | int):
        if not isinstance(data, bool):
            found.add(str(data))
        return
    if isinstance(data, Mapping):
        data = data.values()
    elif not isinstance(data, list | tuple):
        return
    for value in data:
        _everything(value, found)


#: Up to _ALWAYS secrets are always searched for. Beyond that, the work is limited to _CHARACTERS: a
#: payload can hold 14,000 secrets, and searching a long text for each of them would take seconds.
_ALWAYS, _CHARACTERS = 20, 2_000_000


def too_much(secrets: Sized, size: int) -> bool:
    """Whether ``size`` characters are too many to search for these secrets: mask everything then."""
    return len(secrets) > _ALWAYS and len(secrets) * (size + 50) > _CHARACTERS


def scrub(text: str, secrets: Collection[str]) -> str:
    """The text with every secret replaced by ``***``; only ``***`` if `too_much` holds."""
    if too_much(secrets, len(text)):
        return MASK
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def plain(text: str) -> str:
    """The text with each lone surrogate, which no terminal or file accepts, replaced by ``?``."""
    return text.encode("utf-8", "replace").decode()


def scrub_data(data: Any, secrets: Collection[str]) -> Any:
    """A copy of JSON data with every secret in its texts replaced; only ``***`` if `too_much` holds."""
    if not secrets:
        return data
    if len(secrets) > _ALWAYS and too_much(secrets, _size(data)):
        return MASK
    return _scrubbed(data, secrets)


def _scrubbed(data: Any, secrets: Collection[str]) -> Any:
    if isinstance(data, str):
        return scrub(data, secrets)
    if isinstance(data, Mapping):
        return {scrub(str(k), secrets): _scrubbed(v, secrets) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_scrubbed(value, secrets) for value in data]
    return data


def _size(data: Any) -> int:
    """The number of characters in all texts, plus 50 for each text: the fixed cost of a search."""
    if isinstance(data, str):
        return len(data) + 50
    if isinstance(data, Mapping):
        return sum(len(str(key)) + 50 + _size(value) for key, value in data.items())
    if isinstance(data, list | tuple):
        return sum(map(_size, data))
    return 0

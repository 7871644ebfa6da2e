"""Secrets: which fields they are, how they are masked, sealed at rest and scrubbed from text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sized
from typing import Any

MASK = "***"
#: What marks a sealed value in a stored payload.
SEALED = "$sealed"
#: What is deeper in a payload, which no add accepts (`codec.DEEPEST`), is hidden unseen: releases
#: that accepted more may have left some, and the walk goes into it by recursion.
DEEPEST = 250

_BY_NAME = re.compile(
    r"(pass(word|wd|phrase)?|secret|client_?secret|api_?key|access_?key|private_?key|auth"
    r"|authorization|(access|refresh|auth|bearer|session|id|csrf|reset)?_?token|credentials?"
    r"|cookie|signing_?key|pwd)",
    re.IGNORECASE,
)


#: Text that stands in JSON as it is.
_SAME_IN_JSON = re.compile(r"[ !#-\[\]-~]*")
#: What has nothing inside.
_LEAVES = frozenset({str, int, float, bool, type(None)})


class Secret:
    """Marks a field of a payload model: ``secret: Annotated[str, Secret()]``."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        shown = handler(schema)
        shown["writeOnly"] = True
        return shown


def is_secret_name(name: str) -> bool:
    """Whether a field of this name is taken for a secret where no model says so."""
    return _BY_NAME.fullmatch(name) is not None


def mask(data: Any, paths: Iterable[str] = ()) -> Any:
    """A copy of JSON data with ``***`` at the dotted paths, in secret names and in sealed values."""
    return _walk(data, {tuple(path.split(".")) for path in paths}, ())


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
        # Most items are no objects, and a payload has room for 50,000 of them.
        return [
            item if item.__class__ in _LEAVES else _walk(item, paths, here, depth + 1)
            for item in data
        ]
    return data


def secret_values(data: Any, paths: Iterable[str] = ()) -> list[str]:
    """The texts of all secret fields, longest first: what must be scrubbed from other texts."""
    found: set[str] = set()
    _collect(data, {tuple(path.split(".")) for path in paths}, (), found, inside=False)
    # Errors and lines of the log often quote JSON, where such a text looks otherwise.
    found |= {
        json.dumps(text, ensure_ascii=escaped)[1:-1]
        for text in found
        if not _SAME_IN_JSON.fullmatch(text)
        for escaped in (True, False)
    }
    return sorted((text for text in found if len(text) >= 4), key=len, reverse=True)


def _collect(
    data: Any, paths: set[tuple[str, ...]], here: tuple[str, ...], found: set[str], *, inside: bool
) -> None:
    if isinstance(data, Mapping):
        for name, value in data.items():
            there = (*here, str(name))
            hidden = inside or there in paths or is_secret_name(str(name))
            _collect(value, paths, there, found, inside=hidden)
    elif isinstance(data, list | tuple):
        for value in data:
            _collect(value, paths, here, found, inside=inside)
    elif inside and isinstance(data, str | int) and not isinstance(data, bool):
        found.add(str(data))


#: So many secrets are always looked for; above that, so many characters in all: a payload can
#: hold 14,000 secrets, and to look for each of them in a long text would take seconds.
_ALWAYS, _CHARACTERS = 20, 2_000_000


def too_much(secrets: Sized, size: int) -> bool:
    """Whether ``size`` characters are too many for so many secrets: all of them are masked then."""
    return len(secrets) > _ALWAYS and len(secrets) * (size + 50) > _CHARACTERS


def scrub(text: str, secrets: Collection[str]) -> str:
    """The text with every secret replaced by ``***``; ``***`` alone where that is too much."""
    if too_much(secrets, len(text)):
        return MASK
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def plain(text: str) -> str:
    """The text with each half character (a lone surrogate), which no terminal or file takes, as ``?``."""
    return text.encode("utf-8", "replace").decode()


def scrub_data(data: Any, secrets: Collection[str]) -> Any:
    """A copy of JSON data with every secret inside its texts replaced; ``***`` as in ``scrub``."""
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
    """The characters of all texts in it; a text of a few costs as much as one of fifty."""
    if isinstance(data, str):
        return len(data) + 50
    if isinstance(data, Mapping):
        return sum(len(str(key)) + 50 + _size(value) for key, value in data.items())
    if isinstance(data, list | tuple):
        return sum(map(_size, data))
    return 0

"""JSON text as JavaScript's ``JSON.stringify`` writes it, byte for byte.

A Node endpoint verifies a signature over ``JSON.stringify(req.body)``: serializing the
parsed body must give the bytes that were signed. The rules are ECMA-262's: SerializeJSONProperty,
QuoteJSONString, Number::toString, and OrdinaryOwnPropertyKeys for the order of keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

#: JavaScript numbers represent integers from -MAX_SAFE to MAX_SAFE exactly.
MAX_SAFE = 2**53 - 1
#: The deepest nesting of objects and arrays.
MAX_DEPTH = 100
#: Keys that are array indices, ``0`` to ``4294967294``, come first, in ascending order.
_MAX_INDEX = 2**32 - 2
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_quote: Callable[[str], str] = encode_basestring


class NotJavaScript(ValueError):
    """A value that JavaScript would not read back unchanged. ``path``: keys and indices to it."""

    def __init__(self, path: tuple[str | int, ...], problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{'.'.join(map(str, path)) or 'value'}: {problem}")


def stringify(value: Any) -> bytes:
    """Return the UTF-8 bytes of ``JSON.stringify(value)``, for a value from `plain`."""
    parts: list[str] = []
    _write(value, parts.append)
    text = "".join(parts)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub(_well_formed, text).encode()


def plain(value: Any, *, other: Callable[[Any], Any] | None = None) -> Any:
    """Return a copy of JSON data that JavaScript reads back unchanged.

    *other* converts values that are not JSON types (a time, a UUID). Raises NotJavaScript for
    integers that JavaScript prints differently, NaN, infinity, keys that are not strings, and
    other types.
    """
    try:
        return _plain(value, 0, other)
    except NotJavaScript as error:
        # For a value that is nested too deep, the start of its path is enough.
        deep = len(error.path) > MAX_DEPTH
        raise NotJavaScript(error.path[:4] if deep else error.path, error.problem) from None


def _write(value: Any, out: Callable[[str], None]) -> None:
    kind = type(value)
    if kind is str:
        out(_quote(value))
    elif kind is dict:
        mark = "{"
        for key, item in _ordered(value):
            out(mark)
            out(_quote(key))
            out(":")
            _write(item, out)
            mark = ","
        out("}" if mark == "," else "{}")
    elif kind is list:
        mark = "["
        for item in value:
            out(mark)
            _write(item, out)
            mark = ","
        out("]" if mark == "," else "[]")
    elif value is None:
        out("null")
    elif kind is bool:
        out("true" if value else "false")
    elif kind is float:
        out(number(value))
    elif kind is int:
        out(str(value))
    else:
        raise TypeError(f"{kind.__name__} is not a JSON type")


def _ordered(members: dict[str, Any]) -> Any:
    if not any(key and "0" <= key[0] <= "9" for key in members):
        return members.items()
    indices = [key for key in members if _INDEX.fullmatch(key) and int(key) <= _MAX_INDEX]
    if not indices:
        return members.items()
    indices.sort(key=int)
    first = set(indices)
    rest = [(key, item) for key, item in members.items() if key not in first]
    return [(key, members[key]) for key in indices] + rest


def number(value: float) -> str:
    """Format a finite float as Number::toString does: shortest digits, an exponent from 1e21."""
    if value == 0:
        return "0"
    text = repr(value)
    mantissa, has_exponent, exponent = text.partition("e")
    if not has_exponent:
        return text.removesuffix(".0")
    sign = "-" if mantissa[0] == "-" else ""
    digits = mantissa.lstrip("-").replace(".", "")
    # Python writes an exponent from 1e16 and below 1e-4, JavaScript from 1e21 and below 1e-6.
    point = int(exponent) + 1
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{mantissa}e{int(exponent):+d}"


def _well_formed(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) == 2:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    return f"\\u{ord(text):04x}"


def _plain(value: Any, depth: int, other: Callable[[Any], Any] | None) -> Any:
    """``depth``: how many objects and lists contain the value. An error's path is built while it
    propagates: passing the path down cost half a second for a body of 400 KB.
    """
    if depth > MAX_DEPTH:
        raise NotJavaScript((), f"must not be nested more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, bool | str):
        return value if value is None or isinstance(value, bool) else str(value)
    if isinstance(value, int):
        return int(value) if -MAX_SAFE <= value <= MAX_SAFE else _large(int(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJavaScript((), "is NaN or infinite, which JSON cannot represent")
        return float(value)
    if isinstance(value, dict):
        return _members(value, depth, other)
    if isinstance(value, list | tuple):
        return _items(value, depth, other)
    if other is None:
        raise NotJavaScript((), f"has the type {type(value).__name__}, which JSON cannot represent")
    try:
        changed = other(value)
    except Exception:
        return _plain(value, depth, None)
    return _plain(changed, depth, None)


def _items(
    value: list[Any] | tuple[Any, ...], depth: int, other: Callable[[Any], Any] | None
) -> list[Any]:
    items: list[Any] = []
    try:
        for item in value:
            items.append(_plain(item, depth + 1, other))
    except NotJavaScript as error:
        raise NotJavaScript((len(items), *error.path), error.problem) from None
    return items


def _large(value: int) -> int | float:
    """Return an integer beyond 2^53-1 that JavaScript prints as the same number.

    ``JSON.stringify(1e20)`` is ``100000000000000000000``. From 1e21 on it prints an exponent,
    and the integer becomes the double that is printed that way. ``2**60``, which it prints as
    1152921504606847000, would be a different number for an endpoint in another language.
    """
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    if math.isfinite(double) and Decimal(text := number(double)) == value:
        return double if "e" in text else value
    problem = "is an integer that JavaScript would print as another number: send it as a string"
    raise NotJavaScript((), problem)


def _members(
    value: dict[Any, Any], depth: int, other: Callable[[Any], Any] | None
) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotJavaScript((), "has a key that is not a string")
        if _SURROGATE.search(key):
            # JavaScript joins a surrogate pair into one character; of equal keys the later one wins.
            key = key.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        try:
            members[str(key)] = _plain(item, depth + 1, other)
        except NotJavaScript as error:
            raise NotJavaScript((key, *error.path), error.problem) from None
    return members

"""JSON as hsejobs writes it: compact UTF-8, no NaN, never pickle."""

from __future__ import annotations

import json
import json.encoder
import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from hsejobs.errors import InvalidPayload


def encoder(**options: Any) -> Callable[[Any], str]:
    """A reusable C encoder: the standard ``JSONEncoder.encode`` builds a new one for each value.

    ``options`` are those of ``JSONEncoder``; characters are not escaped.
    """
    chunks = _chunks(**options)
    return lambda value: "".join(chunks(value, 0))


def _chunks(**options: Any) -> Callable[[Any, int], Iterable[str]]:
    """As `encoder`, but what it returns gives the parts of the text, for a value and the depth 0."""
    plain = json.JSONEncoder(ensure_ascii=False, **options)
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: (plain.encode(value),)
    # No markers: a reference cycle ends in RecursionError instead.
    made: Callable[[Any, int], Iterable[str]] = make(
        None,
        plain.default,
        json.encoder.encode_basestring,
        None,
        plain.key_separator,
        plain.item_separator,
        False,
        False,
        plain.allow_nan,
    )
    return made


_parts = _chunks(allow_nan=False, separators=(",", ":"))
_SCALARS = frozenset({float, bool, type(None)})


def _exact(value: Any) -> bool:
    """Whether it and all in it are of the types that JSON has, and of no subclass of them."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind is str or kind is int or kind in _SCALARS
    for one in value:
        kind = type(one)
        if kind is not str and kind is not int and kind not in _SCALARS and not _exact(one):
            return False
    return True


_SURROGATES = re.compile("[\ud800-\udfff]")

_decoder: Any = json.JSONDecoder()
_decode, _scan = _decoder.decode, _decoder.scan_once
#: What `_plain` returns instead of a value, and what JSON takes for a space between values.
_UNREAD: Any = object()
_SPACE = b" \t\r\n"


def _plain(raw: bytes) -> Any:
    """What JSON means that `orjson` writes again in the same way but for spaces; `_UNREAD` of other JSON.

    Two to four times as fast as the standard library. The two differ in numbers beyond 64 bits, which
    orjson reads as floats, in infinities, surrogates, repeated names and in what they refuse; of all that,
    none is written in the same way.
    """
    try:
        value = orjson.loads(raw)
        again = orjson.dumps(value)
    except (ValueError, TypeError):
        return _UNREAD
    # Python's own writer puts spaces between values. Those inside texts were read; all are left out here.
    if again == raw or again.translate(None, _SPACE) == raw.translate(None, _SPACE):
        return value
    return _UNREAD


def loads(text: str | bytes) -> Any:
    """Decodes JSON from text or UTF-8 bytes. Raises ValueError.

    Faster than ``json.loads``, which detects the encoding and looks for spaces around the value.
    """
    if text.__class__ is bytes and (quick := _plain(text)) is not _UNREAD:
        return quick
    if not isinstance(text, str):
        text = text.decode("utf-8", "surrogatepass")
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    # Spaces around the value, or no JSON.
    return value if end == len(text) else _decode(text)


def glance(raw: bytes) -> Any:
    """Decodes JSON of which parts are shown: numbers beyond 64 bits become floats. Raises ValueError."""
    try:
        return orjson.loads(raw)
    except ValueError:
        return loads(raw)


def dumps(value: Any) -> bytes:
    """Encodes a value as compact UTF-8 JSON.

    Lone surrogates, which UTF-8 cannot hold, are written as ``\\uXXXX``.
    For values that JSON cannot hold, raises TypeError, ValueError (NaN, infinity, a number with
    too many digits) or RecursionError (nested too deep, or a reference cycle).
    """
    # Ten times as fast, but orjson also writes what JSON has no type for, such as UUIDs, and null for NaN.
    try:
        # `find`: `in` takes twice the time, because it tries the text as a number first.
        if _exact(value) and (quick := orjson.dumps(value)).find(b"null") < 0:
            # A copy: orjson shortens a block of 1 KB. While the results are kept, the memory allocator gives
            # the rest back to the system and asks for it again each time, which takes ten times as long.
            return b"".join((quick, b""))
    except (TypeError, RecursionError):
        pass  # the encoder below says what is wrong, or can write it
    text = "".join(_parts(value, 0))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return whole(text).encode()


def whole(text: str) -> str:
    """The JSON text with lone surrogates escaped as ``\\uXXXX``, which does not change its value.

    All output uses this rule: characters that JSON may hold and UTF-8 cannot are escaped.
    """
    return (
        text if text.isascii() else _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    )


def pretty(value: Any) -> str:
    """Indented JSON for people, safe for any terminal, file and form."""
    return whole(json.dumps(value, indent=2, ensure_ascii=False))


#: Maximum nesting of objects and lists in JSON from outside. Python's reader accepts thousands of
#: levels, but masking, sealing and showing a payload recurse, which fails at a thousand.
DEEPEST = 200


def strict(raw: bytes) -> Any:
    """Decodes JSON from outside: UTF-8, no NaN, no duplicate keys, at most ``DEEPEST`` levels.

    Raises InvalidPayload, whose message gives the position and never repeats the input.
    """
    value = _plain(raw)
    if value is _UNREAD:
        value = _decoded_strictly(raw)
    if exceeds_depth(value, raw):
        raise _too_deep()
    return value


def _decoded_strictly(raw: bytes) -> Any:
    try:
        text = raw.decode()
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
        return _decode_strictly(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidPayload("payload", f"is not valid JSON: {error.msg} at {place}") from None
    except UnicodeDecodeError as error:
        raise InvalidPayload("payload", f"is not valid UTF-8 at byte {error.start}") from None
    except ValueError:
        raise InvalidPayload("payload", "must not contain a number with that many digits") from None
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> InvalidPayload:
    return InvalidPayload("payload", f"must not be nested more than {DEEPEST} levels deep")


def exceeds_depth(value: Any, text: bytes, most: int = DEEPEST) -> bool:
    """Whether a value, whose JSON is ``text``, is nested more than ``most`` levels deep."""
    # A level has two brackets; to count them takes as long as to write the text.
    if len(text) <= 2 * most or text.count(b"{") + text.count(b"[") <= most:
        return False
    level = [value] if isinstance(value, dict | list | tuple) else []
    for _ in range(most):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for ones in inner for one in ones if isinstance(one, dict | list | tuple)]
    return bool(level)


def _refuse(name: str) -> Any:
    raise InvalidPayload("payload", f"must not contain {name}, which JSON does not allow")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidPayload("payload", "must not contain the same key twice in one object")
    return found


# `json.loads` would build it for each text.
_decode_strictly = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_once).decode

"""JSON as hsejobs writes it: compact UTF-8, no NaN, never pickle."""

from __future__ import annotations

import json
import json.encoder
import re
from collections.abc import Callable
from typing import Any

from hsejobs.errors import InvalidPayload


def _encoder() -> Callable[[Any], str]:
    """The standard encoder, whose own ``encode`` makes its machinery anew for each value."""
    plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return plain.encode
    # Without markers a cycle is found by its depth.
    quote = json.encoder.encode_basestring
    chunks = make(None, plain.default, quote, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


_encode = _encoder()
_HALF = re.compile("[\ud800-\udfff]")

_decode = json.JSONDecoder().decode


def loads(text: str | bytes) -> Any:
    """Reads JSON text or UTF-8 bytes. Raises ValueError. Twice as fast as guessing the encoding."""
    return _decode(text if isinstance(text, str) else text.decode("utf-8", "surrogatepass"))


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON.

    Lone surrogates, which UTF-8 cannot hold, are written as ``\\uXXXX``.
    Raises TypeError, ValueError (NaN, infinity, a number of too many digits) or
    RecursionError (too deep, or a cycle) for what JSON cannot hold.
    """
    text = _encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return whole(text).encode()


def whole(text: str) -> str:
    """JSON text with its half characters (lone surrogates) as ``\\uXXXX``: the same value.

    The one rule for every way out: what JSON may hold and UTF-8 cannot is escaped, as it came in.
    """
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def pretty(value: Any) -> str:
    """Indented JSON for people, which any terminal, file and form can take."""
    return whole(json.dumps(value, indent=2, ensure_ascii=False))


#: Objects and lists inside one another in JSON from outside. Python's own reader takes thousands,
#: but what masks, seals and shows a payload goes into it by recursion, which takes a thousand.
DEEPEST = 200


def strict(raw: bytes) -> Any:
    """JSON from outside: UTF-8, no NaN, no key twice in one object, at most ``DEEPEST`` deep.

    Raises InvalidPayload, which says where it is wrong and repeats nothing of it.
    """
    too_deep = InvalidPayload("payload", f"is nested more than {DEEPEST} deep")
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidPayload("payload", f"is no JSON: {error.msg} at {place}") from None
    except UnicodeDecodeError as error:
        raise InvalidPayload("payload", f"is no UTF-8 at byte {error.start}") from None
    except ValueError:
        raise InvalidPayload("payload", "has a number with too many digits") from None
    except RecursionError:
        raise too_deep from None
    if deeper(value, raw):
        raise too_deep
    return value


def deeper(value: Any, text: bytes, most: int = DEEPEST) -> bool:
    """Whether a value, whose JSON is ``text``, is nested more than ``most`` deep."""
    if text.count(b"{") + text.count(b"[") <= most:
        return False
    level = [value] if isinstance(value, dict | list | tuple) else []
    for _ in range(most):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for ones in inner for one in ones if isinstance(one, dict | list | tuple)]
    return bool(level)


def _refuse(name: str) -> Any:
    raise InvalidPayload("payload", f"has {name}, which is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidPayload("payload", "has a key twice in one object")
    return found

"""JSON as hsejobs reads and writes it agrees with the standard library."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import re
import uuid
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs import codec
from hsejobs.errors import InvalidPayload

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SPACE = st.text(" \t\r\n", max_size=2)


@given(VALUES, SPACE, SPACE, st.booleans())
def test_any_json_is_read(value: Any, before: str, after: str, escaped: bool) -> None:
    text = before + json.dumps(value, ensure_ascii=escaped) + after
    assert codec.loads(text) == value
    assert codec.loads(text.encode("utf-8", "surrogatepass")) == value


@given(st.text() | st.text('{}[]",:1 -e.truefalsn', max_size=12))
def test_what_is_no_json_is_refused(text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        with pytest.raises(json.JSONDecodeError):
            codec.loads(text)
    else:
        assert repr(codec.loads(text)) == repr(value)


@pytest.mark.parametrize("text", ["", " ", "\ufeff{}", "{} {}", "{}x", "nul", "[1,", '{"a" 1}'])
def test_the_error_is_the_standard_librarys(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        codec.loads(text)


#: Tokens that two readers of JSON may take for different values, or that only one of them takes.
EDGES = (
    *("0", "-0", "-0.0", "1.0", "1.10", "1E5", "1e5", "1e-7", "1e16", "1e22", "1e400", "0.1e-400"),
    *("9007199254740993", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
    *("123456789012345678901234567890", "123456789012345.67", "5" * 5000, "01", "+1", ".5", "1."),
    *("NaN", "Infinity", "-Infinity", "null", "true", '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"'),
    *('"\\/"', '"\x00"', '"\t"', '"\x7f\u2028"', '"\ue000"', "{}", "[]", '{"a":1,"a":2}'),
    *('{"a":{"b":1,"b":1}}', "[" * 190 + "]" * 190, "[" * 300 + "]" * 300, "[" * 2000 + "]" * 2000),
)


def outcome(read: Any, text: Any) -> str:
    try:
        # `repr` tells 1 from true and 1.0.
        return repr(read(text))
    except (ValueError, InvalidPayload) as error:
        return type(error).__name__
    except RecursionError:
        return "RecursionError"


@pytest.mark.parametrize("token", EDGES, ids=range(len(EDGES)))
@pytest.mark.parametrize("form", ["%s", "[%s]", '{"a":%s}', '{"a": %s}', '{"b":1,\n"a":[%s]}'])
def test_bytes_are_read_as_text_is(token: str, form: str) -> None:
    """What a faster library reads otherwise, or takes, is read as the standard library reads it."""
    text = form % token
    assert outcome(codec.loads, text.encode()) == outcome(codec.loads, text)
    assert outcome(codec.loads, text.encode()) == outcome(json.loads, text)


@pytest.mark.parametrize("token", EDGES, ids=range(len(EDGES)))
@pytest.mark.parametrize("form", ["%s", "[%s]", '{"a":%s}'])
def test_what_is_strictly_read_is_read_the_same_beside_an_escape(token: str, form: str) -> None:
    """An escaped letter, which no writer escapes, makes JSON take the slow way: both ways are compared."""
    text = form % token
    slow = outcome(codec.strict, f'["\\u0061",{text}]'.encode())
    quick = outcome(codec.strict, f'["a",{text}]'.encode())
    assert quick == slow
    assert outcome(codec.strict, f'["a", {text}]'.encode()) == slow


@given(VALUES)
def test_any_json_is_strictly_read(value: Any) -> None:
    written = codec.dumps({"a": value})
    assert outcome(codec.strict, written) == repr(json.loads(written))
    spaced = json.dumps({"a": value}, indent=1).encode()
    assert outcome(codec.strict, spaced) == repr(json.loads(written))


@given(VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    """Lone surrogates, which UTF-8 cannot hold, included."""
    assert codec.loads(codec.dumps({"a": value, "b": "\ud800"})) == {"a": value, "b": "\ud800"}
    assert codec.whole(json.dumps(value, ensure_ascii=False)).encode()


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    ONE = "one"


class Plain(enum.Enum):
    ONE = "one"


class Text(str):
    pass


@dataclasses.dataclass
class Point:
    x: int


Pair = namedtuple("Pair", "a b")
LONG = 2**70
#: What JSON can hold and Python has other types for.
OTHERS = (Number.ONE, Word.ONE, Text("a"), OrderedDict(a=1), Pair(1, 2), (1, (2,)), {1: 2}, LONG)
#: What some writers of JSON take, and write something else in its place.
REFUSED = (
    float("nan"),
    float("-inf"),
    uuid.UUID(int=1),
    datetime.date(2026, 1, 1),
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    decimal.Decimal(1),
    Plain.ONE,
    Point(1),
    b"a",
    {1},
)


@given(st.one_of(VALUES, st.sampled_from(OTHERS)))
def test_what_is_written_is_what_the_standard_library_writes(value: Any) -> None:
    for whole in (value, {"a": value}, {"a": [value], "b": None}):
        text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
        # As read: 1e-7 may be written as 1e-07. `repr` tells 1 from true and 1.0.
        assert repr(codec.loads(codec.dumps(whole))) == repr(json.loads(text))


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    for whole in (value, {"a": value}, {"a": {"b": [value]}, "c": None}):
        with pytest.raises((TypeError, ValueError)):
            codec.dumps(whole)


@given(VALUES)
def test_what_is_shown_is_what_was_written_but_for_numbers_beyond_64_bits(value: Any) -> None:
    raw = codec.dumps(value)
    large = any(len(number) > 18 for number in re.findall(rb"[0-9]+", raw))
    assert large or codec.glance(raw) == codec.loads(raw)


def test_a_number_beyond_64_bits_and_a_lone_surrogate_are_shown() -> None:
    assert codec.glance(b'{"n":18446744073709551616}') == {"n": 2.0**64}
    assert codec.glance(b'{"t":"\\ud800"}') == {"t": "\ud800"}
    with pytest.raises(ValueError, match="Expecting"):
        codec.glance(b"no")

"""The body of a call is what Node's JSON.stringify makes of the same data."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hsejobs import codec
from hsejobs.services.webhooks.stringify import MAX_SAFE, NotJavaScript, number, plain, stringify
from tests.webhooks.node import Node

#: Text as UTF-16 with lone surrogates; keys that are numbers to JavaScript, and near ones.
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
KEYS = TEXT | st.sampled_from(
    [
        "",
        "0",
        "00",
        "-0",
        "1",
        "10",
        "2",
        "9",
        "01",
        "1.5",
        "1e3",
        "٣",
        "²",
        " 1",
        "__proto__",
        "constructor",
        "toJSON",
        "4294967293",
        "4294967294",
        "4294967295",
        "4294967296",
        "9007199254740991",
        "9007199254740993",
        "99999999999",
        "length",
    ]
)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.binary(min_size=8, max_size=8).map(
    lambda raw: struct.unpack("d", raw)[0]
).filter(math.isfinite)
NUMBERS = (
    st.integers(-MAX_SAFE, MAX_SAFE)
    | DOUBLES
    # Integers as JavaScript prints them.
    | st.integers(MAX_SAFE, 10**21).map(lambda n: int(number(float(n)).replace("e+21", "0" * 21)))
    | st.integers(-330, 308).map(lambda power: float(f"1e{power}"))
    | st.integers(0, 2**53).map(lambda n: n * 1000.0)
)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=8),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    # The data travels as JSON text in base64, so that Node's own reader makes the value.
    process = Node(
        "function answer({text}) {"
        "  const value = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));"
        "  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64') }"
    )
    yield process
    process.close()


def through(node: Node, text: bytes) -> bytes:
    answer = node.ask({"text": base64.b64encode(text).decode()})
    return base64.b64decode(answer)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(DATA)
@example({"b": 1, "10": 1, "9": 1, "a": 1, "4294967295": 1, "4294967294": 1})
@example({"x": [1.0, 1e16, 1e20, 1e21, -0.0, 5e-324, 1e-6, 1e-7, 0.1 + 0.2, 2.0**69, 123e-20]})
@example({"x": [10**20, -(10**20), 10**21, 2**53, 10**22, 10**23, 123456789012345680000]})
@example({"x": '\u2028\u2029\x7f\x00\x1f\b\f\n\r\t"\\/<', "\ud800": "\udfff\ud800", "e": "😀"})
def test_bytes_are_nodes(node: Node, data: Any) -> None:
    # As a job has it: stored as JSON, read again, checked again.
    body = stringify(plain(codec.loads(codec.dumps(plain(data)))))
    assert body == stringify(plain(data))
    # JSON.parse and JSON.stringify of what is sent: what the endpoint signs.
    assert through(node, body) == body
    # And of the original data, written by Python.
    assert through(node, json.dumps(plain(data)).encode()) == body


@settings(max_examples=1000, deadline=None)
@given(DOUBLES)
@example(1e21)
@example(-1e-7)
def test_numbers_read_back(value: float) -> None:
    assert float(number(value)) == value


def test_the_numbers_of_the_standard() -> None:
    for value, text in (
        (1.0, "1"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
        (-0.0, "0"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (123456789012345680000.0, "123456789012345680000"),
        (-1.5e-10, "-1.5e-10"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (-12.5, "-12.5"),
    ):
        assert number(value) == text


def test_a_key_in_two_halves_is_one_key() -> None:
    assert stringify(plain({"\ud83d\ude00": 1, "b": 2, "😀": 3})) == '{"😀":3,"b":2}'.encode()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [0, {"b": 2**53 + 1}]}, ("a", 1, "b")),
        ({"a": -(2**53) - 1}, ("a",)),
        ({"a": 10**20 + 1}, ("a",)),
        ({"a": 2**60}, ("a",)),
        ({"a": 10**400}, ("a",)),
        ({"a": float("nan")}, ("a",)),
        ([1, float("-inf")], (1,)),
        ({"a": {1: 2}}, ("a",)),
        ({"a": {1, 2}}, ("a",)),
    ],
)
def test_what_javascript_would_change_is_refused(value: Any, path: tuple[Any, ...]) -> None:
    with pytest.raises(NotJavaScript) as caught:
        plain(value)
    assert caught.value.path == path


def test_depth_is_limited() -> None:
    data: Any = []
    for _ in range(3000):
        data = [data]
    with pytest.raises(NotJavaScript, match="deep"):
        plain(data)

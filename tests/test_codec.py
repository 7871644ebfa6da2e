"""JSON as hsejobs reads and writes it agrees with the standard library."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs import codec

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


@given(VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    """Lone surrogates, which UTF-8 cannot hold, included."""
    assert codec.loads(codec.dumps({"a": value, "b": "\ud800"})) == {"a": value, "b": "\ud800"}
    assert codec.whole(json.dumps(value, ensure_ascii=False)).encode()

"""Rows as CSV and JSON, against Python's own; and writing behind, with what can go wrong."""

from __future__ import annotations

import csv
import io
import json
import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsejobs.cells import cell, csv_head, csv_rows
from tasks.shared.streams import json_rows, write_behind

#: Also half characters, which a database may hold.
TEXTS = st.text(st.characters(codec=None, categories=None), max_size=12) | st.sampled_from(
    ("=1+1", " =1", "\xa0@x", '"', "a,b", "a\r\nb", "'", "", "-", "\ud800")
)
VALUES = TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, width=32)
TABLES = st.integers(2, 5).flatmap(
    lambda wide: st.lists(st.lists(VALUES, min_size=wide, max_size=wide), max_size=5)
)


def at_work() -> list[str]:
    """Threads of ``behind`` that have not ended."""
    return [one.name for one in threading.enumerate() if one.name.startswith("write-behind")]


@given(TABLES)
def test_csv_is_what_pythons_own_writer_makes(table: list[list[object]]) -> None:
    wanted = io.StringIO(newline="")
    writer = csv.writer(wanted, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([cell(value) for value in row] for row in table)
    assert csv_rows(table) == wanted.getvalue().encode(errors="replace")


#: What a formula begins with, also full-width, and what is around it to hide it.
TRICKS = st.text(st.sampled_from(";,\"=+-@\t\r\n a'\xa0\uff1d\uff20"), max_size=9)


@given(
    st.lists(
        st.lists(TRICKS | st.none() | st.integers(), min_size=3, max_size=3), min_size=1, max_size=4
    ),
    st.sampled_from(";\t,"),
)
@settings(max_examples=1500, deadline=None)
def test_no_separator_makes_a_formula_of_a_text(table: list[list[object]], separator: str) -> None:
    """Excel takes the separator of the country: with ``;`` the quotes of this file are none."""
    data = csv_head(("id", "a", "b", "c")) + csv_rows([("i-1", *row) for row in table])
    text = data.decode("utf-8-sig")
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        for found in row:
            if separator == "," and re.fullmatch(r"-\d+", found):
                continue
            assert not found.lstrip(" \xa0").startswith(("=", "+", "-", "@", "\uff1d", "\uff20"))


def test_the_quotes_alone_would_not_do() -> None:
    rows = list(csv.reader(io.StringIO('"i-1","a;=1+1"\r\n'), delimiter=";"))
    assert rows[0][1].startswith("=1+1")


@given(st.lists(st.dictionaries(TEXTS, VALUES.filter(lambda v: v not in (1e999, -1e999)))))
def test_json_reads_back_as_it_was(rows: list[dict[str, object]]) -> None:
    text = json_rows(rows)
    assert json.loads(b"[" + text + b"]") == rows
    assert len(text.split(b"\n")) == max(1, len(rows))


def test_behind_writes_all_in_order_elsewhere() -> None:
    got: list[tuple[bytes, int]] = []

    def take(piece: bytes) -> None:
        got.append((piece, threading.get_ident()))

    with write_behind(take) as put:
        for number in range(100):
            put(b"%d" % number)
    assert [piece for piece, _ in got] == [b"%d" % number for number in range(100)]
    assert {thread for _, thread in got} != {threading.get_ident()}
    assert not at_work()


def test_behind_holds_few_pieces() -> None:
    go, begun = threading.Event(), threading.Semaphore(0)
    taken = 0

    def slow(_: bytes) -> None:
        begun.release()
        assert go.wait(60)

    def fill() -> None:
        nonlocal taken
        with write_behind(slow) as put:
            for _ in range(50):
                taken += 1
                put(b"x")

    filler = threading.Thread(target=fill)
    filler.start()
    assert begun.acquire(timeout=60)
    # It can go no further than this while the first piece is being written.
    filler.join(0.3)
    assert filler.is_alive()
    assert taken <= 5
    go.set()
    filler.join(60)
    assert taken == 50


def test_what_the_file_raises_is_raised_and_nothing_follows() -> None:
    got: list[bytes] = []

    def full(piece: bytes) -> None:
        if piece == b"3":
            raise OSError("no space")
        got.append(piece)

    def run(pieces: range) -> None:
        with write_behind(full) as put:
            for number in pieces:
                put(b"%d" % number)

    # Reported by a later call, and also where there is none.
    for pieces in (range(100), range(4)):
        got.clear()
        with pytest.raises(OSError, match="no space"):
            run(pieces)
        assert got == [b"0", b"1", b"2"]
        assert not at_work()


def test_broken_off_nothing_is_written_afterwards() -> None:
    got: list[bytes] = []

    def run() -> None:
        with write_behind(got.append) as put:
            put(b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not at_work()
    assert got in ([], [b"1"])

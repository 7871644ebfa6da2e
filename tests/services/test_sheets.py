"""Workbooks, read back by programs that share no code with their writer."""

from __future__ import annotations

import datetime
import io
import re
import stat
import zipfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from hsejobs.services.artifacts import Artifact
from tasks.shared import sheets
from tasks.shared.platform import schema
from tasks.shared.sheets import CUT, LONGEST, MOST_ROWS, is_time, sheet_name, workbook

AT = datetime.datetime(2026, 2, 1, 8, tzinfo=datetime.UTC)
Rows = Sequence[Sequence[Any]]


class Out(io.RawIOBase):
    """A file that cannot seek, as an artifact's."""

    artifact: Artifact | None = None

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def made(
    home: Path, keys: Sequence[str], rows: Rows, check: Callable[[], None] = lambda: None
) -> bytes:
    """A workbook with one table and its notes."""
    out = Out()
    with workbook(out, home=home, title="Test", at=AT, check=check) as book:
        book.table("rows", keys, [rows])
        book.notes({"organization": "=1+1"})
    return bytes(out.data)


def read(data: bytes) -> Any:
    """It as openpyxl reads it, formulas as formulas."""
    return openpyxl.load_workbook(io.BytesIO(data))


def values(data: bytes, name: str = "rows") -> list[list[Any]]:
    """The cells of a sheet below its header."""
    return [[cell.value for cell in row] for row in read(data)[name].iter_rows(min_row=2)]


def test_types(tmp_path: Path) -> None:
    row = (
        "00123",
        "2026-01-31T08:05:09Z",
        "2026-01-31T08:05:09+02:00",
        "2026-01-31",
        5,
        -1.5,
        True,
        False,
        None,
        2**53,
        2**53 + 1,
        -(2**53) - 1,
        float("nan"),
        float("inf"),
        Decimal("12.50"),
        Decimal("0.1234567890123456789"),
        "2026-01-31T08:05:09Z",
    )
    keys = ("id", "createdAt", "closedAt", "validUntil", *(f"c{n}" for n in range(len(row) - 4)))
    data = made(tmp_path, keys, [row])
    moment = datetime.datetime(2026, 1, 31, 8, 5, 9)
    assert values(data) == [
        [
            "00123",
            moment,
            moment.replace(hour=6),
            datetime.datetime(2026, 1, 31),
            5,
            -1.5,
            True,
            False,
            None,
            2**53,
            str(2**53 + 1),
            str(-(2**53) - 1),
            "nan",
            "inf",
            12.5,
            "0.1234567890123456789",
            "2026-01-31T08:05:09Z",
        ]
    ]
    sheet = read(data)["rows"]
    assert sheet["B2"].is_date
    assert "UTC" in sheet["B2"].number_format
    assert sheet["D2"].number_format == "yyyy-mm-dd"
    assert [cell.data_type for cell in sheet[2]][6:8] == ["b", "b"]
    import pandas

    frame = pandas.read_excel(io.BytesIO(data), sheet_name="rows", dtype={"id": str})
    assert list(frame.columns) == list(keys)
    assert frame["createdAt"][0] == pandas.Timestamp(moment)
    assert str(frame["createdAt"].dtype).startswith("datetime64")
    assert (frame["id"][0], frame["c0"][0], frame["c2"][0]) == ("00123", 5, True)


@pytest.mark.parametrize(
    "text",
    [
        "1900-02-28T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "2026-02-30",
        "soon",
        "2026-01",
        "20260131",
        "9999-12-31T23:59:59-10:00",
        "2026-01-31T08:05Z ",
        "٢٠٢٦-01-31",
    ],
)
def test_times_that_excel_cannot_represent_stay_text(tmp_path: Path, text: str) -> None:
    assert values(made(tmp_path, ("id", "createdAt"), [("i", text)])) == [["i", text]]


def test_the_first_and_the_last_time(tmp_path: Path) -> None:
    times = ("1900-03-01T00:00:00Z", "9999-12-31T23:59:59Z")
    found = values(made(tmp_path, ("id", "createdAt"), [("i", time) for time in times]))
    wanted = [datetime.datetime.fromisoformat(time).replace(tzinfo=None) for time in times]
    assert [row[1] for row in found] == wanted


def test_times_are_the_schemas() -> None:
    """By their names alone columns are known as times: so all of the schema's have such a name."""
    for table in schema.METADATA.tables.values():
        for column in table.columns:
            first, *rest = column.name.split("_")
            key = first + "".join(part.capitalize() for part in rest)
            assert is_time(key) == (getattr(column.type, "length", None) == 30), column


RISKY = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "{=1}",
    "\t=1",
    "a;=1+1",
    "＝1",  # noqa: RUF001
    "http://x.example/",
    "https://x",
    "mailto:a@b.example",
    "internal:Sheet1!A1",
    "ftp://x",
    "external:c:\\x.xlsx",
    "0012",
    "1e5",
    "TRUE",
    "#N/A",
    "2026-01-31",
    "'quoted",
    "_x0041_",
    "<r>",
    "</r>",
    "<r><t>x</t></r>",
    " both ends ",
    "a\nb\r\nc",
    "\x00\x0b\x1f\x7f\x85",
    "\ufffe\uffff",
    "<r></r>",
    '<r><t>x</t></r></is></c><c r="B2"><f>1+1</f></c><c r="C2" t="inlineStr"><is><r></r>',
    "<r>\x0b_x0041_</r>",
    "&lt;&amp;",
    "]]>",
    "\U0001f525",
    "消防",
)


def test_a_text_is_a_text_and_itself(tmp_path: Path) -> None:
    data = made(tmp_path, ("id", "title"), [("=id", text) for text in RISKY])
    book = read(data)
    found = [row[1].value for row in book["rows"].iter_rows(min_row=2)]
    assert [unescape(one) for one in found] == list(RISKY)
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type in ("s", "n")
                assert cell.hyperlink is None
    assert book["notes"]["B2"].value == "=1+1"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert b"<f>" not in content
            assert b"<hyperlink" not in content


@given(st.lists(st.text(st.characters(codec=None, categories=None), max_size=20), max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    home = tmp_path_factory.getbasetemp() / "any"
    found = values(made(home, ("id", "title"), [("i", text) for text in texts]))
    wanted = [text.encode(errors="replace").decode() for text in texts]
    assert [unescape(title or "") for _, title in found] == wanted


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "\U0001f525" * LONGEST, "é" * 100_000])
def test_a_long_text_is_cut_and_reported(tmp_path: Path, text: str) -> None:
    out = Out()
    with workbook(out, home=tmp_path, title="", at=AT, check=lambda: None) as book:
        book.table("rows", ("id", "title"), [[("a", text), ("b", "x" * LONGEST)]])
        book.notes({})
    assert book.cut == 1
    (first, second) = (row[1] for row in values(bytes(out.data)))
    assert first.endswith(CUT)
    assert text.startswith(first.removesuffix(CUT))
    assert LONGEST - 2 < len(first.encode("utf-16-le")) / 2 <= LONGEST
    assert second == "x" * LONGEST
    told = dict(values(bytes(out.data), "notes"))
    assert told["times"] == "UTC"
    assert told["rows of rows"] == 2
    assert told["texts cut"].startswith("1, each longer than the 32,767 characters")


def test_the_header_stays_and_filters(tmp_path: Path) -> None:
    for rows in ([], [("a", 1)] * 5):
        sheet = read(made(tmp_path, ("id", "n"), rows))["rows"]
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref == f"A1:B{len(rows) + 1}"
        assert [cell.value for cell in sheet[1]] == ["id", "n"]


def test_a_table_continues_in_the_next_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_ROWS == 1_048_576
    monkeypatch.setattr(sheets, "MOST_ROWS", 11)
    for count, wanted in ((10, [10]), (11, [10, 1]), (25, [10, 10, 5]), (0, [0])):
        data = made(tmp_path, ("id", "n"), [(f"i-{n}", n) for n in range(count)])
        book = read(data)
        names = [name for name in book.sheetnames if name.startswith("rows")]
        assert names == ["rows", "rows (2)", "rows (3)"][: len(wanted)]
        assert [book[name].max_row - 1 for name in names] == wanted
        assert {book[name]["A1"].value for name in names} == {"id"}
        found = [row[1] for name in names for row in values(data, name)]
        assert found == list(range(count))


def test_sheet_names() -> None:
    taken: list[str] = []
    given = (
        "audits",
        "Audits",
        "AUDITS",
        "a/b\\c[d]:e*?",
        "'q'",
        "",
        "History",
        "x" * 40,
        "x" * 41,
        "\U0001f525" * 31,
        "\x00\ud800",
        "straße",
        "STRASSE",
    )
    for name in given:
        found = sheet_name(name, taken)
        assert 0 < len(found.encode("utf-16-le")) // 2 <= 31
        assert not re.search(r"[\[\]:*?/\\\x00-\x1f]", found)
        assert found.strip("' ") == found
        taken.append(found)
    assert len({name.casefold() for name in taken}) == len(given)
    assert "history" not in {name.casefold() for name in taken}


def test_the_same_tables_make_the_same_bytes(tmp_path: Path) -> None:
    rows = [(f"i-{n}", "2026-01-31T08:05:09Z") for n in range(300)]
    first, again = (made(tmp_path / str(n), ("id", "createdAt"), rows) for n in range(2))
    assert first == again
    assert read(first).properties.created == AT.replace(tzinfo=None)


def test_its_temporary_files_are_private_and_go(tmp_path: Path) -> None:
    seen: set[int] = set()

    def rows() -> Any:
        yield [("a", 1)] * 10
        for path in (tmp_path / "tmp").rglob("*"):
            seen.add(stat.S_IMODE(path.stat().st_mode))

    with workbook(Out(), home=tmp_path, title="", at=AT, check=lambda: None) as book:
        book.table("rows", ("id", "n"), rows())
    assert seen == {0o700, 0o600}
    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o700
    assert list((tmp_path / "tmp").iterdir()) == []

"""PDFs as their reader finds them: pages, tables, scripts, and what has no glyph."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from hsejobs.errors import LeaseLost
from tasks.reports import document
from tasks.shared import fonts
from tasks.shared.platform.sample import fill
from tasks.shared.platform.schema import AUDITS, ORGANIZATIONS, STATIONS
from tests.reports.conftest import Reports

NOW = "2026-01-15T08:00:00Z"
KINDS = ("audits", "incidents", "work-permits", "compliance")


def audits(engine: Engine, *titles: str, name: str = "Harbour Works") -> None:
    """One organization with an audit for each title."""
    with engine.begin() as connection:
        connection.execute(
            insert(ORGANIZATIONS).values(
                id="org-1",
                name=name,
                name_key=name.casefold(),
                tier="free",
                admin_email="a@b.example",
                created_at=NOW,
            )
        )
        connection.execute(
            insert(STATIONS).values(
                organization_id="org-1",
                id="s-1",
                name="Dock 4",
                kind="site",
                active=True,
                created_at=NOW,
            )
        )
        rows: list[dict[str, Any]] = [
            {
                "organization_id": "org-1",
                "id": f"a-{number:06d}",
                "station_id": "s-1",
                "title": title,
                "status": "Completed",
                "score": 90,
                "auditor": "Ann",
                "findings": 1,
                "open_actions": 0,
                "scheduled_at": NOW,
                "completed_at": NOW,
                "created_at": NOW,
            }
            for number, title in enumerate(titles)
        ]
        if rows:
            connection.execute(insert(AUDITS), rows)


@pytest.mark.parametrize("kind", KINDS)
def test_all_types_have_a_title_page_and_numbered_pages(reports: Reports, kind: str) -> None:
    fill(reports.engine, 2, 1_200)
    made, pages = reports.pages(kind, {"startDate": "2024-06-01", "endDate": "2026-01-31"})
    assert made.organization in pages[0]
    assert "2024-06-01 to 2026-01-31" in pages[0]
    assert re.search(r"As of\s+2026-02-01 08:00 UTC", pages[0])
    assert "Page" not in pages[0]
    for number, page in enumerate(pages[1:], 2):
        assert f"Page {number} of {len(pages)}" in page
    assert "Summary" in pages[1]
    if kind != "compliance":
        # The heading of the table is on each of its pages.
        for page in pages[2:]:
            assert page.count("Station") == 1
    assert reports.told == sorted(reports.told)
    assert reports.told[-1] >= 95


def test_figures_and_rows_are_those_of_the_database(reports: Reports) -> None:
    fill(reports.engine, 1, 600)
    found = reports.json("audits", {"status": "Completed"})
    made, pages = reports.pages("audits", {"status": "Completed"})
    text = "\n".join(pages)
    assert made.rows == len(found["rows"]) == found["summary"]["total"] > 50
    assert str(found["summary"]["averageScore"]) in pages[1]
    assert f"{found['summary']['findings']:,}" in pages[1]
    assert text.count("Completed") >= made.rows
    for row in found["rows"]:
        assert row["scheduledAt"][:10] in text


def test_an_empty_report_says_so(reports: Reports) -> None:
    audits(reports.engine)
    for kind in KINDS:
        made, pages = reports.pages(kind, None, "org-1")
        assert made.rows == 0
        assert made.archival
        assert "There is nothing to list." in pages[-1]


def test_what_typst_would_read_as_source_is_text(reports: Reports) -> None:
    text = '#let x = 1; $y$ *b* `r` @ref <l> \\u{41} // c " ] #sys.inputs'
    audits(reports.engine, text, name="#panic(1) *Co*")
    made, pages = reports.pages("audits", None, "org-1")
    assert "#panic(1) *Co*" in pages[0]
    found = "".join("".join(pages).split())
    for word in ("#let", "$y$", "*b*", "`r`", "@ref", "<l>", "\\u{41}", "//", "#sys.inputs"):
        assert word in found
    assert made.archival


def test_every_script_is_in_the_text_and_boxes_are_reported(reports: Reports) -> None:
    audits(reports.engine, "Έλεγχος", "Überprüfung für Ærø", "تدقيق", "消防点検", "Žluťoučký")
    made, pages = reports.pages("audits", None, "org-1")
    text = "\n".join(pages)
    for word in ("Έλεγχος", "Überprüfung", "Ærø", "Žluťoučký"):
        assert word in text
    assert not set("ΈλεγχοςÜüæžťč") & set(made.missing)
    # Whether this machine has fonts for all or not: a missing character is reported, and is a box.
    for word in ("消防点検", "تدقيق"):
        assert set(word) & set(made.missing) or word in unicodedata.normalize("NFKC", text)
    told = "could not be printed" in pages[0]
    assert told == bool(made.missing)
    assert made.archival == (not made.missing)
    assert set(made.missing) <= set("تدقيق消防点検")
    for one in made.missing:
        assert f"U+{ord(one):04X}" in pages[0]


def test_a_character_that_no_font_has(reports: Reports) -> None:
    # A hieroglyph of 2024; if a machine has it, it lacks the next one.
    audits(reports.engine, "Known", "\U000143fa and \U000143f9")
    made, pages = reports.pages("audits", None, "org-1")
    assert made.missing == ("\U000143f9", "\U000143fa")
    assert not made.archival
    assert "2 characters" in pages[0]
    assert "U+143F9, U+143FA" in " ".join(pages[0].split())


def test_fonts_in_the_home_folder_are_used(reports: Reports, tmp_path: Path) -> None:
    (tmp_path / "fonts").mkdir()
    assert str(tmp_path / "fonts") in fonts.font_folders(tmp_path)


def test_long_words_stay_in_their_column(reports: Reports) -> None:
    audits(reports.engine, "W" * 200, "Donaudampfschifffahrtsgesellschaftskapitänskajütenprotokoll")
    _, pages = reports.pages("audits", None, "org-1")
    rows = [line for line in "\n".join(pages).splitlines() if "Completed" in line and "Ann" in line]
    assert len(rows) == 2
    # The columns beside it are where they were, and not below letters.
    for row in rows:
        assert re.search(r"\sDock 4\s+Ann\s+Completed\s+90\s+1\s+0", row)


def test_control_characters_and_half_characters_do_no_harm(reports: Reports) -> None:
    audits(reports.engine, "a\x01b\x07c\x1b[31m\u2028d\ufffe", name="Line\none")
    made, pages = reports.pages("audits", None, "org-1")
    assert "a b c [31m d" in "\n".join(pages)
    assert made.archival
    assert document.breakable("x\ud800y") == "x y"


def test_a_pdf_lists_a_limited_number_of_rows(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MOST_ROWS", 60)
    audits(reports.engine, *(f"title{number}." for number in range(1500)))
    made, pages = reports.pages("audits", None, "org-1")
    text = "\n".join(pages)
    assert made.rows == 1500
    assert "the newest 60 of 1,500 rows are listed" in pages[0]
    assert "The CSV and Excel reports have all rows" in " ".join(pages[0].split())
    titles = [int(number) for number in re.findall(r"title(\d+)\.", text)]
    assert titles == list(range(1499, 1439, -1))
    assert re.search(r"1,500\s", pages[1])


def test_the_title_page_names_the_maker_and_the_time_zone(reports: Reports) -> None:
    audits(reports.engine)
    _, pages = reports.pages("audits", None, "org-1")
    text = " ".join(pages[0].split())
    assert "Made by HSE.Digital from the organization's records. Times are UTC." in text


def test_typesetting_ends_when_the_job_does(reports: Reports) -> None:
    fill(reports.engine, 1, 15_000)
    setting = False

    def check() -> None:
        nonlocal setting
        setting = setting or bool(reports.told and reports.told[-1] == 86)
        if setting:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        reports.make("audits", "pdf", None, "org-123", check)
    assert setting
    files = [file for file in (reports.home / "artifacts").rglob("*") if file.is_file()]
    assert files == []


def test_control_characters_are_not_reported_as_boxes(reports: Reports) -> None:
    # U+200B, where a long word may break, U+200D, U+202E; the hieroglyph alone is a box.
    audits(reports.engine, "W" * 40 + "\U000143fa", "a\u200db\u202ec \U000143fa\u200d\U000143fa")
    made, pages = reports.pages("audits", None, "org-1")
    assert made.missing == ("\U000143fa",)
    assert "One character" in pages[0]

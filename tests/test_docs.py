"""The documents match the code: tables are generated, and all keys and fields are described."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from hsejobs.store import keys, scripts
from tests.store.transitions import drawn

DOCS = Path(__file__).parent.parent / "docs"


def test_the_life_of_a_job_is_the_table_that_the_scripts_must_match() -> None:
    text = (DOCS / "job-life.md").read_text()
    found = re.search(r"<!-- transitions -->\n(.*)\n<!-- end -->", text, re.DOTALL)
    assert found is not None
    assert found[1] == drawn()


@pytest.mark.parametrize("name", sorted(keys.SUFFIXES))
def test_every_key_is_described(name: str) -> None:
    assert f"| `{keys.SUFFIXES[name]}" in (DOCS / "redis-keys.md").read_text()


def test_every_field_of_a_job_is_described() -> None:
    lua = "".join(path.read_text() for path in Path(keys.__file__).parent.glob("lua/**/*.lua"))
    read = (Path(keys.__file__).parent / "read.py").read_text()
    fields = set(re.findall(r'(?:text|number)\("(\w\w?)"\)', read))
    fields |= set(re.findall(r"field\('(\w\w?)'", lua))
    text = (DOCS / "redis-keys.md").read_text()
    assert [name for name in sorted(fields) if f"| `{name}` |" not in text] == []


def test_every_script_is_named() -> None:
    text = (DOCS / "redis-keys.md").read_text()
    assert [one.name for one in scripts.ALL if f"`{one.name}`" not in text] == []


def test_links_of_the_readme_lead_somewhere() -> None:
    root = DOCS.parent
    # Absolute, because package indexes show this page too.
    ours = r"\]\(https://(?:github|raw\.githubusercontent)\.com/hse-digital/hsejobs/(?:blob/)?main/([^)]+)\)"
    text = (root / "README.md").read_text()
    links = re.findall(ours, text)
    assert len(links) > 10
    assert [link for link in links if not (root / unquote(link)).exists()] == []
    assert re.findall(r"\]\((?!http)[^)]+\)", text) == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*DOCS.glob("*.md"), DOCS.parent / "CONTRIBUTING.md", DOCS.parent / "SECURITY.md"]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text())
    ]
    assert len(links) > 20
    assert [str(link) for page, link in links if not (page.parent / unquote(link)).exists()] == []


def test_codes_of_http_alone_are_told() -> None:
    told = (DOCS / "http.md").read_text().partition("## When it is no")[2].partition("\n## ")[0]
    shim = Path(__file__).parent.parent / "hsejobs_http"
    made = {
        (code, status)
        for file in shim.glob("*.py")
        for status, code in re.findall(r'Problem\(\s*(\d{3}), "(\w+)"', file.read_text())
    }
    shared = {("payload_too_large", "413"), ("invalid_option", "422")}
    assert len(made) > 6
    assert made - shared <= set(re.findall(r"\| `(\w+)` \| (\d{3}) \|", told))


def test_the_glossary_is_alphabetical_and_explains_each_term_once() -> None:
    terms = re.findall(r"^\| \*\*(.+)\*\* \| \w", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert len(terms) > 50
    assert terms == sorted(set(terms), key=str.casefold)

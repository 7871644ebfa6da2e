"""The store seen as a whole: walks, searches, erasures; reading from the middle; older metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hsejobs.services.artifacts.store import PART_BYTES, open_store
from tests.artifacts.conftest import Place


def test_a_walk_a_search_and_an_erasure_see_one_organization(place: Place) -> None:
    for org in ("org-1", "org-2"):
        for name in ("a", "b"):
            place.save(org, name, bytes(PART_BYTES + 1) if name == "a" else b"")
    every = [(one.organization_id, one.id) for one in place.store.walk()]
    assert sorted(every) == [(o, n) for o in ("org-1", "org-2") for n in ("a", "b")]
    assert sorted(one.id for one in place.store.walk("org-2")) == ["a", "b"]
    assert list(place.store.walk("org-3")) == []
    assert {one.organization_id for one in place.store.find("b")} == {"org-1", "org-2"}
    assert [one.id for one in place.store.find("b", "org-1")] == ["b"]
    assert place.store.find("c") == []
    assert place.store.erase("org-1") == 5
    assert list(place.store.walk("org-1")) == []
    assert len(place.files()) == 5
    assert place.read("org-2", "a") == bytes(PART_BYTES + 1)


@pytest.mark.parametrize("start", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 7, 10**12])
def test_reading_begins_anywhere(place: Place, start: int) -> None:
    content = bytes(range(256)) * (PART_BYTES // 256) + b"the end"
    place.save(content=content)
    found, pieces = place.store.open("org-1", "a", start)
    assert found.bytes == len(content)
    assert b"".join(pieces) == content[start:]


def test_metadata_of_the_release_before_is_read_and_its_readers_read_ours(tmp_path: Path) -> None:
    """The user is stored next to the fields that earlier releases read, which refuse unknown ones."""
    store = open_store(None, tmp_path)
    with store.write(
        "o", "a", name="n", content_type="t/t", expires_at=10**13 - 1, queue="reports", job_id="j"
    ) as out:
        out.write(b"x")
    [path] = (tmp_path / "artifacts").rglob("*.json")
    raw = json.loads(path.read_text())
    assert set(raw["artifact"]) == {
        "id",
        "organization_id",
        "name",
        "content_type",
        "bytes",
        "sha256",
        "created_at",
        "expires_at",
    }
    assert (store.get("o", "a").queue, store.get("o", "a").job_id) == ("reports", "j")
    del raw["made"]
    path.write_text(json.dumps(raw))
    assert (store.get("o", "a").queue, store.get("o", "a").job_id) == (None, None)

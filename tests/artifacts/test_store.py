"""What an artifact store promises, on a folder and on S3."""

from __future__ import annotations

import hashlib
import io
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from hsejobs.errors import ArtifactNotFound, ArtifactsUnavailable
from hsejobs.services.artifacts.shelf import ShelfEntry
from hsejobs.services.artifacts.store import PART_BYTES
from tests.artifacts.conftest import DAY_MS, Place
from tests.support import wait_until


def now() -> int:
    return int(time.time() * 1000)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 2 * PART_BYTES + 3])
def test_what_was_written_is_read(place: Place, size: int) -> None:
    content = random.Random(size).randbytes(size)
    before = now()
    with place.store.write(
        "org-1", "a", name="rép/ort.pdf", content_type="application/pdf", expires_at=now() + DAY_MS
    ) as out:
        for start in range(0, size, 1_000_003):
            out.write(memoryview(content)[start : start + 1_000_003])
        with pytest.raises(ArtifactNotFound):
            place.store.get("org-1", "a")
    kept = place.store.get("org-1", "a")
    assert out.artifact == kept
    assert (kept.id, kept.organization_id, kept.name) == ("a", "org-1", "rép/ort.pdf")
    assert kept.content_type == "application/pdf"
    assert kept.bytes == size
    assert kept.sha256 == hashlib.sha256(content).hexdigest()
    assert before <= kept.created_at <= now() < kept.expires_at
    artifact, pieces = place.store.open("org-1", "a")
    assert artifact == kept
    assert b"".join(pieces) == content
    # One file of metadata, and as few of data as there can be.
    assert len(place.files()) == 1 + max(1, -(-size // PART_BYTES))


def test_names_on_the_place_are_hashes(place: Place) -> None:
    for organization_id, artifact_id in (("../../etc", "../passwd"), ("ö\0 \ud800", "a/b\\c")):
        place.save(organization_id, artifact_id, b"x")
        assert place.read(organization_id, artifact_id) == b"x"
    for name in place.files():
        folder, _, file = name.partition("/")
        assert len(bytes.fromhex(folder)) == 32
        assert len(bytes.fromhex(file.partition(".")[0])) == 32


@pytest.mark.parametrize(
    ("organization_id", "artifact_id"),
    [("org-2", "a"), ("org-1", "b"), ("", "a"), ("org-1", ""), ("org-1/a", ""), ("org-1\0", "a")],
)
def test_another_organizations_is_not_there(
    place: Place, organization_id: str, artifact_id: str
) -> None:
    place.save("org-1", "a")
    with pytest.raises(ArtifactNotFound):
        place.store.get(organization_id, artifact_id)
    with pytest.raises(ArtifactNotFound):
        place.store.open(organization_id, artifact_id)
    assert not place.store.delete(organization_id, artifact_id)
    assert place.read("org-1", "a") == b"content"


def test_metadata_under_another_name_is_not_found(place: Place) -> None:
    place.save("org-1", "a")
    place.save("org-2", "a", b"theirs")
    mine, theirs = (name for name in place.files() if name.endswith(".json"))
    copied = place.store.shelf.get(theirs)
    assert copied is not None
    place.store.shelf.put(mine, copied)
    owner = "org-1" if mine.startswith(hashlib.sha256(b"org-1").hexdigest()) else "org-2"
    with pytest.raises(ArtifactNotFound):
        place.store.get(owner, "a")


def test_a_block_that_fails_leaves_nothing(place: Place) -> None:
    def half() -> None:
        with place.store.write(
            "org-1", "a", name="n", content_type="t/t", expires_at=now() + DAY_MS
        ) as out:
            out.write(bytes(PART_BYTES + 1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert place.files() == []
    place.save(content=b"old")
    with pytest.raises(KeyboardInterrupt):
        half()
    assert place.read() == b"old"
    assert len(place.files()) == 2


def test_a_replacement_is_seen_whole_or_not_at_all(place: Place) -> None:
    old, new = b"o" * (PART_BYTES + 5), b"n" * (PART_BYTES + 7)
    place.save(content=old)
    with place.store.write(
        "org-1", "a", name="new", content_type="t/t", expires_at=now() + DAY_MS
    ) as out:
        out.write(new)
        assert place.read() == old
    assert place.store.get("org-1", "a").name == "new"
    assert place.read() == new
    assert len(place.files()) == 3


def test_a_reader_never_mixes_old_and_new(place: Place) -> None:
    place.save(content=b"o" * (2 * PART_BYTES))
    _, pieces = place.store.open("org-1", "a")
    got = [next(pieces)]
    place.save(content=b"n" * (2 * PART_BYTES))
    with pytest.raises(ArtifactNotFound):
        got.extend(pieces)
    assert set(b"".join(got)) == set(b"o")


def test_open_follows_a_replacement_between_its_two_reads(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.save(content=b"old")
    get, turns = place.store.shelf.get, iter([None, lambda: place.save(content=b"new")])

    def replaced_meanwhile(name: str) -> bytes | None:
        turn = next(turns, None)
        if turn is not None:
            turn()
        return get(name)

    monkeypatch.setattr(place.store.shelf, "get", replaced_meanwhile)
    assert place.read() == b"new"


def test_delete(place: Place) -> None:
    place.save(content=bytes(PART_BYTES + 1))
    assert place.store.delete("org-1", "a")
    assert not place.store.delete("org-1", "a")
    assert place.files() == []


def test_what_has_expired_is_gone_and_then_removed(place: Place) -> None:
    for number in range(3):
        place.save(artifact_id=f"old-{number}", expires_at=now() - number)
    place.save(artifact_id="kept", expires_at=now() + DAY_MS)
    with pytest.raises(ArtifactNotFound, match="expired"):
        place.store.open("org-1", "old-0")
    assert place.store.expire(now(), 2) == 2
    assert place.store.expire(now(), 2) == 1
    assert place.store.expire(now(), 2) == 0
    assert place.read(artifact_id="kept") == b"content"
    assert len(place.files()) == 2


def test_what_was_made_again_with_a_later_expiry_stays(place: Place) -> None:
    place.save(expires_at=now() - 5)
    old = [name for name in place.files() if not name.endswith(".json")]
    place.save(expires_at=now() + DAY_MS)
    # As if the old data could not be removed.
    place.store.shelf.put(old[0], b"old")
    assert place.store.expire(now()) == 0
    assert place.read() == b"content"
    assert place.store.sweep(-60) == 1
    assert place.read() == b"content"
    assert old[0] not in place.files()


WRITE_AND_DIE = """
import os, signal, sys, time
from pathlib import Path
from hsejobs.services.artifacts.store import PART_BYTES, open_store
url, home = sys.argv[1] or None, Path(sys.argv[2])
store = open_store(url, home)
with store.write("org-1", "a", name="n", content_type="t/t", expires_at=10**13 - 1) as out:
    out.write(bytes(2 * PART_BYTES + 5))
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("replaced", [False, True])
def test_a_killed_writer_leaves_only_what_a_sweep_removes(
    place: Place, tmp_path: Path, replaced: bool
) -> None:
    if replaced:
        place.save(content=b"old")
    before = place.files()
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_DIE, place.url or "", str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert len(place.files()) == len(before) + 2
    # Not yet: it might still be being written.
    assert place.store.sweep(3600) == 0
    assert place.store.sweep(-60) == 2
    assert place.files() == before
    if replaced:
        assert place.read() == b"old"
    else:
        with pytest.raises(ArtifactNotFound):
            place.store.get("org-1", "a")


def test_a_sweep_leaves_the_living_and_what_is_not_ours(place: Place) -> None:
    for number in range(5):
        place.save(f"org-{number % 2}", f"a-{number}")
    place.store.shelf.put("somebody/else.txt", b"not ours")
    before = place.files()
    assert place.store.sweep(-60) == 0
    assert place.files() == before


def test_a_part_that_is_still_being_written_keeps_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def entries() -> list[ShelfEntry]:
        key = "0" * 64 + "/" + "1" * 64
        return [
            ShelfEntry(f"{key}.{'9' * 15}.{'a' * 16}.{part:06d}", when)
            for part, when in enumerate((1.0, time.time()))
        ]

    monkeypatch.setattr(place.store.shelf, "entries", lambda: iter(entries()))
    assert place.store.sweep(3600) == 0


def test_metadata_that_failed_after_it_took_effect_keeps_its_data(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = place.store.shelf.put

    def late_error(name: str, data: bytes) -> None:
        put(name, data)
        if name.endswith(".json"):
            raise ArtifactsUnavailable("the answer was lost")

    monkeypatch.setattr(place.store.shelf, "put", late_error)
    with pytest.raises(ArtifactsUnavailable):
        place.save()
    assert place.read() == b"content"


def test_a_later_versions_metadata_is_left_alone(place: Place) -> None:
    place.save(expires_at=now() - 5)
    (meta,) = (name for name in place.files() if name.endswith(".json"))
    place.store.shelf.put(meta, b'{"version": 2}')
    data = next(name for name in place.files() if not name.endswith(".json"))
    place.store.shelf.put(data.replace(data.split(".")[2], "f" * 16), b"second")
    assert place.store.expire(now()) == 0
    assert place.store.sweep(-60) == 0
    with pytest.raises(ArtifactsUnavailable, match="metadata"):
        place.store.get("org-1", "a")


def test_zip_and_csv_writers_can_use_it(place: Place) -> None:
    with (
        place.store.write("o", "z", name="n", content_type="t/t", expires_at=now() + DAY_MS) as out,
        zipfile.ZipFile(out, "w") as archive,
        archive.open("x.csv", "w") as file,
        io.TextIOWrapper(file, "utf-8", newline="") as text,
    ):
        text.write("a,ü\r\n")
    with zipfile.ZipFile(io.BytesIO(place.read("o", "z"))) as archive:
        assert archive.read("x.csv").decode() == "a,ü\r\n"
    with place.store.write(
        "o", "t", name="n", content_type="t/t", expires_at=now() + DAY_MS
    ) as out:
        with io.TextIOWrapper(out, "utf-8", write_through=True) as text:  # type: ignore[type-var]
            text.write("ü")
        with pytest.raises(ValueError, match="closed"):
            out.write(b"late")
    assert place.read("o", "t").decode() == "ü"


MEASURE = """
import resource, sys
from pathlib import Path
from hsejobs.services.artifacts.store import open_store
store = open_store(sys.argv[1] or None, Path(sys.argv[2]))
def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
piece = bytes(range(256)) * 256
def write(name, pieces):
    with store.write("o", name, name="n", content_type="t/t", expires_at=10**13 - 1) as out:
        for _ in range(pieces):
            out.write(piece)
def read(name):
    return sum(map(len, store.open("o", name)[1]))
# What the libraries need themselves, and a few parts, are not the question.
write("small", 640)
read("small")
before = used()
write("a", 3200)
assert read("a") == 3200 * len(piece) == store.get("o", "a").bytes
print(used() - before)
"""


def test_200_mb_are_written_and_read_in_bounded_memory(place: Place, tmp_path: Path) -> None:
    grown = subprocess.run(
        [sys.executable, "-c", MEASURE, place.url or "", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        cwd=Path(__file__).parents[2],
    )
    assert int(grown.stdout) < 20 * 1024, "kB more than for 40 MB"


def test_writers_of_one_id_at_once_leave_one_and_a_sweep_the_rest(
    place: Place, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            WRITE_AND_DIE.replace("time.sleep(60)", "sys.stdin.read()"),
            place.url or "",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"written\n"
        place.save(content=b"first")
        assert place.read() == b"first"
        other.communicate()
    wait_until(lambda: place.store.get("org-1", "a").name == "n", what="the other's to be there")
    assert len(place.read()) == 2 * PART_BYTES + 5
    place.store.sweep(-60)
    assert len(place.files()) == 4

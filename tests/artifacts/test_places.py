"""Where a store may be: its folder's rights, its URL, and what a fork takes along of it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hsejobs.errors import ArtifactsUnavailable, SettingsError
from hsejobs.services.artifacts.store import open_store
from tests.artifacts.conftest import Place
from tests.support.s3 import S3


def test_a_folder_is_the_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    umask = os.umask(0)
    try:
        place = Place(None, open_store(None, home))  # type: ignore[arg-type]
        place.save()
    finally:
        os.umask(umask)
    for path in (home / "artifacts").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert stat.S_IMODE((home / "artifacts").stat().st_mode) == 0o700


def test_a_full_or_closed_folder_says_so_and_names_no_path(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    place = Place(None, open_store(None, tmp_path))  # type: ignore[arg-type]
    with pytest.raises(ArtifactsUnavailable, match="ARTIFACTS_URL or JOBS_HOME") as caught:
        place.save()
    assert str(tmp_path) not in str(caught.value)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    place = Place(None, open_store(f"file://{tmp_path}/a%20b", tmp_path / "x"))  # type: ignore[arg-type]
    place.save()
    assert place.read() == b"content"
    assert (tmp_path / "a b").is_dir()


@pytest.mark.parametrize(
    "url",
    [
        "bucket",
        "s3://",
        "ftp://host/x",
        "s3://key:hidden@bucket",
        "s3://b?x=hidden",
        "file://x/y",
        "https://example.com/hidden",
        "az://hidden/path",
    ],
)
def test_a_bad_url_names_the_variable(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SettingsError) as caught:
        open_store(url, tmp_path)
    assert caught.value.variable == "ARTIFACTS_URL"
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_bucket_is_reported(s3: S3, tmp_path: Path) -> None:
    place = Place("s3://nowhere", open_store("s3://nowhere", tmp_path))  # type: ignore[arg-type]
    with pytest.raises(ArtifactsUnavailable, match="bucket") as caught:
        place.save()
    assert "AWS" not in str(caught.value)


FORK = """
import os, sys
from pathlib import Path
from hsejobs.errors import ArtifactsUnavailable
from hsejobs.services.artifacts.store import open_store
store = open_store(sys.argv[1], Path("/nowhere"))
if sys.argv[2] == "used":
    store.expire(0)
child = os.fork()
if not child:
    try:
        open_store(sys.argv[1], Path("/nowhere")).expire(0)
        os._exit(0)
    except ArtifactsUnavailable:
        os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("parent", "code"), [("not used", "0"), ("used", "3")])
def test_a_forked_worker_works_or_says_why_not(s3: S3, parent: str, code: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FORK, "s3://kept", parent],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout.strip() == code

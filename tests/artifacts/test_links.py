"""Signed links, and the key behind them."""

from __future__ import annotations

import os
import stat
import string
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.errors import ArtifactNotFound, SettingsError
from hsejobs.secret_file import FILE_NAME, ensure_secret, read_secret
from hsejobs.services.artifacts import Artifact
from hsejobs.services.artifacts.links import link_for, verify
from hsejobs.settings import Settings, load_settings

PUBLIC = "https://jobs.example.com/base"


def settings(home: Path, **env: str) -> Settings:
    return load_settings({"JOBS_HOME": str(home), "JOBS_PUBLIC_URL": PUBLIC, **env})


def artifact(organization_id: str = "org-1", artifact_id: str = "a") -> Artifact:
    return Artifact(artifact_id, organization_id, "n", "t/t", 1, "0" * 64, 0, 1000)


def token(made: str | None) -> str:
    assert made is not None
    assert made.startswith(f"{PUBLIC}/artifacts/")
    return made.removeprefix(f"{PUBLIC}/artifacts/")


def test_a_link_leads_to_its_artifact_until_it_expires(tmp_path: Path) -> None:
    here = settings(tmp_path, JOBS_SECRET_KEY="k")
    made = token(link_for(here, artifact("org/ö\n", "a b")))
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert verify(here, made, 999) == ("org/ö\n", "a b")
    with pytest.raises(ArtifactNotFound, match="expired"):
        verify(here, made, 1000)
    assert not (tmp_path / FILE_NAME).exists()


def test_no_public_url_no_link(tmp_path: Path) -> None:
    here = settings(tmp_path, JOBS_PUBLIC_URL="")
    assert link_for(here, artifact()) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "env",
    [{"JOBS_SECRET_KEY": "k"}, {"JOBS_JWT_SECRET": "j" * 32}, {}],
    ids=["seal", "jwt", "file"],
)
def test_each_key_and_one_that_is_set_later(tmp_path: Path, env: dict[str, str]) -> None:
    made = token(link_for(settings(tmp_path, **env), artifact()))
    later = {"JOBS_JWT_SECRET": "j" * 32, "JOBS_SECRET_KEY": "k"}
    assert verify(settings(tmp_path, **{**later, **env}), made, 0) == ("org-1", "a")
    others = {"JOBS_SECRET_KEY": "other", "JOBS_JWT_SECRET": "o" * 32}
    elsewhere = settings(tmp_path / "elsewhere", **others)
    with pytest.raises(ArtifactNotFound):
        verify(elsewhere, made, 0)
    with pytest.raises(ArtifactNotFound):
        verify(settings(tmp_path / "elsewhere"), made, 0)


@given(data=st.data())
def test_no_changed_token_is_good(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    here = settings(tmp_path_factory.getbasetemp(), JOBS_SECRET_KEY="k")
    made = token(link_for(here, artifact()))
    place = data.draw(st.integers(0, len(made)))
    changed = data.draw(st.characters() | st.just(""))
    if (forged := made[:place] + changed + made[place + 1 :]) == made:
        return
    with pytest.raises(ArtifactNotFound):
        verify(here, forged, 0)


def test_every_letter_of_a_signature_counts(tmp_path: Path) -> None:
    here = settings(tmp_path, JOBS_SECRET_KEY="k")
    made = token(link_for(here, artifact()))
    # Four last letters decode to the same bytes.
    for last in string.ascii_letters + string.digits + "-_=":
        for changed in {made[:-1] + last, made + last} - {made}:
            with pytest.raises(ArtifactNotFound, match="not valid"):
                verify(here, changed, 0)


@pytest.mark.parametrize(
    "text", ["", ".", "a", "a.b.c", "é.é", "\ud800.x", "W10.", "." * 5000, "%2e.%2e", "=.="]
)
def test_an_invalid_token_is_not_found(tmp_path: Path, text: str) -> None:
    with pytest.raises(ArtifactNotFound, match="not valid"):
        verify(settings(tmp_path, JOBS_SECRET_KEY="k"), text, 0)
    with pytest.raises(ArtifactNotFound, match="not valid"):
        verify(settings(tmp_path), text, 0)


def test_a_signature_for_one_is_none_for_another(tmp_path: Path) -> None:
    here = settings(tmp_path, JOBS_SECRET_KEY="k")
    mine = token(link_for(here, artifact("org-1"))).partition(".")[2]
    theirs = token(link_for(here, artifact("org-2"))).partition(".")[0]
    with pytest.raises(ArtifactNotFound):
        verify(here, f"{theirs}.{mine}", 0)


def test_the_key_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    assert read_secret(home) is None
    umask = os.umask(0)
    try:
        with ThreadPoolExecutor(16) as pool:
            keys = set(pool.map(lambda _: ensure_secret(home), range(64)))
    finally:
        os.umask(umask)
    (key,) = keys
    assert len(key) == 32
    assert read_secret(home) == ensure_secret(home) == key
    assert [path.name for path in home.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE((home / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("spoil", ["short", "open", "link", "folder"])
def test_a_spoiled_key_is_reported_and_never_replaced(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / FILE_NAME
    if spoil == "short":
        path.write_bytes(b"short")
        path.chmod(0o600)
    elif spoil == "open":
        path.write_bytes(bytes(32))
        path.chmod(0o644)
    elif spoil == "link":
        path.symlink_to(tmp_path / "other")
    else:
        path.mkdir()
    with pytest.raises(SettingsError) as caught:
        ensure_secret(tmp_path)
    assert caught.value.variable == "JOBS_HOME"
    assert str(tmp_path) not in str(caught.value)

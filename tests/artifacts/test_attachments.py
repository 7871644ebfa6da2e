"""Mails with artifacts attached: a real consumer, a real store."""

from __future__ import annotations

import email
import email.policy
import time
from pathlib import Path

import pytest

from hsejobs.engine import JobFailed
from hsejobs.services.mail.attachments import MAX_TOTAL_BYTES, load_attachments
from hsejobs.services.mail.payload import AttachmentReference
from tasks.data_exports import make as exports
from tasks.email import queue_email
from tasks.reports import make as reports
from tests.artifacts.conftest import Place
from tests.support.consumers import Consumers

MAIL = {"to": "ann@example.com", "subject": "Report", "text": "Attached."}


def test_an_artifact_of_the_jobs_organization_is_attached(
    place: Place, platform_workers: Consumers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * 5000
    place.save("org-1", "abc", content)
    if place.url:
        monkeypatch.setenv("ARTIFACTS_URL", place.url)
    platform_workers.start("huey_config.email")
    with_it = MAIL | {"attachments": [{"artifactId": "abc", "filename": "März.pdf"}]}

    result = queue_email(with_it, organization_id="org-1").wait(30)
    text = (tmp_path / "outbox" / result["path"]).read_bytes()
    message = email.message_from_bytes(text, policy=email.policy.default)
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "März.pdf"
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_content() == content

    for organization_id in ("org-2", None):
        job = queue_email(with_it, organization_id=organization_id)
        with pytest.raises(JobFailed, match="no such artifact") as caught:
            job.wait(30)
        assert caught.value.failure_code == "unrecoverable"
        assert job.refresh().attempts_made == 1
    assert len(list((tmp_path / "outbox").iterdir())) == 1


@pytest.mark.parametrize(
    ("form", "content_type"), [*reports.CONTENT_TYPES.items(), *exports.CONTENT_TYPES.items()]
)
def test_what_jobs_make_keeps_its_type_and_its_name(form: str, content_type: str) -> None:
    (part,) = load_attachments(
        [AttachmentReference.model_validate({"artifactId": "abc"})],
        lambda _: (f"report-2026-01-31.{form}", content_type, b"x"),
        deadline=time.monotonic() + 60,
    )
    assert f"{part.maintype}/{part.subtype}" == content_type.partition(";")[0]
    assert part.filename == f"report-2026-01-31.{form}"


@pytest.mark.parametrize("name", ["../abc", "/etc/passwd", "file:///etc/passwd", "a/b"])
def test_neither_path_nor_address_names_one(name: str) -> None:
    with pytest.raises(ValueError, match="artifactId"):
        AttachmentReference.model_validate({"artifactId": name})


def test_too_much_is_refused_before_it_is_all_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.save(content=bytes(4 * MAX_TOTAL_BYTES))
    asked: list[str] = []
    get = place.store.shelf.get

    def counted(name: str) -> bytes | None:
        asked.append(name)
        return get(name)

    monkeypatch.setattr(place.store.shelf, "get", counted)

    def opened(artifact_id: str):
        artifact, pieces = place.store.open("org-1", artifact_id)
        return artifact.name, artifact.content_type, pieces

    with pytest.raises(Exception, match="must not exceed 10 MB"):
        load_attachments([AttachmentReference(artifact_id="a")], opened, deadline=float("inf"))
    # The metadata and two parts of five.
    assert len(asked) == 3


def test_an_artifact_removed_while_read_is_not_found(place: Place) -> None:
    place.save(content=bytes(9 * 1024 * 1024))

    def opened(artifact_id: str):
        artifact, pieces = place.store.open("org-1", artifact_id)
        place.store.delete("org-1", artifact_id)
        return artifact.name, artifact.content_type, pieces

    with pytest.raises(Exception, match=r"attachments\.0: there is no such artifact"):
        load_attachments([AttachmentReference(artifact_id="a")], opened, deadline=float("inf"))

"""`hsejobs tenants export` and the commands for files."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine.runtime import runtime
from hsejobs.services.tenants import Tenant
from hsejobs.services.tenants.export import export
from hsejobs.store.write import NewJob
from tasks import queue_webhook
from tests.cli.test_commands import document, run
from tests.support.consumers import Consumers
from tests.tenants.conftest import MAIL, fresh, live

ORG = "org-123"


def lines(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(name).splitlines()]


def test_the_archive_has_all_and_no_secret(
    platform_workers: Consumers, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = live(ORG, tmp_path, platform_workers)
    target = tmp_path_factory.mktemp("export") / "all.zip"
    said = document("tenants", "export", ORG, "--output", str(target))
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["all.zip"]
    assert said["jobs"] == there["jobs"]
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.namelist()[-1] == "manifest.json"
        assert [one["name"] for one in manifest["files"]] == archive.namelist()[:-1]
        for one in manifest["files"]:
            content = archive.read(one["name"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (
                one["bytes"],
                one["sha256"],
            )
        every = b"".join(archive.read(name) for name in archive.namelist())
        assert f"hush-{ORG}".encode() not in every
        [hook] = lines(archive, "jobs/webhooks.jsonl")
        assert (hook["data"]["secret"], hook["status"]) == ("***", "failed")
        files = lines(archive, "files.jsonl")
        assert len(files) == 2
        for one in files:
            assert hashlib.sha256(archive.read(one["file"])).hexdigest() == one["sha256"]
        assert len([name for name in archive.namelist() if name.startswith("mails/")]) == 4
        assert lines(archive, "circuits.jsonl")[0]["organizationId"] == ORG
        audit = lines(archive, "audit.jsonl")
        assert [(one["act"], one["queue"]) for one in audit] == 2 * [("retry", "email")]
        assert lines(archive, "platform/organizations.jsonl")[0]["id"] == ORG
        logs = [one["logs"] for one in lines(archive, "jobs/reports.jsonl")]
        assert any("rows" in line for some in logs for line in some)
    assert run("tenants", "export", ORG, "--output", str(target)).returncode == 2
    piped = subprocess.run(
        [sys.executable, "-m", "hsejobs_cli", "tenants", "export", ORG, "--output", "-"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    with zipfile.ZipFile(io.BytesIO(piped)) as archive:
        assert json.loads(archive.read("manifest.json"))["organizationId"] == ORG

    # The commands for files, on the existing ones.
    listed = document("artifacts", "--org", ORG)
    assert {one["queue"] for one in listed} == {"reports", "data-exports"}
    assert document("artifacts") == listed
    assert document("artifacts", "--org", "org-124") == []
    one = listed[0]
    assert run("artifacts", "remove", one["id"]).returncode == 2
    assert run("artifacts", "remove", one["id"], "--org", "org-124", "--yes").returncode == 1
    assert document("artifacts", "remove", one["id"], "--yes") == {"removed": 1, "id": one["id"]}
    assert run("artifacts", "remove", one["id"], "--yes").returncode == 1
    assert [other["id"] for other in document("artifacts")] == [listed[1]["id"]]
    assert document("job", one["queue"], one["jobId"])["status"] == "completed"
    # And a removal of the job by the command line takes the other.
    other = listed[1]
    assert run("remove", other["queue"], other["jobId"], "--yes").returncode == 0
    assert document("artifacts") == []


class Counting(io.RawIOBase):
    """A sink that records the size of each write, and keeps nothing."""

    def __init__(self) -> None:
        self.largest = self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.largest = max(self.largest, len(data))
        self.bytes += len(data)
        return len(data)


def test_it_is_streamed(redis_url: str) -> None:
    import resource

    fresh()
    queue_webhook(
        {"url": "https://a.example/", "payload": {}, "eventType": "a"}, organization_id="o"
    )
    noise = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(1300)]
    many = [MAIL | {"text": "".join(noise[n % 7 :])} for n in range(1500)]
    for start in range(0, len(many), 100):
        from tasks.email import send_email

        send_email.add_many(many[start : start + 100], organization_id="o")
    sink, before = Counting(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tenant = Tenant("o", runtime().settings, runtime().redis)
    manifest = export(tenant, sink)  # type: ignore[arg-type]
    [mails] = [one for one in manifest["files"] if one["name"] == "jobs/email.jsonl"]
    assert mails["rows"] == 1500
    assert mails["bytes"] > 120_000_000
    # A page of 200 jobs of 80 KB and its copies; not the 120 MB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 110_000


def test_half_an_emoji_and_another_tenant(redis_url: str) -> None:
    """Every job in Redis is exported, whichever release added it."""
    fresh()
    for org in ("o", "p"):
        job = NewJob(
            "a" + org,
            "tasks.webhooks.deliver",
            b'{"payload":{"a":"\\ud83d"}}',
            3,
            1,
            0,
            0,
            organization_id=org,
        )
        runtime().writer.add("webhooks", job)
    sink = io.BytesIO()
    export(Tenant("o", runtime().settings, runtime().redis), sink)
    with zipfile.ZipFile(sink) as archive:
        [hook] = lines(archive, "jobs/webhooks.jsonl")
    assert (hook["organizationId"], hook["data"]["payload"]) == ("o", {"a": "\ud83d"})


class Unreachable:
    """Rows of an application whose database fails in the middle."""

    def rows(self, settings: object, organization_id: str) -> Any:
        yield "stations", iter([{"id": 1}])
        raise ConnectionError("gone")


def test_a_failed_export_leaves_nothing_to_complain_later(redis_url: str, tmp_path: Path) -> None:
    fresh()
    rows: Any = Unreachable()
    tenant = Tenant("o", runtime().settings, runtime().redis, rows)
    with pytest.raises(ConnectionError), (tmp_path / "part").open("wb") as file:
        export(tenant, file)
    # A zip file that is still open would write to its closed file: a warning, which fails here.
    gc.collect()

"""Export one organization as a zip archive, streamed: memory is bounded for any amount of data."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import zipfile
from collections.abc import Generator, Iterable, Iterator
from typing import IO, Any, Self

from hsejobs import __version__
from hsejobs.control import audit, views
from hsejobs.control.actors import Actor
from hsejobs.errors import ArtifactNotFound
from hsejobs.masking import mask
from hsejobs.model import State, iso_time
from hsejobs.services.artifacts.access import FileViewer
from hsejobs.services.mail.attachments import safe_filename
from hsejobs.services.tenants import Tenant
from hsejobs.store import registry
from hsejobs.store.shares import Shares

#: In this order a job that changes state during the export may appear twice, but is never missed.
ORDER = (State.DELAYED, State.WAITING, State.ACTIVE, State.FAILED, State.COMPLETED)
PIECE = 1024 * 1024
#: An archive contains the data of all users of the organization.
WHOLE = Actor("cli")


class Archive:
    """A zip file written sequentially; its last entry, the manifest, describes the others."""

    def __init__(self, out: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED)
        self.entries: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            # Else the zip file would be closed when it is collected, after its file.
            with contextlib.suppress(Exception):
                self._zip.close()

    def add(self, name: str, pieces: Iterable[bytes], *, lines: bool = False) -> int:
        """Add an entry; return the number of pieces. With ``lines``, no pieces make no entry."""
        digest, size, number = hashlib.sha256(), 0, 0
        pieces = iter(pieces)
        first = next(pieces, None)
        if first is None and lines:
            return 0
        info = zipfile.ZipInfo(name, time.gmtime()[:6])
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as entry:
            piece = first
            while piece is not None:
                entry.write(piece)
                digest.update(piece)
                size, number = size + len(piece), number + 1
                piece = next(pieces, None)
        about = {"name": name, "bytes": size, "sha256": digest.hexdigest()}
        self.entries.append(about | ({"rows": number} if lines else {}))
        return number

    def close(self, about: dict[str, Any]) -> dict[str, Any]:
        """Add the manifest, close the archive, and return the manifest."""
        manifest = about | {"files": self.entries}
        self._zip.writestr("manifest.json", json.dumps(manifest, indent=2))
        self._zip.close()
        return manifest


def export(tenant: Tenant, out: IO[bytes]) -> dict[str, Any]:
    """Write the archive to ``out``, which need not be seekable; return the manifest."""
    about = {
        "organizationId": tenant.organization_id,
        "createdAt": iso_time(time.time_ns() // 1_000_000),
        "release": __version__,
    }
    with Archive(out) as archive:
        for info in registry.load_all(tenant.redis, tenant.prefix):
            archive.add(f"jobs/{info.name}.jsonl", _lines(_jobs(tenant, info)), lines=True)
        _files(tenant, archive)
        for path in tenant.mails():
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                archive.add(f"mails/{path.name}", _pieces(file))
        circuits = tenant.traces.circuits(tenant.organization_id)
        archive.add("circuits.jsonl", _lines(circuits), lines=True)
        acts = audit.entries(
            tenant.redis, tenant.prefix, tenant.queues(), organization_id=tenant.organization_id
        )
        archive.add("audit.jsonl", _lines(one.public() for one in acts), lines=True)
        stats = tenant.reader.stats(tenant.queues(), tenant.organization_id)
        archive.add(
            "counts.jsonl",
            _lines(
                {"queue": one.name} | one.public() | _settings(tenant, one.name) for one in stats
            ),
            lines=True,
        )
        own = tenant.own_rows
        for table, rows in own.rows(tenant.settings, tenant.organization_id) if own else ():
            archive.add(f"platform/{table}.jsonl", _lines(_masked(rows)), lines=True)
        return archive.close(about)


def _settings(tenant: Tenant, queue: str) -> dict[str, Any]:
    """Return what operators set for the organization in a queue."""
    found = Shares(tenant.redis, tenant.prefix).get(queue, tenant.organization_id).public()
    return {name: found[name] for name in ("weight", "limit", "paused")}


def _jobs(tenant: Tenant, info: registry.QueueInfo) -> Iterator[dict[str, Any]]:
    for state in ORDER:
        for page in tenant.reader.walk(info.name, state, tenant.organization_id):
            for job in page:
                lines = views.logs(tenant.reader, job, info, WHOLE)[0] if job.log_count else []
                yield views.job(job, info, WHOLE) | {"logs": lines}


def _files(tenant: Tenant, archive: Archive) -> None:
    viewer, known = FileViewer("operator"), []
    for one in tenant.files.store.walk(tenant.organization_id):
        # Skip files that were removed or have expired.
        with contextlib.suppress(ArtifactNotFound):
            found = tenant.files.by_id(viewer, tenant.organization_id, one.id)
            _, pieces = tenant.files.open(found)
            place = f"files/{safe_filename(found.id)}/{safe_filename(found.name)}"
            with contextlib.closing(pieces):
                archive.add(place, pieces)
            known.append(found.public() | {"file": place})
    archive.add("files.jsonl", _lines(known), lines=True)


def _masked(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield mask(row, ["secret", "password_hash", "invite_token"])


def _lines(items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for item in items:
        # In ASCII, where lone surrogates are escaped too.
        yield json.dumps(item).encode() + b"\n"


def _pieces(file: IO[bytes]) -> Generator[bytes, None, None]:
    while piece := file.read(PIECE):
        yield piece

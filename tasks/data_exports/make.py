"""Make one export: a consistent snapshot of rows, streamed into one artifact."""

from __future__ import annotations

import datetime
import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.errors import Unrecoverable
from hsejobs.services.artifacts import written_artifact
from tasks.data_exports.entities import ENTITIES, Entity
from tasks.shared.cells import csv_head, csv_rows
from tasks.shared.platform.reading import Steps, reading
from tasks.shared.sheets import CONTENT_TYPE as SHEETS
from tasks.shared.streams import json_rows, write_behind

if TYPE_CHECKING:
    from hsejobs.services.artifacts import Artifact, ArtifactWriter
    from tasks.shared.platform.rows import PlatformTenant

CONTENT_TYPES = {"json": "application/json", "csv": "application/zip", "xlsx": SHEETS}
#: The manifest of a zip; increase the version for changes that readers must know about.
MANIFEST, MANIFEST_VERSION = "manifest.json", 1
#: Rows per batch; a few batches are in memory at a time.
STEP = 1000
#: The fastest level: it reduces rows of text to a fifth of their size, level 6 to a sixth.
_COMPRESSION = 1

Rows = Callable[[Entity], Iterator[Sequence[Sequence[Any]]]]


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """An export to make; ``at`` is the time (UTC) of the request."""

    entities: tuple[str, ...]
    format: str
    at: datetime.datetime

    @property
    def file_name(self) -> str:
        """``export-2026-01-31.json``, ``.xlsx``, or ``.zip`` for CSV."""
        return f"export-{self.at:%Y-%m-%d}.{'zip' if self.format == 'csv' else self.format}"


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A stored export, with the number of rows by entity.

    ``cut``: the number of texts that were truncated to the size of a cell.
    """

    artifact: Artifact
    organization: str
    rows: dict[str, int]
    cut: int = 0


def make_export(
    spec: ExportSpec,
    tenant: PlatformTenant,
    open_writer: Callable[[], AbstractContextManager[ArtifactWriter]],
    *,
    home: Path,
    check: Callable[[], None],
    progress: Callable[[float, str], None],
) -> ExportResult:
    """Make the export and store its artifact atomically.

    All rows come from one snapshot. A few thousand rows are in memory at a time. ``check`` is called
    before each thousand and just before the artifact is stored; an exception from it ends the work.
    A workbook's temporary files are below ``home/tmp``.
    Raises Unrecoverable if there is no such organization, PlatformUnavailable, ArtifactsUnavailable.
    """
    progress(2, "counting")
    with reading(), tenant.snapshot() as view:
        organization = view.organization()
        if organization is None:
            raise Unrecoverable("the platform's database has no such organization")
        entities = [ENTITIES[name] for name in spec.entities]
        expected = 0
        for entity in entities:
            check()
            expected += view.count(_select(view, entity))
        steps = Steps(check, progress, expected)
        rows, cut = dict.fromkeys(spec.entities, 0), 0

        def walk(entity: Entity) -> Iterator[Sequence[Sequence[Any]]]:
            check()
            for several in view.stream(_select(view, entity), STEP):
                yield several
                rows[entity.name] += len(several)
                steps.add(len(several))
                check()

        head = {
            "organizationId": organization.id,
            "organization": organization.name,
            "exportedAt": f"{spec.at:%Y-%m-%dT%H:%M:%SZ}",
        }
        with open_writer() as out:
            if spec.format == "json":
                _write_json(out, head | {"entities": list(spec.entities)}, entities, walk)
            elif spec.format == "xlsx":
                cut = _write_sheets(out, spec, home, head, steps, entities, walk)
            else:
                _write_zip(out, spec.at, head, entities, walk)
            check()
    return ExportResult(written_artifact(out), organization.name, rows, cut)


def _select(tenant: PlatformTenant, entity: Entity) -> Any:
    from tasks.shared.platform.schema import METADATA

    table = METADATA.tables[entity.table]
    # By the primary key: no sort, and the same order each time.
    return tenant.select(table, *(table.c[name] for name in entity.columns)).order_by(table.c.id)


def _write_json(
    out: ArtifactWriter, head: dict[str, Any], entities: Sequence[Entity], walk: Rows
) -> None:
    """Write one document: ``export``, then a list for each entity, one row per line."""
    with write_behind(out.write) as write:
        write(codec.dumps({"export": head})[:-1])
        for entity in entities:
            write(b",\n" + codec.dumps(entity.name) + b":[")
            comma, keys = b"\n", entity.keys
            for several in walk(entity):
                # Not strict, which would cost 20 % more: the rows were selected with these keys.
                write(comma + json_rows(dict(zip(keys, row)) for row in several))  # noqa: B905
                comma = b",\n"
            write(b"\n]")
        write(b"}\n")


def _write_zip(
    out: ArtifactWriter,
    at: datetime.datetime,
    head: dict[str, Any],
    entities: Sequence[Entity],
    walk: Rows,
) -> None:
    """Write one CSV file per entity, with formulas escaped; then the manifest."""
    file: Any = out
    listed: list[dict[str, Any]] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for entity in entities:
            member = _member(f"{entity.name}.csv", at)
            # Its size is not known in advance: without force_zip64 it could not exceed 2 GB.
            with archive.open(member, "w", force_zip64=True) as into:
                summed = _Summed(into.write)
                rows = 0
                with write_behind(summed.write) as write:
                    write(csv_head(entity.keys))
                    for several in walk(entity):
                        write(csv_rows(several))
                        rows += len(several)
            listed.append(
                {
                    "name": member.filename,
                    "entity": entity.name,
                    "rows": rows,
                    "bytes": summed.bytes,
                    "sha256": summed.hash.hexdigest(),
                }
            )
        # Last, when the sizes and hashes of all other files are known.
        manifest = {"formatVersion": MANIFEST_VERSION, **head, "format": "csv", "files": listed}
        archive.writestr(_member(MANIFEST, at), codec.dumps(manifest) + b"\n")


def _member(name: str, at: datetime.datetime) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, at.timetuple()[:6])
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member


class _Summed:
    """Counts and hashes the bytes that are written."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write, self.bytes, self.hash = write, 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._write(data)
        self.bytes += len(data)
        self.hash.update(data)


def _write_sheets(
    out: ArtifactWriter,
    spec: ExportSpec,
    home: Path,
    head: dict[str, Any],
    steps: Steps,
    entities: Sequence[Entity],
    walk: Rows,
) -> int:
    """Write one workbook with a sheet per entity and notes; return how many texts were truncated."""
    from tasks.shared.sheets import workbook

    with workbook(
        out,
        home=home,
        title="Data export",
        at=spec.at,
        check=steps.check,
        closing=lambda: steps.progress(86, "packing the workbook"),
    ) as book:
        for entity in entities:
            book.table(entity.name, entity.keys, walk(entity))
        book.notes(head)
    return book.cut

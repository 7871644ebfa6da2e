"""Makes one export: the rows of one moment, streamed into one artifact."""

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
from hsejobs.services.artifacts import kept
from tasks.data_exports.entities import ENTITIES, Entity
from tasks.shared.cells import csv_head, csv_rows
from tasks.shared.platform.reading import Steps, reading
from tasks.shared.sheets import CONTENT_TYPE as SHEETS
from tasks.shared.streams import behind, json_rows

if TYPE_CHECKING:
    from hsejobs.services.artifacts import Artifact, ArtifactWriter
    from tasks.shared.platform.rows import PlatformTenant

CONTENT_TYPES = {"json": "application/json", "csv": "application/zip", "xlsx": SHEETS}
#: What the files of a zip are; a change that a reader has to know of is another number.
MANIFEST, MANIFEST_VERSION = "manifest.json", 1
#: Rows in one piece; a few pieces are in memory at once.
STEP = 1000
#: As fast as it gets: rows of text are a fifth of their size with it, and a sixth with 6.
_COMPRESSION = 1

Rows = Callable[[Entity], Iterator[Sequence[Sequence[Any]]]]


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """An export to make: ``at`` is the moment (UTC) at which it is asked for."""

    entities: tuple[str, ...]
    format: str
    at: datetime.datetime

    @property
    def file_name(self) -> str:
        """``export-2026-01-31.json``, ``.xlsx``, or ``.zip`` for CSV."""
        return f"export-{self.at:%Y-%m-%d}.{'zip' if self.format == 'csv' else self.format}"


@dataclass(frozen=True, slots=True)
class ExportResult:
    """An export that is in place, with the rows of each entity.

    ``cut``: texts that were too long for a sheet's cell.
    """

    artifact: Artifact
    organization: str
    rows: dict[str, int]
    cut: int = 0


def make_export(
    wish: ExportSpec,
    tenant: PlatformTenant,
    open_writer: Callable[[], AbstractContextManager[ArtifactWriter]],
    *,
    home: Path,
    check: Callable[[], None],
    progress: Callable[[float, str], None],
) -> ExportResult:
    """Makes the export and puts its artifact in place, whole or not at all.

    All rows are those of one moment. Memory is that of a few thousand rows. ``check`` is called before
    each thousand and just before the artifact is put in place, and ends the work when it raises.
    ``home`` is where a workbook's temporary files are, below ``tmp``.
    Raises Unrecoverable without such an organization, PlatformUnavailable, ArtifactsUnavailable.
    """
    progress(2, "counting")
    with reading(), tenant.snapshot() as view:
        organization = view.organization()
        if organization is None:
            raise Unrecoverable("the platform's database has no such organization")
        entities = [ENTITIES[name] for name in wish.entities]
        expected = 0
        for entity in entities:
            check()
            expected += view.count(_select(view, entity))
        steps = Steps(check, progress, expected)
        rows, cut = dict.fromkeys(wish.entities, 0), 0

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
            "exportedAt": f"{wish.at:%Y-%m-%dT%H:%M:%SZ}",
        }
        with open_writer() as out:
            if wish.format == "json":
                _write_json(out, head | {"entities": list(wish.entities)}, entities, walk)
            elif wish.format == "xlsx":
                cut = _write_sheets(out, wish, home, head, steps, entities, walk)
            else:
                _write_zip(out, wish.at, head, entities, walk)
            check()
    return ExportResult(kept(out), organization.name, rows, cut)


def _select(tenant: PlatformTenant, entity: Entity) -> Any:
    from tasks.shared.platform.schema import METADATA

    table = METADATA.tables[entity.table]
    # By the primary key: no sort, and the same order each time.
    return tenant.select(table, *(table.c[name] for name in entity.columns)).order_by(table.c.id)


def _write_json(
    out: ArtifactWriter, head: dict[str, Any], entities: Sequence[Entity], walk: Rows
) -> None:
    """One document: ``export``, and then a list for each entity, a row a line."""
    with behind(out.write) as write:
        write(codec.dumps({"export": head})[:-1])
        for entity in entities:
            write(b",\n" + codec.dumps(entity.name) + b":[")
            comma, keys = b"\n", entity.keys
            for several in walk(entity):
                # Not strict, which would cost a fifth more: the row was selected by these keys.
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
    """One CSV file an entity, cells that a spreadsheet would run escaped; then the manifest."""
    file: Any = out
    listed: list[dict[str, Any]] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for entity in entities:
            member = _member(f"{entity.name}.csv", at)
            # Its size is not known before: without force_zip64 it could not pass 2 GB.
            with archive.open(member, "w", force_zip64=True) as into:
                summed = _Summed(into.write)
                rows = 0
                with behind(summed.write) as write:
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
        # The last: what it says is known when all else is there.
        manifest = {"formatVersion": MANIFEST_VERSION, **head, "format": "csv", "files": listed}
        archive.writestr(_member(MANIFEST, at), codec.dumps(manifest) + b"\n")


def _member(name: str, at: datetime.datetime) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, at.timetuple()[:6])
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member


class _Summed:
    """Counts and hashes what is written."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write, self.bytes, self.hash = write, 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Adds bytes."""
        self._write(data)
        self.bytes += len(data)
        self.hash.update(data)


def _write_sheets(
    out: ArtifactWriter,
    wish: ExportSpec,
    home: Path,
    head: dict[str, Any],
    steps: Steps,
    entities: Sequence[Entity],
    walk: Rows,
) -> int:
    """One workbook, a sheet an entity, and its notes; how many texts were cut."""
    from tasks.shared.sheets import workbook

    with workbook(
        out,
        home=home,
        title="Data export",
        at=wish.at,
        check=steps.check,
        closing=lambda: steps.progress(86, "packing the workbook"),
    ) as book:
        for entity in entities:
            book.table(entity.name, entity.keys, walk(entity))
        book.notes(head)
    return book.cut

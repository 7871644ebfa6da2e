"""Make one export: a consistent snapshot of rows, streamed into one artifact."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs.errors import Unrecoverable
from hsejobs.services.artifacts import written_artifact
from tasks.data_exports.entities import ENTITIES, Entity
from tasks.data_exports.forms import Form, JsonForm, ZipForm
from tasks.data_exports.walk import Walk
from tasks.shared.kept_rows import KeptRows, Open, kept_rows
from tasks.shared.platform.reading import reading
from tasks.shared.saving import Checkpoint, Saver
from tasks.shared.sheets import CONTENT_TYPE as SHEETS
from tasks.shared.streams import write_behind

if TYPE_CHECKING:
    from hsejobs.services.artifacts import Artifact, ArtifactWriter
    from tasks.shared.platform.rows import PlatformTenant

CONTENT_TYPES = {"json": "application/json", "csv": "application/zip", "xlsx": SHEETS}


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

    ``cut``: the number of texts that were truncated to the size of a cell. ``resumed``: the number of
    rows that an earlier attempt had read.
    """

    artifact: Artifact
    organization: str
    rows: dict[str, int]
    cut: int = 0
    resumed: int = 0


def make_export(
    spec: ExportSpec,
    tenant: PlatformTenant,
    open_writer: Callable[..., AbstractContextManager[ArtifactWriter]],
    *,
    home: Path,
    check: Callable[[], None],
    progress: Callable[[float, str], None],
    open_scratch: Open | None = None,
    resume: dict[str, Any] | None = None,
    checkpoint: Checkpoint | None = None,
) -> ExportResult:
    """Make the export and store its artifact atomically.

    All rows come from one snapshot. A few thousand rows are in memory at a time. ``check`` is called
    before each thousand and just before the artifact is stored; an exception from it ends the work.
    A workbook's temporary files are below ``home/tmp``.

    ``checkpoint`` takes, from time to time, what a later call for the same ``spec`` continues from
    when it is passed as ``resume``; ``open_writer`` then gets ``resume`` and ``replay`` of
    ``ArtifactStore.write``, or for a workbook ``open_scratch`` gets ``resume``. The rows that were
    not read yet come from a snapshot of their own.
    Raises Unrecoverable if there is no such organization, PlatformUnavailable, ArtifactsUnavailable.
    """
    progress(2, "counting")
    with reading(), tenant.snapshot() as view:
        organization = view.organization()
        if organization is None:
            raise Unrecoverable("the platform's database has no such organization")
        entities = [ENTITIES[name] for name in spec.entities]
        walk = Walk(view, entities, check, progress)
        head = {
            "organizationId": organization.id,
            "organization": organization.name,
            "exportedAt": f"{spec.at:%Y-%m-%dT%H:%M:%SZ}",
        }
        if spec.format == "xlsx":
            with kept_rows(open_scratch, resume, checkpoint) as kept, open_writer() as out:
                walk.count(kept.position)
                cut = _write_sheets(out, spec, home, head, entities, walk, kept)
                check()
            return ExportResult(
                written_artifact(out), organization.name, walk.rows, cut, walk.resumed
            )
        form: Form
        if spec.format == "json":
            form = JsonForm(head | {"entities": list(spec.entities)})
        else:
            form = ZipForm(head, spec.at)
        out = _write(form, walk, open_writer, resume, checkpoint)
    return ExportResult(written_artifact(out), organization.name, walk.rows, resumed=walk.resumed)


def _write(
    form: Form,
    walk: Walk,
    open_writer: Callable[..., AbstractContextManager[ArtifactWriter]],
    resume: dict[str, Any] | None,
    checkpoint: Checkpoint | None,
) -> ArtifactWriter:
    """Write all rows, the rest of them if an earlier attempt saved the beginning."""
    more: dict[str, Any] = {}
    if resume is not None:
        form.restore(resume["form"])
        more = {"resume": resume["out"], "replay": form.replay}
    with open_writer(**more) as out:
        continuing = resume if out.resumed else None
        form.into(out.write, fresh=continuing is None)
        walk.count(continuing and continuing["walk"])
        saver = Saver(checkpoint)

        def save(position: dict[str, Any]) -> None:
            form.flush()
            saver.save(lambda: {"walk": position, "form": form.state(), "out": out.save()})

        with write_behind(_run) as put:
            if continuing is None:
                put(form.start)
            for entity in walk.entities():
                if not walk.continued:
                    put(partial(form.begin, entity))
                for several in walk.batches(entity):
                    put(partial(form.write, form.encode(entity, several)))
                    if walk.at_border(len(several)):
                        put(partial(save, walk.position()))
                    saver.pass_on()
                put(partial(form.end, entity, walk.rows[entity.name]))
            put(form.finish)
        walk.steps.check()
    return out


def _run(act: Callable[[], None]) -> None:
    act()


def _write_sheets(
    out: ArtifactWriter,
    spec: ExportSpec,
    home: Path,
    head: dict[str, Any],
    entities: Sequence[Entity],
    walk: Walk,
    kept: KeptRows,
) -> int:
    """Write one workbook with a sheet per entity and notes; return how many texts were truncated."""
    from tasks.shared.sheets import workbook

    with workbook(
        out,
        home=home,
        title="Data export",
        at=spec.at,
        check=walk.steps.check,
        closing=lambda: walk.steps.progress(86, "packing the workbook"),
    ) as book:
        for entity in entities:
            book.table(entity.name, entity.keys, _sheet_rows(entity, walk, kept))
        book.notes(head)
    return book.cut


def _sheet_rows(entity: Entity, walk: Walk, kept: KeptRows) -> Iterator[Sequence[Sequence[Any]]]:
    for several in kept.earlier(entity.name):
        walk.steps.check()
        yield several
    for several in walk.rest(entity):
        kept.add(entity.name, several, walk.at_border(len(several)), walk.position)
        yield several

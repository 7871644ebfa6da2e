"""Make one report: aggregate figures in SQL, stream rows, store one artifact."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs.errors import Unrecoverable
from hsejobs.services.artifacts import written_artifact
from tasks.reports.filters import Filters
from tasks.reports.kinds import TITLES
from tasks.reports.place import Place
from tasks.shared.kept_rows import KeptRows, Open, kept_rows
from tasks.shared.platform.reading import Steps, reading
from tasks.shared.saving import Checkpoint, Saver, step_of
from tasks.shared.sheets import CONTENT_TYPE as SHEETS

if TYPE_CHECKING:
    from hsejobs.services.artifacts import Artifact, ArtifactWriter
    from tasks.reports import writers
    from tasks.reports.content import Content, Part
    from tasks.reports.source import ReportSource
    from tasks.shared.platform.rows import PlatformTenant

CONTENT_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
    "xlsx": SHEETS,
}
NO_ROWS = "There is nothing to list."


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """A report to make; ``at`` is the time (UTC) that it describes."""

    kind: str
    format: str
    filters: Filters
    at: datetime.datetime

    @property
    def title(self) -> str:
        """The title, for example ``Audit report``."""
        return TITLES[self.kind]

    @property
    def file_name(self) -> str:
        """The file's name, for example ``audits-report-2026-01-31.pdf``."""
        return f"{self.kind}-report-{self.at:%Y-%m-%d}.{self.format}"

    @property
    def as_of(self) -> str:
        """The time ``at`` in the database's format."""
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A stored report.

    ``missing``: characters that a PDF shows as boxes; ``cut``: the number of texts that were
    truncated to the size of a cell; ``resumed``: the number of rows that an earlier attempt had read.
    """

    artifact: Artifact
    organization: str
    rows: int
    figures: dict[str, Any]
    archival: bool | None = None
    missing: tuple[str, ...] = ()
    cut: int = 0
    resumed: int = 0


def make_report(
    spec: ReportSpec,
    tenant: PlatformTenant,
    open_writer: Open,
    *,
    home: Path,
    check: Callable[[], None],
    progress: Callable[[float, str], None],
    open_scratch: Open | None = None,
    resume: dict[str, Any] | None = None,
    checkpoint: Checkpoint | None = None,
) -> ReportResult:
    """Make the report and store its artifact atomically.

    ``check`` is called at least every 1,000 rows and just before the artifact is stored; an
    exception from it ends the work. Memory is bounded: 1,000 rows, or the rows that a PDF lists.
    ``open_scratch``, ``resume`` and ``checkpoint`` are as for an export. The figures are computed in
    each attempt; a PDF, which lists a few thousand rows, is made from the start.
    Raises Unrecoverable if there is no such organization, PlatformUnavailable, ArtifactsUnavailable.
    """
    from tasks.reports.compliance import compliance
    from tasks.reports.content import content_of
    from tasks.reports.source import ReportSource

    steps = Steps(check, progress)
    progress(2, "counting")
    with reading(), tenant.snapshot() as view:
        organization = view.organization()
        if organization is None:
            raise Unrecoverable("the platform's database has no such organization")
        source = ReportSource(view, spec.filters, spec.as_of, check)
        whole = spec.kind == "compliance"
        content = compliance(source) if whole else content_of(spec.kind, source)
        rows = sum(part.rows for part in content.parts)
        if spec.format == "pdf":
            data = _document(spec, organization.name, content, source, steps)
        else:
            saver = Saver(checkpoint)
            stream = _RowStream(spec, organization, content, source, steps, home, saver)
            if spec.format == "xlsx":
                with kept_rows(open_scratch, resume, checkpoint) as kept:
                    artifact = stream.write_sheets(open_writer, kept)
            else:
                artifact = stream.write(open_writer, resume)
            return ReportResult(
                artifact,
                organization.name,
                stream.place.rows,
                content.figures,
                cut=stream.cut,
                resumed=stream.resumed,
            )
    from tasks.reports.document import print_pdf

    progress(86, "typesetting")
    printed = print_pdf(data, home, int(spec.at.timestamp()), check)
    check()
    progress(95, "storing")
    with open_writer() as out:
        out.write(printed.data)
        check()
    return ReportResult(
        written_artifact(out),
        organization.name,
        rows,
        content.figures,
        printed.archival,
        printed.missing,
    )


@dataclass(slots=True)
class _RowStream:
    """Writes a report's rows into the artifact while they are read."""

    spec: ReportSpec
    organization: Any
    content: Content
    source: ReportSource
    steps: Steps
    home: Path
    saver: Saver
    #: The number of texts that were truncated, and of rows that an earlier attempt had read.
    cut: int = 0
    resumed: int = 0
    place: Place = field(default_factory=lambda: Place(0))

    def write(self, open_writer: Open, resume: dict[str, Any] | None) -> Artifact:
        """Write JSON or CSV from front to back, from where ``resume`` left off."""
        from tasks.reports import writers

        self.steps.check()
        with open_writer(**({"resume": resume["out"]} if resume else {})) as out:
            self._begin(resume["walk"] if resume and out.resumed else None)

            def rows(part: Part) -> Iterator[list[dict[str, Any]]]:
                for several, border in self._read(part):
                    yield several
                    if border:
                        self.saver.save(lambda: {"walk": self.place.position(), "out": out.save()})
                        self.saver.pass_on()

            content, place = self.content, self.place
            if self.spec.format == "json":
                writers.write_json(out, self._head(), content, place, rows)
            elif self.spec.kind == "compliance":
                writers.write_compliance_csv(out, content, place, rows)
            else:
                writers.write_csv(out, content, place, rows)
            self.steps.check()
        return written_artifact(out)

    def write_sheets(self, open_writer: Open, kept: KeptRows) -> Artifact:
        """Write a workbook, with the rows that an earlier attempt kept."""
        self.steps.check()
        self._begin(kept.position)

        def rows(part: Part) -> Iterator[list[dict[str, Any]]]:
            for several in kept.earlier(part.key):
                self.steps.check()
                yield [dict(row) for row in several]
            if self.place.complete(part):
                return
            for several, border in self._read(part):
                kept.add(part.key, several, border, self.place.position)
                yield several

        with open_writer() as out:
            self.cut = self._sheets(out, rows)
            self.steps.check()
        return written_artifact(out)

    def _begin(self, position: dict[str, Any] | None) -> None:
        self.steps.total = sum(part.rows for part in self.content.parts)
        self.place = Place.of(position, self.steps.total)
        self.resumed = self.steps.done = self.place.rows

    def _read(self, part: Part) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """Yield the rows of a list that were not read yet, and whether a piece ends after them."""
        kind, step = part.kind, step_of(self.place.total)
        after = self.place.enter(part)
        for several in self.source.rows(kind, part.where, after=after, step=step):
            yield several, self.place.read(several[-1], kind.date_key, len(several))
            self.steps.add(len(several))

    def _head(self) -> dict[str, Any]:
        return {
            "type": self.spec.kind,
            "organizationId": self.organization.id,
            "organization": self.organization.name,
            "generatedAt": self.spec.as_of,
            "filters": self.spec.filters.shown(),
        }

    def _sheets(self, out: ArtifactWriter, rows: writers.Rows) -> int:
        from tasks.reports.writers import write_sheets
        from tasks.shared.sheets import workbook

        spec, steps, head = self.spec, self.steps, self._head()
        with workbook(
            out,
            home=self.home,
            title=spec.title,
            at=spec.at,
            check=steps.check,
            closing=lambda: steps.progress(86, "packing the workbook"),
        ) as book:
            write_sheets(book, spec.kind, self.content, rows)
            filters = head.pop("filters")
            head |= {
                f"filters.{name}": ", ".join(value) if isinstance(value, list) else value
                for name, value in filters.items()
            }
            book.notes({"report": spec.title} | head)
        return book.cut


def _document(
    spec: ReportSpec, organization: str, content: Content, source: ReportSource, steps: Steps
) -> dict[str, Any]:
    """Return the template's data, see ``templates/reports/report.typ``."""
    from tasks.reports.document import MOST_OF_SEVERAL, MOST_ROWS, breakable, table_of

    most = MOST_ROWS if len(content.parts) == 1 else MOST_OF_SEVERAL
    steps.total = sum(min(part.rows, most) for part in content.parts)
    tables = _tables_of(content) if spec.kind == "compliance" else []
    notices = []
    for part in content.parts:
        listed: list[dict[str, Any]] = []
        for several in source.rows(part.kind, part.where, most):
            listed += several
            steps.add(len(several))
        note = part.note
        if part.rows > most:
            cut = (
                f"{part.title}: the newest {most:,} of {part.rows:,} rows are listed. "
                "The CSV and Excel reports have all rows."
            )
            notices.append(cut)
            note = cut
        tables.append(table_of(part.title, note, part.kind.columns, listed, NO_ROWS))
    charts = [
        chart | {"labels": [breakable(label, 40) for label in chart["labels"]]}
        for chart in content.charts
        if chart["labels"]
    ]
    made = f"{spec.at:%Y-%m-%d %H:%M} UTC"
    return {
        "title": spec.title,
        "organization": breakable(organization),
        "short": breakable(organization, 70),
        "generated": f"As of {made}",
        "about": _about(spec, content, source, made),
        "notices": notices,
        "imprint": "Made by HSE.Digital from the organization's records. Times are UTC.",
        "figures": content.boxes,
        "charts": charts,
        "tables": tables,
    }


def _tables_of(content: Content) -> list[dict[str, Any]]:
    """Return scores and trends as tables: charts only show the last months and lowest scores."""
    from tasks.reports.content import MOST_STATIONS
    from tasks.reports.document import table_of
    from tasks.reports.kinds import MONTHS, STATIONS

    many = len(content.stations) == MOST_STATIONS
    note = (
        f"The {MOST_STATIONS} stations with the most audits."
        if many
        else "The stations with the most audits first."
    )
    return [
        table_of("Trends by month", "", MONTHS, content.months, NO_ROWS),
        table_of("Scores by station", note, STATIONS, content.stations, NO_ROWS),
    ]


def _about(spec: ReportSpec, content: Content, source: ReportSource, made: str) -> list[list[str]]:
    from tasks.reports.document import breakable

    filters = spec.filters
    start, end = (filters.start or "")[:10], (filters.end or "")[:10]
    if start and end:
        period = f"{start} to {end}"
    else:
        period = f"since {start}" if start else f"until {end}" if end else "all records"
    about = [["Period", period], ["As of", made]]
    if filters.status:
        about.append(["Status", ", ".join(filters.status)])
    if filters.severity:
        about.append(["Severity", ", ".join(filters.severity)])
    if filters.station_id:
        names = source.stations(filters.station_id)
        about.append(["Stations", breakable(", ".join(names.values()))])
    for part in content.parts:
        about.append([part.title, f"{part.rows:,}"])
    return about

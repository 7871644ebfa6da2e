"""Write a report as JSON, CSV or workbook while its rows are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.cells import csv_head, csv_rows
from tasks.shared.streams import json_rows

if TYPE_CHECKING:
    from hsejobs.services.artifacts import ArtifactWriter
    from tasks.reports.content import Content, Part
    from tasks.reports.place import Place
    from tasks.shared.sheets import Workbook

Rows = Callable[["Part"], Iterable[list[dict[str, Any]]]]
#: The columns of a compliance report's CSV, which has all lists in one table.
COMPLIANCE_CSV = (
    "section",
    "id",
    "date",
    "title",
    "stationId",
    "station",
    "status",
    "measure",
    "value",
)
#: The date and the measure of each of its lists.
_COUNTED = {
    "openActions": ("scheduledAt", "openActions"),
    "openIncidents": ("occurredAt", "lostDays"),
    "overduePermits": ("validFrom", "validUntil"),
}


def write_json(
    out: ArtifactWriter, head: dict[str, Any], content: Content, place: Place, rows: Rows
) -> None:
    """Write one document: ``report``, ``summary``, ``months``, ``stations``, then each list."""
    start = {
        "report": head,
        "summary": content.figures,
        "months": content.months,
        "stations": content.stations,
    }
    if place.at_start:
        out.write(codec.dumps(start)[:-1])
    for part in content.parts:
        if place.complete(part):
            continue
        comma = b",\n"
        if not place.begun(part):
            out.write(b",\n" + codec.dumps(part.key) + b":[")
            comma = b"\n"
        for several in rows(part):
            out.write(comma + json_rows(several))
            comma = b",\n"
        out.write(b"\n]")
    out.write(b"}\n")


def write_csv(out: ArtifactWriter, content: Content, place: Place, rows: Rows) -> None:
    """Write UTF-8 with a byte order mark and a header line; formulas are escaped."""
    (part,) = content.parts
    keys = [column.key for column in part.kind.columns]
    if place.at_start:
        out.write(csv_head(keys))
    for several in rows(part):
        out.write(csv_rows([row[key] for key in keys] for row in several))


def write_compliance_csv(out: ArtifactWriter, content: Content, place: Place, rows: Rows) -> None:
    """Write one table with one measure per line; ``section`` names the line's list."""

    def write(several: Iterable[dict[str, Any]]) -> None:
        out.write(csv_rows([one.get(key) for key in COMPLIANCE_CSV] for one in several))

    if place.at_start:
        out.write(csv_head(COMPLIANCE_CSV))
        write(_figures(content))
    for part in content.parts:
        if place.complete(part):
            continue
        date, measure = _COUNTED[part.key]
        for listed in rows(part):
            write(
                row
                | {
                    "section": part.key,
                    "date": row[date],
                    "measure": measure,
                    "value": row[measure],
                }
                for row in listed
            )


def write_sheets(book: Workbook, kind: str, content: Content, rows: Rows) -> None:
    """Write a sheet for each list, named as in JSON, and ``summary``, ``months``, ``stations``.

    If there is only one list it comes first, under the report's name; a compliance report begins
    with the summary.
    """

    def lists() -> None:
        for part in content.parts:
            keys = [column.key for column in part.kind.columns]
            values = ([[row[key] for key in keys] for row in several] for several in rows(part))
            book.table(kind if part.key == "rows" else part.key, keys, values)

    one = len(content.parts) == 1
    if one:
        lists()
    figures = [[row["measure"], row["value"]] for row in _summary(content)]
    book.table("summary", ("measure", "value"), [figures])
    for name, listed, first in (
        ("months", content.months, "month"),
        ("stations", content.stations, "stationId"),
    ):
        keys = list(listed[0]) if listed else [first]
        book.table(name, keys, [[[row[key] for key in keys] for row in listed]])
    if not one:
        lists()


def _summary(content: Content) -> Iterator[dict[str, Any]]:
    for name, value in content.figures.items():
        for key, one in value.items() if isinstance(value, dict) else ((None, value),):
            measure = name if key is None else f"{name}.{key}"
            yield {"section": "summary", "measure": measure, "value": one}


def _figures(content: Content) -> Iterator[dict[str, Any]]:
    yield from _summary(content)
    for month in content.months:
        for name, value in month.items():
            if name != "month":
                yield {"section": "months", "date": month["month"], "measure": name, "value": value}
    for station in content.stations:
        for name, value in station.items():
            if name not in {"stationId", "station"}:
                yield station | {"section": "stations", "measure": name, "value": value}

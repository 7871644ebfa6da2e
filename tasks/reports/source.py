"""Query one organization's rows and figures for a report.

Importing this module loads SQLAlchemy, so tasks import it where they use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, Select, Table, and_, case, func, or_

from tasks.reports.filters import Filters
from tasks.reports.kinds import DERIVED, IN_FORCE, Kind, column_name, overdue
from tasks.shared.platform.rows import PlatformTenant
from tasks.shared.platform.schema import AUDITS, INCIDENTS, STATIONS, WORK_PERMITS

TABLES = {table.name: table for table in (AUDITS, INCIDENTS, WORK_PERMITS)}
DATES = {"audits": "scheduled_at", "incidents": "occurred_at", "work_permits": "valid_from"}
STEP = 1000
#: The most station names in the cache.
NAMES_KEPT = 10_000

Group = dict[str, dict[str, int]]


class ReportSource:
    """Runs all queries of a report, through the organization's PlatformTenant.

    ``as_of`` is the time (UTC text) at which overdue permits are determined; ``check`` is called
    before every statement and every 1,000 rows; an exception from it ends the walk.
    """

    def __init__(
        self, tenant: PlatformTenant, filters: Filters, as_of: str, check: Callable[[], None]
    ) -> None:
        self.tenant, self.filters, self.as_of, self.check = tenant, filters, as_of, check
        self._names: dict[str, str] = {}

    def rows(
        self,
        kind: Kind,
        where: Any = None,
        limit: int | None = None,
        *,
        after: Sequence[Any] | None = None,
        step: int = STEP,
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows under their JSON names, newest first, in lists of at most ``step``.

        ``after``: only those after the row with this date and id.
        """
        table = TABLES[kind.table]
        date, key = table.c[kind.date], table.c.id
        statement = self.chosen(table, *self._columns(kind)).order_by(date.desc(), key.desc())
        if where is not None:
            statement = statement.where(where)
        if after is not None:
            statement = statement.where(
                or_(date < after[0], and_(date == after[0], key < after[1]))
            )
        for rows in self.walk(statement if limit is None else statement.limit(limit), step):
            yield self.named(rows, "overdue" in {column.key for column in kind.columns})

    def _columns(self, kind: Kind) -> list[Any]:
        table = TABLES[kind.table]
        kept = (column.key for column in kind.columns if column.key not in DERIVED)
        return [table.c[column_name(key)].label(key) for key in kept]

    def chosen(self, table: Table, *columns: Any) -> Select[Any]:
        """Return a SELECT of a table's rows that match the filters."""
        where: list[Any] = []
        filters = self.filters
        date = table.c[DATES[table.name]]
        for name in ("status", "severity", "station_id"):
            values = getattr(filters, name)
            if values:
                where.append(table.c[name].in_(values))
        if filters.start is not None:
            where.append(date >= filters.start)
        if filters.end is not None:
            where.append(date <= filters.end)
        return self.tenant.select(table, *columns).where(*where)

    def walk(self, statement: Select[Any], step: int = STEP) -> Iterator[Sequence[Row[Any]]]:
        """Yield the statement's rows, a list of at most ``step`` at a time."""
        self.check()
        for rows in self.tenant.stream(statement, step):
            yield rows
            self.check()

    def sums(self, table: Table, **measures: Any) -> dict[str, int]:
        """Return sums over a table's rows that match the filters, with their ``count``."""
        columns = [value.label(name) for name, value in measures.items()]
        statement = self.chosen(table, func.count(table.c.id).label("count"), *columns)
        (rows,) = self.walk(statement)
        return {name: int(value or 0) for name, value in rows[0]._mapping.items()}

    def group(self, table: Table, by: Any, most: int | None = None, **measures: Any) -> Group:
        """Return sums grouped by a column, sorted by its values: ``{"2026-01": {"count": 3}}``.

        ``most``: the most groups to return, those with the most rows.
        """
        columns = [value.label(name) for name, value in measures.items()]
        statement = self.chosen(table, by.label("key"), func.count(table.c.id).label("n"), *columns)
        statement = statement.group_by(by)
        if most is not None:
            statement = statement.order_by(func.count(table.c.id).desc(), by).limit(most)
        found: Group = {}
        for rows in self.walk(statement):
            for row in rows:
                numbers = {name: int(getattr(row, name) or 0) for name in measures}
                found[str(row.key)] = {"count": int(row.n), **numbers}
        return dict(sorted(found.items()))

    def month(self, table: Table) -> Any:
        """Return an expression for the month (``2026-01``) of the table's date."""
        return func.substr(table.c[DATES[table.name]], 1, 7)

    def overdue(self) -> Any:
        """Return the condition for overdue permits; see ``kinds.overdue``."""
        c = WORK_PERMITS.c
        return and_(c.status.in_(IN_FORCE), c.closed_at.is_(None), c.valid_until < self.as_of)

    @staticmethod
    def sum_if(condition: Any) -> Any:
        """Return an expression that counts the rows that meet a condition."""
        return func.sum(case((condition, 1), else_=0))

    def named(self, rows: Sequence[Row[Any]], late: bool = False) -> list[dict[str, Any]]:
        """Return rows as dictionaries with the station's name, and with ``overdue`` if ``late``."""
        found = [dict(row._mapping) for row in rows]
        self._load_names({row["stationId"] for row in found})
        for row in found:
            row["station"] = self._names.get(row["stationId"], "")
            if late:
                row["overdue"] = overdue(
                    row["status"], row["validUntil"], row["closedAt"], self.as_of
                )
        return found

    def stations(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of stations; the id if there is no such station."""
        self._load_names(set(ids))
        return {one: self._names.get(one) or one for one in ids}

    def _load_names(self, ids: set[str]) -> None:
        missing = sorted(ids - self._names.keys())
        if not missing:
            return
        if len(self._names) + len(missing) > NAMES_KEPT:
            self._names.clear()
            missing = sorted(ids)
        self._names.update(dict.fromkeys(missing, ""))
        statement = self.tenant.select(STATIONS, STATIONS.c.id, STATIONS.c.name)
        # SQLite has a limit of 999 values in old versions.
        for start in range(0, len(missing), 500):
            part = missing[start : start + 500]
            for rows in self.tenant.stream(statement.where(STATIONS.c.id.in_(part)), STEP):
                self._names.update({row.id: row.name for row in rows})

"""Access to one organization's rows.

A ``PlatformTenant`` restricts every table of every statement to its organization, once in
``select`` and again when the statement runs, and only runs statements that it can check
completely: one SELECT over the platform's tables, their inner joins, and functions that depend on
their arguments alone. Everything that could bypass the added WHERE (raw SQL, a nested SELECT, an
alias) is refused, so no filter, id or statement returns another organization's row.

Importing this module loads SQLAlchemy, so tasks import it where they use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Join, Row, Select, Table, func, select
from sqlalchemy.sql import elements, functions, operators, visitors

from hsejobs.errors import Unrecoverable
from tasks.shared.platform.schema import METADATA, ORGANIZATIONS

#: Functions that depend on their arguments alone. PostgreSQL has others that run SQL text.
FUNCTIONS: Final = frozenset(
    {
        "abs",
        "avg",
        "coalesce",
        "count",
        "length",
        "lower",
        "max",
        "min",
        "nullif",
        "round",
        "substr",
    }
    | {"sum", "trim", "upper"}
)
_PARTS: Final = (
    elements.BinaryExpression,
    elements.BindParameter,
    elements.Case,
    elements.Cast,
    elements.ClauseList,
    elements.ExpressionClauseList,
    elements.False_,
    elements.Grouping,
    elements.Label,
    elements.Null,
    elements.True_,
    elements.TypeClause,
    elements.UnaryExpression,
    elements._label_reference,
)


class NotScoped(Unrecoverable):
    """The statement could read other organizations' rows; another attempt would also fail."""

    code = "not_scoped"


class PlatformTenant:
    """Reads the rows of one organization only."""

    def __init__(self, engine: Engine, organization_id: str) -> None:
        """Raises NotScoped without an id: a missing id must not select all rows."""
        if not isinstance(organization_id, str) or not organization_id:
            raise NotScoped("rows are read for one organization: its id is missing")
        self.engine = engine
        self.organization_id = organization_id
        self._shared: Connection | None = None

    def select(self, table: Table, *columns: Any) -> Select[Any]:
        """Return a SELECT of the table's *columns* (all by default) with the organization's WHERE.

        It may be extended: where, join, group_by, order_by, limit. Raises NotScoped for a table
        that is not the platform's.
        """
        return select(*(columns or (table,))).select_from(table).where(self._own(table))

    def stream(self, statement: Select[Any], size: int = 1000) -> Iterator[Sequence[Row[Any]]]:
        """Yield the rows in lists of at most *size*, from a server-side cursor.

        One list is in memory at a time. Close the iterator if you stop early.
        Raises NotScoped immediately, and SQLAlchemy's errors while iterating.
        """
        if size < 1:
            raise ValueError("size must be 1 or more")
        return self._walk(self._scoped(statement), size)

    def count(self, statement: Select[Any]) -> int:
        """Return the statement's number of rows. Raises NotScoped and SQLAlchemy's errors."""
        inner = self._scoped(statement).order_by(None).subquery()
        with self._connection() as connection:
            return int(connection.scalar(select(func.count()).select_from(inner)) or 0)

    def organization(self) -> Row[Any] | None:
        """Return the row of the organization itself; None if there is no such organization."""
        with self._connection() as connection:
            return connection.execute(self.select(ORGANIZATIONS)).one_or_none()

    @contextmanager
    def snapshot(self) -> Iterator[PlatformTenant]:
        """Yield a tenant whose statements all see one snapshot, taken at the first statement.

        Holds one connection in a read-only transaction, so use it in one thread only.
        """
        with self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                # The driver only opens a transaction before a write.
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            view = PlatformTenant(self.engine, self.organization_id)
            view._shared = connection
            yield view

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._shared is not None:
            yield self._shared
        else:
            with self.engine.connect() as connection:
                yield connection

    def _walk(self, statement: Select[Any], size: int) -> Iterator[Sequence[Row[Any]]]:
        with (
            self._connection() as connection,
            connection.execute(statement, execution_options={"yield_per": size}) as result,
        ):
            yield from result.partitions()

    def _own(self, table: Table) -> elements.ColumnElement[bool]:
        """Return the condition that selects the organization's rows of a table."""
        if table is ORGANIZATIONS:
            return ORGANIZATIONS.c.id == self.organization_id
        if not _platform(table) or "organization_id" not in table.c:
            raise NotScoped("rows are read from the platform's tables with organization_id alone")
        return table.c.organization_id == self.organization_id

    def _scoped(self, statement: Select[Any]) -> Select[Any]:
        """The statement with the organization's condition for each table that it reads."""
        _refuse(statement)
        tables = [one for source in statement.get_final_froms() for one in _tables(source)]
        if not tables:
            raise NotScoped("the statement reads no table")
        return statement.where(*(self._own(table) for table in tables))


def _platform(table: Any) -> bool:
    return isinstance(table, Table) and METADATA.tables.get(table.key) is table


def _tables(source: Any) -> Iterator[Table]:
    """The tables of one FROM."""
    if isinstance(source, Join):
        # A condition in WHERE would make an inner join of it, and drop rows in silence.
        if source.isouter or source.full:
            raise NotScoped("outer joins are not scoped; read the two tables one after the other")
        yield from _tables(source.left)
        yield from _tables(source.right)
    elif isinstance(source, Table):
        yield source
    else:
        raise NotScoped("only tables and their joins are scoped, no alias, subquery or function")


def _refuse(statement: Any) -> None:
    """Raise NotScoped for anything that is not known to respect the added WHERE."""
    if not isinstance(statement, Select):
        raise NotScoped("only a SELECT can be scoped")
    # Raw SQL that the iteration below does not visit.
    if statement._hints or statement._statement_hints or statement._prefixes or statement._suffixes:
        raise NotScoped("hints, prefixes and suffixes are raw SQL, which cannot be scoped")
    for part in visitors.iterate(statement):
        if part is statement or isinstance(part, Join):
            continue
        if isinstance(part, Table):
            good = _platform(part)
        elif isinstance(part, Column):
            good = _platform(part.table)
        elif isinstance(part, elements.ColumnClause):
            # The * of count(*).
            good = part.is_literal and part.name == "*"
        elif isinstance(part, functions.FunctionElement):
            good = isinstance(part, functions.Function | functions.GenericFunction) and (
                part.name.lower() in FUNCTIONS and not getattr(part, "packagenames", ())
            )
        else:
            good = isinstance(part, _PARTS) and not _custom(part)
        if not good:
            raise NotScoped(f"a statement with {type(part).__name__} cannot be scoped")


def _custom(part: Any) -> bool:
    """Return whether the part has an operator given as text."""
    return any(
        isinstance(getattr(part, name, None), operators.custom_op)
        for name in ("operator", "modifier")
    )

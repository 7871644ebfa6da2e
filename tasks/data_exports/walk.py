"""Read the rows of an export in a fixed order, from the beginning or from a place in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasks.data_exports.entities import Entity
from tasks.shared.platform.reading import Steps
from tasks.shared.saving import PIECES, step_of

if TYPE_CHECKING:
    from tasks.shared.platform.rows import PlatformTenant


class Walk:
    """The rows of all entities, each by its primary key: no sort, and the same order each time."""

    def __init__(
        self,
        view: PlatformTenant,
        entities: Sequence[Entity],
        check: Callable[[], None],
        progress: Callable[[float, str], None],
    ) -> None:
        self.steps = Steps(check, progress)
        #: The rows that were read, by entity, including those of earlier attempts.
        self.rows = {entity.name: 0 for entity in entities}
        #: How many of them an earlier attempt read.
        self.resumed = 0
        #: Whether the entity was begun by an earlier attempt.
        self.continued = False
        self._view, self._entities = view, entities
        self._entity, self._last = "", None
        self._since_border = 0

    def count(self, position: dict[str, Any] | None = None) -> None:
        """Count the rows, or take the count of the ``position`` to continue from."""
        if position is None:
            for entity in self._entities:
                self.steps.check()
                self.steps.total += self._view.count(select_rows(self._view, entity))
            return
        self.rows |= position["rows"]
        self.resumed = self.steps.done = sum(self.rows.values())
        self.steps.total = position["total"]
        self._entity, self._last = position["entity"], position["last"]

    def entities(self) -> Iterator[Entity]:
        """Yield the entities that are not complete."""
        for entity in self._entities:
            if self._entity and entity.name != self._entity:
                continue
            self.continued = bool(self._entity)
            yield entity
            self._entity, self._last = "", None

    def batches(self, entity: Entity) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the rows of an entity after the last one that was read."""
        self.steps.check()
        statement = select_rows(self._view, entity, self._last)
        key = entity.columns.index("id")
        for several in self._view.stream(statement, step_of(self.steps.total)):
            self._entity, self._last = entity.name, several[-1][key]
            self.rows[entity.name] += len(several)
            yield several
            self.steps.add(len(several))
            self.steps.check()
        self._entity = ""

    def rest(self, entity: Entity) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the rows of an entity that an earlier attempt did not read."""
        if not self._entity or self._entity == entity.name:
            yield from self.batches(entity)
            self._entity, self._last = "", None

    def at_border(self, rows: int) -> bool:
        """Return whether a piece ends after the batch of so many rows that was yielded last.

        Depends on the rows alone: the pieces of an export are the same in any number of attempts.
        """
        self._since_border += rows
        if self._since_border * PIECES < self.steps.total:
            return False
        self._since_border = 0
        return True

    def position(self) -> dict[str, Any]:
        """Return the place after the batch that was yielded last, for ``count``."""
        return {
            "entity": self._entity,
            "last": self._last,
            "rows": dict(self.rows),
            "total": self.steps.total,
        }


def select_rows(tenant: PlatformTenant, entity: Entity, after: Any = None) -> Any:
    """Return the statement for an entity's rows, of those after the one with the id ``after``."""
    from tasks.shared.platform.schema import METADATA

    table = METADATA.tables[entity.table]
    statement = tenant.select(table, *(table.c[name] for name in entity.columns))
    if after is not None:
        statement = statement.where(table.c.id > after)
    return statement.order_by(table.c.id)
